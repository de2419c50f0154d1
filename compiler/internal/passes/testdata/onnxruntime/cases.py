"""Writes cases.json: operators of onnxruntime's own domain with what its kernels for the processor give, for TestContribCases.

    pip install onnx onnxruntime==1.32 numpy && python3 cases.py
"""

import base64
import json
import warnings

import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

warnings.simplefilter("ignore")
rng = np.random.default_rng(5)
cases = []
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9}


def real(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).round(3).astype(np.float32)


def i32(*v):
    return np.array(v, np.int32)


def case(name, op, inputs, outputs=1, constants=(), domain="com.microsoft", expect=None, **attrs):
    """Runs a node. inputs are pairs of names and arrays, None where an operand is absent; constants names those that are initializers."""
    given = [(n, a) for n, a in inputs if a is not None]
    names = outputs if isinstance(outputs, list) else [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, [n if a is not None else "" for n, a in inputs], names, domain=domain, **attrs)

    def value(n, a):
        return helper.make_tensor_value_info(n, TYPES[str(a.dtype)], a.shape)

    graph = helper.make_graph([node], "g", [value(n, a) for n, a in given if n not in constants],
                              [helper.make_empty_tensor_value_info(o) for o in names if o],
                              [numpy_helper.from_array(a, n) for n, a in given if n in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    fed = {n: a for n, a in given if n not in constants}
    if expect is None:
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


if __name__ == "__main__":
    for family in (merged_attention, multi_head, group_query, rotary):
        family()
    with open("cases.json", "w") as f:
        json.dump(cases, f, indent=0)
        f.write("\n")
