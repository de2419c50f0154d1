package attack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/lookup"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/veil"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// message is one message as a Tamper sees it. A committed vector is seen twice: its values, then its commitment.
type message struct {
	label   string
	points  bool
	n       int
	scalars []field.Element // as the prover has them
}

// recorder writes down all messages of a proof.
type recorder struct{ messages []message }

func (r *recorder) Scalars(label string, v []field.Element) {
	r.messages = append(r.messages, message{label: label, n: len(v), scalars: append([]field.Element(nil), v...)})
}

func (r *recorder) Points(label string, p []group.Affine) {
	r.messages = append(r.messages, message{label: label, points: true, n: len(p)})
}

// liar adds one, or a generator, to element index of message number.
type liar struct {
	number, index int
	at            int
}

func (l *liar) here() bool {
	l.at++
	return l.at-1 == l.number
}

func (l *liar) Scalars(_ string, v []field.Element) {
	if l.here() {
		one := field.One()
		v[l.index].Add(&v[l.index], &one)
	}
}

func (l *liar) Points(_ string, p []group.Affine) {
	if l.here() {
		g := group.Row(1)[0]
		p[l.index].Add(&p[l.index], &g)
	}
}

// nature says how a message keeps its secret, or that it has none.
type nature uint8

const (
	commitment nature = iota + 1 // points that hide what they commit to
	padded                       // each scalar plus a pad that is used once
	vector                       // hidden behind the commitment of the same label
	masked                       // scalars sent as they are: blinded by the mask d, or uniform by construction
)

// sizes are what the lengths of messages follow from.
type sizes struct {
	rows, layers, columns int // rows of the witness, layers of the fraction tree, column variables over all classes
	counts                veil.Counts
}

// manifest lists every message of the protocol. A message that is not listed, or not as often or as long as its rule says, fails
// the tests below: whoever adds one must say here how it hides and how much of it there is. Rules give number and length; zero
// stands for what other rules and the totals determine.
var manifest = []struct {
	label   string
	natures []nature // of the message's parts, in order
	rule    func(s sizes) (messages, length int)
}{
	{`pads`, []nature{commitment}, func(sizes) (int, int) { return 1, 1 }},
	{`witness rows`, []nature{commitment}, func(s sizes) (int, int) { return 1, s.rows }},
	{`lookup root`, []nature{padded}, func(sizes) (int, int) { return 1, 7 }},
	{`lookup layer first`, []nature{padded}, func(s sizes) (int, int) { return s.layers, 1 }},
	{`lookup layer round`, []nature{padded}, func(s sizes) (int, int) { return s.layers * (s.layers - 1) / 2, 2 }},
	{`lookup layer claims`, []nature{padded}, func(s sizes) (int, int) { return s.layers, 5 }},
	{`leaf evaluations`, []nature{vector, commitment}, func(s sizes) (int, int) { return 1, s.counts.Vectors[0] }},
	{`wave \d+`, []nature{padded}, nil},
	{`wave \d+ evaluations`, []nature{vector, commitment}, nil},
	{`columns`, []nature{padded}, func(s sizes) (int, int) { return s.columns, 2 }},
	{`product block`, []nature{vector, commitment}, func(s sizes) (int, int) { return 1, s.counts.Products + 3 }},
	{`f\(c\), g\(c\)`, []nature{masked}, func(sizes) (int, int) { return 1, 2 }},
	{`D`, []nature{commitment}, func(sizes) (int, int) { return 1, 1 }},
	{`t_D`, []nature{masked}, func(sizes) (int, int) { return 1, 1 }},
	{`phi`, []nature{masked}, func(sizes) (int, int) { return 1, 1 }},
	{`L, R`, []nature{commitment}, nil},
	{`rest`, []nature{masked}, nil},
}

// record returns the messages of an honest proof and their natures.
func (u *subject) record(t testing.TB) ([]message, []nature) {
	t.Helper()
	r := &recorder{}
	u.accept(t, lie{tamper: r})
	return r.messages, natures(t, r.messages)
}

// natures looks every message up in the manifest.
func natures(t testing.TB, messages []message) []nature {
	t.Helper()
	part := map[string]int{}
	out := make([]nature, len(messages))
	for i, m := range messages {
		e := entry(m.label)
		require.GreaterOrEqual(t, e, 0, "message %q is not in the manifest", m.label)
		ns := manifest[e].natures
		out[i] = ns[part[m.label]%len(ns)]
		part[m.label]++
		require.Equal(t, m.points, out[i] == commitment, "message %q is not of the manifest's nature", m.label)
	}
	return out
}

func entry(label string) int {
	for i := range manifest {
		if regexp.MustCompile(`^` + manifest[i].label + `$`).MatchString(label) {
			return i
		}
	}
	return -1
}

func (u *subject) sizes(t testing.TB) sizes {
	t.Helper()
	counts, err := u.proof(t, u.st).Count()
	require.NoError(t, err)
	columns := u.c.WitnessBits
	if u.c.WeightBits != u.c.WitnessBits {
		columns += u.c.WeightBits
	}
	return sizes{
		rows:   commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits).Rows,
		layers: lookup.NewPlan(u.c).N - 1, columns: columns, counts: counts,
	}
}

// Every message of every stage is listed, as often and as long as its rule says, and messages, proof items and the dry run's
// counts agree: each pad is used exactly once.
func TestManifest(t *testing.T) {
	seen := map[int]bool{}
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			messages, natures := u.record(t)
			s := u.sizes(t)
			total := map[nature]int{}
			number, length := map[int]int{}, map[int]int{}
			for i, m := range messages {
				e := entry(m.label)
				seen[e] = true
				total[natures[i]] += m.n
				if natures[i] == manifest[e].natures[0] {
					number[e]++
					length[e] = m.n
				}
			}
			for e := range manifest {
				if rule := manifest[e].rule; rule != nil {
					n, l := rule(s)
					assert.Equal(t, n, number[e], "number of messages %s", manifest[e].label)
					if n > 0 {
						assert.Equal(t, l, length[e], "length of %s", manifest[e].label)
					}
				}
			}
			assert.Equal(t, s.counts.Pads, total[padded], "pads")
			assert.Equal(t, s.counts.Scalars, total[padded]+total[masked], "scalars")
			assert.Equal(t, s.counts.Points, total[commitment], "points")
			vectors := 0
			for e, n := range number {
				if manifest[e].natures[0] == vector {
					vectors += n
				}
			}
			assert.Equal(t, len(s.counts.Vectors), vectors, "vectors")
			proof, err := u.prove(lie{})
			require.NoError(t, err)
			assert.Len(t, proof, header+32*(s.counts.Points+s.counts.Scalars))
		})
	}
	for e := range manifest {
		assert.True(t, seen[e], "no stage sends %s", manifest[e].label)
	}
}

// header is the length of what precedes the elements of a proof: magic, version, circuit digest, model ID.
const header = 8 + 4 + 32 + 32

// ends returns the first element of the first message with a label and the last element of the last one.
func ends(messages []message, i int) (elements []int) {
	same := func(m message) bool { return m.label == messages[i].label && m.points == messages[i].points }
	if !slices.ContainsFunc(messages[:i], same) {
		elements = append(elements, 0)
	}
	if !slices.ContainsFunc(messages[i+1:], same) && (len(elements) == 0 || messages[i].n > 1) {
		elements = append(elements, messages[i].n-1)
	}
	return elements
}

// A lie in every message of the proof that belongs to a verifying key.
func rejectChangedSetupMessage(t *testing.T) {
	u := stage(t, "copy")
	r := &recorder{}
	_, err := u.setup(r)
	require.NoError(t, err)
	natures(t, r.messages)
	var lies []named
	for i, m := range r.messages {
		for _, index := range spread(m.n, 2) {
			lies = append(lies, named{what: fmt.Sprintf("message %d, %s, element %d", i, m.label, index), lie: lie{tamper: &liar{number: i, index: index}}})
		}
	}
	for i, err := range parallel(len(lies), func(i int) error {
		accepted, err := u.setup(lies[i].tamper)
		if accepted {
			return errAccepted
		}
		return err
	}) {
		assert.ErrorIs(t, err, veil.ErrRejected, lies[i].what)
	}
	t.Logf("%d lies", len(lies))
}

// setup commits to the model anew with a lying prover and says what the verifier makes of the key.
func (u *subject) setup(tamper veil.Tamper) (accepted bool, err error) {
	o := prover.Options{Backend: backend, Testing: &prover.Testing{Tamper: tamper}}
	_, vk, err := prover.Setup(context.Background(), u.c, u.weights, o)
	if err != nil {
		return false, fmt.Errorf("the prover fails: %v", err)
	}
	_, err = verifier.ReadKey(u.c, vk)
	return err == nil, err
}
