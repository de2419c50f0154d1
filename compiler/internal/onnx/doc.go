// Package onnx reads ONNX files: models, and the single tensors of test folders. It decodes and bounds, it does not interpret:
// operators, attributes and shapes mean nothing here.
//
// Two decoders look at a model. Our own protobuf (package internal/onnx/pb) is the source of truth for weights, element types, shapes,
// opsets, subgraphs and external data. github.com/owulveryck/onnx-go builds the graph, from a skeleton of the model that holds
// names, inputs, outputs and one integer attribute per node, the node's index in the file; the edges that it reports are the
// edges of Graph.Nodes.
//
// onnx-go sees the topology only, because the rest of a real file stops it before a backend gets to see a node: it fails on
// int8, fp16 and bf16 tensors, on tensors of length zero, on attributes that hold graphs and on external data; it drops symbolic
// dimensions, opset versions and node names, and it merges empty optional inputs (the skeleton names them apart).
package onnx
