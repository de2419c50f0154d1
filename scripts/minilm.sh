#!/bin/sh
# The embedding of a sentence by all-MiniLM-L6-v2, from the package registry to a verified proof, in build/minilm: export, compile, set up,
# accept, embed and prove, verify; what must be refused; how embeddings of the integer program compare with those of the float model; and
# what it took (with GNU time). Python serves the export alone: a folder MODEL=… with model.onnx, tokenizer.json and calibrate.jsonl skips it.
# TEXT=… chooses the sentence, LENGTH=64 the circuit's tokens.
set -eu
cd "$(dirname "$0")/.."

LENGTH=${LENGTH:-64}
TEXT=${TEXT:-A man is playing a guitar.}
OTHER=${OTHER:-A man is playing a violin.}
NAME=minilm
. scripts/steps.sh

exported calibrate.jsonl

say "compile for texts of up to $LENGTH tokens"
# The model's own sentences, and passages that are not among those that it is compared on below.
"$GO" run ./scripts/texts -n 16 -skip 1 | cat - "$MODEL/calibrate.jsonl" >"$RUN/calibrate.jsonl"
ABOUT="--length $LENGTH --tokenizer $MODEL/tokenizer.json --calibrate $RUN/calibrate.jsonl"
compiled $ABOUT

committed

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
refused "the key of another model" verify "$TEXT" --pin "$RUN/other.id"
refused "a proof that does not say that nothing was clamped" verify "$TEXT" --no-saturation

say "compare with the float model, on passages of English and code"
"$GO" run ./scripts/texts -n 32 >"$RUN/texts.jsonl"
step "check 64 passages" "$OUT/bin/zkllmc" check "$MODEL/model.onnx" $ABOUT "$RUN/texts.jsonl"

told "proof=$RUN/text.proof"
