#!/bin/sh
# The figures of README.md: sizes of proof and key, times and memory for every model at hand, in build/figures. Needs go, and GNU time for
# CPU-seconds. STORIES=FOLDER names the folder of stories260K-dynamo18, which is not part of the repository; RUNS=N repeats (median is
# printed); BEFORE=COMMIT measures the program of that commit, too, run by run in turn, and prints how much more everything is now.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
RUNS=${RUNS:-5}
STORIES=${STORIES:-../shared/onnx/models/stories260K-dynamo18}
STORIES=$(cd "$STORIES" 2>/dev/null && pwd || echo "$STORIES")
SUMS=$PWD/models/sums
OUT=build/figures
TREES=.
WORK=build/figures/work # in each of the trees

# number NAME FILE: the value of a numeric member of a JSON report; NAME is a pattern, as older commits have other names.
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),*\$/\1/p" "$2" | head -n 1; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# seconds FILE COMMAND…: the command, whose CPU-seconds become a line of the file.
if [ -x /usr/bin/time ]; then
	seconds() {
		file=$1
		shift
		/usr/bin/time -o "$OUT/time" -f '%U %S' "$@"
		awk '{ print $1 + $2 }' "$OUT/time" >>"$file"
	}
else
	seconds() {
		echo 0 >>"$1"
		shift
		"$@"
	}
fi

# prepare DIR TREE MODEL TOKENIZER REVEAL: programs and keys.
prepare() {
	mkdir -p "$1"
	(
		cd "$2"
		"$GO" build -o "$WORK/zkllmc" .
		"$WORK/zkllmc" compile "$3" -o "$WORK/${1##*/}/code" --reveal "$5" --tokenizer "$4" >/dev/null 2>&1
		"$GO" build -o "$WORK/${1##*/}/" "./$WORK/${1##*/}/code/cmd/prover" "./$WORK/${1##*/}/code/cmd/verifier"
	)
	"$1/prover" setup --weights "$1/code/weights.zkw" -o "$1/keys" >/dev/null 2>&1
	"$1/verifier" accept --save "$1/id" "$1/keys/model.vk" >/dev/null
}

# once DIR PROMPT: one proof, and its verification on one thread.
once() {
	seconds "$1/prove.cpu" "$1/prover" prove --key "$1/keys/prover.key" --prompt "$2" --force -o "$1/proof" --statement-out "$1/statement" --json >"$1/prove.json" 2>"$1/phases"
	awk '!/^(read key|decoding|self-check|write) / && match($0, /[0-9.]+ s/) { s += substr($0, RSTART, RLENGTH - 2) } END { print s }' "$1/phases" >>"$1/prove.times"
	number peak_rss "$1/prove.json" | awk '{ print $1 / 1048576 }' >>"$1/peaks"
	seconds "$1/verify.cpu" env GOMAXPROCS=1 "$1/verifier" verify --vk "$1/keys/model.vk" --pin "$1/id" --statement "$1/statement" --proof "$1/proof" --json >"$1/verify.json"
	number '[a-z_]*verify' "$1/verify.json" | awk '{ print 1000 * $1 }' >>"$1/verify.times"
}

# figures DIR: sizes of proof and key; of prove seconds, CPU-seconds and peak memory; of verify milliseconds and CPU-seconds.
figures() {
	echo "$(number proof_bytes "$1/verify.json") $(number vk_bytes "$1/verify.json") $(median "$1/prove.times") $(median "$1/prove.cpu") $(median "$1/peaks")" \
		"$(median "$1/verify.times") $(median "$1/verify.cpu")"
}

# measure NAME MODEL TOKENIZER REVEAL PROMPT: one row, or three.
measure() {
	for tree in $TREES; do
		prepare "$tree/$WORK/$1-$4" "$tree" "$2" "$3" "$4"
	done
	for _ in $(seq "$RUNS"); do
		for tree in $TREES; do
			once "$tree/$WORK/$1-$4" "$5"
		done
	done
	for tree in $TREES; do
		figures "$tree/$WORK/$1-$4"
	done | awk -v name="$1, $4" '
		{ for (i = 1; i <= NF; i++) v[NR, i] = $i }
		{ printf "%-28s %9d B %9d B %7.2f s %7.2f CPU-s %6.0f MiB %7.0f ms %7.2f CPU-s\n", NR == 1 ? name : "  before", $1, $2, $3, $4, $5, $6, $7 }
		END { if (NR == 2) {
			for (i = 1; i <= NF; i++) more[i] = v[2, i] > 0 ? 100 * (v[1, i] / v[2, i] - 1) : 0
			printf "%-28s %9.1f %% %9.1f %% %7.1f %% %7.1f %%     %6.1f %%   %7.1f %%  %7.1f %%\n", "  more now", more[1], more[2], more[3], more[4], more[5], more[6], more[7]
		} }'
}

rm -rf "$OUT"
mkdir -p "$OUT"
if [ -n "${BEFORE:-}" ]; then
	before=$(mktemp -d) # not in this tree, whose tests would find its sources
	trap 'rm -rf "$before"' EXIT
	git archive "$BEFORE" | tar x -C "$before"
	TREES=". $before"
fi
printf '%-28s %11s %11s %9s %13s %10s %10s %13s\n' model proof "verif. key" prove "all of it" peak verify "all of it"
for reveal in logits argmax; do
	measure sums "$SUMS/model.onnx" "$SUMS/vocab.json" "$reveal" '327+458='
	if [ -f "$STORIES/model.onnx" ]; then
		measure stories260K "$STORIES/model.onnx" "$STORIES/tok512.bin" "$reveal" 'Once upon a time'
	fi
done
[ -f "$STORIES/model.onnx" ] || echo "stories260K: $STORIES is not here, set STORIES"
echo "prove: witness to final argument, and processors' time and peak memory of the whole command; verify: strict decoding and verification on"
echo "one thread, key and generators loaded, and processors' time of the whole command, which derives generators; medians of $RUNS runs"
echo "threads of the prover: $(number threads "$WORK/sums-argmax/prove.json"); $(sed -n 's/^ *"cpu": "\(.*\)"$/\1/p' "$WORK/sums-argmax/prove.json"); $("$GO" version)"
