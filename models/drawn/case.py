"""What is drawn of a model: numbers, shapes, values, and where an operand comes from."""

import random

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper

F = np.float32
FLOATS = ["float32", "float32", "float32", "float32", "float16", "float64"]
INTS = ["int64", "int32", "int64", "int32", "int8", "int16", "uint8", "uint16", "uint32", "uint64"]
DT = {"bfloat16": ml_dtypes.bfloat16}


def dt(name):
    return np.dtype(DT.get(name, name))


def onnx_type(d):
    return helper.np_dtype_to_tensor_dtype(np.dtype(d))


class Skip(Exception):
    """What was drawn is no model."""


class Case:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.nodes, self.inits, self.inputs, self.feeds, self.outs = [], [], [], {}, []
        self.opset = self.r.choice([7, 8, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 17, 18, 18, 19, 20, 21, 22, 23, 24, 25])
        self.domains = set()
        self.k = 0
        self.functions = []
        self.trusted = ""  # the one reference that counts

    # draws
    def pick(self, *xs):
        return self.r.choice(xs)

    def chance(self, p):
        return self.r.random() < p

    def int(self, a, b):
        return self.r.randint(a, b)

    def since(self, v):
        if self.opset < v:
            self.opset = self.r.randint(v, 25)

    def until(self, v):
        if self.opset > v:
            self.opset = self.r.randint(7, v)

    def shape(self, lo=0, hi=4, cells=240, small=False):
        while True:
            rank = self.int(lo, hi)
            s = [self.pick(1, 2, 3, 3, 4, 5, 7, 8, 12, 17) for _ in range(rank)]
            if int(np.prod(s)) <= cells:
                return s

    def bcast(self, s):
        """A shape that broadcasts with s, and s with some extents made 1."""
        a, b = list(s), list(s)
        for i in range(len(s)):
            w = self.r.random()
            if w < 0.2:
                a[i] = 1
            elif w < 0.4:
                b[i] = 1
        if self.chance(0.3):
            b = b[self.int(0, len(b)) :]
        elif self.chance(0.15):
            a = a[self.int(0, len(a)) :]
        return a, b

    def values(self, shape, dtype="float32", kind=None, lo=None, hi=None):
        d = dt(dtype)
        shape = list(shape)
        if d == np.bool_:
            return self.np.random(shape) < self.pick(0.5, 0.5, 0.5, 0.1, 0.9, 1.0, 0.0)
        if d.kind in "iu":
            info = np.iinfo(d)
            a = max(info.min, -9 if lo is None else lo)
            b = min(info.max, 9 if hi is None else hi)
            if kind == "extreme" and lo is None:
                a, b = max(info.min, -(2**20)), min(info.max, 2**20)
            return self.np.integers(a, b, shape, endpoint=True).astype(d)
        kind = kind or self.pick("normal", "normal", "normal", "ties", "halves", "large", "small", "mixed")
        if kind == "normal":
            x = self.np.normal(0, 1, shape)
        elif kind == "ties":
            x = self.np.integers(-2, 2, shape, endpoint=True).astype(float)
        elif kind == "halves":
            x = self.np.integers(-9, 9, shape, endpoint=True) / 2
        elif kind == "large":
            x = self.np.normal(0, 300, shape)
        elif kind == "small":
            x = self.np.normal(0, 1e-3, shape)
        elif kind == "positive":
            x = np.abs(self.np.normal(0, 1, shape)) + 0.1
        elif kind == "mixed":
            x = self.np.normal(0, 1, shape) * (self.np.random(shape) < 0.7)
        if lo is not None:
            x = np.maximum(x, lo)
        if hi is not None:
            x = np.minimum(x, hi)
        return np.asarray(x).astype(d)

    # building
    def name(self, stem="t"):
        self.k += 1
        return f"{stem}{self.k}"

    def input(self, x):
        n = self.name("x")
        x = np.asarray(x)
        self.inputs.append(helper.make_tensor_value_info(n, onnx_type(x.dtype), x.shape))
        self.feeds[n] = x
        return n

    def const(self, x, how=None):
        n = self.name("c")
        x = np.asarray(x)
        t = numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape), n)
        how = how or self.pick("init", "constant")
        if how == "init":
            self.inits.append(t)
        else:
            self.nodes.append(helper.make_node("Constant", [], [n], name=self.name("constant"), value=t))
        return n

    def arg(self, x, p=0.75):
        """An operand: mostly an input, or a constant, or something computed from one of them."""
        if self.chance(p):
            n = self.input(x)
        else:
            n = self.const(x)
        if self.chance(0.1):
            n = self.node(self.pick("Identity", "Squeezed", "Transposed"), [n], shape=np.asarray(x).shape)
        return n

    def ints(self, x):
        """A list of integers that is to be constant, in the spellings that exporters have for it."""
        x = np.asarray(x, dtype=np.int64)
        if x.ndim == 1 and len(x) > 1 and self.chance(0.15):
            return self.node("Concat", [self.const(x[:1]), self.const(x[1:])], axis=0)
        if x.ndim == 1 and self.chance(0.1):
            return self.node("Cast", [self.const(x.astype(np.int32))], to=TensorProto.INT64)
        return self.const(x)

    def node(self, op, ins, outs=1, domain="", shape=None, **attrs):
        if op in ("Squeezed", "Transposed"):
            perm = list(range(len(shape)))
            if op == "Squeezed" or len(perm) < 2:
                n = self.node("Reshape", [ins[0], self.const(np.array([-1], np.int64))])
                return self.node("Reshape", [n, self.const(np.array(shape, np.int64))])
            self.r.shuffle(perm)
            n = self.node("Transpose", ins, perm=perm)
            return self.node("Transpose", [n], perm=[int(i) for i in np.argsort(perm)])
        names = [self.name("y") for _ in range(outs)]
        attrs = {k: v for k, v in attrs.items() if v is not None}
        while ins and ins[-1] == "":
            ins = ins[:-1]
        self.nodes.append(helper.make_node(op, ins, names, name=self.name(op.lower() + "_"), domain=domain, **attrs))
        if domain:
            self.domains.add(domain)
        return names[0] if outs == 1 else names

    def out(self, *names):
        self.outs += names

    def model(self, types):
        graph = helper.make_graph(
            self.nodes, "g", self.inputs, [types.get(n) or helper.make_empty_tensor_value_info(n) for n in self.outs], self.inits
        )
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, 1) for d in sorted(self.domains)]
        ir = min(helper.find_min_ir_version_for([opsets[0]], True), 11)
        return helper.make_model(graph, opset_imports=opsets, ir_version=max(ir, 4), functions=self.functions)


OPS = {}


def op(*names, weight=1):
    def register(f):
        for n in names:
            OPS[n] = (f, weight)
        return f

    return register
