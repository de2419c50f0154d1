#!/bin/sh
# What a picture of a line of text says, by the recogniser of PP-OCRv4 (convolutions and attention), from the package registry to a verified
# proof, in build/ocr: fetch and draw, compile, set up, accept, read and prove, verify; what must be refused; how classes compare with those
# of the float model; and what it took (with GNU time). Python fetches and draws alone: a folder MODEL=… with what models/ocr/export.py
# writes skips it. WIDTH=160 is that of the pictures.
set -eu
cd "$(dirname "$0")/.."

WIDTH=${WIDTH:-160}
NAME=ocr
. scripts/steps.sh

exported test/test_data_set_3 --width "$WIDTH"

# A probability may differ by an eighth: what is proved is which class is the greatest. Their comparison comes last.
say "compile for pictures of 48 x $WIDTH"
ABOUT="--dim p2o.DynamicDimension.0=1 --dim ?=48 --dim p2o.DynamicDimension.1=$WIDTH --calibrate $MODEL/calibrate --tolerance 0.125"
compiled $ABOUT --reveal argmax

committed

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
refused "the key of another model" verify 0 --pin "$RUN/other.id"

say "compare with the float model, on other pictures"
step "check 4 pictures" "$OUT/bin/zkllmc" check "$MODEL/model.onnx" $ABOUT "$MODEL/test"

told "proof=$RUN/picture.proof"
