"""Choices beside numbers so great that a sum with them loses all else: the least float of a mask, and what is computed with it."""

import numpy as np
from onnx import TensorProto

from case import F, Skip, op
from chains import reduce_node, scalar, unsqueeze
from operators import an_axis

GREATEST = float(np.finfo(F).max)


def greatness(c, *more):
    """A number beside which nothing is left of others, in double precision neither."""
    return c.pick(-1, -1, 1) * c.pick(1e20, 1e30, *more)


def bits(c, s):
    """Zeros and ones that the file or the input decides, as booleans."""
    k = c.int(0, 3)
    if k == 0:
        return c.node("Greater", [c.input(c.values(s, "float32", "normal")), scalar(c, 0.0)])
    if k == 1:
        return c.input(c.values(s, "bool"))
    if k == 2:
        return c.node("Cast", [c.input(c.values(s, "float32", "ties", lo=0, hi=1))], to=TensorProto.BOOL)
    return c.node("Not", [c.input(c.values(s, "bool"))])


def mask(c, s):
    """Zeros and ones, as real numbers."""
    return c.node("Cast", [bits(c, s)], to=TensorProto.FLOAT)


def great(c, x, s):
    """Cells of which some or all are huge, made of x or of nothing but the file."""
    h, far = greatness(c), greatness(c, GREATEST, np.inf) if c.chance(0.7) else c.pick(-1, 1) * c.pick(1e10, 1e16)
    k = c.int(0, 8)
    if k == 0:
        return scalar(c, far)
    if k == 1:
        return c.const(np.full(s, far, F))
    if k == 2:
        h = far
        return c.const(np.where(c.np.random(s) < 0.5, h, c.np.normal(0, 1, s)).astype(F))
    if k == 3:
        return c.node("Mul", [x, scalar(c, h)])
    if k == 4:
        return c.node("Mul", [c.node("Sigmoid", [x]), scalar(c, h)])
    if k == 5:
        return c.node("Mul", [c.node("Sub", [scalar(c, 1.0), mask(c, s)]), scalar(c, h)])
    if k == 6:
        return c.node(c.pick("Add", "Sub"), [x, scalar(c, h)])
    if k == 7:
        return c.node("Add", [x, c.node("Mul", [c.node("Sub", [scalar(c, 1.0), mask(c, s)]), scalar(c, h)])])
    y = c.input(c.values(s, "float32", "normal"))
    return c.node("Mul", [y, scalar(c, h)])


def shown(c, y, s):
    """What is seen of cells beside which huge ones stand."""
    k = c.int(0, 13)
    if k == 0:
        return y
    if k == 1:
        c.since(11)
        return c.node("Clip", [y, scalar(c, -4.0), scalar(c, 4.0)])
    if k == 2:
        return c.node("Min", [c.node("Max", [y, scalar(c, -4.0)]), scalar(c, 4.0)])
    if k == 3:
        return c.node(c.pick("Tanh", "Sigmoid", "Softsign", "Erf"), [y])
    if k == 4:  # beside a cell that nothing hides: of rows that a mask empties, files and runtimes say different things
        return c.node("Softmax", [c.node("Concat", [y, c.input(c.values(list(s[:-1]) + [1], "float32", "normal"))], axis=len(s) - 1)], axis=-1)
    if k == 5:
        return c.node("Min", [c.node("Relu", [y]), scalar(c, 3.0)])
    if k == 6:
        return c.node("Where", [c.node("Less", [c.node("Abs", [y]), scalar(c, 1e5)]), y, scalar(c, 0.5)])
    if k == 7:
        return c.node("Reciprocal", [c.node("Add", [c.node("Abs", [y]), scalar(c, 1.0)])])
    if k == 8:
        s = scalar(c, 0.02)
        z = c.const(np.uint8(100))
        return c.node("DequantizeLinear", [c.node("QuantizeLinear", [y, s, z]), s, z])
    if k == 9:
        return c.node("Cast", [c.node(c.pick("Greater", "Less"), [y, scalar(c, c.pick(0.0, 0.5, -0.25))])], to=1)
    if k == 10:
        return c.node("Tanh", [reduce_node(c, c.pick("ReduceMax", "ReduceMin"), y, [len(s) - 1])])
    if k == 11:
        return c.node("ArgMax", [y], axis=-1)
    if k == 12:
        return c.node("Max", [y, c.input(c.values(s, "float32", "normal"))])
    return c.node("Tanh", [c.node(c.pick("Max", "Min"), [y, c.input(c.values(s, "float32", "normal"))])])


def numbers(c, s):
    return c.input(c.values(s, "float32", c.pick("normal", "halves")))


def chosen(c, name):
    s = [c.pick(2, 3, 4), c.pick(3, 4, 5)]
    x = numbers(c, s)
    g = great(c, x, s)
    return s, x, g


@op("huge.where", weight=4)
def huge_where(c, name):
    c.since(13)
    s, x, g = chosen(c, name)
    b = bits(c, s)
    y = c.node("Where", [b, x, g] if c.chance(0.5) else [b, g, x])
    if c.chance(0.3):
        b2 = bits(c, s)
        y = c.node("Where", [b2, y, c.pick(x, g, numbers(c, s))])
    c.out(shown(c, y, s))


@op("huge.mask", weight=3)
def huge_mask(c, name):
    c.since(13)
    s = [c.pick(2, 3, 4), c.pick(3, 4, 5)]
    x, m = numbers(c, s), mask(c, s)
    k = c.int(0, 4)
    h = greatness(c, GREATEST) if k in (0, 2) else greatness(c)
    off = c.node("Sub", [scalar(c, 1.0), m])
    if k == 0:
        y = c.node("Add", [c.node("Mul", [x, m]), c.node("Mul", [off, scalar(c, h)])])
    elif k == 1:
        y = c.node("Add", [x, c.node("Mul", [off, scalar(c, h)])])
    elif k == 2:
        y = c.node("Sub", [c.node("Mul", [x, m]), c.node("Mul", [off, scalar(c, h)])])
    elif k == 3:
        y = c.node("Add", [c.node("Mul", [x, m]), c.node("Mul", [off, c.node("Mul", [x, scalar(c, h)])])])
    else:
        y = c.node("Sub", [x, c.node("Mul", [c.node("Mul", [off, scalar(c, h)]), c.node("Sigmoid", [x])])])
    c.out(shown(c, y, s))


@op("huge.scatter", weight=4)
def huge_scatter(c, name):
    c.since(16)
    s, x, g = chosen(c, name)
    g = c.node("Expand", [g, c.ints(s)]) if c.chance(0.5) else c.node("Add", [g, c.const(np.zeros(s, F))])
    into, of = (g, x) if c.chance(0.7) else (x, g)
    red = c.pick(None, None, "max", "min", "add") if c.opset >= 18 else None
    if c.chance(0.5):
        a = c.int(0, 1)
        n = c.int(1, s[a])
        at = np.stack([c.np.permutation(s[a])[:n] for _ in range(s[1 - a])], 1 - a)
        at = c.input(at.astype(np.int64)) if c.chance(0.6) else c.const(at.astype(np.int64))
        t = list(s)
        t[a] = n
        u = c.node("Slice", [of, c.ints([0]), c.ints([n]), c.ints([a])])
        y = c.node("ScatterElements", [into, at, u], axis=a, reduction=red)
    else:
        n = c.int(1, s[0])
        at = c.np.permutation(s[0])[:n].reshape(n, 1).astype(np.int64)
        at = c.input(at) if c.chance(0.6) else c.const(at)
        u = c.node("Slice", [of, c.ints([0]), c.ints([n]), c.ints([0])])
        y = c.node("ScatterND", [into, at, u], reduction=red)
    c.out(shown(c, y, s))


@op("huge.gather", weight=3)
def huge_gather(c, name):
    c.since(13)
    s, x, g = chosen(c, name)
    both = c.node("Concat", [x, c.node("Add", [g, c.const(np.zeros(s, F))])], axis=0)
    n = 2 * s[0]
    k = c.int(0, 3)
    t = list(s)
    if k == 0:
        i = c.np.integers(-n, n, [s[0]])
        y = c.node("Gather", [both, c.input(i.astype(np.int64))], axis=0)
    elif k == 1:
        i = c.np.integers(0, n, s)
        y = c.node("GatherElements", [both, c.input(i.astype(np.int64))], axis=0)
    elif k == 2:
        i = np.stack([c.np.integers(0, n, [3]), c.np.integers(0, s[1], [3])], 1)
        y, t = c.node("GatherND", [both, c.input(i.astype(np.int64))]), [3]
    else:
        y = c.node("Slice", [both, c.ints([1]), c.ints([n]), c.ints([0]), c.ints([2])])
        t = [n // 2, s[1]]
    c.out(shown(c, y, t))


@op("huge.onehot", weight=2)
def huge_onehot(c, name):
    c.since(13)
    n = c.pick(3, 5, 20)
    h = greatness(c, GREATEST)
    pair = np.array(c.pick([0, h], [1, h], [h, 0], [h, 1], [0.3, h], [-h, h]), F)
    i = c.input(c.np.integers(0, n, [3]).astype(np.int64))
    y = c.node("OneHot", [i, c.const(np.array(n)), c.const(pair)], axis=c.pick(-1, 0))
    k = c.int(0, 2)
    s = [3, n]
    if k == 1:
        y = c.node("Add", [y, c.input(c.values([1], "float32", "normal"))])
    elif k == 2:
        y = c.node("Mul", [y, c.input(c.values([1], "float32", "normal"))])
    c.out(shown(c, y, s))


@op("huge.moved", weight=3)
def huge_moved(c, name):
    """Trilu, Pad, Concat and others that put cells beside cells."""
    c.since(14)
    s, x, g = chosen(c, name)
    h = greatness(c, GREATEST, np.inf)
    k = c.int(0, 6)
    t = list(s)
    if k == 0:
        y = c.node("Add", [c.node("Trilu", [x], upper=c.int(0, 1)), c.node("Trilu", [c.const(np.full(s, h, F)), c.const(np.int64(c.pick(1, -1)))], upper=c.int(0, 1))])
    elif k == 1:
        y, t = c.node("Pad", [x, c.ints([1, 0, 0, 2]), scalar(c, h)]), [s[0] + 1, s[1] + 2]
    elif k == 2:
        y, t = c.node("Pad", [c.node("Add", [g, c.const(np.zeros(s, F))]), c.ints([0, 1, 1, 0]), scalar(c, 0.3)]), [s[0] + 1, s[1] + 1]
    elif k == 3:
        y, t = c.node("Concat", [x, c.node("Add", [g, c.const(np.zeros(s, F))])], axis=1), [s[0], 2 * s[1]]
    elif k == 4:
        y = c.node("Trilu", [c.node("Add", [g, c.const(np.zeros(s, F))])], upper=c.int(0, 1))
    elif k == 5:
        y = c.node("MaxPool", [c.node("Unsqueeze", [c.node("Where", [bits(c, s), x, scalar(c, h)]), c.ints([0])])], kernel_shape=[2], pads=[1, 0])
        t = s
    else:
        y = c.node("ReduceMax" if c.chance(0.5) else "ReduceMin", [c.node("Where", [bits(c, s), x, scalar(c, h)])] + ([c.ints([1])] if c.opset >= 18 else []), **({} if c.opset >= 18 else {"axes": [1]}))
        t = [s[0], 1]
    c.out(shown(c, y, t))


@op("huge.bounds", weight=3)
def huge_bounds(c, name):
    c.since(13)
    s, x, g = chosen(c, name)
    h = greatness(c)
    k = c.int(0, 6)
    if k == 0:
        y = c.node(c.pick("Max", "Min"), [x, g])
    elif k == 1:
        y = c.node(c.pick("Max", "Min"), [x, g, numbers(c, s)])
    elif k == 2:
        lo, hi = c.pick((-abs(h), abs(h)), (-1.0, abs(h)), (-abs(h), 1.0))
        y = c.node("Clip", [c.pick(x, c.node("Add", [g, x])), scalar(c, lo), scalar(c, hi)])
    elif k == 3:
        y = c.node("LeakyRelu", [x], alpha=h)
    elif k == 4:
        y = c.node("PRelu", [x, c.const(np.full(s[1:], h, F))])
    elif k == 5:
        y = c.node("PRelu", [x, c.node("Mul", [numbers(c, s), scalar(c, h)])]) if c.opset >= 16 else c.node("LeakyRelu", [g], alpha=0.1)
    else:
        y = c.node(c.pick("ThresholdedRelu", "Elu"), [x], alpha=abs(h))
    c.out(shown(c, y, s))


@op("huge.then", weight=3)
def huge_then(c, name):
    """Choices, and arithmetic on what they chose."""
    c.since(13)
    s, x, g = chosen(c, name)
    b = bits(c, s)
    y = c.node("Where", [b, x, g])
    k = c.int(0, 6)
    t = list(s)
    if k == 0:
        y = c.node("Mul", [y, numbers(c, s)])
    elif k == 1:
        y = c.node("Add", [y, numbers(c, s)])
    elif k == 2:
        y, t = c.node("Transpose", [y]), s[::-1]
    elif k == 3:
        y = c.node("Mul", [y, c.node("Cast", [b], to=1)])
    elif k == 4:
        y = c.node("Where", [b, y, numbers(c, s)])
    elif k == 5:
        y, t = c.node("Reshape", [y, c.ints([1, -1])]), [1, s[0] * s[1]]
    else:
        y = c.node("Sub", [y, numbers(c, s)])
    c.out(shown(c, y, t))


@op("huge.scores", weight=2)
def huge_scores(c, name):
    """Scores of a softmax, near to each other or far apart, that a mask of the input hides; it leaves something of every row."""
    c.since(13)
    t = c.pick(3, 4, 6)
    x = c.input((c.values([1, 2, t, t], "float32", "normal") * c.pick(1, 1, 30, 300)).astype(F))
    keep = c.np.random(c.pick([1, 1, 1, t], [1, 1, t, t], [t])) < 0.6
    keep[..., 0] = True
    d = c.pick("float32", "bool", "int64")
    m = c.input(keep.astype(d))
    h = c.pick(-1e3, -1e4, -1e9, -1e10, -1e30, -GREATEST)
    k = c.int(0, 4)
    if k < 3:
        b = m if d == "bool" else c.node("Cast", [m], to=TensorProto.BOOL)
        if k == 0:
            y = c.node("Where", [b, x, scalar(c, c.pick(h, -np.inf))])
        elif k == 1:
            y = c.node("Add", [x, c.node("Where", [b, scalar(c, 0.0), scalar(c, c.pick(h, -np.inf))])])
        else:
            y = c.node("Where", [c.node("Not", [b]), scalar(c, h), x])
    else:
        m = m if d == "float32" else c.node("Cast", [m], to=TensorProto.FLOAT)
        off = c.node("Mul", [c.node("Sub", [scalar(c, 1.0), m]), scalar(c, h)])
        y = c.node("Add", [x if k == 3 else c.node("Mul", [x, m]), off])
    c.out(c.node("Softmax", [y], axis=-1))
