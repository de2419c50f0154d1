#!/bin/sh
# Regenerates onnx.pb.go from onnx.proto. Needs protoc (Debian: protobuf-compiler; PyPI: grpcio-tools, then
# PROTOC="python -m grpc_tools.protoc") and protoc-gen-go v1.36.11 of google.golang.org/protobuf in PATH.
set -eu
cd "$(dirname "$0")"
${PROTOC:-protoc} -I. --go_out=. --go_opt=paths=source_relative onnx.proto
