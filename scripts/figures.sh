#!/bin/sh
# The figures of README.md: proof and key sizes, times and memory for every model at hand, in build/figures. Needs go only.
# STORIES=FOLDER names the folder of stories260K-dynamo18, which is not part of the repository; RUNS=N repeats (median is printed).
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
RUNS=${RUNS:-5}
STORIES=${STORIES:-../shared/onnx/models/stories260K-dynamo18}
OUT=build/figures

# number NAME FILE: the value of a numeric member of a JSON report.
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),*\$/\1/p" "$2" | head -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# measure NAME MODEL TOKENIZER REVEAL PROMPT: one row.
measure() {
	dir=$OUT/$1-$4
	mkdir -p "$dir"
	"$OUT/zkllmc" compile "$2" -o "$dir/code" --reveal "$4" --tokenizer "$3" >/dev/null 2>&1
	"$GO" build -o "$dir/" "./$dir/code/cmd/prover" "./$dir/code/cmd/verifier"
	"$dir/prover" setup --weights "$dir/code/weights.zkw" -o "$dir/keys" >/dev/null 2>&1
	"$dir/verifier" accept --save "$dir/id" "$dir/keys/model.vk" >/dev/null
	: >"$dir/prove.times"
	: >"$dir/verify.times"
	for _ in $(seq "$RUNS"); do
		"$dir/prover" prove --key "$dir/keys/prover.key" --prompt "$5" --force -o "$dir/proof" --statement-out "$dir/statement" --json >"$dir/prove.json" 2>"$dir/phases"
		awk '!/^(read key|decoding|self-check|write) / && match($0, /[0-9.]+ s/) { s += substr($0, RSTART, RLENGTH - 2) } END { print s }' "$dir/phases" >>"$dir/prove.times"
		GOMAXPROCS=1 "$dir/verifier" verify --vk "$dir/keys/model.vk" --pin "$dir/id" --statement "$dir/statement" --proof "$dir/proof" --json >"$dir/verify.json"
		number verify "$dir/verify.json" >>"$dir/verify.times"
	done
	printf '%-28s %9s B %9s B %7.2f s %6.0f ms %6.0f MiB\n' "$1, $4" "$(number proof_bytes "$dir/verify.json")" "$(number vk_bytes "$dir/verify.json")" \
		"$(median <"$dir/prove.times")" "$(median <"$dir/verify.times" | awk '{ print 1000 * $1 }')" "$(number peak_rss "$dir/prove.json" | awk '{ print $1 / 1048576 }')"
}

rm -rf "$OUT"
mkdir -p "$OUT"
"$GO" build -o "$OUT/zkllmc" .
printf '%-28s %11s %11s %9s %9s %10s\n' model proof "verif. key" prove "verify, 1" "peak prove"
for reveal in logits argmax; do
	measure sums models/sums/model.onnx models/sums/vocab.json "$reveal" '327+458='
	if [ -f "$STORIES/model.onnx" ]; then
		measure stories260K "$STORIES/model.onnx" "$STORIES/tok512.bin" "$reveal" 'Once upon a time'
	fi
done
[ -f "$STORIES/model.onnx" ] || echo "stories260K: $STORIES is not here, set STORIES"
echo "prove: witness to final argument; verify, 1: strict decoding and verification on one thread, key and generators loaded; medians of $RUNS runs"
echo "threads of the prover: $(number threads "$OUT/sums-argmax/prove.json"); $(sed -n 's/^ *"cpu": "\(.*\)"$/\1/p' "$OUT/sums-argmax/prove.json"); $("$GO" version)"
