#!/bin/sh
# How long commands about the chat model go on after a signal, at several moments, in seconds; each must be at most MOST=1. After make smollm2,
# whose programs and keys it takes (OUT=build/smollm2), with its MODEL. Needs GNU date.
set -eu
cd "$(dirname "$0")/.."

OUT=${OUT:-build/smollm2}
MODEL=${MODEL:-$OUT/model}
MOST=${MOST:-1}
AFTER=${AFTER:-0.3 1 3 7 15 30 60}
PROMPT=${PROMPT:-Write a Python function that returns the square of x.}
WORK=$OUT/interrupted
RUN=$OUT/run

now() { date +%s.%N; }
worst=0
# interrupt NAME COMMAND…: the command, once for every moment, with SIGINT and SIGTERM in turn. A command that ends before its signal is no
# measurement, and later moments are left out.
interrupt() {
	name=$1
	shift
	signal=INT
	for after in $AFTER; do
		rm -rf "$WORK"
		mkdir -p "$WORK"
		"$@" >"$WORK.out" 2>&1 &
		pid=$!
		sleep "$after"
		began=$(now)
		kill -"$signal" "$pid" 2>/dev/null || { wait "$pid" || true; break; }
		code=0
		wait "$pid" || code=$?
		took=$(echo "$began $(now)" | awk '{ printf "%.2f", $2 - $1 }')
		[ "$code" -ne 0 ] || break
		doing=$(tail -n 2 "$WORK.out" | head -n 1 | cut -c -50)
		printf '%-8s %5s s SIG%-5s exit code %3d after %5s s   %s\n' "$name" "$after" "$signal" "$code" "$took" "$doing"
		[ "$code" -eq 4 ] || { echo "interrupts: $name: exit code $code, not 4" >&2; exit 1; }
		worst=$(echo "$worst $took" | awk '{ print ($1 > $2 ? $1 : $2) }')
		[ "$signal" = INT ] && signal=TERM || signal=INT
	done
}

interrupt compile "$OUT/bin/zkllmc" compile "$MODEL/model.onnx" -o "$WORK/code" --name smollm2 --length 64 --reveal argmax --runtime-path . \
	--tokenizer "$MODEL/tokenizer.json" --chat smollm2 --calibrate "$MODEL/calibrate.jsonl"
interrupt setup "$OUT/bin/prover" setup --weights "$OUT/code/weights.zkw" -o "$WORK/keys"
interrupt accept "$OUT/bin/verifier" accept "$RUN/keys/model.vk"
interrupt run "$OUT/bin/prover" run --key "$RUN/keys/prover.key" --prompt "$PROMPT"
interrupt prove "$OUT/bin/prover" prove --key "$RUN/keys/prover.key" --prompt "$PROMPT" -o "$WORK/proof" --statement-out "$WORK/statement"
AFTER=${VERIFY:-0.2 0.6 1 1.5 2 3}
interrupt verify "$OUT/bin/verifier" verify --vk "$RUN/keys/model.vk" --pin "$RUN/model.id" --statement "$RUN/answer.statement" --proof "$RUN/answer.proof"
rm -rf "$WORK" "$WORK.out"
echo "the longest: $worst s"
echo "$worst $MOST" | awk '{ exit !($1 <= $2) }'
