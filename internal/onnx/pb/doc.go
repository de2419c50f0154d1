// Package pb holds the protobuf messages of the ONNX file format, generated from onnx.proto.
package pb

//go:generate ./generate.sh
