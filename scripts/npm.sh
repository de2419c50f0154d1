#!/bin/sh
# Builds the npm package of the verifier for JavaScript into OUT (build/npm): web/npm, the program and Go's own loader.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
out=${OUT:-build/npm}
mkdir -p "$out"
GOOS=js GOARCH=wasm "$go" build -trimpath -ldflags='-s -w' -o "$out/zkllmc.wasm" ./cmd/zkllmc-wasm
cp "$("$go" env GOROOT)/lib/wasm/wasm_exec.js" web/npm/package.json web/npm/index.mjs web/npm/index.d.ts LICENSE "$out"
gzip -9 <"$out/zkllmc.wasm" | wc -c | sed 's/^ */zkllmc.wasm, compressed: /; s/$/ bytes/'
