#!/bin/sh
# What a picture of a line of text says, by the recogniser of PP-OCRv4 (convolutions and attention), from the package registry to a verified
# proof, in build/ocr: fetch and draw, compile, set up, accept, read and prove, verify; what must be refused; how classes compare with those
# of the float model; and what it took (with GNU time). Python fetches and draws alone: a folder MODEL=… with what models/ocr/export.py
# writes skips it. WIDTH=160 is that of the pictures.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
PYTHON=${PYTHON:-python3}
WIDTH=${WIDTH:-160}
OUT=build/ocr
MODEL=${MODEL:-$OUT/model}
CODE=$OUT/code
RUN=$OUT/run
. scripts/steps.sh

mkdir -p "$RUN"
rm -f "$RUN"/*.statement "$RUN"/*.proof "$RUN/took"
if [ ! -e "$MODEL/model.onnx" ] || [ ! -e "$MODEL/test/test_data_set_3" ]; then
	say "fetch the model and draw lines of text"
	[ -x "$OUT/venv/bin/python" ] || "$PYTHON" -m venv "$OUT/venv"
	"$OUT/venv/bin/pip" install --quiet -r models/ocr/requirements.txt
	"$OUT/venv/bin/python" models/ocr/export.py "$MODEL" --width "$WIDTH"
fi

# A probability may differ by an eighth: what is proved is which class is the greatest. Their comparison comes last.
say "compile for pictures of 48 x $WIDTH"
"$GO" build -o "$OUT/bin/zkllmc" .
ABOUT="$MODEL/model.onnx --dim p2o.DynamicDimension.0=1 --dim ?=48 --dim p2o.DynamicDimension.1=$WIDTH --calibrate $MODEL/calibrate --tolerance 0.125"
step compile "$OUT/bin/zkllmc" compile $ABOUT -o "$CODE" --name ocr --reveal argmax --force >"$RUN/compiled"
cat "$RUN/compiled"
"$GO" build -o "$OUT/bin/" "./$CODE/cmd/prover" "./$CODE/cmd/verifier"

say "setup: commit to the weights"
step setup "$OUT/bin/prover" setup --weights "$CODE/weights.zkw" -o "$RUN/keys" --force

say "accept: check the model once, keep its ID"
step accept "$OUT/bin/verifier" accept --save "$RUN/model.id" --force "$RUN/keys/model.vk"

say "prove: what the first picture says"
step prove "$OUT/bin/prover" prove --key "$RUN/keys/prover.key" --input "x=$MODEL/test/test_data_set_0/input_0.pb" -o "$RUN/picture.proof" \
	--statement-out "$RUN/picture.statement" --force

# verify PICTURE …: the verifier, on that proof.
verify() {
	picture=$1
	shift
	"$OUT/bin/verifier" verify --vk "$RUN/keys/model.vk" --pin "$RUN/model.id" --statement "$RUN/picture.statement" --proof "$RUN/picture.proof" \
		--input "x=$MODEL/test/test_data_set_$picture/input_0.pb" "$@"
}

say "verify"
verify 0 | cut -c 1-160

say "refuse"
refused "what another picture says" verify 1
tr 0-9a-f 1-9a-f0 <"$RUN/model.id" >"$RUN/other.id"
refused "the key of another model" verify 0 --pin "$RUN/other.id"

say "compare with the float model, on other pictures"
step "check 4 pictures" "$OUT/bin/zkllmc" check $ABOUT "$MODEL/test"

say "what it took"
cat "$RUN/took"
printf '%-24s %30d bytes\n' "proof" "$(wc -c <"$RUN/picture.proof")" "verifying key" "$(wc -c <"$RUN/keys/model.vk")"
