"""Writes cases.json: operators, of onnxruntime's own domain most of them, with what its kernels for the processor give, for TestKernelCases.

    pip install onnx onnxruntime==1.32 numpy && python3 cases.py
"""

import base64
import json
import warnings

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

warnings.simplefilter("ignore")
rng = np.random.default_rng(5)
cases = []
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9}


def real(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).round(3).astype(np.float32)


def i32(*v):
    return np.array(v, np.int32)


def case(name, op, inputs, outputs=1, constants=(), domain="com.microsoft", nodes=None, **attrs):
    """Runs a node. inputs are pairs of names and arrays, None where an operand is absent; constants names those that are initializers. nodes
    are those of a graph in place of the node."""
    given = [(n, a) for n, a in inputs if a is not None]
    names = outputs if isinstance(outputs, list) else [f"y{i}" for i in range(outputs)]
    nodes = nodes or [helper.make_node(op, [n if a is not None else "" for n, a in inputs], names, domain=domain, **attrs)]

    def value(n, a):
        return helper.make_tensor_value_info(n, TYPES[str(a.dtype)], a.shape)

    graph = helper.make_graph(nodes, "g", [value(n, a) for n, a in given if n not in constants],
                              [helper.make_empty_tensor_value_info(o) for o in names if o],
                              [a if isinstance(a, TensorProto) else numpy_helper.from_array(a, n) for n, a in given if n in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    fed = {n: a for n, a in given if n not in constants}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    expect = ort.InferenceSession(model.SerializeToString(), options).run(None, fed)
    del model.graph.output[:]
    model.graph.output.extend(value(o, a) for o, a in zip([o for o in names if o], expect))

    def packed(a):
        return base64.b64encode(numpy_helper.from_array(a).SerializeToString()).decode()

    cases.append({"name": f"{op} {name}", "model": base64.b64encode(model.SerializeToString()).decode(),
                  "inputs": [packed(a) for a in fed.values()], "outputs": [packed(a) for a in expect]})


def merged_attention():
    b, s, d, n = 1, 4, 8, 2
    x, w, bias = real(b, s, d), real(d, 3 * d, scale=.4), real(3 * d)

    def att(name, *more, outputs=1, constants=("w", "b", "m"), w=w, bias=bias, x=x, **attrs):
        case(name, "Attention", [("x", x), ("w", w), ("b", bias), *more], outputs, constants, num_heads=n, **attrs)

    att("of all")
    att("without a bias", bias=None, unidirectional=1)
    att("masked", ("m", i32(1, 1, 1, 0).reshape(1, s)))
    att("masked by an input", ("m", i32(1, 1, 0, 1).reshape(1, s)), constants=("w", "b"))
    att("masked by rows", ("m", (rng.random((1, s, s)) > .4).astype(np.int32) | np.eye(s, dtype=np.int32)), unidirectional=1)
    att("up to a length", ("m", i32(3)))
    att("between two", ("m", i32(3, 1)))
    att("after others", ("m", None), ("past", real(2, b, n, 3, d // n)), outputs=2, unidirectional=1)
    att("after others, masked", ("m", i32(0, 1, 1, 1, 1, 1, 1).reshape(1, 7)), ("past", real(2, b, n, 3, d // n)), outputs=2)
    att("with a bias of scores", ("m", None), ("past", None), ("more", real(1, n, s, s)), unidirectional=1, scale=.7)
    att("of other widths", w=real(d, 2 * d + 4, scale=.4), bias=real(2 * d + 4), qkv_hidden_sizes=[d, d, 4])
    att("of two texts", ("m", i32(2, 4)), x=real(2, s, d))
    att("masked a little", ("m", i32(1, 1, 0, 0).reshape(1, s)), mask_filter_value=-3.0)


def multi_head():
    b, s, d, n = 1, 4, 8, 2
    q, k, v, k4, v4 = real(b, s, d), real(b, 3, d), real(b, 3, 4), real(b, s, d), real(b, s, d)

    def mha(name, *more, k=k, v=v, outputs=1, **attrs):
        case(name, "MultiHeadAttention", [("q", q), ("k", k), ("v", v), *more], outputs, ("bias", "m"), num_heads=n, **attrs)

    past = [("pk", real(b, n, 2, 4)), ("pv", real(b, n, 2, 4))]
    mha("across", ("bias", real(2 * d + 4)))
    mha("of itself", k=k4, v=v4, unidirectional=1)
    mha("masked", ("bias", None), ("m", i32(1, 0, 1).reshape(1, 3)))
    mha("up to a length", ("bias", None), ("m", i32(2)))
    mha("with a bias of scores", ("bias", None), ("m", None), ("more", real(1, 1, s, 3)), scale=.3)
    mha("of prepared keys", ("bias", real(3 * d)), k=real(b, n, 3, 4), v=real(b, n, 3, 4))
    mha("after others", ("bias", real(3 * d)), ("m", None), ("more", None), *past, k=k4, v=v4, outputs=3, unidirectional=1)
    mha("after others, masked", ("bias", None), ("m", i32(1, 0, 1, 1, 1, 1).reshape(1, 6)), ("more", None), *past, k=k4, v=v4, outputs=3)


def tables(n, half, base=100.):
    angles = np.arange(n)[:, None] * base ** (-np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def group_query():
    b, s, n, shared, width = 1, 4, 4, 2, 16
    cos, sin = tables(8, width // 2)
    rot = [("cos", cos), ("sin", sin)]
    q, k, v = real(b, s, n * width), real(b, s, shared * width), real(b, s, shared * width)
    none = np.zeros((b, shared, 0, width), np.float32)

    def gqa(name, *more, q=q, k=k, v=v, past=(None, None), count=s, outputs=1, **attrs):
        inputs = [("q", q), ("k", k), ("v", v), ("pk", past[0]), ("pv", past[1]), ("len", i32(*[count - 1] * q.shape[0])), ("tot", i32(count).reshape(()))]
        case(name, "GroupQueryAttention", [*inputs, *more], outputs, ("len", "tot", "cos", "sin", "pos", "sink"), num_heads=n, kv_num_heads=shared, **attrs)

    gqa("causal")
    gqa("after nothing", past=(none, none), outputs=3)
    gqa("turned", *rot, do_rotary=1, outputs=3)
    gqa("turned in pairs", *rot, do_rotary=1, rotary_interleaved=1)
    gqa("turned from a position on", *rot, ("pos", np.array([[3, 1, 4, 1]], np.int64)), do_rotary=1)
    gqa("packed", *rot, q=np.concatenate([q, k, v], 2), k=None, v=None, do_rotary=1)
    gqa("in a window", local_window_size=2)
    gqa("in a window, capped", local_window_size=3, softcap=1.5)
    gqa("with a bias of scores", ("cos", None), ("sin", None), ("pos", None), ("more", real(1, n, s, s)), softcap=2.0, scale=.6)
    gqa("with sinks", ("cos", None), ("sin", None), ("pos", None), ("more", None), ("sink", real(n)))
    gqa("smooth", smooth_softmax=1)
    gqa("both ways", causal=0)
    gqa("of two texts", q=real(2, s, n * width), k=real(2, s, shared * width), v=real(2, s, shared * width))
    for rows in (1, 2):
        one = dict(q=real(b, rows, n * width), k=real(b, rows, shared * width), v=real(b, rows, shared * width),
                   past=(real(b, shared, 3, width), real(b, shared, 3, width)), count=3 + rows, outputs=3)
        gqa(f"{rows} after others", *rot, do_rotary=1, **one)
        gqa(f"{rows} after others, in a window", *rot, do_rotary=1, local_window_size=2, **one)
        gqa(f"{rows} after others, at positions", *rot, ("pos", np.array([[6, 2][:rows]], np.int64)), do_rotary=1, **one)


def rotary():
    at = np.array([[0, 1, 2, 3]], np.int64)
    cos, sin = tables(8, 4)

    def rope(name, x, at, cos=cos, sin=sin, **attrs):
        case(name, "RotaryEmbedding", [("x", x), ("pos", at), ("cos", cos), ("sin", sin)], 1, ("pos", "cos", "sin"), **attrs)

    rope("of halves", real(1, 4, 24), at)
    rope("of pairs", real(1, 4, 24), at + 2, interleaved=1)
    rope("from one on", real(1, 4, 24), np.array([3], np.int64))
    rope("in part", real(1, 4, 24), at, cos[:, :2], sin[:, :2], num_heads=3, rotary_embedding_dim=4)
    rope("of heads", real(1, 3, 4, 8), at)
    rope("of two texts", real(2, 3, 4, 8), np.concatenate([at, at[:, ::-1]]), cos[:, :2], sin[:, :2], num_heads=3, rotary_embedding_dim=4)


def few_bits():
    for bits, zeros, k in ((2, "packed", 32), (4, None, 40), (4, "packed", 40), (4, "real", 32), (8, None, 32), (8, "packed", 40)):
        n, block = 3, 16
        parts = -(-k // block)
        z = {None: None, "packed": rng.integers(0, 256, (n, -(-parts * bits // 8))).astype(np.uint8), "real": real(n, parts) * 2 + 7}[zeros]
        case(f"of {bits} bits, {zeros} zeros", "MatMulNBits",
             [("a", real(1, 2, k)), ("b", rng.integers(0, 256, (n, parts, block * bits // 8)).astype(np.uint8)), ("s", np.abs(real(n, parts)) * .1 + .02),
              ("z", z), ("g", None), ("bias", real(n))], 1, ("b", "s", "z", "bias"), K=k, N=n, bits=bits, block_size=block)
    for bits in (4, 8):
        table, scales = rng.integers(0, 256, (6, 32 * bits // 8)).astype(np.uint8), np.abs(real(6, 2)) * .1 + .02
        case(f"of {bits} bits", "", [("t", table), ("s", scales), ("i", np.array([[5, 0, 2]], np.int64)), ("x", real(1, 3, 32))], ["y"], ("t", "s", "i"),
             nodes=[helper.make_node("GatherBlockQuantized", ["t", "i", "s"], ["rows"], domain="com.microsoft", bits=bits, block_size=16, quantize_axis=1, gather_axis=0),
                    helper.make_node("Mul", ["x", "rows"], ["y"])])


def four(kind, name, *shape):
    low = 0 if kind == TensorProto.UINT4 else -8
    return helper.make_tensor(name, kind, shape, rng.integers(low, low + 16, shape).flatten().tolist())


def dequantised():
    x = real(2, 3)

    def product(name, w, scale, zero, a=x, **attrs):
        operands = ["w", "s"] + (["z"] if zero is not None else [])
        case(name, "DequantizeLinear", [("x", a), ("w", w), ("s", scale), ("z", zero)], ["y"], ("w", "s", "z"),
             nodes=[helper.make_node("DequantizeLinear", operands, ["f"], **attrs), helper.make_node("MatMul", ["x", "f"], ["y"])])

    byte = rng.integers(-128, 128, (3, 4)).astype(np.int8)
    product("of a tensor", byte, np.float32(.02), np.int8(3))
    product("of columns", byte, np.abs(real(4)) * .02 + .01, rng.integers(-9, 9, 4).astype(np.int8), axis=1)
    product("of int4", four(TensorProto.INT4, "w", 3, 5), np.abs(real(5)) * .1 + .01, None, axis=-1)
    wide = real(2, 10)
    product("of blocks of int4", four(TensorProto.INT4, "w", 10, 3), np.abs(real(3, 3)) * .1 + .01, four(TensorProto.INT4, "z", 3, 3), a=wide, axis=0, block_size=4)
    product("of blocks of uint4", four(TensorProto.UINT4, "w", 10, 3), np.abs(real(5, 3)) * .1 + .01, four(TensorProto.UINT4, "z", 5, 3), a=wide, axis=0, block_size=2)


def quantised():
    """Activations of few bits. Their scales are powers of two and their cells odd multiples of parts of them, so that no float rounds."""
    x = (rng.integers(-300, 300, (1, 4, 6)) / 64).astype(np.float32)

    def node(op, inputs, outputs, domain="", **attrs):
        return helper.make_node(op, inputs.split(), outputs.split(), domain=domain, **attrs)

    def there_and_back(name, scale, zero, back="q s z", **attrs):
        case(name, "QuantizeLinear", [("x", x), ("s", scale), ("z", zero)], ["y"], ("s", "z"),
             nodes=[node("QuantizeLinear", "x s z", "q", **attrs), node("DequantizeLinear", back, "y", **attrs)])

    there_and_back("to uint8", np.float32(1 / 32), np.uint8(101))
    there_and_back("to int8", np.float32(1 / 32), np.int8(-3))
    there_and_back("to int16", np.float32(1 / 128), np.int16(5))
    there_and_back("by columns", np.array([1 / 32, 1 / 16, 1 / 64, 1 / 8, 1 / 32, 1 / 4], np.float32), np.array([0, 1, 2, 3, 4, 5], np.uint8), axis=2)
    there_and_back("by blocks", (2.0 ** -rng.integers(2, 6, (1, 4, 3))).astype(np.float32), rng.integers(0, 9, (1, 4, 3)).astype(np.uint8), axis=2, block_size=2)
    w, zw = rng.integers(-128, 128, (6, 3)).astype(np.int8), np.array([1, -2, 3], np.int8)
    s, z, sw, sy, zy = np.float32(1 / 32), np.uint8(101), np.array([1 / 16, 1 / 32, 1 / 64], np.float32), np.float32(1 / 2), np.uint8(90)
    given = [("x", x), ("s", s), ("z", z), ("w", w), ("sw", sw), ("zw", zw), ("sy", sy), ("zy", zy)]
    names = tuple(n for n, _ in given[1:])

    def product(name, *nodes, given=given, names=names):
        case("of activations", name, given, ["y"], names, nodes=[node("QuantizeLinear", "x s z", "q"), *nodes])

    product("MatMulInteger", node("MatMulInteger", "q w z zw", "i"), node("Cast", "i", "y", to=1), given=[g for g in given if g[0] in "x s z w zw".split()])
    product("QLinearMatMul", node("QLinearMatMul", "q s z w sw zw sy zy", "p"), node("DequantizeLinear", "p sy zy", "y"))
    product("MatMulIntegerToFloat", node("MatMulIntegerToFloat", "q w s sw z zw", "y", "com.microsoft"), given=[g for g in given if g[0] not in ("sy", "zy")])
    k = rng.integers(-128, 128, (3, 4, 2)).astype(np.int8)
    conv = [("x", x), ("s", s), ("z", z), ("w", k), ("sw", sw), ("zw", np.zeros(3, np.int8)), ("sy", np.float32(1.0)), ("zy", zy),
            ("b", rng.integers(-999, 999, 3).astype(np.int32))]
    product("QLinearConv", node("QLinearConv", "q s z w sw zw sy zy b", "p", pads=[1, 0]), node("DequantizeLinear", "p sy zy", "y"), given=conv, names=tuple(n for n, _ in conv[1:]))
    few = [c for c in conv if c[0] in ("x", "s", "z", "w")]
    product("ConvInteger", node("ConvInteger", "q w z", "i", strides=[2]), node("Cast", "i", "y", to=1), given=few, names=("s", "z", "w"))
    spread = (rng.integers(-99, 99, (2, 6)) / 64).astype(np.float32)
    spread[0, :2] = -1, 255 / 64 - 1  # then the scale is 1/64
    case("of its own choice", "DynamicQuantizeLinear", [("x", spread)], ["y"],
         nodes=[node("DynamicQuantizeLinear", "x", "q s z"), node("DequantizeLinear", "q s z", "y")])
    case("of its own choice", "DynamicQuantizeMatMul", [("x", spread), ("w", w), ("sw", sw), ("zw", zw), ("b", real(3))], ["y"], ("w", "sw", "zw", "b"))


def moves():
    def standard(name, op, *inputs, constants=("i",), **attrs):
        case(name, op, inputs, ["y"], constants, domain="", **attrs)

    def at(*v):
        return np.array(v, np.int64)

    for how, index in (("add", at([1], [1], [3])), ("mul", at([1], [1], [1])), ("max", at([0], [2], [0])), ("min", at([0], [2], [0]))):
        standard(f"by {how}", "ScatterND", ("x", real(4, 3)), ("i", index), ("u", real(3, 3)), reduction=how)
    standard("of cells", "ScatterND", ("x", real(4, 3)), ("i", at([1, 1], [1, 1], [3, 0])), ("u", real(3)), reduction="add")
    standard("by add", "ScatterElements", ("x", real(4, 3)), ("i", at([1, 0, 0], [1, -1, 0])), ("u", real(2, 3)), constants=("i", "u"), reduction="add")
    standard("by max", "ScatterElements", ("x", real(4, 3)), ("i", at([1, 0, 0], [1, -1, 0])), ("u", real(2, 3)), axis=1, reduction="max")
    standard("of batches", "GatherND", ("x", real(2, 3, 4)), ("i", at([[1], [0]], [[2], [-1]])), batch_dims=1)
    standard("of batches of batches", "GatherND", ("x", real(2, 3, 4)), ("i", at([[1], [0], [3]], [[2], [-1], [0]])), batch_dims=2)
    standard("of blocks", "DepthToSpace", ("x", real(1, 8, 2, 3)), blocksize=2)
    standard("of columns", "DepthToSpace", ("x", real(1, 8, 2, 3)), blocksize=2, mode="CRD")
    standard("of blocks", "SpaceToDepth", ("x", real(2, 2, 4, 6)), blocksize=2)
    standard("of time", "ReverseSequence", ("x", real(4, 3, 2)), ("i", at(1, 4, 2)))
    standard("of rows", "ReverseSequence", ("x", real(3, 4, 2)), ("i", at(1, 4, 2)), batch_axis=0, time_axis=1)
    for equation, *shapes in (("...id,...jd->...ij", (2, 3, 4, 5), (2, 3, 6, 5)), ("b...d,d...->b...", (2, 3, 4, 5), (5, 3, 4)), ("ij,jk", (3, 4), (4, 5)),
                              ("...ij,...jk", (2, 3, 4), (2, 4, 5)), ("ba", (3, 4)), ("ii->i", (4, 4)), ("ii", (4, 4)), ("bii,bi->b", (2, 3, 3), (2, 3)),
                              ("bhqd,bhkd,bhkv->bhqv", (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 6)), ("...ij,...jk->...ik", (1, 3, 4), (2, 4, 5))):
        standard(equation, "Einsum", *((f"x{i}", real(*d)) for i, d in enumerate(shapes)), equation=equation)


def sequences():
    def node(op, inputs, outputs, **attrs):
        return helper.make_node(op, inputs.split(), outputs.split(), **attrs)

    def listed(name, *nodes, constants=(), **given):
        case(name, "sequence", [(n, np.array(v, np.int64) if n in constants else v) for n, v in given.items()], ["y"], constants, nodes=list(nodes))

    x, z = real(2, 3, 4), real(2, 3, 4)
    split = node("SplitToSequence", "x", "s", axis=1, keepdims=0)
    listed("the last of all", split, node("SequenceAt", "s i", "y"), x=x, i=-1, constants=("i",))
    listed("one of parts", node("SplitToSequence", "x n", "s", axis=1), node("SequenceAt", "s i", "y"), x=x, n=2, i=1, constants=("n", "i"))
    listed("parts, joined", node("SplitToSequence", "x n", "s", axis=1), node("ConcatFromSequence", "s", "y", axis=-1), x=x, n=[1, 1, 1], constants=("n",))
    listed("one in and one out", node("SequenceConstruct", "x z", "s"), node("SequenceInsert", "s x i", "t"), node("SequenceErase", "t j", "u"), node("Identity", "u", "v"),
           node("ConcatFromSequence", "v", "y", axis=-1, new_axis=1), x=x, z=z, i=0, j=1, constants=("i", "j"))
    listed("its length", node("SequenceEmpty", "", "e"), node("SequenceInsert", "e x", "s"), node("SequenceLength", "s", "n"), node("Cast", "n", "f", to=1), node("Mul", "x f", "y"), x=x)


def fused():
    case("with a leaky end", "FusedGemm", [("a", real(3, 4)), ("b", real(5, 3)), ("c", real(5))], 1, ("b", "c"), activation="LeakyRelu", activation_alpha=.2, transA=1, transB=1, alpha=.5)
    case("with a sum", "FusedConv", [("x", real(1, 2, 6)), ("w", real(3, 2, 3)), ("b", real(3)), ("z", real(1, 3, 4))], 1, ("w", "b"), activation="HardSigmoid", activation_params=[.3, .4])


if __name__ == "__main__":
    for family in (fused, moves, sequences, merged_attention, multi_head, group_query, rotary, few_bits, dequantised, quantised):
        family()
    with open("cases.json", "w") as f:
        json.dump(cases, f, indent=0)
        f.write("\n")
