#!/bin/sh
# Builds the npm package of the verifier for JavaScript into OUT (build/npm): web/npm, the program, compressed with xz, Go's own loader and
# what decompresses in browsers. Needs npm, which fetches that, and xz.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
out=${OUT:-build/npm}
for tool in npm xz; do
	command -v $tool >/dev/null || { echo "npm.sh: there is no $tool, which packs the verifier for JavaScript" >&2; exit 1; }
done
mkdir -p "$out" build/npm-tools
cp web/npm/package.json web/npm/package-lock.json build/npm-tools
npm ci --prefix build/npm-tools --ignore-scripts --no-fund --no-audit --silent

# Inlining makes programs larger, which have 1.5 MB to be in: only where field elements are computed with it is worth it.
set -- -gcflags=all=-l
root=github.com/zkllmc/zkllmc/internal
for p in $root/field $root/group $root/poly $root/einsum $root/commit $root/lookup $root/veil $root/transcript $root/tables \
	github.com/consensys/... math math/bits encoding/binary internal/byteorder crypto/internal/fips140/sha3 crypto/internal/fips140/subtle \
	crypto/internal/fips140deps/byteorder runtime slices; do
	set -- "$@" "-gcflags=$p="
done
GOOS=js GOARCH=wasm "$go" build -trimpath -ldflags='-s -w' "$@" -o "$out/zkllmc.wasm" ./cmd/zkllmc-wasm
rm -f "$out/zkllmc.wasm.xz"
xz -9e --threads=1 "$out/zkllmc.wasm" # which takes the program's place
{
	echo 'const root = {}; (function () {'
	cat build/npm-tools/node_modules/xz-decompress/dist/package/xz-decompress.min.js
	echo '}).call(root); export const { XzReadableStream } = root["xz-decompress"];'
} >"$out/xz.mjs"
cp "$("$go" env GOROOT)/lib/wasm/wasm_exec.js" web/npm/package.json web/npm/index.mjs web/npm/index.d.ts LICENSE "$out"
wc -c <"$out/zkllmc.wasm.xz" | sed 's/^ */zkllmc.wasm.xz: /; s/$/ bytes/'
