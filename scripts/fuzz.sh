#!/bin/sh
# Runs every fuzzer of the module in turn: scripts/fuzz.sh TIME [PACKAGE …], TIME as in 30s or 10m, for each of them. Prints a table of
# what ran, and ends with 1 if one of them found something; the input is then in testdata/fuzz of its package, and go test repeats it.
# PARALLEL=… sets the number of workers, ONLY=… a regular expression that the fuzzers' names must match. Minimising is kept short: by
# default go test spends up to a minute on every input that is new to it, and shows no executions meanwhile.
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
ONLY=${ONLY:-.}
MINIMIZE=${MINIMIZE:-20x}
[ $# -ge 1 ] || { echo "usage: scripts/fuzz.sh TIME [PACKAGE ...]" >&2; exit 2; }
TIME=$1
shift
[ $# -ge 1 ] || set -- ./...

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

# go test prints the names of a package's fuzzers, then a line with the package; packages without one are left out.
"$GO" test -list '^Fuzz' "$@" >"$WORK/list"
awk '$1 ~ /^Fuzz/ { name[n++] = $1 } $1 == "ok" { for (i = 0; i < n; i++) print $2, name[i]; n = 0 }' "$WORK/list" |
	awk -v only="$ONLY" '$2 ~ only' >"$WORK/fuzzers"
[ -s "$WORK/fuzzers" ] || { echo "no fuzzer matches" >&2; exit 2; }

: >"$WORK/table"
failed=0
while read -r package name; do
	printf '%s %s\n' "$package" "$name" >&2
	result=passed
	"$GO" test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$TIME" -fuzzminimizetime "$MINIMIZE" ${PARALLEL:+-parallel "$PARALLEL"} >"$WORK/log" 2>&1 </dev/null || result=FOUND
	# Before 1.27 go test may fail when the time is up, with this line and no input (go.dev/issue/75804).
	if [ "$result" = FOUND ] && grep -q '^ *context deadline exceeded$' "$WORK/log" && ! grep -Eq 'Failing input|panic:|hung or terminated' "$WORK/log"; then
		result=passed
	fi
	if [ "$result" = FOUND ]; then
		failed=1
		cat "$WORK/log" >&2
	fi
	# The last line of progress: fuzz: elapsed: 1m0s, execs: 12345 (67/sec), new interesting: 8 (total: 90)
	sed -n 's/^fuzz: elapsed: \([^,]*\), execs: \([0-9]*\) .*new interesting: \([0-9]*\).*/\1 \2 \3/p' "$WORK/log" | tail -n 1 >"$WORK/last"
	read -r elapsed execs interesting <"$WORK/last" || { elapsed=- execs=0 interesting=0; }
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "${package#*/*/*/}" "$name" "$elapsed" "$execs" "$interesting" "$result" >>"$WORK/table"
done <"$WORK/fuzzers"

awk -F '\t' 'BEGIN { f = "%-28s %-20s %8s %12s %8s  %s\n"; printf f, "package", "fuzzer", "time", "executions", "new", "" }
	{ printf f, $1, $2, $3, $4, $5, $6; total += $4 } END { printf f, "all", "", "", total, "", "" }' "$WORK/table"
exit "$failed"
