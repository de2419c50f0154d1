"""Models of one operator."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case import FLOATS, INTS, F, Skip, dt, onnx_type, op

# ---- elementwise


def floaty(c, extra=()):
    return c.pick(*FLOATS, *extra)


@op(
    "Abs",
    "Neg",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Relu",
    "Tanh",
    "Sigmoid",
    "Exp",
    "Erf",
    "Sin",
    "Cos",
    "Softsign",
    "Softplus",
    "Mish",
    "HardSwish",
    "Identity",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Tan",
)
def unary(c, name):
    c.since({"Sign": 9, "Erf": 9, "Round": 11, "Mish": 18, "HardSwish": 14, "Sinh": 9, "Cosh": 9, "Asinh": 9, "Relu": 7}.get(name, 7))
    d = floaty(c)
    if name in ("Abs", "Neg", "Sign", "Relu") and c.chance(0.3):
        d = c.pick("int32", "int64", "int8")
        if name == "Relu":
            c.since(14)
    x = c.values(c.shape(), d)
    if name in ("Exp", "Sinh", "Cosh", "Tan"):
        x = np.clip(x, -6, 6).astype(x.dtype)
    if name == "Tan":
        x = np.clip(x, -1.2, 1.2).astype(x.dtype)
    c.out(c.node(name, [c.input(x)]))


@op("Sqrt", "Log", "Reciprocal", "Asin", "Acos", "Acosh", "Atanh")
def positive(c, name):
    c.since({"Acosh": 9, "Atanh": 9}.get(name, 7))
    d = floaty(c)
    x = c.values(c.shape(), d, "positive").astype(float) * c.pick(1, 1, 10, 100, 0.01)
    if name in ("Asin", "Acos", "Atanh"):
        x = np.clip(x, 0, 0.95) * np.where(c.np.random(x.shape) < 0.5, 1, -1)
    if name == "Acosh":
        x += 1
    if name == "Sqrt" and c.chance(0.3):
        x *= c.np.random(x.shape) < 0.7
    if name == "Reciprocal" and c.chance(0.4):
        x *= np.where(c.np.random(x.shape) < 0.5, 1, -1)
    c.out(c.node(name, [c.input(np.asarray(x).astype(dt(d)))]))


@op("Elu", "LeakyRelu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid", "Shrink", "Gelu", "Swish")
def activation(c, name):
    c.since({"Celu": 12, "ThresholdedRelu": 10, "Shrink": 9, "Gelu": 20, "Swish": 24}.get(name, 7))
    d = "float32" if name == "Celu" else floaty(c)
    x = c.values(c.shape(), d)
    a = {}
    al = lambda: c.pick(None, 0.5, 1.0, 2.0, 0.1, 0.0)
    if name in ("Elu", "LeakyRelu", "ThresholdedRelu", "Swish"):
        a = dict(alpha=al())
    if name == "Celu":
        a = dict(alpha=c.pick(None, 0.5, 2.0))
    if name == "Selu":
        a = dict(alpha=c.pick(None, 0.5, 2.0), gamma=c.pick(None, 0.5, 2.0))
    if name == "HardSigmoid":
        a = dict(alpha=c.pick(None, 0.5, 1 / 6), beta=c.pick(None, 0.5, 0.0))
    if name == "Shrink":
        a = dict(lambd=c.pick(None, 0.5, 1.0), bias=c.pick(None, 0.5, 1.0))
    if name == "Gelu":
        a = dict(approximate=c.pick(None, "none", "tanh"))
    c.out(c.node(name, [c.input(x)], **a))


@op("PRelu")
def prelu(c, name):
    s = c.shape(1, 4)
    _, b = c.bcast(s)
    d = floaty(c)
    c.out(c.node("PRelu", [c.input(c.values(s, d)), c.arg(c.values(b, d), 0.3)]))


@op("Add", "Sub", "Mul", "Div", weight=3)
def arith(c, name):
    a, b = c.bcast(c.shape(0, 5))
    d = floaty(c) if c.chance(0.6) else c.pick(*INTS)
    if d in ("int8", "int16", "uint8", "uint16"):
        c.since(14)
    x, y = c.values(a, d), c.values(b, d)
    if name == "Div":
        if x.dtype.kind in "iu":
            x = c.values(a, d, lo=-100, hi=100)
            y = np.where(y == 0, 3, y).astype(y.dtype)
        else:
            y = np.where(np.abs(y) < 0.05, 0.7, y).astype(y.dtype)
    if name == "Sub" and x.dtype.kind == "u":
        x = c.values(a, d, lo=9, hi=18)
    swap = c.chance(0.2)
    if swap:
        ins = [c.arg(x, 0.3), c.input(y)]
    else:
        ins = [c.input(x), c.arg(y, 0.6)]
    c.out(c.node(name, ins))


@op("Min", "Max", "Sum", "Mean", weight=2)
def many(c, name):
    c.since(8)
    n = c.int(1, 4)
    s = c.shape(0, 4)
    d = floaty(c)
    if name in ("Min", "Max") and c.chance(0.4):
        c.since(12)
        d = c.pick("int32", "int64", "uint8", "int8", "uint32", "int16")
    ins = []
    for i in range(n):
        x = c.values(c.bcast(s)[1], d)
        ins.append(c.input(x) if i == 0 else c.arg(x, 0.6))
    c.r.shuffle(ins)
    c.out(c.node(name, ins))


@op("Pow", weight=2)
def power(c, name):
    a, b = c.bcast(c.shape(0, 4))
    d = floaty(c)
    e = d
    w = c.int(0, 5)
    if w == 0:  # constant whole exponent
        x, y = c.values(a, d, "normal"), np.asarray(c.pick(0, 1, 2, 3, 4, 5), dtype=dt(e))
    elif w == 1:
        x, y = c.values(a, d, "positive"), np.asarray(c.pick(0.5, -0.5, -1, -2, 1.5, 0.25, 1 / 3), dtype=dt(e))
    elif w == 2:
        x, y = c.values(a, d, "positive"), c.values(b, e, "normal")
    elif w == 3:
        x, y = c.values(a, d, "normal"), np.abs(c.values(b, e, "ties"))
    elif w == 4:
        c.since(12)
        e = c.pick("int32", "int64")
        x, y = c.values(a, d, "normal"), c.values(b, e, lo=0, hi=3)
    else:
        c.since(12)
        d = c.pick("int32", "int64")
        e = c.pick("int32", "int64", "float32")
        x, y = c.values(a, d, lo=-5, hi=5), np.asarray(c.pick(1, 2, 3), dtype=dt(e))
    if y.ndim == 0 and c.chance(0.3):
        c.out(
            c.node(name, [c.arg(y, 0.3), c.input(np.abs(x))]) if x.dtype.kind == "f" and y > 0 and d == e else c.node(name, [c.input(x), c.const(y)])
        )
        return
    c.out(c.node(name, [c.input(x), c.arg(y, 0.3)]))


@op("Mod", weight=2)
def mod(c, name):
    c.since(10)
    a, b = c.bcast(c.shape(0, 3))
    if c.chance(0.5):
        d, fm = floaty(c), 1
        x, y = c.values(a, d, c.pick("normal", "halves", "ties")), c.values(b, d, c.pick("halves", "positive"))
        y = np.where(y == 0, 1.5, y).astype(y.dtype)
    else:
        d, fm = c.pick(*INTS), c.pick(0, 0, None, 1)
        x, y = c.values(a, d, lo=-50, hi=50), c.values(b, d)
        y = np.where(y == 0, 3, y).astype(y.dtype)
    c.out(c.node(name, [c.input(x), c.arg(y, 0.4)], fmod=fm))


@op("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", weight=2)
def compare(c, name):
    c.since({"GreaterOrEqual": 12, "LessOrEqual": 12}.get(name, 7))
    a, b = c.bcast(c.shape(0, 4))
    d = floaty(c) if c.chance(0.6) else c.pick(*INTS)
    if name == "Equal" and c.chance(0.2):
        d = "bool"
    if d not in ("float32", "bool", "int32", "int64"):
        c.since(11)
    k = c.pick("ties", "halves", "normal", "mixed")
    c.out(c.node(name, [c.input(c.values(a, d, k)), c.arg(c.values(b, d, k), 0.6)]))


@op("And", "Or", "Xor", "Not")
def logic(c, name):
    a, b = c.bcast(c.shape(0, 4))
    ins = [c.input(c.values(a, "bool"))]
    if name != "Not":
        ins.append(c.arg(c.values(b, "bool"), 0.6))
    c.out(c.node(name, ins))


@op("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot")
def bitwise(c, name):
    c.since(18)
    a, b = c.bcast(c.shape(0, 3))
    d = c.pick(*INTS)
    ins = [c.input(c.values(a, d))]
    if name != "BitwiseNot":
        ins.append(c.arg(c.values(b, d), 0.4))
    c.out(c.node(name, ins))


@op("BitShift")
def shift(c, name):
    c.since(11)
    a, b = c.bcast(c.shape(0, 3))
    d = c.pick("uint8", "uint16", "uint32", "uint64")
    c.out(c.node(name, [c.input(c.values(a, d)), c.arg(c.values(b, d, lo=0, hi=3), 0.2)], direction=c.pick("LEFT", "RIGHT")))


@op("IsNaN", "IsInf")
def guards(c, name):
    c.since({"IsInf": 10}.get(name, 9))
    x = c.input(c.values(c.shape(0, 3), "float32"))
    a = dict(detect_negative=c.pick(None, 0, 1), detect_positive=c.pick(None, 0, 1)) if name == "IsInf" else {}
    if c.chance(0.5):
        x = c.node("Relu", [x])
    n = c.node(name, [x], **a)
    if c.chance(0.5):
        c.out(c.node("Where", [n, c.const(F(0)), x]))
    else:
        c.out(n)


@op("Where", weight=3)
def where(c, name):
    c.since(9)
    s = c.shape(0, 4)
    a, b = c.bcast(s)
    _, e = c.bcast(s)
    d = floaty(c) if c.chance(0.7) else c.pick("int64", "int32", "uint8", "bool")
    if c.chance(0.5):
        cond = c.arg(c.values(a, "bool"), 0.6)
    else:
        cond = c.node("Greater", [c.input(c.values(a, "float32", "ties")), c.const(F(0))])
    c.out(c.node("Where", [cond, c.arg(c.values(b, d), 0.7), c.input(c.values(e, d))]))


@op("Clip", weight=2)
def clip(c, name):
    d = floaty(c)
    if c.chance(0.25):
        c.since(12)
        d = c.pick("int32", "int64", "int8", "uint8")
    x = c.values(c.shape(), d)
    lo, hi = c.pick(None, -1, 0, 2, -100), c.pick(None, 0, 1, 6, 100)
    if d == "uint8" and lo is not None:
        lo = abs(lo)
    if c.opset < 11:
        if x.dtype.kind != "f":
            raise Skip
        c.out(c.node("Clip", [c.input(x)], min=None if lo is None else float(lo), max=None if hi is None else float(hi)))
        return
    b = lambda v: "" if v is None else c.arg(np.asarray(v, dtype=dt(d)), 0.2)
    c.out(c.node("Clip", [c.input(x), b(lo), b(hi)]))


@op("Cast", weight=3)
def cast(c, name):
    d = floaty(c) if c.chance(0.5) else c.pick(*INTS, "bool")
    e = floaty(c, ["bfloat16"]) if c.chance(0.5) else c.pick(*INTS, "bool")
    if e == "bfloat16":
        c.since(13)
    x = c.values(c.shape(0, 3), d, c.pick("halves", "ties", "normal", "large"))
    if x.dtype.kind == "f" and dt(e).kind in "iu":
        i = np.iinfo(dt(e))
        x = np.clip(x, max(i.min, -1000), min(i.max, 1000)).astype(x.dtype)
    n = c.node("Cast", [c.input(x)], to=onnx_type(dt(e)))
    if e == "bfloat16":
        n = c.node("Cast", [n], to=TensorProto.FLOAT)
    elif c.chance(0.3):
        n = c.node("Cast", [n], to=onnx_type(dt(c.pick("float32", "int64"))))
    c.out(n)


@op("CastLike")
def castlike(c, name):
    c.since(15)
    d, e = c.pick("float32", "float16", "int32", "int64", "bool"), c.pick("float32", "float16", "int32", "int64", "bool")
    x = c.values(c.shape(0, 3), d, "halves")
    c.out(c.node(name, [c.input(x), c.arg(c.values([2], e), 0.3)]))


# ---- linear


@op("MatMul", weight=3)
def matmul(c, name):
    d = floaty(c)
    if c.chance(0.15):
        c.since(9)
        d = c.pick("int32", "int64", "uint32")
    n, k, m = (c.pick(1, 2, 3, 5, 7, 12) for _ in range(3))
    batch = c.shape(0, 3, 12)
    a, b = c.bcast(batch)
    a, b = a + [n, k], b + [k, m]
    if c.chance(0.15):
        a = [k]
    elif c.chance(0.15):
        b = [k]
    ins = [c.input(c.values(a, d)), c.arg(c.values(b, d), 0.5)]
    if c.chance(0.2) and len(a) == len(b) == 2:
        ins = [c.arg(c.values(a, d), 0.3), c.input(c.values(b, d))]
    c.out(c.node("MatMul", ins))


@op("Gemm", weight=3)
def gemm(c, name):
    d = floaty(c)
    n, k, m = (c.pick(1, 2, 3, 5, 7, 12) for _ in range(3))
    ta, tb = c.pick(None, 0, 1), c.pick(None, 0, 1)
    a, b = [k, n] if ta else [n, k], [m, k] if tb else [k, m]
    ins = [c.input(c.values(a, d)), c.arg(c.values(b, d), 0.4)]
    if c.opset < 11 or c.chance(0.7):
        ins.append(c.arg(c.values(c.pick([], [1], [m], [n, 1], [1, m], [n, m], [1, 1]), d), 0.4))
    c.out(c.node("Gemm", ins, transA=ta, transB=tb, alpha=c.pick(None, 0.5, 2.0, 0.0, -1.0), beta=c.pick(None, 0.25, 0.0, 2.0)))


@op("Einsum", weight=2)
def einsum(c, name):
    c.since(12)
    d = c.pick("float32", "float32", "float64")
    eq, shapes = c.pick(
        ("ij,jk->ik", [[3, 4], [4, 5]]),
        ("ij,jk", [[3, 4], [4, 5]]),
        ("bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]),
        ("...ij,...jk->...ik", [[2, 3, 4], [2, 4, 5]]),
        ("...ij,jk->...ik", [[2, 1, 3, 4], [4, 5]]),
        ("ii->i", [[4, 4]]),
        ("ii->", [[4, 4]]),
        ("ij->", [[3, 4]]),
        ("ij->ji", [[3, 4]]),
        ("i,i->", [[5], [5]]),
        ("i,j->ij", [[3], [4]]),
        ("bhid,bhjd->bhij", [[1, 2, 3, 4], [1, 2, 5, 4]]),
        ("ij,j,jk->ik", [[3, 4], [4], [4, 2]]),
        ("i,ij,j->", [[3], [3, 4], [4]]),
        ("bthd,hde->bte", [[1, 3, 2, 4], [2, 4, 5]]),
        ("...i->...", [[2, 3, 4]]),
        ("b...,b...->b...", [[2, 3], [2, 3]]),
        (" i j , j k -> i k ", [[2, 3], [3, 2]]),
        ("Aa,aB->AB", [[2, 3], [3, 2]]),
        ("ij,ij->ij", [[1, 4], [3, 4]]),
        ("...,...->...", [[2, 3], [3]]),
        ("bij->b", [[2, 3, 4]]),
        ("iji->j", [[3, 2, 3]]),
        ("ba,ca->bc", [[2, 3], [4, 3]]),
        ("ij,kj", [[2, 3], [4, 3]]),
        ("...ij", [[2, 3, 4]]),
        ("ba", [[2, 3]]),
    )
    ins = [c.input(c.values(shapes[0], d))] + [c.arg(c.values(s, d), 0.6) for s in shapes[1:]]
    c.out(c.node("Einsum", ins, equation=eq))


def spatial(c):
    rank = c.pick(1, 2, 2, 2, 3)
    return rank, [c.pick(3, 4, 5, 6, 7) if rank < 3 else c.pick(3, 4) for _ in range(rank)]


def window(c, rank, dil=True):
    kernel = [c.pick(1, 2, 3) for _ in range(rank)]
    strides = [c.pick(1, 1, 2, 3) for _ in range(rank)] if c.chance(0.7) else None
    dilations = [c.pick(1, 1, 2) for _ in range(rank)] if dil and c.chance(0.4) else None
    auto = c.pick(None, None, None, "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    pads = None
    if auto in (None, "NOTSET") and c.chance(0.6):
        pads = [c.int(0, kernel[i % rank] - 1) for i in range(2 * rank)]
    return kernel, dict(strides=strides, dilations=dilations, auto_pad=auto, pads=pads)


@op("Conv", weight=3)
def conv(c, name):
    d = c.pick("float32", "float32", "float16", "float64")
    rank, sp = spatial(c)
    kernel, at = window(c, rank)
    g = c.pick(1, 1, 1, 2, 3)
    ci, co = g * c.pick(1, 2), g * c.pick(1, 2)
    ins = [c.input(c.values([c.pick(1, 1, 2), ci] + sp, d)), c.arg(c.values([co, ci // g] + kernel, d, "normal"), 0.2)]
    if c.chance(0.6):
        ins.append(c.arg(c.values([co], d), 0.2))
    c.out(c.node("Conv", ins, group=g if g > 1 or c.chance(0.3) else None, kernel_shape=c.pick(None, kernel), **at))


@op("ConvTranspose", weight=3)
def convt(c, name):
    d = c.pick("float32", "float32", "float64")
    rank, sp = spatial(c)
    kernel, at = window(c, rank)
    g = c.pick(1, 1, 1, 2)
    ci, co = g * c.pick(1, 2), c.pick(1, 2)
    if at["auto_pad"] in (None, "NOTSET") and c.chance(0.3):
        at["output_padding"] = [c.int(0, max(0, (at["strides"] or [1] * rank)[i] - 1)) for i in range(rank)]
    if c.chance(0.15):
        at["output_shape"] = [n * (at["strides"] or [1] * rank)[i] + c.int(0, 1) for i, n in enumerate(sp)]
        at["pads"] = None
    ins = [c.input(c.values([1, ci] + sp, d)), c.arg(c.values([ci, co] + kernel, d, "normal"), 0.2)]
    if c.chance(0.6):
        ins.append(c.arg(c.values([co * g], d), 0.2))
    c.out(c.node("ConvTranspose", ins, group=g if g > 1 or c.chance(0.3) else None, kernel_shape=c.pick(None, kernel), **at))


@op("MaxPool", "AveragePool", "LpPool", weight=2)
def pool(c, name):
    d = c.pick("float32", "float32", "float64")
    rank, sp = spatial(c)
    dil = name == "MaxPool" and c.opset >= 10 or name == "AveragePool" and c.opset >= 19 or name == "LpPool" and c.opset >= 18
    kernel, at = window(c, rank, dil)
    if c.opset >= 10 and name != "LpPool" or c.opset >= 18:
        at["ceil_mode"] = c.pick(None, 0, 1)
    if name == "AveragePool":
        at["count_include_pad"] = c.pick(None, 0, 1)
    if at["auto_pad"] not in (None, "NOTSET") and at["dilations"]:
        raise Skip  # onnxruntime forgets the dilations
    if name == "LpPool":
        at["p"] = c.pick(None, 1, 2, 3)
    n = c.node(name, [c.input(c.values([c.pick(1, 2), c.pick(1, 2)] + sp, d))], kernel_shape=kernel, **at)
    c.out(n)


@op("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def gpool(c, name):
    c.trusted = "onnxruntime"
    rank, sp = spatial(c)
    a = dict(p=c.pick(None, 1, 2, 3)) if name == "GlobalLpPool" else {}
    c.out(c.node(name, [c.input(c.values([c.pick(1, 2), c.pick(1, 3)] + sp, c.pick("float32", "float64", "float16")))], **a))


@op("Resize", weight=4)
def resize(c, name):
    c.since(10)
    d = "float32"
    rank = c.pick(1, 2, 2)
    sp = [c.pick(2, 3, 4, 5, 6) for _ in range(rank)]
    s = [1, c.pick(1, 2)] + sp
    x = c.input(c.values(s, d))
    mode = c.pick("nearest", "nearest", "linear", "linear", "cubic", None)
    sc = [1.0, 1.0] + [c.pick(2.0, 1.0, 0.5, 1.5, 0.6, 3.0, 2.5) for _ in sp]
    sizes = [1, s[1]] + [c.pick(1, 2, 3, 4, 5, 7, 8) for _ in sp]
    if c.opset < 11:
        if mode == "cubic":
            raise Skip
        c.out(c.node("Resize", [x, c.const(np.array(sc, F))], mode=mode))
        return
    at = dict(mode=mode)
    at["coordinate_transformation_mode"] = c.pick(
        None, "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric" if c.opset >= 19 else "asymmetric"
    )
    if mode in (None, "nearest"):
        at["nearest_mode"] = c.pick(None, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    if mode == "cubic":
        at["cubic_coeff_a"] = c.pick(None, -0.5)
        at["exclude_outside"] = c.pick(None, 0, 1)
    if mode == "linear" and c.opset >= 18:
        at["antialias"] = c.pick(None, None, 0, 1)
    roi = "" if c.opset >= 13 and c.chance(0.7) else c.const(np.array([], F))
    if c.opset >= 18 and c.chance(0.3):
        at["axes"] = list(range(2, 2 + rank))
        sc, sizes = sc[2:], sizes[2:]
    if c.chance(0.5):
        c.out(c.node("Resize", [x, roi, c.const(np.array(sc, F))], **at))
        return
    if c.opset >= 18 and c.chance(0.3):
        at["keep_aspect_ratio_policy"] = c.pick("stretch", "not_larger", "not_smaller")
        at["axes"] = list(range(2, 2 + rank))
        sizes = sizes[-rank:]
    c.out(c.node("Resize", [x, roi, "" if c.opset >= 13 else c.const(np.array([], F)), c.ints(sizes)], **at))


@op("Upsample")
def upsample(c, name):
    c.until(9)
    s = [1, 2, c.int(2, 4), c.int(2, 4)]
    sc = [1.0, 1.0, c.pick(1.0, 2.0, 1.5), c.pick(2.0, 3.0)]
    mode = c.pick(None, "nearest", "linear")
    x = c.input(c.values(s))
    if c.opset < 9:
        c.out(c.node(name, [x], mode=mode, scales=sc))
    else:
        c.out(c.node(name, [x, c.const(np.array(sc, F))], mode=mode))


# ---- rows


def an_axis(c, rank):
    return c.int(-rank, rank - 1)


@op("Softmax", "LogSoftmax", "Hardmax", weight=2)
def softmax(c, name):
    s = c.shape(1, 4)
    if c.opset < 13:
        c.trusted = "onnxruntime"  # the reference knows the newer meaning alone
    k = c.pick("normal", "ties", "halves", "large", "mixed")
    c.out(
        c.node(
            name,
            [c.input(c.values(s, c.pick("float32", "float32", "float16", "float64"), k))],
            axis=c.pick(None, an_axis(c, len(s))) if len(s) > 1 or c.opset >= 13 else c.pick(0, -1),
        )
    )


def axes_of(c, rank):
    k = c.int(0, rank)
    axes = c.r.sample(range(rank), k)
    return [a - rank if c.chance(0.4) else a for a in axes]


@op(
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceProd",
    "ReduceSumSquare",
    weight=3,
)
def reduce(c, name):
    s = c.shape(0, 4)
    d = floaty(c)
    if c.chance(0.25):
        d = c.pick("int32", "int64")
    kind = None
    if name == "ReduceLogSum":
        kind, d = "positive", c.pick("float32", "float64")
    if name == "ReduceLogSumExp":
        kind, d = c.pick("normal", "halves", "large"), c.pick("float32", "float64")
    if name == "ReduceProd":
        s = c.shape(0, 3, 12)
        kind = c.pick("normal", "positive", "ties")
    if name in ("ReduceMax", "ReduceMin") and c.chance(0.2):
        d = c.pick("uint8", "int8", "bool")
        c.since(20 if d == "bool" else 12)
    x = c.values(s, d, kind)
    if name == "ReduceProd" and x.dtype.kind == "i":
        x = c.values(s, d, lo=-3, hi=3)
    axes = axes_of(c, len(s))
    keep = c.pick(None, 0, 1)
    if c.opset >= 18 or name == "ReduceSum" and c.opset >= 13:
        ins = [c.input(x)]
        if c.chance(0.85):
            ins.append(c.ints(axes))
        c.out(c.node(name, ins, keepdims=keep, noop_with_empty_axes=c.pick(None, None, 0, 1)))
    else:
        c.out(c.node(name, [c.input(x)], axes=axes or None, keepdims=keep))


@op("ArgMax", "ArgMin", weight=2)
def argm(c, name):
    s = c.shape(1, 4)
    d = c.pick("float32", "float32", "float64", "float16", "int32", "int8", "uint8") if c.opset >= 13 else "float32"
    a = dict(axis=c.pick(None, an_axis(c, len(s))), keepdims=c.pick(None, 0, 1))
    if c.opset >= 12:
        a["select_last_index"] = c.pick(None, 0, 1)
    c.out(c.node(name, [c.input(c.values(s, d))], **a))


@op("TopK", weight=3)
def topk(c, name):
    s = c.shape(1, 4)
    d = c.pick("float32", "float32", "float64")
    ax = an_axis(c, len(s))
    if c.opset >= 11 and c.chance(0.3):
        d = c.pick("int64", "int32")
    k = c.int(1, s[ax])
    x = c.input(c.values(s, d))
    a = dict(axis=ax if ax != -1 else c.pick(None, -1))
    if c.opset >= 11:
        a.update(largest=c.pick(None, 0, 1), sorted=c.pick(None, 1))
    if c.opset >= 10:
        v, i = c.node("TopK", [x, c.ints([k])], 2, **a)
    else:
        v, i = c.node("TopK", [x], 2, k=k, **a)
    c.out(*c.pick((v,), (i,), (v, i)))


@op("CumSum", weight=3)
def cumsum(c, name):
    c.since(11)
    s = c.shape(1, 4)
    d = c.pick("float32", "float32", "float64", "int32", "int64")
    ax = np.array(an_axis(c, len(s)), c.pick(np.int64, np.int32))
    if c.chance(0.2):
        ax = ax.reshape(1)
    c.out(c.node(name, [c.input(c.values(s, d)), c.const(ax)], exclusive=c.pick(None, 0, 1), reverse=c.pick(None, 0, 1)))


@op("LayerNormalization", weight=2)
def layernorm(c, name):
    c.since(17)
    s = c.shape(1, 4)
    ax = an_axis(c, len(s))
    d = c.pick("float32", "float32", "float16", "float64")
    rest = s[ax:] if ax < 0 else s[ax:]
    ins = [c.input(c.values(s, d)), c.arg(c.values(c.pick(rest, rest, [1] * len(rest)), d), 0.3)]
    if c.chance(0.6):
        ins.append(c.arg(c.values(rest, d), 0.3))
    c.out(c.node(name, ins, axis=ax if ax != -1 else c.pick(None, -1), epsilon=c.pick(None, 1e-5, 1e-3, 1e-12), stash_type=c.pick(None, 1)))


@op("RMSNormalization", weight=2)
def rmsnorm(c, name):
    c.since(23)
    s = c.shape(1, 4)
    ax = an_axis(c, len(s))
    d = c.pick("float32", "float32", "float16", "float64")
    rest = s[ax:]
    c.out(
        c.node(
            name,
            [c.input(c.values(s, d)), c.arg(c.values(c.pick(rest, [1] * len(rest)), d), 0.3)],
            axis=ax if ax != -1 else c.pick(None, -1),
            epsilon=c.pick(None, 1e-5, 1e-3),
        )
    )


@op("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LpNormalization", "MeanVarianceNormalization", "LRN", weight=2)
def norms(c, name):
    d = c.pick("float32", "float32", "float64")
    if name == "LpNormalization":
        s = c.shape(1, 3)
        c.out(c.node(name, [c.input(c.values(s, d))], axis=c.pick(None, an_axis(c, len(s))), p=c.pick(None, 1, 2)))
        return
    rank, sp = spatial(c)
    ch = c.pick(2, 4, 6)
    s = [c.pick(1, 2), ch] + sp
    if name == "BatchNormalization" and c.chance(0.2):
        s = s[:2]
    x = c.input(c.values(s, d))
    if name == "MeanVarianceNormalization":
        c.since(9)
        c.out(c.node(name, [x], axes=c.pick(None, [0, 2], [1]) if rank == 2 else [0, 1]))
    elif name == "LRN":
        c.trusted = "onnxruntime"
        c.out(c.node(name, [x], size=c.pick(1, 3, 5), alpha=c.pick(None, 0.1), beta=c.pick(None, 0.5), bias=c.pick(None, 2.0)))
    elif name == "BatchNormalization":
        ins = [x] + [c.const(c.values([ch], d, "normal")) for _ in range(3)] + [c.const(c.values([ch], d, "positive"))]
        c.out(c.node(name, ins, epsilon=c.pick(None, 1e-3)))
    elif name == "InstanceNormalization":
        c.out(c.node(name, [x, c.arg(c.values([ch], d), 0.2), c.arg(c.values([ch], d), 0.2)], epsilon=c.pick(None, 1e-3)))
    else:
        c.since(18)
        g = c.pick(1, 2, ch)
        p = [ch] if c.opset >= 21 else [g]
        c.out(c.node(name, [x, c.arg(c.values(p, d), 0.2), c.arg(c.values(p, d), 0.2)], num_groups=g, epsilon=c.pick(None, 1e-3)))


# ---- places


@op("Gather", "GatherElements", "GatherND", weight=3)
def gather(c, name):
    c.since({"GatherND": 11, "GatherElements": 11}.get(name, 7))
    s = c.shape(1, 4)
    d = floaty(c) if c.chance(0.6) else c.pick("int64", "int32", "bool", "uint8")
    x = c.values(s, d)
    p = c.pick(0.0, 0.5, 0.5)
    data = c.input(x) if c.chance(0.7) else c.const(x)
    if data not in c.feeds:
        p = 1
    it = c.pick(np.int64, np.int32)
    neg = c.opset >= 11
    if name == "GatherND":
        it = np.int64
        b = c.pick(0, 0, 1) if c.opset >= 12 and len(s) > 1 else 0
        k = c.int(1, len(s) - b)
        lead = s[:b] + c.shape(0, 2, 12)
        idx = np.stack([c.np.integers(-n if neg and c.chance(0.3) else 0, n, lead) for n in s[b : b + k]], -1).astype(it)
        c.out(c.node(name, [data, c.arg(idx, p)], batch_dims=b if b else c.pick(None, 0) if c.opset >= 12 else None))
        return
    ax = an_axis(c, len(s)) if c.opset >= 11 else c.int(0, len(s) - 1)
    lo = -s[ax] if neg and c.chance(0.3) else 0
    if name == "Gather":
        idx = c.np.integers(lo, s[ax], c.pick([], [1], [3], [2, 2], [1, 4])).astype(it)
    else:
        t = [c.int(1, n) for n in s]
        t[ax] = c.int(1, 5)
        idx = c.np.integers(lo, s[ax], t).astype(it)
    c.out(c.node(name, [data, c.arg(idx, p)], axis=ax if ax else c.pick(None, 0)))


@op("ScatterElements", "ScatterND", "Scatter", weight=3)
def scatter(c, name):
    c.since(11)
    if name == "Scatter":
        c.opset = c.pick(9, 10)
    s = c.shape(1, 3, 60)
    d = floaty(c) if c.chance(0.6) else c.pick("int64", "int32")
    red = (
        c.pick(None, None, "none", "add", "mul", "max" if c.opset >= 18 else "add", "min" if c.opset >= 18 else "add")
        if c.opset >= 16 and name != "Scatter"
        else None
    )
    x = c.arg(c.values(s, d), 0.6)
    p = c.pick(0.0, 0.5)
    if name == "ScatterND":
        k = c.int(1, len(s))
        n = int(np.prod(s[:k]))
        m = c.int(1, min(n, 5))
        flat = c.np.choice(n, m, replace=red in ("add", "mul", "max", "min"))
        idx = np.stack(np.unravel_index(flat, s[:k]), -1).astype(np.int64)
        if c.chance(0.2):
            idx[..., 0] -= s[0]
        c.out(c.node(name, [x, c.arg(idx, p), c.input(c.values([m] + s[k:], d))], reduction=red))
        return
    ax = an_axis(c, len(s)) if c.opset >= 11 else c.int(0, len(s) - 1)
    t = [c.int(1, n) for n in s]
    idx = np.argsort(c.np.random(s), axis=ax)[tuple(slice(0, n) for n in t)].astype(c.pick(np.int64, np.int32))
    if red in ("add", "mul", "max", "min"):
        idx = c.np.integers(0, s[ax], t).astype(np.int64)
    if c.opset >= 11 and c.chance(0.2):
        idx = (idx - s[ax]).astype(idx.dtype)
    c.out(c.node(name, [x, c.arg(idx, p), c.input(c.values(t, d))], axis=ax if ax else c.pick(None, 0), reduction=red))


@op("OneHot", weight=2)
def onehot(c, name):
    c.since(9)
    s = c.shape(0, 2, 20)
    depth = c.pick(2, 3, 5)
    lo = -depth if c.opset >= 11 and c.chance(0.4) else 0
    hi = depth + 1 if c.chance(0.2) else depth - 1
    it = c.pick("int64", "int64", "int32", "float32")
    idx = c.np.integers(lo, hi, s, endpoint=True).astype(dt(it))
    vt = c.pick("float32", "int64", "int32", "float32", "bool")
    vals = np.array(c.pick([0, 1], [0, 1], [1, 3], [5, -2]), dtype=dt(vt))
    dep = c.const(np.array(depth, c.pick(np.int64, np.int32)).reshape(c.pick([], [1])))
    c.out(c.node(name, [c.input(idx), dep, c.arg(vals, 0.2)], axis=c.pick(None, c.int(-len(s) - 1, len(s)))))


@op("Trilu", weight=2)
def trilu(c, name):
    c.since(14)
    s = c.shape(2, 4)
    d = c.pick("float32", "float64", "float16", "int64", "int32", "bool")
    ins = [c.input(c.values(s, d))]
    if c.chance(0.6):
        ins.append(c.const(np.array(c.int(-3, 3), np.int64).reshape(c.pick([], [1]) if c.chance(0.1) else [])))
    c.out(c.node(name, ins, upper=c.pick(None, 0, 1)))


@op("Pad", weight=3)
def pad(c, name):
    s = c.shape(1, 4, 60)
    d = floaty(c)
    if c.opset >= 11 and c.chance(0.3):
        d = c.pick("int64", "int32", "uint8")
        c.since(13)
    mode = c.pick(None, "constant", "reflect", "edge", "wrap" if c.opset >= 19 else "edge")
    x = c.input(c.values(s, d))
    axes = list(range(len(s)))
    use = c.opset >= 18 and c.chance(0.4)
    if use:
        axes = c.r.sample(axes, c.int(1, len(axes)))
    lim = lambda n: n - 1 if mode == "reflect" else n
    pads = [c.int(-1 if mode in (None, "constant") and s[a] > 2 and c.chance(0.2) else 0, min(3, lim(s[a])) if mode else 3) for a in axes * 2]
    if c.opset < 11:
        if d == "float64":
            raise Skip
        c.out(c.node(name, [x], pads=pads, mode=mode, value=c.pick(None, 0.0, 2.5) if mode in (None, "constant") else None))
        return
    ins = [x, c.ints(pads)]
    v = ""
    if mode in (None, "constant") and c.chance(0.6):
        v = c.arg(np.array(c.pick(0, 1, 3), dtype=dt(d)), 0.15)
    ins.append(v)
    if use:
        ins.append(c.const(np.array([a - len(s) if c.chance(0.4) else a for a in axes], c.pick(np.int64, np.int32))))
    c.out(c.node(name, ins, mode=mode))


@op("Concat", weight=2)
def concat(c, name):
    s = c.shape(1, 4, 60)
    d = floaty(c) if c.chance(0.7) else c.pick("int64", "int32", "bool", "uint8")
    ax = an_axis(c, len(s)) if c.opset >= 11 else c.int(0, len(s) - 1)
    ins = []
    for i in range(c.int(1, 4)):
        t = list(s)
        t[ax] = c.pick(1, 2, 3, 0 if i and c.chance(0.3) else 1)
        x = c.values(t, d)
        ins.append(c.input(x) if i == 0 else c.arg(x, 0.5 if x.size else 0))
    c.r.shuffle(ins)
    c.out(c.node(name, ins, axis=ax))


@op("Split", weight=2)
def split(c, name):
    s = c.shape(1, 4)
    d = floaty(c)
    ax = an_axis(c, len(s)) if c.opset >= 11 else c.int(0, len(s) - 1)
    n = s[ax]
    x = c.input(c.values(s, d))
    a = dict(axis=ax if ax else c.pick(None, 0))
    if c.chance(0.5) or n == 1:
        parts, left = [], n
        while left:
            parts.append(c.int(1, left))
            left -= parts[-1]
        if c.opset >= 13 and c.chance(0.2):
            parts.insert(c.int(0, len(parts)), 0)
        if c.opset < 13:
            ys = c.node(name, [x], max(2, len(parts)), split=parts, **a) if len(parts) > 1 else [c.node(name, [x], 1, split=parts, **a)]
        else:
            ys = c.node(name, [x, c.ints(parts)], len(parts), **a)
            ys = [ys] if isinstance(ys, str) else ys
    else:
        k = c.pick(*[k for k in range(2, n + 1) if n % k == 0 or c.opset >= 18])
        if c.opset >= 18:
            a["num_outputs"] = k
            size = -(-n // k)
            if size * (k - 1) >= n:
                raise Skip
        ys = c.node(name, [x], k, **a)
    keep = [y for y in ys if c.chance(0.7)] or ys[:1]
    c.out(*keep)


@op("Slice", weight=4)
def slice_(c, name):
    s = c.shape(1, 4)
    d = floaty(c) if c.chance(0.7) else c.pick("int64", "int32", "bool")
    x = c.input(c.values(s, d))
    axes = sorted(c.r.sample(range(len(s)), c.int(1, len(s))))
    if c.opset < 10:
        st = [c.pick(0, 1, -2, c.int(0, s[a] - 1)) for a in axes]
        en = [c.pick(s[a], 2**31 - 1, 2**63 - 1, -1, s[a] - 1) for a in axes]
        c.out(c.node(name, [x], starts=st, ends=en, axes=axes if axes != list(range(len(axes))) or c.chance(0.5) else None))
        return
    step = [c.pick(1, 1, 1, 2, 3, -1, -2) for _ in axes]
    st = [
        c.pick(0, 1, -2, 100, c.int(-s[a], s[a] - 1)) if k > 0 else c.pick(-1, s[a] - 1, 100, 2**31 - 1, c.int(0, s[a] - 1))
        for a, k in zip(axes, step)
    ]
    en = [
        c.pick(s[a], 2**31 - 1, 2**63 - 1, -1, s[a] - 1, 0) if k > 0 else c.pick(-100, -(2**31), -(2**63), 0, -s[a] - 1) for a, k in zip(axes, step)
    ]
    it = np.int64 if max(map(abs, en)) > 2**31 - 1 else c.pick(np.int64, np.int32)
    con = lambda v: c.const(np.array(v, it))
    noaxes = axes == list(range(len(axes))) and c.chance(0.4)
    shown = [a - len(s) if c.opset >= 10 and c.chance(0.3) else a for a in axes]
    ins = [x, con(st), con(en), "" if noaxes else con(shown)]
    if any(k != 1 for k in step) or c.chance(0.3):
        ins.append(con(step))
    c.out(c.node(name, ins))


@op("Expand", "Tile", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", weight=2)
def moves(c, name):
    c.since({"Expand": 8}.get(name, 7))
    s = c.shape(0 if name not in ("Flatten",) else 1, 4)
    d = floaty(c) if c.chance(0.7) else c.pick("int64", "int32", "bool", "uint8")
    if name == "Squeeze" or name == "Expand":
        s = [1 if c.chance(0.4) else n for n in s]
    x = c.input(c.values(s, d))
    if name == "Expand":
        t = [c.int(1, 3) if n == 1 else c.pick(1, n) for n in s]
        t = t[c.int(0, len(t)) :] if c.chance(0.3) else c.shape(0, 1, 4) + t
        c.out(c.node(name, [x, c.ints(t)]))
    elif name == "Tile":
        c.out(c.node(name, [x, c.ints([c.pick(1, 1, 2, 3) for _ in s])]))
    elif name == "Reshape":
        n = int(np.prod(s))
        t, left = [], n
        for p in (2, 3, 5, 7, 17):
            while left % p == 0 and c.chance(0.6):
                t.append(p)
                left //= p
        t.append(left)
        c.r.shuffle(t)
        if c.chance(0.4):
            t[c.int(0, len(t) - 1)] = -1
        az = None
        if len(s) > 1 and c.chance(0.3):
            t = [0] + [-1]
        if c.opset >= 14:
            az = c.pick(None, 0)
        c.out(c.node(name, [x, c.ints(t)], allowzero=az))
    elif name == "Transpose":
        p = list(range(len(s)))
        c.r.shuffle(p)
        c.out(c.node(name, [x], perm=c.pick(None, p) if s else None))
    elif name == "Flatten":
        c.out(c.node(name, [x], axis=c.pick(None, c.int(0, len(s)), an_axis(c, len(s)) if c.opset >= 11 else 0)))
    elif name == "Squeeze":
        ones = [i - len(s) if c.chance(0.3) and c.opset >= 11 else i for i, n in enumerate(s) if n == 1]
        ones = c.r.sample(ones, c.int(1, len(ones))) if ones and c.chance(0.7) else None
        if c.opset < 13:
            c.out(c.node(name, [x], axes=ones))
        else:
            c.out(c.node(name, [x] + ([c.ints(ones)] if ones else [])))
    else:
        k = c.int(1, 2)
        r = len(s) + k
        axes = [a - r if c.opset >= 11 and c.chance(0.4) else a for a in c.r.sample(range(r), k)]
        if c.opset < 13:
            c.out(c.node(name, [x], axes=axes))
        else:
            c.out(c.node(name, [x, c.ints(axes)]))


@op("DepthToSpace", "SpaceToDepth")
def depth(c, name):
    b = c.pick(2, 2, 3)
    d = c.pick("float32", "float32", "float64")
    s = [c.pick(1, 2), b * b * c.pick(1, 2), c.pick(1, 2), c.pick(2, 3)] if name == "DepthToSpace" else [1, c.pick(1, 2), 2 * b, 3 * b]
    c.out(c.node(name, [c.input(c.values(s, d))], blocksize=b, mode=c.pick(None, "DCR", "CRD") if name == "DepthToSpace" and c.opset >= 11 else None))


@op("ReverseSequence", "EyeLike", "Compress", "Dropout", "Shape", "Size", "NonZero", "Range", "ConstantOfShape")
def rare(c, name):
    d = "float32"
    if name == "ReverseSequence":
        c.since(10)
        t, b = c.pick(3, 4), c.pick(1, 2, 3)
        ba = c.pick(0, 1)
        s = [t, b] if ba else [b, t]
        lens = c.arg(c.np.integers(1, t, [b], endpoint=True).astype(np.int64), 0.3)
        c.out(
            c.node(
                name,
                [c.input(c.values(s + c.shape(0, 1), d)), lens],
                batch_axis=ba if ba != 1 else c.pick(None, 1),
                time_axis=1 - ba if ba != 1 else c.pick(None, 0),
            )
        )
    elif name == "EyeLike":
        c.since(9)
        x = c.input(c.values([c.int(1, 4), c.int(1, 4)]))
        c.out(c.node("Add", [x, c.node(name, [x], k=c.pick(None, 1, -1))]))
    elif name == "Compress":
        c.since(9)
        s = c.shape(1, 3)
        ax = c.pick(None, c.int(0, len(s) - 1))
        n = s[ax] if ax is not None else int(np.prod(s))
        cond = c.values([n], "bool")
        cond[0] = True
        c.out(c.node(name, [c.input(c.values(s)), c.const(cond)], axis=ax))
    elif name == "Dropout":
        x = c.input(c.values(c.shape()))
        if c.opset < 12:
            c.out(c.node(name, [x], ratio=c.pick(None, 0.3)))
        else:
            c.out(c.node(name, [x] + c.pick([], [c.const(F(0.3))], [c.const(F(0.3)), c.const(np.array(False))])))
    elif name in ("Shape", "Size"):
        x = c.input(c.values(c.shape(1, 4)))
        n = c.node(name, [x], **(dict(start=c.pick(None, 1, -1), end=c.pick(None, -1, 2)) if name == "Shape" and c.opset >= 15 else {}))
        f = c.node("Cast", [n], to=1)
        if name == "Shape":
            f = c.node("ReduceMax", [f], keepdims=0)
        c.out(c.node("Mul", [x, f]))
    elif name == "NonZero":
        c.since(9)
        m = c.values([4], "bool")
        m[1] = True
        n = c.node(name, [c.const(m)])
        n = c.node("Reshape", [n, c.const(np.array([-1], np.int64))])
        c.out(c.node("Gather", [c.input(c.values([4, 3])), n]))
    elif name == "Range":
        c.since(11)
        t = c.pick(np.int64, np.float32, np.int32, np.float64)
        a, b, k = c.pick((0, 5, 1), (5, 0, -2), (1, 8, 3), (0, 3, 1))
        n = c.node(name, [c.const(np.array(v, t)) for v in (a, b, k)])
        n = c.node("Cast", [n], to=1)
        c.out(c.node("Add", [n, c.input(c.values([1]))]))
    else:
        c.since(9)
        v = c.pick(None, np.array([2], np.float32), np.array([3.5], np.float64), np.array([1], np.int64), np.array([True]))
        n = c.node(name, [c.ints(c.shape(0, 2, 10))], value=None if v is None else numpy_helper.from_array(v))
        n = c.node("Cast", [n], to=1)
        c.out(c.node("Add", [n, c.input(c.values([1]))]))


# ---- attention


@op("Attention", weight=4)
def attention(c, name):
    c.since(23)
    b, t, h, e = c.pick(1, 1, 2), c.pick(1, 3, 4), c.pick(1, 2, 4), c.pick(2, 4, 3)
    kvh = c.pick(h, h, 1 if h > 1 else h)
    s, ev = c.pick(t, t, 5), c.pick(e, e, 2)
    three = c.chance(0.4)
    k = c.pick("normal", "normal", "halves")
    mk = lambda n, len_, w: c.input(c.values([b, len_, n * w] if three else [b, n, len_, w], "float32", k))
    ins = [mk(h, t, e), mk(kvh, s, e), mk(kvh, s, ev)]
    at = dict(is_causal=c.pick(None, 0, 1), scale=c.pick(None, 0.3, 1.0), softcap=c.pick(None, None, 2.0), qk_matmul_output_mode=None)
    if three:
        at.update(q_num_heads=h, kv_num_heads=kvh)
    mask = ""
    if c.chance(0.5):
        ms = c.pick([t, s], [1, 1, t, s], [b, 1, t, s], [b, h, t, s], [1, s] if t == 1 else [t, s])
        if c.chance(0.5):
            m = c.values(ms, "bool")
            m[..., 0] = True
        else:
            m = np.where(c.np.random(ms) < 0.3, c.pick(-np.inf, -1e4, -1.0, np.finfo(F).min), 0).astype(F)
            m[..., 0] = 0
        mask = c.arg(m, c.pick(0.0, 1.0) if m.dtype == np.bool_ or np.isfinite(m).all() and m.min() > -1e5 else 0.0)
    ins.append(mask)
    c.out(c.node(name, ins, **at))


@op("RotaryEmbedding", weight=3)
def rotary(c, name):
    c.since(23)
    b, t, h, e = c.pick(1, 1, 2), c.pick(1, 3), c.pick(1, 2), c.pick(4, 8)
    rot = c.pick(None, 0, e // 2)
    half = (rot or e) // 2
    three = c.chance(0.4)
    x = c.input(c.values([b, t, h * e] if three else [b, h, t, e], "float32", "normal"))
    at = dict(interleaved=c.pick(None, 0, 1), rotary_embedding_dim=rot, num_heads=h if three else None)
    if c.chance(0.5):
        ang = c.np.normal(0, 2, [10, half])
        pos = c.arg(c.np.integers(0, 10, [b, t]).astype(np.int64), 0.3)
    else:
        ang, pos = c.np.normal(0, 2, [b, t, half]), ""
    c.out(c.node(name, [x, c.const(np.cos(ang).astype(F)), c.const(np.sin(ang).astype(F)), pos], **at))


# ---- quantised


@op("QuantizeLinear", "DequantizeLinear", weight=3)
def qdq(c, name):
    c.since(10)
    s = c.shape(1, 4)
    q = c.pick("int8", "uint8")
    if c.opset >= 21 and c.chance(0.3):
        q = c.pick("int16", "uint16")
    ax = c.pick(None, None, an_axis(c, len(s))) if c.opset >= 13 else None
    if ax is None:
        shp, at = [], dict(axis=None)
    else:
        shp, at = [s[ax]], dict(axis=ax)
    blk = 0
    if c.opset >= 21 and ax is not None and c.chance(0.4):
        blk = c.pick(*[k for k in range(1, s[ax] + 1) if s[ax] % k == 0])
        shp = list(s)
        shp[ax] //= blk
        at["block_size"] = blk
    scale = (c.np.random(shp) * 0.5 + 0.05).astype(F)
    zp = c.values(shp, q, lo=0 if q[0] == "u" else -5, hi=12)
    ins = [c.const(scale)] + ([c.const(zp)] if c.chance(0.7) else [])
    if name == "DequantizeLinear":
        x = c.values(s, q if len(ins) > 1 or c.opset < 21 else q)
        if c.chance(0.5):
            c.out(c.node(name, [c.input(x)] + ins, **at))
        else:
            w = c.node(name, [c.const(x)] + ins, **at)
            c.out(c.node("Mul", [c.input(c.values(s)), w]))
        return
    x = c.input(c.values(s, "float32", c.pick("normal", "halves", "large")))
    if len(ins) == 1:
        at.pop("block_size", None) if not blk else None
        q = "uint8"
    n = c.node(name, [x] + ins, saturate=None, **at)
    if c.chance(0.5):
        n = c.node("DequantizeLinear", [n] + ins, **at)
    c.out(n)


@op("DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv", weight=2)
def quantised(c, name):
    c.since(11)
    if name == "DynamicQuantizeLinear":
        q, s, z = c.node(name, [c.input(c.values(c.shape(1, 2), "float32", c.pick("normal", "positive")))], 3)
        c.out(*c.pick((q,), (q, s, z)))
        return
    n, k, m = c.int(1, 4), c.int(1, 6), c.int(1, 4)
    ta, tb = c.pick("uint8", "uint8", "int8"), c.pick("uint8", "int8")
    if name in ("ConvInteger", "QLinearConv"):
        ta = "uint8"
        a, b = [1, 2, 4, 4], [3, 2, 2, 2]
    else:
        a, b = [n, k], [k, m]
    A, B = c.input(c.values(a, ta, lo=-50, hi=90)), c.arg(c.values(b, tb, lo=-50, hi=50), 0.2)
    za, zb = c.const(np.array(c.int(0, 9), dt(ta))), c.const(np.array(c.int(0, 9), dt(tb)))
    if name == "MatMulInteger" and c.chance(0.3):
        zb = c.const(c.values([m], tb, lo=0, hi=5))
    if name in ("MatMulInteger", "ConvInteger"):
        c.out(c.node(name, c.pick([A, B], [A, B, za], [A, B, za, zb])))
        return
    sa, sb, sy = (c.const(F(v)) for v in (0.02, 0.03, c.pick(0.1, 0.05)))
    zy = c.const(np.array(c.int(0, 9), dt(ta)))
    c.out(c.node(name, [A, sa, za, B, sb, zb, sy, zy]))


# ---- com.microsoft
MS = "com.microsoft"


@op(
    "ms.FastGelu",
    "ms.BiasGelu",
    "ms.QuickGelu",
    "ms.Gelu",
    "ms.FusedMatMul",
    "ms.TransposeMatMul",
    "ms.FusedGemm",
    "ms.FusedConv",
    "ms.BiasSoftmax",
    "ms.SkipLayerNormalization",
    "ms.SimplifiedLayerNormalization",
    "ms.SkipSimplifiedLayerNormalization",
    "ms.EmbedLayerNormalization",
    "ms.Trilu",
    "ms.DequantizeLinear",
    "ms.QuantizeLinear",
    "ms.DynamicQuantizeMatMul",
    "ms.MatMulIntegerToFloat",
    "ms.QGemm",
    "ms.QLinearAdd",
    "ms.QLinearMul",
    "ms.QLinearConcat",
    "ms.QLinearSigmoid",
    "ms.QLinearLeakyRelu",
    "ms.QLinearSoftmax",
    "ms.QLinearAveragePool",
    "ms.QLinearGlobalAveragePool",
)
def contrib(c, name):
    c.opset = c.pick(13, 14, 17, 18)
    n = name[3:]
    v = lambda s, k=None: c.values(s, "float32", k)
    s = c.shape(1, 3)
    w = s[-1]
    node = lambda ins, outs=1, **a: c.node(n, ins, outs, MS, **a)
    if n in ("FastGelu", "BiasGelu"):
        ins = [c.input(v(s))]
        if n == "BiasGelu" or c.chance(0.5):
            ins.append(c.arg(v([w]), 0.3))
        return c.out(node(ins))
    if n in ("Gelu",):
        return c.out(node([c.input(v(s))]))
    if n == "QuickGelu":
        return c.out(node([c.input(v(s))], alpha=c.pick(None, 1.0, 1.702)))
    if n in ("FusedMatMul", "TransposeMatMul"):
        a, k, m = c.int(1, 4), c.int(1, 4), c.int(1, 4)
        ta, tb = c.pick(None, 0, 1), c.pick(None, 0, 1)
        batch = c.pick([], [2])
        at = {}
        A, B = batch + ([k, a] if ta else [a, k]), batch + ([m, k] if tb else [k, m])
        if n == "FusedMatMul" and batch and c.chance(0.3):
            at = dict(transBatchA=1)
            A = [A[1], 2, A[2]] if not ta else [A[1], 2, A[2]]
        return c.out(node([c.input(v(A)), c.arg(v(B), 0.5)], transA=ta, transB=tb, alpha=c.pick(None, 0.5), **at))
    if n == "FusedGemm":
        act = c.pick("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu")
        return c.out(node([c.input(v([2, 3])), c.const(v([3, 4])), c.const(v([4]))], activation=act))
    if n in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):
        s = [c.int(1, 2), c.int(1, 3), c.pick(3, 4, 7)]
        ins = [c.input(v(s)), c.arg(v(s), 0.7), c.const(v(s[-1:]))]
        if n == "SkipLayerNormalization":
            ins.append(c.pick("", c.const(v(s[-1:]))))
        ins.append(c.pick("", c.const(v(s[-1:]))))
        outs = c.node(n, ins, 4, MS, epsilon=c.pick(None, 1e-3))
        if c.chance(0.5):
            last = c.nodes[-1]
            del last.output[:]
            last.output.extend([outs[0], "", "", outs[3]])
            return c.out(outs[0], outs[3])
        del c.nodes[-1].output[1:]
        return c.out(outs[0])
    if n == "SimplifiedLayerNormalization":
        return c.out(c.node(n, [c.input(v(s)), c.const(v(s[-1:]))], axis=-1, epsilon=c.pick(1e-5, 1e-3)))
    if n == "BiasSoftmax":
        s = [2, 3, 4]
        return c.out(node([c.input(v(s)), c.arg(v([1, 3, 4]), 0.5)], axis=2, is_inner_broadcast=0))
    if n == "EmbedLayerNormalization":
        t, w = 3, 4
        i = c.input(c.np.integers(0, 5, [1, t]).astype(np.int32))
        seg = c.pick("", c.input(c.np.integers(0, 2, [1, t]).astype(np.int32)))
        y = c.node(
            n,
            [
                i,
                seg,
                c.const(v([5, w], "normal")),
                c.const(v([4, w], "normal")),
                c.const(v([2, w], "normal")) if seg else "",
                c.const(v([w])),
                c.const(v([w])),
            ],
            2,
            MS,
        )
        return c.out(y[0])
    if n == "Trilu":
        return c.out(node([c.input(v([3, 4])), c.const(np.array(c.int(-1, 1)))], upper=c.pick(None, 0, 1)))
    if n == "FusedConv":
        return c.out(
            node([c.input(v([1, 2, 4, 4])), c.const(v([3, 2, 2, 2], "normal")), c.const(v([3]))], activation=c.pick("Relu", "Tanh", "Sigmoid"))
        )
    if n in ("QLinearAdd", "QLinearMul"):
        a = c.input(c.values([2, 3], "uint8", lo=0, hi=200))
        b = c.arg(c.values([2, 3], "uint8", lo=0, hi=200), 0.5)
        z = lambda: c.const(np.array(c.int(0, 100), np.uint8))
        f = lambda: c.const(F(c.pick(0.02, 0.1)))
        return c.out(node([a, f(), z(), b, f(), z(), f(), z()]))
    if n in ("QLinearSigmoid", "QLinearLeakyRelu"):
        a = c.input(c.values([2, 3], "uint8", lo=0, hi=200))
        return c.out(
            node(
                [
                    a,
                    c.const(F(0.05)),
                    c.const(np.array(100, np.uint8)),
                    c.const(F(0.004 if n == "QLinearSigmoid" else 0.05)),
                    c.const(np.array(0 if n == "QLinearSigmoid" else 90, np.uint8)),
                ]
            )
        )
    if n == "QLinearSoftmax":
        a = c.input(c.values([2, 5], "uint8", lo=0, hi=200))
        return c.out(
            node([a, c.const(F(0.05)), c.const(np.array(100, np.uint8)), c.const(F(1 / 256)), c.const(np.array(0, np.uint8))], opset=13, axis=-1)
        )
    if n in ("DequantizeLinear", "QuantizeLinear"):
        if n == "DequantizeLinear":
            return c.out(node([c.input(c.values([2, 3], "uint8", lo=0, hi=200)), c.const(F(0.05)), c.const(np.array(100, np.uint8))]))
        return c.out(node([c.input(v([2, 3])), c.const(F(0.05)), c.const(np.array(100, np.uint8))]))
    if n == "DynamicQuantizeMatMul":
        return c.out(
            node(
                [c.input(v([2, 4], "normal")), c.const(c.values([4, 3], "int8", lo=-100, hi=100)), c.const(F(0.01))]
                + c.pick([], [c.const(np.array(0, np.int8)), c.const(v([3]))])
            )
        )
    if n == "MatMulIntegerToFloat":
        return c.out(
            node(
                [
                    c.input(c.values([2, 4], "uint8", lo=0, hi=200)),
                    c.const(c.values([4, 3], "int8", lo=-100, hi=100)),
                    c.const(F(0.01)),
                    c.const(F(0.02)),
                    c.const(np.array(100, np.uint8)),
                ]
            )
        )
    if n == "QGemm":
        return c.out(
            node(
                [
                    c.input(c.values([2, 4], "uint8", lo=0, hi=200)),
                    c.const(F(0.02)),
                    c.const(np.array(100, np.uint8)),
                    c.const(c.values([4, 3], "uint8", lo=0, hi=200)),
                    c.const(F(0.02)),
                    c.const(np.array(100, np.uint8)),
                    c.const(c.values([3], "int32", lo=-50, hi=50)),
                ]
                + c.pick([], [c.const(F(0.1)), c.const(np.array(100, np.uint8))])
            )
        )
    if n in ("QLinearGlobalAveragePool", "QLinearAveragePool"):
        a = c.input(c.values([1, 2, 4, 4], "uint8", lo=0, hi=200))
        at = dict(channels_last=0) if n == "QLinearGlobalAveragePool" else dict(kernel_shape=[2, 2])
        return c.out(node([a, c.const(F(0.05)), c.const(np.array(100, np.uint8)), c.const(F(0.04)), c.const(np.array(90, np.uint8))], **at))
    if n == "QLinearConcat":
        a, b = c.input(c.values([2, 3], "uint8", lo=0, hi=200)), c.input(c.values([2, 2], "uint8", lo=0, hi=200))
        z = lambda: c.const(np.array(c.int(0, 100), np.uint8))
        f = lambda: c.const(F(c.pick(0.02, 0.1)))
        return c.out(node([f(), z(), a, f(), z(), b, f(), z()], axis=1))
    raise Skip


@op("ms.Attention", "ms.MultiHeadAttention", "ms.GroupQueryAttention", "ms.RotaryEmbedding", "ms.MatMulNBits", "ms.GatherBlockQuantized", weight=4)
def contrib_attention(c, name):
    c.opset = c.pick(14, 17, 18)
    n = name[3:]
    v = lambda s, k="normal": c.values(s, "float32", k)
    b, t, h, e = c.pick(1, 1, 2), c.pick(1, 3, 4), c.pick(1, 2), c.pick(4, 8)
    if n == "Attention":
        d = h * e
        ins = [c.input(v([b, t, d])), c.const(v([d, 3 * d])), c.pick(c.const(v([3 * d])), "")]
        at = dict(num_heads=h, unidirectional=c.pick(None, 0, 1), scale=c.pick(None, 0.3))
        m = c.int(0, 3)
        if m == 1:
            mask = np.ones([b, t], np.int32)
            mask[0, t - 1 :] = c.pick(0, 1) if t > 1 else 1
            ins.append(c.arg(mask, 0.5))
        elif m == 2:
            ins.append(c.arg(c.np.integers(1, t, [b], endpoint=True).astype(np.int32), 0.5))
        elif m == 3:
            ins += ["", "", c.arg(v([b, h, t, t]), 0.5)]
        c.out(c.node(n, ins, 1, MS, **at))
    elif n == "MultiHeadAttention":
        d, s = h * e, c.pick(t, 5)
        ins = [c.input(v([b, t, d])), c.input(v([b, s, d])), c.input(v([b, s, d]))]
        m = c.int(0, 3)
        if m == 1:
            ins.append(c.const(v([3 * d])))
        elif m == 2:
            mask = np.ones([b, s], np.int32)
            mask[0, s - 1 :] = 0 if s > 1 else 1
            ins += ["", c.arg(mask, 0.5)]
        elif m == 3:
            ins += ["", "", c.arg(v(c.pick([b, h, t, s], [1, h, t, s], [1, 1, t, s])), 0.5)]
        c.out(c.node(n, ins, 1, MS, num_heads=h, unidirectional=c.pick(None, 1) if s == t else None, scale=c.pick(None, 0.3)))
    elif n == "GroupQueryAttention":
        kv = c.pick(h, 1)
        h = kv * c.pick(1, 2)
        e = c.pick(8, 16)
        b = 1
        zero = c.const(np.zeros([b, kv, 0, e], F)) if c.chance(0.5) else ""
        at = dict(num_heads=h, kv_num_heads=kv, scale=c.pick(None, 0.3), softcap=c.pick(None, 2.0), local_window_size=c.pick(None, 2))
        ins = [
            c.input(v([b, t, h * e])),
            c.input(v([b, t, kv * e])),
            c.input(v([b, t, kv * e])),
            zero,
            zero,
            c.const(np.array([t - 1] * b, np.int32)),
            c.const(np.array(t, np.int32)),
        ]
        if c.chance(0.5):
            ang = c.np.normal(0, 2, [8, e // 2])
            ins += [c.const(np.cos(ang).astype(F)), c.const(np.sin(ang).astype(F))]
            at.update(do_rotary=1, rotary_interleaved=c.pick(None, 0, 1))
        y = c.node(n, ins, 3, MS, **at)
        c.out(y[0])
    elif n == "RotaryEmbedding":
        three = c.chance(0.5)
        x = c.input(v([b, t, h * e] if three else [b, h, t, e]))
        ang = c.np.normal(0, 2, [10, e // 2])
        pos = c.const(np.array([c.int(0, 3)])) if c.chance(0.3) else c.arg(c.np.integers(0, 10, [b, t]).astype(np.int64), 0.3)
        c.out(c.node(n, [x, pos, c.const(np.cos(ang).astype(F)), c.const(np.sin(ang).astype(F))], 1, MS, interleaved=c.pick(None, 0, 1), scale=None))
    elif n == "MatMulNBits":
        k, m, bs = c.pick(16, 32, 40), c.pick(1, 3, 5), c.pick(16, 32)
        bits = c.pick(4, 4, 8)
        nb = -(-k // bs)
        B = c.np.integers(0, 256, [m, nb, bs * bits // 8]).astype(np.uint8)
        ins = [c.input(v([b, t, k])), c.const(B), c.const((c.np.random([m, nb]) * 0.1 + 0.01).astype(F).reshape(c.pick([m, nb], [-1])))]
        if c.chance(0.5):
            ins.append(c.const(c.np.integers(0, 256, [m, -(-nb * bits // 8)]).astype(np.uint8)))
        c.out(c.node(n, ins, 1, MS, K=k, N=m, bits=bits, block_size=bs))
    else:
        q = helper.make_tensor(c.name("c"), TensorProto.UINT4, [5, 32], [int(x) for x in c.np.integers(0, 16, 160)])
        c.inits.append(q)
        c.opset = 21
        i = c.input(c.np.integers(0, 5, [2, 2]).astype(np.int64))
        sc = c.const((c.np.random([5, 2]) * 0.1 + 0.01).astype(F))
        c.out(c.node(n, [q.name, i, sc], 1, MS, gather_axis=0, quantize_axis=1, block_size=16))
