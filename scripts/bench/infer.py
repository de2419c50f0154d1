"""Seconds of passes of onnxruntime over all positions, as a JSON list: MODEL THREADS POSITIONS LARGEST_ID RUNS.

A model of reals gets drawn ones.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

model, threads, positions, largest, runs = sys.argv[1], *map(int, sys.argv[2:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
port = session.get_inputs()[0]
if port.type == "tensor(float)":
    feed = {port.name: np.random.default_rng(1).standard_normal(port.shape, dtype=np.float32)}
else:
    ids = (1 + 7919 * np.arange(positions, dtype=np.int64)) % (largest + 1)
    feed = {port.name: ids.reshape((1,) * (len(port.shape) - 1) + (-1,))}
session.run(None, feed)  # warm
seconds = []
for _ in range(runs):
    began = time.perf_counter()
    session.run(None, feed)
    seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
