package attack

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/transcript"
)

var bless = flag.Bool("bless", false, "write testdata/schedule.txt anew")

const schedule = "testdata/schedule.txt"

// journal writes down what a transcript absorbs and squeezes.
type journal struct{ strings.Builder }

func (l *journal) record(kind, label string, n int) { fmt.Fprintf(l, "%-9s %5d  %s\n", kind, n, label) }

// opening repeats step 1 of a proof, what is public, on a recorded transcript.
func opening(p *protocol.Proof, l *journal) *transcript.Transcript {
	tr := transcript.New("zkllmc/v1")
	tr.Record(l.record)
	digest := p.Circuit.Digest()
	tr.Absorb("curve", []byte("grumpkin"))
	tr.Absorb("kind", []byte("inference"))
	tr.Absorb("circuit", digest[:])
	tr.Absorb("model rows", binary.BigEndian.AppendUint64(nil, uint64(len(p.Weights.Points))))
	tr.AbsorbPoints("model", p.Weights.Points)
	tr.Absorb("statement", p.Statement.Bytes())
	return tr
}

// The order, labels and lengths of all that one small proof absorbs and squeezes are the blessed ones. A challenge that is drawn
// before something it must bind, f(c), g(c) after ν say, or an item that is not absorbed, shows here as a changed line.
func TestSchedule(t *testing.T) {
	u := stage(t, "reveal logits")
	p := u.proof(t, u.st)
	l := &journal{}
	same, real := opening(p, l).Challenge("probe"), p.Transcript().Challenge("probe")
	require.Equal(t, same, real, "step 1 is not what the schedule says it is")
	text := l.String()[:strings.Index(l.String(), "challenge")]

	verifier, prover := &journal{}, &journal{}
	hook := func(l *journal) func(*transcript.Transcript) transcript.Source {
		return func(tr *transcript.Transcript) transcript.Source { tr.Record(l.record); return tr }
	}
	proof, err := u.prove(lie{source: hook(prover)})
	require.NoError(t, err)
	require.NoError(t, u.verifyWith(t, u.st, proof, hook(verifier)))
	require.Equal(t, prover.String(), verifier.String(), "prover and verifier do not walk alike")
	text += verifier.String()

	if *bless {
		require.NoError(t, os.WriteFile(schedule, []byte(text), 0o644))
	}
	want, err := os.ReadFile(schedule)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "if this change is meant, run the test with -bless and review the difference")
}

// What must be bound before what, in words: the last absorb of the first label stands before the first line of the second.
func TestScheduleOrder(t *testing.T) {
	data, err := os.ReadFile(schedule)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	first := func(kind, label string) int {
		for i, l := range lines {
			if strings.HasPrefix(l, kind) && strings.HasSuffix(l, "  "+label) {
				return i
			}
		}
		require.Fail(t, "no "+kind+" "+label)
		return -1
	}
	last := func(kind, label string) int {
		at := first(kind, label)
		for i, l := range lines {
			if strings.HasPrefix(l, kind) && strings.HasSuffix(l, "  "+label) {
				at = i
			}
		}
		return at
	}
	for _, o := range [][2]string{
		{"statement", "lookup beta"}, {"pads", "lookup beta"}, {"witness rows", "lookup beta"},
		{"lookup root", "lookup lambda"}, {"lookup layer claims", "lookup mu"}, {"witness rows", "zero-check tau"},
		{"leaf evaluations", "wave 1 alpha"}, {"wave 1 evaluations", "wave 2 alpha"}, {"wave 2 evaluations", "alpha"},
		{"columns", "c"}, {"product block", "c"}, {"f(c), g(c)", "nu"}, {"f(c), g(c)", "theta"}, {"D", "e"}, {"t_D", "e"}, {"phi", "x"},
	} {
		require.Less(t, last("absorb", o[0]), first("challenge", o[1]), "%s must be absorbed before %s is drawn", o[0], o[1])
	}
	require.Less(t, first("challenge", "nu"), first("challenge", "theta"))
	require.Less(t, first("challenge", "theta"), first("absorb", "D"))
	require.Less(t, first("challenge", "e"), first("absorb", "phi"))
	require.Less(t, first("challenge", "x"), first("absorb", "L, R"))
	paired(t, lines, "lookup layer first", "lookup rho")
	paired(t, lines, "lookup layer round", "lookup rho")
	paired(t, lines, "wave 1", "wave 1")
	paired(t, lines, "columns", "columns")
	paired(t, lines, "L, R", "fold")
}

// paired demands that every absorbed item of a label is directly followed by its challenge.
func paired(t *testing.T, lines []string, label, challenge string) {
	t.Helper()
	n := 0
	for i, l := range lines {
		if strings.HasPrefix(l, "absorb") && strings.HasSuffix(l, "  "+label) {
			n++
			require.False(t, strings.HasPrefix(lines[i+1], "absorb"), "%s is not followed by a challenge", label)
			require.True(t, strings.HasSuffix(lines[i+1], "  "+challenge), "%s is followed by %q", label, lines[i+1])
		}
	}
	require.Positive(t, n, label)
}
