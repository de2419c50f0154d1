"""Draw small ONNX models, of one operator or of a few as exporters chain them, as test cases that `zkllmc conformance` reads.

    python draw.py OUT -n 1000 --seed 1            all operators and chains
    python draw.py OUT -n 1000 --seed 1 --only 'Reduce|chain'
    python draw.py --list                          what there is

Operators are drawn with opsets, attributes, element types, shapes, values, and where their operands come from. Expected outputs are those of
onnxruntime without its optimisations and of ONNX's reference evaluator: a model on which the two differ is left out, and so is one that neither
runs. OUT gets a folder per case, called after its operator and its seed, with by.txt, which tells who computed it, and cases.json, which tells
what was left out.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import warnings

import numpy as np
import onnx
import onnx.reference
import onnxruntime
from onnx import helper, numpy_helper

import chains  # noqa: F401, they register
import huge  # noqa: F401
import operators  # noqa: F401
from case import OPS, Case, Skip, onnx_type


def run_ort(model, feeds):
    o = onnxruntime.SessionOptions()
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.intra_op_num_threads = 1
    o.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"]).run(None, feeds)


def agree(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.size == 0:
        return True
    if a.dtype.kind in "iub":
        return bool((a == b).all())
    a, b = a.astype(float), b.astype(float)
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return False
    m = np.isfinite(b)
    return bool((np.abs(a[m] - b[m]) <= 2.0**-8 * max(np.abs(b[m]).max(initial=0), 1e-30)).all())


def settle(c):
    """The model with its outputs' types, and the outputs; who ran it."""
    model = c.model({})
    got, errors = {}, {}
    for who, f in ("onnxruntime", run_ort), ("reference", lambda m, x: onnx.reference.ReferenceEvaluator(m).run(None, x)):
        if c.trusted not in ("", who):
            continue
        try:
            m = model
            if who == "reference":
                onnx.checker.check_model(onnx.shape_inference.infer_shapes(model))
            elif model.ir_version > 11:
                m.ir_version = 11
            got[who] = [np.asarray(y) for y in f(m, c.feeds)]
        except Exception as e:
            errors[who] = re.sub(r"\s+", " ", f"{type(e).__name__}: {e}")[:300]
    if not got:
        return None, None, "no runtime: " + " | ".join(errors.values())
    ys = got.get("onnxruntime", got.get("reference"))
    if len(got) == 2 and not all(agree(a, b) for a, b in zip(got["onnxruntime"], got["reference"])):
        return None, None, "disputed"
    if any(y.size == 0 for y in ys) and not c.chance(0.2):
        return None, None, "empty"
    if not all(np.isfinite(y.astype(float)).all() for y in ys if y.dtype.kind == "f"):
        return None, None, "not finite"
    types = {n: helper.make_tensor_value_info(n, onnx_type(y.dtype), y.shape) for n, y in zip(c.outs, ys)}
    return c.model(types), ys, "+".join(got)


def save(dir, model, feeds, ys):
    (dir / "test_data_set_0").mkdir(parents=True)
    onnx.save(model, dir / "model.onnx")
    for stem, xs in ("input", [feeds[i.name] for i in model.graph.input]), ("output", ys):
        for k, x in enumerate(xs):
            (dir / "test_data_set_0" / f"{stem}_{k}.pb").write_bytes(numpy_helper.from_array(np.asarray(x)).SerializeToString())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", nargs="?")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", default="")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    names = [n for n, (_, w) in OPS.items() for _ in range(w) if re.search(a.only, n)]
    if a.list:
        print(*sorted(set(names)), sep="\n")
        return
    warnings.simplefilter("ignore")
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    left, count = collections.defaultdict(collections.Counter), collections.Counter()
    r = random.Random(a.seed)
    for i in range(a.n):
        name = r.choice(names)
        seed = a.seed * 1000003 + i
        c = Case(seed)
        try:
            OPS[name][0](c, name)
            if not c.inputs:
                raise Skip
            model, ys, why = settle(c)
        except Skip:
            model, why = None, "skipped"
        if model is None:
            left[name][why] += 1
            continue
        count[why] += 1
        save(out / f"{name}_{seed}", model, c.feeds, ys)
        (out / f"{name}_{seed}" / "by.txt").write_text(why + "\n")
    (out / "cases.json").write_text(json.dumps(left, indent=1))
    print(dict(count), "left out", collections.Counter(w.split(":")[0] for n in left for w in left[n].elements()))


if __name__ == "__main__":
    main()
