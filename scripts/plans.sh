#!/bin/sh
# PLANS.md: what proofs about GPT-2 small, SmolLM2-135M and LLaMA-2 of 7 and 13 billion weights would take of a GPU, as inspect --device says. Plans stand in
# build/plans, where those of other ROWS stay as they are. A LLaMA is planned with all layers and 2048 positions from three layers at 16, of
# which its scales are chosen; MODEL=DIR has SmolLM2 with a symbolic length.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
ROWS=${ROWS:-gpt2 smollm2 7b 13b}
OUT=build/plans
mkdir -p $OUT
echo '[[1, 17, 5, 200, 31, 11, 90, 4]]' >$OUT/tokens.json

# row NAME WHAT MEMORY… -- MODEL FLAGS…: the plans of a row, one for each amount of memory.
row() {
	name=$1 title=$2
	shift 2
	memories=
	while [ "$1" != -- ]; do
		memories="$memories $1"
		shift
	done
	shift
	printf '## %s\n' "$title" >$OUT/$name.md
	for memory in $memories; do
		"$GO" run . inspect "$@" --reveal argmax --calibrate $OUT/tokens.json --device h100 --memory "$memory" >$OUT/$name.txt
		printf '\n```\n' >>$OUT/$name.md
		sed -n '/^plan for/,/^ *all /p' $OUT/$name.txt >>$OUT/$name.md
		printf '```\n' >>$OUT/$name.md
	done
}

# llama NAME TITLE LAYERS MEMORIES FLAGS…: a LLaMA with so many layers.
llama() {
	name=$1 title=$2 layers=$3 memories=$4
	shift 4
	for length in 16 2048; do
		"$GO" run ./scripts/model llama --layers 3 --length $length --half --shared --force "$@" -o $OUT/$name-$length
	done
	row "$name" "$title" $memories -- $OUT/$name-16/model.onnx --enlarged $OUT/$name-2048/model.onnx --layers "$layers"
	rm -r $OUT/$name-16 $OUT/$name-2048
}

for chosen in $ROWS; do
	case $chosen in
	gpt2)
		"$GO" run ./scripts/model gpt2 --force -o $OUT/gpt2
		row 1-gpt2 'GPT-2 small, 64 positions' 80GB 4GB -- $OUT/gpt2/model.onnx
		;;
	smollm2) row 2-smollm2 'SmolLM2-135M, 64 positions' 80GB -- "${MODEL:?a folder with SmolLM2}/model.onnx" --length 64 --logits logits ;;
	7b) llama 3-7b 'LLaMA-2-7B, 2048 positions' 32 "80GB 20TB" ;;
	13b) llama 4-13b 'LLaMA-2-13B, 2048 positions' 40 "80GB 20TB" --width 5120 --heads 40 --mlp 13824 ;;
	*) echo "plans: no row $chosen" >&2 && exit 2 ;;
	esac
done

{
	cat <<'TEXT'
# Plans for GPUs

Written by `make plans`. **Nothing has run on a GPU.** What stands here is counted by the code that proves, on a device that computes nothing
(`zkllmc inspect --device`, README, State of CUDA); tests compare such plans with an emulated device, of which the launches and
synchronisations are the same and the peak of memory is at most a few per cent less. Counted: memory, bytes to and from the device, launches,
synchronisations, products of field elements and of integers. Extrapolated: all times. Seconds at ceilings are those of an H100's arithmetic and
bandwidth at 100 %; likely are those at what zkLLM's kernel reaches of the same ceiling (5.6 of 48 G products per second), and 60 % of the bandwidth. Neither
counts what the processor does besides.

Cells are taken to have the bytes that their declared ranges ask for; a true proof keeps those that happen to be smaller in fewer. The LLaMAs'
layers are three, drawn, at 16 positions: more layers are taken to be as the third, and more positions to have the scales of few. Plans for 20 TB
say what a proof would take if memory were no limit, which no GPU has. What is kept on the host is tensors of the witness that made room on the
device, in memory of the process, besides the weights.
TEXT
	for plan in $OUT/*.md; do
		echo
		cat "$plan"
	done
} >PLANS.md
