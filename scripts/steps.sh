# What the scripts of trained models share: they source this with RUN, the folder of a run's files.

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
