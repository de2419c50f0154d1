#!/bin/sh
# The whole way of one answer, in build/demo: compile the model, set up its keys, accept it, let it answer and prove the answer,
# verify the proof, and see a forged answer refused. Needs go only. PROMPT=… and FORGED=… choose the texts.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
MODEL=models/sums
PROMPT=${PROMPT:-327+458=}
FORGED=${FORGED:-786;}
OUT=build/demo
BIN=$OUT/bin
RUN=$OUT/run

say() { printf '\n== %s\n' "$*"; }
now() { date +%s; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
# number NAME FILE: the value of a numeric member of a JSON report.
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),*\$/\1/p" "$2" | head -n 1; }
mib() { awk -v n="$1" 'BEGIN { printf "%.1f MiB", n / 1048576 }'; }

rm -rf "$OUT"
mkdir -p "$BIN" "$RUN"

say "compile $MODEL/model.onnx"
began=$(now)
"$GO" build -o "$BIN/zkllmc" .
built=$(now)
"$BIN/zkllmc" compile "$MODEL/model.onnx" -o "$OUT/code" --reveal argmax --tokenizer "$MODEL/vocab.json"
compiled=$(now)
"$GO" build -o "$BIN/" "./$OUT/code/cmd/prover" "./$OUT/code/cmd/verifier"
linked=$(now)

say "setup: commit to the weights"
"$BIN/prover" setup --weights "$OUT/code/weights.zkw" -o "$RUN/keys" --json >"$RUN/setup.json" 2>"$RUN/setup.phases"
cat "$RUN/setup.phases"

say "accept: check the model once, keep its ID"
"$BIN/verifier" accept --save "$RUN/model.id" "$RUN/keys/model.vk"

say "prove: answer \"$PROMPT\""
"$BIN/prover" prove --key "$RUN/keys/prover.key" --prompt "$PROMPT" \
	-o "$RUN/proof.bin" --statement-out "$RUN/statement.bin" --json >"$RUN/prove.json" 2>"$RUN/prove.phases"
cat "$RUN/prove.phases"

# verify STATEMENT …: the verifier on one statement and the proof.
verify() {
	statement=$1
	shift
	"$BIN/verifier" verify --vk "$RUN/keys/model.vk" --pin "$RUN/model.id" --statement "$statement" --proof "$RUN/proof.bin" "$@"
}

say "verify that this is the answer to \"$PROMPT\""
verify "$RUN/statement.bin" --prompt "$PROMPT"
verify "$RUN/statement.bin" --json >"$RUN/verify.json"

say "forge: the same proof for the answer \"$FORGED\""
"$BIN/prover" statement --prompt "$PROMPT" --answer "$FORGED" -o "$RUN/forged.bin"
code=0
verify "$RUN/forged.bin" || code=$?
[ "$code" -eq 1 ] || fail "the forged answer ended with exit code $code, not with 1"
echo "refused with exit code 1, as it must be"

say "what it took"
{
	printf '%s\t%s s\n' "build the compiler" $((built - began)) "compile the model" $((compiled - built)) "build both programs" $((linked - compiled))
	awk 'match($0, / +[0-9.]+ s/) { printf "setup: %s\t%.2f s\n", substr($0, 1, RSTART - 1), substr($0, RSTART, RLENGTH - 2) }' "$RUN/setup.phases"
	printf 'setup\t%.2f s\n' "$(number total "$RUN/setup.json")"
	awk 'match($0, / +[0-9.]+ s/) { printf "prove: %s\t%.2f s\n", substr($0, 1, RSTART - 1), substr($0, RSTART, RLENGTH - 2) }' "$RUN/prove.phases"
	printf 'prove\t%.2f s\n' "$(number total "$RUN/prove.json")"
	for phase in read_key generators verify; do
		printf 'verify: %s\t%.2f s\n' "$(echo $phase | tr _ ' ')" "$(number $phase "$RUN/verify.json")"
	done
	printf 'verify\t%.2f s\n' "$(number total "$RUN/verify.json")"
	printf 'proof\t%s bytes\n' "$(number proof_bytes "$RUN/verify.json")"
	printf 'verifying key\t%s bytes\n' "$(number vk_bytes "$RUN/verify.json")"
	printf 'peak memory, prove\t%s\n' "$(mib "$(number peak_rss "$RUN/prove.json")")"
	printf 'peak memory, verify\t%s\n' "$(mib "$(number peak_rss "$RUN/verify.json")")"
	printf 'threads\t%s\n' "$(number threads "$RUN/prove.json")"
} | awk -F '\t' '{ printf "%-26s %16s\n", $1, $2 }'
sed -n 's/^ *"cpu": "\(.*\)"$/processor                  \1/p' "$RUN/prove.json"

say "the same in a browser"
"$BIN/zkllmc" bundle "$OUT/code" --vk "$RUN/keys/model.vk" -o "$RUN/sums.bundle" >/dev/null
cat <<END
make page builds the page on which customers check proofs, into build/page, for any web server. Drop there
  $RUN/sums.bundle $RUN/statement.bin $RUN/proof.bin
make serve-demo serves it beside a server that answers and proves.
END
