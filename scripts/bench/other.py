"""What EZKL takes for a language model behind its embedding, as JSON: MODEL POSITIONS LARGEST_ID FOLDER MOST_GB. Setup with a reference string of its own, for none may be fetched."""

import asyncio
import inspect
import json
import os
import resource
import sys
import time

import ezkl
import onnx
import onnx.helper
import onnx.numpy_helper

model, positions, largest, folder, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
os.makedirs(folder, exist_ok=True)
file = lambda name: os.path.join(folder, name)
resource.setrlimit(resource.RLIMIT_AS, (int(most * 1e9),) * 2)
whole = onnx.load(model)  # with its external data, which EZKL does not read
FAR = 20.0  # what stands for minus infinity in a mask: e^-20 is nothing at the scale below, and what is larger has no line in EZKL's tables


def near(tensor):
    x = onnx.numpy_helper.to_array(tensor)
    if x.dtype.kind == "f" and x.size and abs(x).max() > FAR:
        tensor.CopyFrom(onnx.numpy_helper.from_array(x.clip(-FAR, FAR), tensor.name))


for t in whole.graph.initializer:
    near(t)
for n in whole.graph.node:
    for a in n.attribute:
        if a.type == onnx.AttributeProto.TENSOR:
            near(a.t)
# No row of a causal mask is empty, so that no softmax gives what is no number; EZKL does not know IsNaN.
nodes = whole.graph.node
empty = {n.output[0] for n in nodes if n.op_type == "IsNaN"}
same = {n.output[0]: n.input[2] for n in nodes if n.op_type == "Where" and n.input[0] in empty}
kept = [n for n in nodes if n.output[0] not in empty and n.output[0] not in same]
for n in kept:
    n.input[:] = [same.get(name, name) for name in n.input]
del nodes[:]
nodes.extend(kept)
# Ids are looked up in the embedding before: EZKL proves the rest, from rows of real numbers.
ids = [(1 + 7919 * i) % (largest + 1) for i in range(positions)]
tables = {t.name: t for t in whole.graph.initializer if len(t.dims) == 2 and t.dims[0] == largest + 1}
lookup = next(n for n in nodes if n.op_type == "Gather" and n.input[0] in tables)
table = tables[lookup.input[0]]
rows = onnx.numpy_helper.to_array(table)[ids]
del whole.graph.input[:]
whole.graph.input.append(onnx.helper.make_tensor_value_info(lookup.output[0], onnx.TensorProto.FLOAT, [1, *rows.shape]))
wanted, live = {o.name for o in whole.graph.output}, []
for n in reversed(nodes):
    if n is not lookup and n.output[0] != lookup.output[0] and wanted & set(n.output):
        live.insert(0, n)
        wanted |= set(n.input)
del nodes[:]
nodes.extend(live)
onnx.save_model(whole, file("model.onnx"))
json.dump({"input_data": [rows.reshape(-1).tolist()]}, open(file("input.json"), "w"))
took = {}


def step(name, f, *args, **kwargs):
    began, before = time.perf_counter(), os.times()
    out = f(*args, **kwargs)
    if inspect.isawaitable(out):
        async def wait():
            return await out
        out = asyncio.get_event_loop().run_until_complete(wait())
    after = os.times()
    took[name] = {"seconds": time.perf_counter() - began, "cpu": after.user + after.system - before.user - before.system,
                  "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    print(json.dumps(took), flush=True)
    return out


args = ezkl.PyRunArgs()
args.input_visibility, args.output_visibility, args.param_visibility = "public", "public", "fixed"
args.logrows = 17
# With its usual 7 bits the variance of drawn embeddings, of 0.02, rounds to nothing, and a norm divides by it.
args.input_scale, args.param_scale = 10, 10
step("settings", ezkl.gen_settings, file("model.onnx"), file("settings.json"), py_run_args=args)
took["settings"]["rows"] = json.load(open(file("settings.json")))["num_rows"]
step("compile", ezkl.compile_circuit, file("model.onnx"), file("circuit"), file("settings.json"))
rows = json.load(open(file("settings.json")))["run_args"]["logrows"]
step("reference string", ezkl.gen_srs, file("srs"), rows)
step("witness", ezkl.gen_witness, file("input.json"), file("circuit"), file("witness.json"))
step("setup", ezkl.setup, file("circuit"), file("vk"), file("pk"), file("srs"))
step("prove", ezkl.prove, file("witness.json"), file("circuit"), file("pk"), file("proof.json"), file("srs"))
step("verify", ezkl.verify, file("proof.json"), file("settings.json"), file("vk"), file("srs"))
proof = json.load(open(file("proof.json")))
took["proof"] = {"bytes": len(bytes(proof["proof"])) if isinstance(proof["proof"], list) else len(proof["proof"]) // 2}
print(json.dumps(took))
