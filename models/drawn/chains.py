"""Chains of operators, as exporters print them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case import F, Skip, op
from operators import an_axis

# ---- chains, as exporters print them


def scalar(c, v, d=F):
    return c.const(np.array(v, d))


def reduce_node(c, op, x, axes, keep=1):
    """A reduction in the spelling of the opset."""
    if c.opset >= 18 or op == "ReduceSum" and c.opset >= 13:
        return c.node(op, [x, c.ints(axes)], keepdims=keep)
    return c.node(op, [x], axes=list(axes), keepdims=keep)


def unsqueeze(c, x, axes):
    return c.node("Unsqueeze", [x, c.ints(axes)]) if c.opset >= 13 else c.node("Unsqueeze", [x], axes=list(axes))


def squeeze(c, x, axes):
    return c.node("Squeeze", [x, c.ints(axes)]) if c.opset >= 13 else c.node("Squeeze", [x], axes=list(axes))


def cut(c, x, starts, ends, axes, steps=None):
    if c.opset < 10:
        return c.node("Slice", [x], starts=starts, ends=ends, axes=axes)
    return c.node("Slice", [x, c.ints(starts), c.ints(ends), c.ints(axes)] + ([c.ints(steps)] if steps else []))


def dim(c, x, k):
    """An extent of x as a list of one, read off its shape in the graph."""
    s = c.node("Shape", [x])
    if c.chance(0.5):
        return unsqueeze(c, c.node("Gather", [s, c.const(np.int64(k))], axis=0), [0])
    return cut(c, s, [k], [k + 1], [0])


@op("chain.softmax", weight=3)
def chain_softmax(c, name):
    c.since(11)
    s = [c.int(1, 2), c.int(2, 5), c.int(2, 6)]
    ax = c.pick(-1, -1, 1, 0)
    x = c.input(c.values(s, "float32", c.pick("normal", "halves", "large", "ties")))
    if c.chance(0.5):
        m = np.where(c.np.random([s[1], s[2]]) < 0.4, c.pick(-np.inf, -1e4, -1e9, np.finfo(F).min, -10.0), 0).astype(F)
        m[:, 0] = 0
        m[0, :] = 0 if ax != -1 else m[0, :]
        how = c.int(0, 2)
        if how == 0:
            x = c.node("Add", [x, c.const(m)])
        elif how == 1:
            x = c.node("Where", [c.const(m == 0), x, scalar(c, m.min() if m.min() < 0 else -1e4)])
        else:
            keep = c.const((m == 0).astype(F))
            x = c.node("Sub", [x, c.node("Mul", [c.node("Sub", [scalar(c, 1.0), keep]), scalar(c, 1e4)])])
    top = reduce_node(c, "ReduceMax", x, [ax])
    e = (
        c.node("Exp", [c.node("Sub", [x, top])])
        if c.chance(0.7)
        else c.node("Softmax", [x], axis=ax) if ax == -1 or c.opset >= 13 else c.node("Exp", [c.node("Clip", [x, scalar(c, -20.0), scalar(c, 20.0)])])
    )
    z = reduce_node(c, "ReduceSum", e, [ax])
    w = c.int(0, 3)
    if w == 0:
        y = c.node("Div", [e, z])
    elif w == 1:
        y = c.node("Mul", [e, c.node("Reciprocal", [z])])
    elif w == 2:
        y = c.node(
            "Exp",
            [c.node("Sub", [c.node("Sub", [x, top]), c.node("Log", [reduce_node(c, "ReduceSum", c.node("Exp", [c.node("Sub", [x, top])]), [ax])])])],
        )
    else:
        y = c.node("Div", [e, c.node("Add", [z, scalar(c, c.pick(1.0, 1e-6))])])
    c.out(y)


@op("chain.norm", weight=4)
def chain_norm(c, name):
    c.since(11)
    s = [c.int(1, 2), c.int(1, 4), c.pick(3, 4, 7, 8)]
    ax = c.pick(-1, -1, -1, 1)
    d = "float32"
    x = c.input(c.values(s, d, c.pick("normal", "large", "halves")))
    eps = scalar(c, c.pick(1e-5, 1e-6, 1e-12, 1e-3))
    kind = c.int(0, 6)
    n = s[ax]
    if kind == 0:  # layer norm, with Pow or Mul
        off = c.node("Sub", [x, reduce_node(c, "ReduceMean", x, [ax])])
        sq = c.pick(lambda: c.node("Pow", [off, scalar(c, 2.0)]), lambda: c.node("Mul", [off, off]))()
        v = reduce_node(c, "ReduceMean", sq, [ax])
        y = c.pick(
            lambda: c.node("Div", [off, c.node("Sqrt", [c.node("Add", [v, eps])])]),
            lambda: c.node("Mul", [off, c.node("Reciprocal", [c.node("Sqrt", [c.node("Add", [v, eps])])])]),
            lambda: c.node("Div", [off, c.node("Add", [c.node("Sqrt", [v]), eps])]),
            lambda: c.node("Mul", [off, c.node("Pow", [c.node("Add", [v, eps]), scalar(c, -0.5)])]),
        )()
    elif kind == 1:  # unbiased
        if n < 2:
            raise Skip
        off = c.node("Sub", [x, reduce_node(c, "ReduceMean", x, [ax])])
        v = c.node("Div", [reduce_node(c, "ReduceSum", c.node("Mul", [off, off]), [ax]), scalar(c, float(n - 1))])
        y = c.node("Div", [off, c.node("Add", [c.node("Sqrt", [v]), eps])])
    elif kind == 2:  # E[x²] − E[x]²
        m = reduce_node(c, "ReduceMean", x, [ax])
        v = c.node("Sub", [reduce_node(c, "ReduceMean", c.node("Mul", [x, x]), [ax]), c.node("Mul", [m, m])])
        y = c.node("Div", [c.node("Sub", [x, m]), c.node("Sqrt", [c.node("Add", [v, scalar(c, 1e-3)])])])
    elif kind == 3:  # rms
        v = reduce_node(c, "ReduceMean", c.node("Mul", [x, x]) if c.chance(0.5) else c.node("Pow", [x, scalar(c, 2.0)]), [ax])
        y = c.pick(
            lambda: c.node("Mul", [x, c.node("Reciprocal", [c.node("Sqrt", [c.node("Add", [v, eps])])])]),
            lambda: c.node("Div", [x, c.node("Sqrt", [c.node("Add", [v, eps])])]),
        )()
    elif kind == 4:  # l2 with a floor
        v = reduce_node(c, "ReduceL2", x, [ax]) if c.chance(0.5) else c.node("Sqrt", [reduce_node(c, "ReduceSum", c.node("Mul", [x, x]), [ax])])
        f = c.pick(lambda: c.node("Clip", [v, eps]) if c.opset >= 11 else v, lambda: c.node("Max", [v, eps]), lambda: c.node("Add", [v, eps]))()
        y = c.node("Div", [x, c.node("Expand", [f, c.node("Shape", [x])]) if c.chance(0.5) else f])
    elif kind == 5:  # l1
        y = c.node("Div", [x, c.node("Add", [reduce_node(c, "ReduceL1", x, [ax]), eps])])
    else:  # min-max
        lo, hi = reduce_node(c, "ReduceMin", x, [ax]), reduce_node(c, "ReduceMax", x, [ax])
        if n < 2:
            raise Skip
        y = c.node("Div", [c.node("Sub", [x, lo]), c.node("Add", [c.node("Sub", [hi, lo]), eps])])
    if c.chance(0.5) and ax == -1:
        y = c.node("Add", [c.node("Mul", [y, c.const(c.values([n], d, "normal"))]), c.const(c.values([n], d, "normal"))])
    c.out(y)


@op("chain.gelu", weight=3)
def chain_gelu(c, name):
    c.since(9)
    x = c.input(c.values(c.shape(1, 3), "float32", c.pick("normal", "halves", "large")))
    k = c.int(0, 6)
    if k == 0:
        y = c.node(
            "Mul", [c.node("Mul", [x, c.node("Add", [c.node("Erf", [c.node("Div", [x, scalar(c, 2**0.5)])]), scalar(c, 1.0)])]), scalar(c, 0.5)]
        )
    elif k == 1:
        y = c.node(
            "Mul", [c.node("Mul", [scalar(c, 0.5), x]), c.node("Add", [scalar(c, 1.0), c.node("Erf", [c.node("Mul", [x, scalar(c, 0.5**0.5)])])])]
        )
    elif k == 2:
        inner = c.node(
            "Mul", [c.node("Add", [x, c.node("Mul", [c.node("Pow", [x, scalar(c, 3.0)]), scalar(c, 0.044715)])]), scalar(c, (2 / np.pi) ** 0.5)]
        )
        y = c.node("Mul", [c.node("Mul", [x, scalar(c, 0.5)]), c.node("Add", [c.node("Tanh", [inner]), scalar(c, 1.0)])])
    elif k == 3:
        y = c.node("Mul", [x, c.node("Sigmoid", [c.node("Mul", [x, scalar(c, 1.702)])])])
    elif k == 4:
        y = c.node(
            "Mul",
            [
                x,
                c.node(
                    "Tanh",
                    [
                        c.node(
                            "Log",
                            [
                                c.node(
                                    "Add",
                                    [
                                        c.node(
                                            "Exp", [c.node("Clip", [x, scalar(c, -10.0), scalar(c, 10.0)]) if c.opset >= 11 else c.node("Tanh", [x])]
                                        ),
                                        scalar(c, 1.0),
                                    ],
                                )
                            ],
                        )
                    ],
                ),
            ],
        )
    elif k == 5:
        c.since(11)
        y = c.node("Div", [c.node("Mul", [x, c.node("Clip", [c.node("Add", [x, scalar(c, 3.0)]), scalar(c, 0.0), scalar(c, 6.0)])]), scalar(c, 6.0)])
    else:
        y = c.node(
            "Where", [c.node("Greater", [x, scalar(c, 0.0)]), x, c.node("Sub", [c.node("Exp", [c.node("Min", [x, scalar(c, 0.0)])]), scalar(c, 1.0)])]
        )
    c.out(y)


@op("chain.rotary", weight=3)
def chain_rotary(c, name):
    c.since(11)
    b, h, t, e = 1, c.pick(1, 2), c.pick(1, 3, 4), c.pick(4, 8)
    x = c.input(c.values([b, h, t, e], "float32", "normal"))
    inv = (1 / 10000 ** (np.arange(0, e, 2) / e)).astype(F)
    k = c.int(0, 2)
    if k == 0:
        pos = c.node(
            "Cast",
            [
                c.node(
                    "Range",
                    [
                        c.const(np.int64(0)),
                        c.node("Squeeze", [dim(c, x, 2)]) if c.opset < 13 else squeeze(c, dim(c, x, 2), [0]),
                        c.const(np.int64(1)),
                    ],
                )
            ],
            to=1,
        )
        pos = unsqueeze(c, pos, [1])
    elif k == 1:
        p = c.input(c.np.integers(0, 20, [1, t]).astype(np.int64))
        pos = unsqueeze(c, c.node("Cast", [squeeze(c, p, [0])], to=1), [1])
    else:
        m = np.ones([1, t], np.int64)
        m[0, : c.int(0, t - 1)] = 0
        mask = c.input(m)
        p = c.node("Sub", [c.node("CumSum", [mask, c.const(np.int64(1))]), c.const(np.int64(1))])
        p = c.node("Where", [c.node("Equal", [mask, c.const(np.int64(0))]), c.const(np.int64(1)), p])
        pos = unsqueeze(c, c.node("Cast", [squeeze(c, p, [0])], to=1), [1])
    ang = c.node("MatMul", [pos, c.const(inv[None])]) if c.chance(0.5) else c.node("Mul", [pos, c.const(inv[None])])
    if c.chance(0.7):
        ang = c.node("Concat", [ang, ang], axis=-1)
        co, si = c.node("Cos", [ang]), c.node("Sin", [ang])
        x1, x2 = cut(c, x, [0], [e // 2], [3]), cut(c, x, [e // 2], [2**63 - 1], [-1])
        rot = c.node("Concat", [c.node("Neg", [x2]), x1], axis=-1)
        y = c.node("Add", [c.node("Mul", [x, co]), c.node("Mul", [rot, si])])
    else:
        co, si = c.node("Cos", [ang]), c.node("Sin", [ang])
        x1, x2 = cut(c, x, [0], [e], [3], [2]), cut(c, x, [1], [e], [3], [2])
        a = c.node("Sub", [c.node("Mul", [x1, co]), c.node("Mul", [x2, si])])
        z = c.node("Add", [c.node("Mul", [x2, co]), c.node("Mul", [x1, si])])
        y = c.node("Reshape", [c.node("Concat", [unsqueeze(c, a, [4]), unsqueeze(c, z, [4])], axis=-1), c.node("Shape", [x])])
    c.out(y)


@op("chain.attention", weight=4)
def chain_attention(c, name):
    c.since(11)
    b, t, h, e = c.pick(1, 1, 2), c.pick(2, 3, 4), c.pick(1, 2), c.pick(2, 4)
    d = h * e
    x = c.input(c.values([b, t, d], "float32", "normal"))
    w = lambda n: c.const(c.values([d, n], "float32", "normal"))

    def heads(y, n):
        s = c.pick(
            lambda: c.ints([0, 0, n, e]),
            lambda: c.ints([b, -1, n, e]),
            lambda: c.node("Concat", [dim(c, x, 0), dim(c, x, 1), c.ints([n]), c.ints([e])], axis=0),
        )()
        return c.node("Transpose", [c.node("Reshape", [y, s])], perm=[0, 2, 1, 3])

    if c.chance(0.4):
        q, k, v = (
            c.node("Split", [c.node("MatMul", [x, w(3 * d)]), c.ints([d, d, d])], 3, axis=-1)
            if c.opset >= 13
            else c.node("Split", [c.node("MatMul", [x, w(3 * d)])], 3, axis=2, split=[d, d, d])
        )
    else:
        q, k, v = (c.node("MatMul", [x, w(d)]) for _ in range(3))
    q, k, v = heads(q, h), heads(k, h), heads(v, h)
    kt = c.node("Transpose", [k], perm=[0, 1, 3, 2])
    scores = c.node("MatMul", [q, kt])
    how = c.int(0, 2)
    if how == 0:
        scores = c.node(
            "Div",
            [
                scores,
                c.node(
                    "Sqrt",
                    [
                        c.node(
                            "Cast",
                            [
                                c.node("Squeeze", [dim(c, q, 3)]),
                            ],
                            to=1,
                        )
                    ],
                ),
            ],
        )
    elif how == 1:
        scores = c.node("Mul", [scores, scalar(c, e**-0.5)])
    m = c.int(0, 5)
    neg = c.pick(-np.inf, -1e4, -1e9, float(np.finfo(F).min))
    if m == 0:
        tri = np.triu(np.full([t, t], neg, F), 1)
        tri[~np.triu(np.ones([t, t], bool), 1)] = 0
        scores = c.node("Add", [scores, c.const(tri)])
    elif m == 1:
        buf = c.const(np.tril(np.ones([1, 1, 6, 6], bool)))
        scores = c.node("Where", [cut(c, cut(c, buf, [0], [t], [2]), [0], [t], [3]), scores, scalar(c, neg)])
    elif m == 2:
        c.since(14)
        size = c.node("Concat", [dim(c, x, 1), dim(c, x, 1)], axis=0)
        full = c.node("ConstantOfShape", [size], value=numpy_helper.from_array(np.array([neg], F)))
        scores = c.node("Add", [scores, c.node("Trilu", [full, c.const(np.int64(1))], upper=1)]) if np.isfinite(neg) or c.opset >= 14 else scores
    elif m == 3:  # a mask of keys that is an input
        a = np.ones([b, t], np.int64)
        a[:, t - 1] = c.pick(0, 1)
        mask = c.node("Cast", [unsqueeze(c, c.input(a), [1, 2])], to=1)
        scores = c.node(
            "Add", [scores, c.node("Mul", [c.node("Sub", [scalar(c, 1.0), mask]), scalar(c, c.pick(-1e4, float(np.finfo(F).min), -1e9))])]
        )
    elif m == 4:  # positions compared
        r = c.node("Range", [c.const(np.int64(0)), c.node("Squeeze", [dim(c, x, 1)]), c.const(np.int64(1))])
        ok = (
            c.node(c.pick("LessOrEqual", "LessOrEqual"), [unsqueeze(c, r, [0]), unsqueeze(c, r, [1])])
            if c.opset >= 12
            else c.node("Not", [c.node("Greater", [unsqueeze(c, r, [0]), unsqueeze(c, r, [1])])])
        )
        scores = c.node("Where", [ok, scores, scalar(c, neg)])
    p = c.node("Softmax", [scores], axis=-1 if c.opset >= 13 else 3)
    y = c.node("Transpose", [c.node("MatMul", [p, v])], perm=[0, 2, 1, 3])
    y = c.node(
        "Reshape",
        [
            y,
            c.pick(
                lambda: c.ints([0, 0, d]), lambda: c.ints([b, t, -1]), lambda: c.node("Concat", [dim(c, x, 0), c.ints([-1]), c.ints([d])], axis=0)
            )(),
        ],
    )
    c.out(c.node("Add", [x, c.node("MatMul", [y, w(d)])]) if c.chance(0.5) else y)


@op("chain.indices", weight=4)
def chain_indices(c, name):
    c.since(13)
    t, n, w = c.pick(3, 4, 6), c.pick(5, 8, 12), c.pick(2, 3)
    ids = c.input(c.np.integers(0, n, [1, t]).astype(c.pick(np.int64, np.int32)))
    table = c.const(c.values([n, w], "float32", "normal"))
    k = c.int(0, 9)
    i64 = c.node("Cast", [ids], to=TensorProto.INT64)
    if k == 0:  # positions that skip padding
        m = c.node("Cast", [c.node("Not", [c.node("Equal", [i64, c.const(np.int64(1))])])], to=TensorProto.INT64)
        p = c.node("Mul", [c.node("CumSum", [m, c.const(np.int64(1))]), m])
        p = c.node("Add", [p, c.const(np.int64(1))])
        c.out(c.node("Gather", [c.const(c.values([t + 3, w], "float32", "normal")), p], axis=0))
    elif k == 1:  # the last position that is no padding
        m = c.node("Cast", [c.node("Equal", [i64, c.const(np.int64(0))])], to=TensorProto.INT32)
        last = c.node("Sub", [c.node("ArgMax", [m], axis=-1, keepdims=0), c.const(np.int64(1))])
        last = c.node("Mod", [last, c.const(np.int64(t))])
        h = c.node("Gather", [table, i64], axis=0)
        c.out(c.node("GatherND", [h, c.node("Concat", [c.const(np.zeros([1, 1], np.int64)), unsqueeze(c, last, [1])], axis=1)]))
    elif k == 2:  # one-hot and a product
        h = c.node("OneHot", [i64, c.const(np.array(n)), c.const(np.array([0, 1], F))], axis=-1)
        c.out(c.node("MatMul", [h, table]))
    elif k == 3:  # mean over what counts
        h = c.node("Gather", [table, i64], axis=0)
        m = c.node("Cast", [c.node("Greater", [i64, c.const(np.int64(2))])], to=1)
        s = reduce_node(c, "ReduceSum", c.node("Mul", [h, unsqueeze(c, m, [-1])]), [1], 0)
        z = c.node("Clip", [reduce_node(c, "ReduceSum", m, [1], 1), scalar(c, 1e-9)])
        c.out(c.node("Div", [s, z]))
    elif k == 4:  # shifted ids
        p = c.node("Concat", [c.const(np.array([[0]], np.int64)), cut(c, i64, [0], [-1], [1])], axis=1)
        c.out(c.node("Gather", [table, p], axis=0))
    elif k == 5:  # padded ids
        p = c.node("Pad", [i64, c.ints([0, 1, 0, 0]), c.const(np.int64(2))])
        c.out(c.node("Gather", [table, p], axis=0))
    elif k == 6:  # the end is where the largest id is
        a = c.node("ArgMax", [i64], axis=-1, keepdims=0)
        h = c.node("Gather", [table, i64], axis=0)
        c.out(c.node("GatherND", [h, c.node("Concat", [c.const(np.zeros([1, 1], np.int64)), unsqueeze(c, a, [1])], axis=1)]))
    elif k == 7:  # how many count
        m = c.node("Cast", [c.node("Not", [c.node("Equal", [i64, c.const(np.int64(0))])])], to=c.pick(1, 7, 6))
        s = c.node("ReduceSum", [m, c.ints([1])], keepdims=1)
        c.out(c.node("Add", [c.node("Cast", [s], to=1), c.node("Gather", [table, i64], axis=0)]))
    elif k == 8:  # buckets of distances
        r = c.node("Sub", [i64, c.node("Transpose", [i64], perm=[1, 0])])
        b = c.node("Clip", [c.node("Abs", [r]), c.const(np.int64(0)), c.const(np.int64(n - 1))])
        c.out(c.node("Gather", [table, b], axis=0))
    else:
        h = c.node(
            "Gather", [table, c.node("Clip", [c.node("Add", [i64, c.const(np.int64(2))]), c.const(np.int64(0)), c.const(np.int64(n - 1))])], axis=0
        )
        c.out(c.node("Where", [unsqueeze(c, c.node("Less", [i64, c.const(np.int64(3))]), [-1]), scalar(c, 0.0), h]))


@op("chain.shape", weight=4)
def chain_shape(c, name):
    c.since(11)
    s = [c.pick(1, 2), c.pick(2, 3), c.pick(2, 4)]
    x = c.input(c.values(s))
    k = c.int(0, 8)
    if k == 0:
        y = c.node("Reshape", [x, c.node("Concat", [dim(c, x, 0), c.ints([-1])], axis=0)])
    elif k == 1:
        y = c.node("Expand", [unsqueeze(c, x, [1]), c.node("Concat", [dim(c, x, 0), c.ints([3]), dim(c, x, 1), dim(c, x, 2)], axis=0)])
    elif k == 2:
        n = c.node("Mul", [dim(c, x, 1), dim(c, x, 2)])
        y = c.node("Reshape", [x, c.node("Concat", [c.ints([-1]), n], axis=0)])
    elif k == 3:
        half = c.node("Div", [dim(c, x, 2), c.ints([2])])
        y = c.node("Slice", [x, c.ints([0]), half, c.ints([2])])
    elif k == 4:
        n = c.node(
            "Cast", [c.node("Floor", [c.node("Mul", [c.node("Cast", [dim(c, x, 2)], to=1), c.const(np.array([c.pick(0.5, 0.3, 1.0)], F))])])], to=7
        )
        y = c.node("Slice", [x, c.ints([0]), c.node("Add", [n, c.ints([1])]), c.ints([2])])
    elif k == 5:
        eq = c.node("Equal", [c.ints([-1, s[1], s[2]]), c.ints([-1, -1, -1])])
        y = c.node("Expand", [x, c.node("Where", [eq, c.ints([1, 1, 1]), c.ints([-1, s[1], s[2]])])])
    elif k == 6:
        z = c.node("ConstantOfShape", [c.node("Shape", [x])], value=numpy_helper.from_array(np.array([c.pick(0, 2.5)], F)))
        y = c.node("Concat", [x, z], axis=c.pick(0, 1, 2))
    elif k == 7:
        r = c.node("Range", [c.const(np.int64(0)), c.node("Squeeze", [dim(c, x, 1)]), c.const(np.int64(1))])
        y = c.node("Gather", [x, c.node("Sub", [c.const(np.int64(s[1] - 1)), r])], axis=1)
    else:
        y = c.node("Tile", [x, c.node("Concat", [c.ints([1]), dim(c, x, 1), c.ints([1])], axis=0)])
    c.out(c.node("Relu", [y]) if c.chance(0.5) else y)


@op("chain.control", weight=4)
def chain_control(c, name):
    c.since(13)
    s = [2, 3]
    x = c.input(c.values(s, "float32", "normal"))
    k = c.int(0, 3)
    tv = helper.make_tensor_value_info
    if k == 0:  # a branch of a condition that is known
        cond = c.pick(
            lambda: c.const(np.array(c.chance(0.5))),
            lambda: c.node("Greater", [c.node("Squeeze", [dim(c, x, 1)]), c.const(np.int64(c.pick(1, 3)))]),
            lambda: c.node("Not", [c.const(np.array(c.chance(0.5)))]),
        )()
        g = [helper.make_graph([helper.make_node(o, [x], [o], name=o)], o, [], [tv(o, 1, s)]) for o in ("Relu", "Neg")]
        y = c.node("If", [cond], then_branch=g[0], else_branch=g[1])
    elif k == 1:  # trips that are known
        body = helper.make_graph(
            [
                helper.make_node("Add", ["acc", x], ["acc2"], name="add"),
                helper.make_node("Mul", ["acc2", "half"], ["acc3"], name="mul"),
                helper.make_node("Identity", ["cond"], ["cond2"], name="c"),
            ],
            "body",
            [tv("i", 7, []), tv("cond", 9, []), tv("acc", 1, s)],
            [tv("cond2", 9, []), tv("acc3", 1, s)] + ([tv("acc2", 1, s)] if c.chance(0.5) else []),
            [numpy_helper.from_array(np.array(0.5, F), "half")],
        )
        outs = len(body.output) - 1
        ys = c.node(
            "Loop", [c.const(np.int64(c.int(1, 4))), c.pick("", c.const(np.array(True))), c.const(c.values(s, "float32", "normal"))], outs, body=body
        )
        ys = [ys] if outs == 1 else ys
        return c.out(*ys)
    elif k == 2:  # Scan
        body = helper.make_graph(
            [helper.make_node("Add", ["st", "xi"], ["st2"], name="a"), helper.make_node("Tanh", ["st2"], ["yi"], name="t")],
            "body",
            [tv("st", 1, [3]), tv("xi", 1, [3])],
            [tv("st2", 1, [3]), tv("yi", 1, [3])],
        )
        a, y = c.node(
            "Scan",
            [c.const(np.zeros(3, F)), x],
            2,
            body=body,
            num_scan_inputs=1,
            scan_input_directions=c.pick(None, [1]),
            scan_output_directions=c.pick(None, [1]),
        )
        return c.out(a, y)
    else:  # the counter of a loop chooses a row
        body = helper.make_graph(
            [
                helper.make_node("Gather", [x, "i"], ["row"], name="g"),
                helper.make_node("Add", ["acc", "row"], ["acc2"], name="a"),
                helper.make_node("Identity", ["cond"], ["cond2"], name="c"),
            ],
            "body",
            [tv("i", 7, []), tv("cond", 9, []), tv("acc", 1, [3])],
            [tv("cond2", 9, []), tv("acc2", 1, [3]), tv("row", 1, [3])],
        )
        a, y = c.node("Loop", [c.const(np.int64(2)), "", c.const(np.zeros(3, F))], 2, body=body)
        return c.out(a, y)
    c.out(y)


@op("chain.folded", weight=4)
def chain_folded(c, name):
    """Constants that single precision decides."""
    c.since(13)
    x = c.input(c.values([3, 4], "float32", "normal"))
    n = c.int(3, 40)
    r = c.const(np.arange(n, dtype=F))
    k = c.int(0, 6)
    f = scalar(c, c.pick(0.1, 0.3, 0.7, 1 / 3, 0.2, 1e-3))
    if k == 0:
        v = c.node("Floor", [c.node("Mul", [r, f])])
    elif k == 1:
        v = c.node(c.pick("Floor", "Ceil", "Round"), [c.node("Div", [r, f])])
    elif k == 2:
        v = c.node("Cast", [c.node("Div", [r, f])], to=c.pick(6, 7))
    elif k == 3:
        v = c.node("Cast", [c.node("Greater", [c.node("Mul", [r, f]), c.node("Div", [r, scalar(c, c.pick(10.0, 3.0, 5.0))])])], to=1)
    elif k == 4:
        v = c.node(
            "Cast", [c.node("Equal", [c.node("Add", [c.node("Mul", [r, f]), f]), c.node("Mul", [c.node("Add", [r, scalar(c, 1.0)]), f])])], to=1
        )
    elif k == 5:
        v = c.node(
            "Cast",
            [
                c.node(
                    "Floor",
                    [c.node("Mul", [c.node("Log", [c.node("Add", [r, scalar(c, 1.0)])]), scalar(c, c.pick(4.0, 1 / np.log(2), 16 / np.log(8)))])],
                )
            ],
            to=7,
        )
    else:
        v = c.node("Floor", [c.node("Sqrt", [c.node("Mul", [r, r])])])
    v = c.node("Cast", [v], to=1)
    v = reduce_node(c, "ReduceSum", c.node("Mul", [v, c.const(c.np.integers(-3, 3, [n]).astype(F))]), [0], 0)
    c.out(c.node("Add", [x, v]))


@op("chain.any", weight=6)
def chain_any(c, name):
    """Elementwise operators and movements, one after the other, of two inputs."""
    c.since(13)
    s = [c.int(1, 2), c.int(1, 4), c.int(2, 5)]
    ts = [(c.input(c.values(s, "float32", c.pick("normal", "halves"))), s), (c.input(c.values(s[2:], "float32", "normal")), s[2:])]
    for _ in range(c.int(2, 6)):
        (x, sx), (y, sy) = c.pick(*ts), c.pick(*ts)
        o = c.pick(
            "Add",
            "Sub",
            "Mul",
            "Max",
            "Min",
            "Tanh",
            "Sigmoid",
            "Relu",
            "Abs",
            "Neg",
            "Erf",
            "Softmax",
            "Transpose",
            "ReduceMean",
            "ReduceMax",
            "Where",
            "Concat",
            "Slice",
            "Clip",
            "Exp",
            "Unsqueeze",
            "Gather",
            "CumSum",
            "Div",
            "MatMul",
            "Sqrt",
            "Pow",
            "ArgMax",
            "Reshape",
        )
        try:
            sb = list(np.broadcast_shapes(tuple(sx), tuple(sy)))
        except ValueError:
            continue
        if int(np.prod(sb)) > 400:
            continue
        if o in ("Add", "Sub", "Mul", "Max", "Min"):
            ts.append((c.node(o, [x, y]), sb))
        elif o == "Where":
            ts.append((c.node("Where", [c.node("Greater", [x, y]), y, x]), sb))
        elif o == "Div":
            ts.append((c.node("Div", [x, c.node("Add", [c.node("Abs", [y]), scalar(c, 1.0)])]), sb))
        elif o in ("Tanh", "Sigmoid", "Relu", "Abs", "Neg", "Erf"):
            ts.append((c.node(o, [x]), sx))
        elif o == "Exp":
            ts.append((c.node("Exp", [c.node("Clip", [x, scalar(c, -4.0), scalar(c, 2.0)])]), sx))
        elif o == "Sqrt":
            ts.append((c.node("Sqrt", [c.node("Abs", [x])]), sx))
        elif o == "Pow":
            ts.append((c.node("Pow", [x, scalar(c, c.pick(2.0, 3.0))]), sx))
        elif o == "Clip":
            ts.append((c.node("Clip", [x, scalar(c, -1.0), scalar(c, 1.0)]), sx))
        elif o == "Softmax" and sx:
            ts.append((c.node("Softmax", [x], axis=an_axis(c, len(sx))), sx))
        elif o == "Transpose":
            p = list(range(len(sx)))
            c.r.shuffle(p)
            ts.append((c.node("Transpose", [x], perm=p), [sx[i] for i in p]))
        elif o in ("ReduceMean", "ReduceMax") and sx:
            a = an_axis(c, len(sx))
            t = list(sx)
            t[a] = 1
            ts.append((reduce_node(c, o, x, [a]), t))
        elif o == "Concat" and sx:
            a = c.int(0, len(sx) - 1)
            t = list(sx)
            t[a] *= 2
            ts.append((c.node("Concat", [x, c.node("Neg", [x])], axis=a), t))
        elif o == "Slice" and sx:
            a = c.int(0, len(sx) - 1)
            t = list(sx)
            t[a] = (t[a] + 1) // 2
            ts.append((cut(c, x, [0], [2**31 - 1], [a], [2]), t))
        elif o == "Unsqueeze" and len(sx) < 4:
            a = c.int(0, len(sx))
            ts.append((unsqueeze(c, x, [a]), sx[:a] + [1] + sx[a:]))
        elif o == "Gather" and sx:
            a = c.int(0, len(sx) - 1)
            i = c.np.integers(0, sx[a], [2])
            t = list(sx)
            t[a] = 2
            ts.append((c.node("Gather", [x, c.const(i)], axis=a), t))
        elif o == "CumSum" and sx:
            ts.append((c.node("CumSum", [x, c.const(np.int64(an_axis(c, len(sx))))]), sx))
        elif o == "MatMul" and len(sx) >= 2:
            ts.append((c.node("MatMul", [x, c.const(c.values([sx[-1], 3], "float32", "normal"))]), sx[:-1] + [3]))
        elif o == "ArgMax" and sx:
            a = c.int(0, len(sx) - 1)
            t = list(sx)
            t[a] = 1
            ts.append((c.node("Cast", [c.node("ArgMax", [x], axis=a)], to=1), t))
        elif o == "Reshape":
            ts.append((c.node("Reshape", [x, c.ints([-1])]), [int(np.prod(sx))]))
    made = [n for n, _ in ts[2:]]
    if not made:
        raise Skip
    c.out(*({made[-1]} if c.chance(0.7) else set(c.r.sample(made, min(2, len(made))))))


@op("chain.quantised", weight=3)
def chain_quantised(c, name):
    c.since(13)
    x = c.input(c.values([2, 4], "float32", "normal"))
    w = c.const(c.values([4, 3], "int8", lo=-100, hi=100))
    per = c.chance(0.5)
    sw = c.const((c.np.random([3] if per else []) * 0.02 + 0.005).astype(F))
    zw = c.const(np.zeros([3] if per else [], np.int8))
    wd = c.node("DequantizeLinear", [w, sw, zw], axis=1)
    sx, zx = scalar(c, 0.03), c.const(np.uint8(128)) if c.chance(0.5) else c.const(np.int8(3))
    xd = c.node("DequantizeLinear", [c.node("QuantizeLinear", [x, sx, zx]), sx, zx])
    y = c.node("MatMul", [xd, wd])
    if c.chance(0.5):
        y = c.node("Relu", [c.node("Add", [y, c.const(c.values([3], "float32", "normal"))])])
    c.out(y)
