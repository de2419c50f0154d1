#!/bin/sh
# Builds the page on which customers check proofs into OUT (build/page): static files, for any web server, generators among them. Needs what
# scripts/npm.sh needs.
set -eu
cd "$(dirname "$0")/.."
out=${OUT:-build/page}
mkdir -p "$out/zkllmc"
OUT=$out/zkllmc scripts/npm.sh
rm "$out/zkllmc/package.json" "$out/zkllmc/index.d.ts"
cp web/page/*.html web/page/*.css web/page/*.mjs "$out"
rm -rf "$out/generators"
"${GO:-go}" run ./scripts/generators "$out/generators"
