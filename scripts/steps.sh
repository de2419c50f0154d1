# What the scripts of trained models share. They source this with NAME, which models/NAME makes and build/NAME gets.

GO=${GO:-go}
PYTHON=${PYTHON:-python3}
OUT=build/$NAME
MODEL=${MODEL:-$OUT/model}
CODE=$OUT/code
RUN=$OUT/run
mkdir -p "$RUN"
rm -f "$RUN"/*.statement "$RUN"/*.proof "$RUN/took"

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
# step NAME COMMAND…: the command, and what it took; returns its exit code.
step() {
	label=$1
	shift
	if [ -x /usr/bin/time ]; then
		/usr/bin/time -q -o "$RUN/time" -f '%U %S %e %M' "$@" || return $?
		awk -v name="$label" '{ printf "%-24s %8.1f CPU-s %8.1f s %9.0f MB\n", name, $1 + $2, $3, $4 * 1.024e-3 }' "$RUN/time" >>"$RUN/took"
	else
		"$@"
	fi
}
# refused WHAT COMMAND…: the command must end with exit code 1.
refused() {
	what=$1
	shift
	code=0
	"$@" || code=$?
	[ "$code" -eq 1 ] || fail "$what ended with exit code $code, not with 1"
	echo "refused: $what"
}
# exported FILE …: the model and FILE are in MODEL, made by models/NAME/export.py, with what follows, where they are not there.
exported() {
	file=$1
	shift
	if [ ! -e "$MODEL/model.onnx" ] || [ ! -e "$MODEL/$file" ]; then
		say "export the model (some minutes, once)"
		[ -x "$OUT/venv/bin/python" ] || "$PYTHON" -m venv "$OUT/venv"
		"$OUT/venv/bin/pip" install --quiet -r "models/$NAME/requirements.txt"
		"$OUT/venv/bin/python" "models/$NAME/export.py" "$MODEL" "$@"
	fi
	"$GO" build -o "$OUT/bin/zkllmc" .
}
# compiled FLAG …: the code of the model, with these flags, and its programs.
compiled() {
	step compile "$OUT/bin/zkllmc" compile "$MODEL/model.onnx" -o "$CODE" --name "$NAME" --force "$@" >"$RUN/compiled"
	cat "$RUN/compiled"
	"$GO" build -o "$OUT/bin/" "./$CODE/cmd/prover" "./$CODE/cmd/verifier"
}
# committed: keys of the weights, checked.
committed() {
	say "setup: commit to the weights"
	step setup "$OUT/bin/prover" setup --weights "$CODE/weights.zkw" -o "$RUN/keys" --force
	say "accept: check the model once, keep its ID"
	step accept "$OUT/bin/verifier" accept --save "$RUN/model.id" --force "$RUN/keys/model.vk"
	tr 0-9a-f 1-9a-f0 <"$RUN/model.id" >"$RUN/other.id"
}
# told: what it took. Further files are listed with their sizes.
told() {
	say "what it took"
	cat "$RUN/took"
	for file in "$@" "verifying key=$RUN/keys/model.vk"; do
		printf '%-24s %30d bytes\n' "${file%%=*}" "$(wc -c <"${file#*=}")"
	done
}
