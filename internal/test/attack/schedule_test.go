package attack

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

var update = flag.Bool("update", false, "write the schedules in testdata anew, and with ZKLLMC_ATTACKS=all the tables of SECURITY.md")

// journal writes down what a transcript absorbs and squeezes.
type journal struct{ lines []event }

// event is one operation of a transcript: "absorb", or a kind of challenge, with a label and a number of bytes.
type event struct {
	kind, label string
	n           int
}

func (l *journal) record(kind, label string, n int) { l.lines = append(l.lines, event{kind, label, n}) }

// on is the transcript with the journal.
func (l *journal) on(tr *transcript.Transcript) transcript.Source { tr.Record(l.record); return tr }

// challenges lists the labels of challenges in the order in which they are first drawn.
func (l *journal) challenges() (out []string) {
	for _, e := range l.lines {
		if e.kind != "absorb" && !slices.Contains(out, e.label) {
			out = append(out, e.label)
		}
	}
	return out
}

// text is one line per operation; what repeats itself at once, as rounds do, is written once with a count.
func (l *journal) text() string {
	var b strings.Builder
	for i := 0; i < len(l.lines); {
		period, times := 1, 1
		for p := 1; p <= 3 && l.lines[i].kind == "absorb"; p++ { // a round is one or two absorbs and a challenge
			n := 1
			for i+(n+1)*p <= len(l.lines) && slices.Equal(l.lines[i:i+p], l.lines[i+n*p:i+(n+1)*p]) {
				n++
			}
			if n > 1 && n*p > period*times {
				period, times = p, n
			}
		}
		count := ""
		if times > 1 {
			count = fmt.Sprintf("%d × ", times)
		}
		for k, e := range l.lines[i : i+period] {
			if k > 0 && count != "" {
				count = "    & "
			}
			fmt.Fprintf(&b, "%s%-9s %5d  %s\n", count, e.kind, e.n, e.label)
		}
		i += period * times
	}
	return b.String()
}

// opening repeats step 1 of a proof, what is public, on a recorded transcript.
func opening(p *protocol.Proof, l *journal) *transcript.Transcript {
	tr := transcript.New("zkllmc/v1")
	tr.Record(l.record)
	digest := p.Circuit.Digest()
	tr.Absorb("curve", []byte("grumpkin"))
	tr.Absorb("kind", []byte("inference"))
	tr.Absorb("family", p.Family[:])
	tr.Absorb("circuit", digest[:])
	tr.Absorb("model rows", binary.BigEndian.AppendUint64(nil, uint64(len(p.Weights.Points))))
	tr.AbsorbPoints("model", p.Weights.Points)
	for i := range p.Circuit.Ports {
		tr.Absorb("port", p.Circuit.Ports[i].Bytes())
	}
	tr.Absorb("statement", p.Statement.Bytes())
	return tr
}

// schedule returns all that a proof of the subject absorbs and squeezes, which both sides walk alike.
func (u *subject) schedule(t *testing.T) *journal {
	t.Helper()
	p := u.proof(t, u.st)
	whole := &journal{}
	same, real := opening(p, whole).Challenge("probe"), p.Transcript().Challenge("probe")
	require.Equal(t, same, real, "step 1 is not what the schedule says it is")
	whole.lines = whole.lines[:len(whole.lines)-1]

	verifier := &journal{}
	require.NoError(t, u.verifyWith(t, u.st, u.proved(t), verifier.on))
	require.Equal(t, u.honest.walked.lines, verifier.lines, "prover and verifier do not walk alike")
	whole.lines = append(whole.lines, verifier.lines...)
	return whole
}

// rules are what must be bound before what: the last absorb of the first label stands before the first challenge of the second. What a
// circuit does not have is not asked for; each pair occurs in some circuit.
var rules = [][2]string{
	{"family", "lookup beta"}, {"port", "lookup beta"}, {"statement", "lookup beta"}, {"pads", "lookup beta"}, {"witness rows", "lookup beta"},
	{"lookup root", "lookup lambda"}, {"lookup layer claims", "lookup mu"}, {"witness rows", "zero-check tau"},
	{"leaf evaluations", "wave 1 alpha"}, {"wave 1 evaluations", "wave 2 alpha"}, {"wave 2 evaluations", "wave 3 alpha"},
	{"leaf evaluations", "alpha"}, {"wave 1 evaluations", "alpha"}, {"wave 2 evaluations", "alpha"}, {"wave 3 evaluations", "alpha"},
	{"columns", "c"}, {"product block", "c"}, {"f(c), g(c)", "nu"}, {"f(c), g(c)", "theta"}, {"D", "e"}, {"t_D", "e"}, {"phi", "x"},
}

// The order, labels and lengths of all that the proofs of every circuit absorb and squeeze are the blessed ones. A challenge that is
// drawn before something it must bind, f(c), g(c) after ν say, or an item that is not absorbed, shows here as a changed line.
func TestSchedule(t *testing.T) {
	applied := map[[2]string]bool{}
	for _, c := range columns(t) {
		t.Run(c.name, func(t *testing.T) {
			if c.u == nil {
				t.Skip("the model is not at hand, or too slow for -short")
			}
			_, err := protocol.CheckedSchedule(c.u.c) // which says whether the evaluations are those that the circuit has counted
			require.NoError(t, err)
			l := c.u.schedule(t)
			ordered(t, l.lines, applied)
			path := filepath.Join("testdata", "schedule", strings.ReplaceAll(c.name, " ", "-")+".txt")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(l.text()), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), l.text(), "if this change is meant, run make golden and review the difference")
		})
	}
	if slices.ContainsFunc(columns(t), func(c column) bool { return c.u == nil }) {
		return // small circuits have two waves
	}
	for _, o := range rules {
		require.True(t, applied[o], "in no circuit %s precedes %s", o[0], o[1])
	}
}

// ordered demands that the rules hold and notes which of them applied.
func ordered(t *testing.T, lines []event, applied map[[2]string]bool) {
	t.Helper()
	first := func(absorb bool, label string) int {
		return slices.IndexFunc(lines, func(e event) bool { return e.label == label && (e.kind == "absorb") == absorb })
	}
	last := func(label string) (at int) {
		at = -1
		for i, e := range lines {
			if e.kind == "absorb" && e.label == label {
				at = i
			}
		}
		return at
	}
	for _, o := range rules {
		if before, after := last(o[0]), first(false, o[1]); after >= 0 {
			require.Less(t, before, after, "%s must be absorbed before %s is drawn", o[0], o[1])
			applied[o] = applied[o] || before >= 0
		}
	}
	for _, label := range []string{"curve", "kind", "family", "circuit", "model rows", "model", "port", "statement", "pads", "witness rows", "lookup root", "leaf evaluations", "product block", "f(c), g(c)", "D", "t_D", "phi", "rest"} {
		require.GreaterOrEqual(t, first(true, label), 0, "%s is not absorbed", label)
	}
	require.Less(t, first(false, "nu"), first(false, "theta"))
	require.Less(t, first(false, "theta"), first(true, "D"))
	require.Less(t, first(false, "e"), first(true, "phi"))
	if lr := first(true, "L, R"); lr >= 0 {
		require.Less(t, first(false, "x"), lr)
	}
	paired(t, lines, "lookup layer first", "lookup rho")
	paired(t, lines, "lookup layer round", "lookup rho")
	for wave := 1; first(false, fmt.Sprintf("wave %d", wave)) >= 0; wave++ {
		paired(t, lines, fmt.Sprintf("wave %d", wave), fmt.Sprintf("wave %d", wave))
	}
	paired(t, lines, "columns", "columns")
	paired(t, lines, "L, R", "fold")
}

// paired demands that every absorbed item of a label is directly followed by its challenge.
func paired(t *testing.T, lines []event, label, challenge string) {
	t.Helper()
	for i, e := range lines {
		if e.kind == "absorb" && e.label == label {
			require.NotEqual(t, "absorb", lines[i+1].kind, "%s is not followed by a challenge", label)
			require.Equal(t, challenge, lines[i+1].label)
		}
	}
}
