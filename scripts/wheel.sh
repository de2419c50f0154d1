#!/bin/sh
# Builds Python wheels into OUT (build/wheels), each with the verifier for its platform: of this machine, or of all with WHEELS=all. Needs
# Python 3 with venv; pip fetches what builds wheels.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
out=$(mkdir -p "${OUT:-build/wheels}" && cd "${OUT:-build/wheels}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet build==1.3.0 hatchling==1.27.0

# A Go program without cgo needs no C library: any Linux has what it asks for.
all='linux/amd64=manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64
linux/arm64=manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64
darwin/amd64=macosx_12_0_x86_64
darwin/arm64=macosx_12_0_arm64
windows/amd64=win_amd64
windows/arm64=win_arm64'
own=$("$go" env GOHOSTOS)/$("$go" env GOHOSTARCH)
for line in $all; do
	platform=${line%%=*}
	[ "${WHEELS:-}" = all ] || [ "$platform" = "$own" ] || continue
	rm -rf "$work/python"
	cp -R python "$work/python"
	name=zkllmc-verifier
	case $platform in windows/*) name=$name.exe ;; esac
	CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} "$go" build -trimpath -ldflags='-s -w' -o "$work/python/zkllmc/bin/$name" ./cmd/zkllmc-verifier
	cp LICENSE "$work/python"
	ZKLLMC_PLATFORM=${line#*=} SOURCE_DATE_EPOCH=315532800 "$work/venv/bin/python" -m build --wheel --no-isolation --outdir "$out" "$work/python" >"$work/log" || { cat "$work/log" >&2; exit 1; }
done
ls "$out"
