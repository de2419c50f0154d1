package attack

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/lookup"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/veil"
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

// record returns the messages of the honest proof and what part of its kind each is.
func (u *subject) record(t testing.TB) ([]message, []messages.Part) {
	t.Helper()
	u.proved(t)
	return u.honest.sent, parts(t, u.honest.sent)
}

// parts looks every message up in the list.
func parts(t testing.TB, sent []message) []messages.Part {
	t.Helper()
	part := map[string]int{}
	out := make([]messages.Part, len(sent))
	for i, m := range sent {
		e := messages.Find(m.label)
		require.GreaterOrEqual(t, e, 0, "message %q is not in the list", m.label)
		ps := messages.All[e].Parts
		out[i] = ps[part[m.label]%len(ps)]
		part[m.label]++
		require.Equal(t, m.points, out[i] == messages.Commitment, "message %q is not of the kind that the list says", m.label)
	}
	return out
}

func (u *subject) sizes(t testing.TB) messages.Sizes {
	t.Helper()
	counts, err := u.proof(t, u.st).Count()
	require.NoError(t, err)
	columns := u.c.WitnessBits
	if u.c.WeightBits != u.c.WitnessBits {
		columns += u.c.WeightBits
	}
	return messages.Sizes{
		Rows:   commit.NewLayout(u.c, circuit.Witness, u.c.WitnessBits).Rows,
		Layers: lookup.NewPlan(u.c).N - 1, Columns: columns, Counts: counts,
	}
}

// Every message of every stage is listed, as often and as long as its rule says, and messages, proof items and the dry run's
// counts agree: each pad is used exactly once.
func TestMessages(t *testing.T) {
	seen := map[int]bool{}
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			sent, parts := u.record(t)
			s := u.sizes(t)
			total := map[messages.Part]int{}
			number, length := map[int]int{}, map[int]int{}
			for i, m := range sent {
				e := messages.Find(m.label)
				seen[e] = true
				total[parts[i]] += m.n
				if parts[i] == messages.All[e].Parts[0] {
					number[e]++
					length[e] = m.n
				}
			}
			for e := range messages.All {
				if rule := messages.All[e].Rule; rule != nil {
					n, l := rule(s)
					assert.Equal(t, n, number[e], "number of messages %s", messages.All[e].Label)
					if n > 0 {
						assert.Equal(t, l, length[e], "length of %s", messages.All[e].Label)
					}
				}
			}
			assert.Equal(t, s.Counts.Pads, total[messages.Padded], "pads")
			assert.Equal(t, s.Counts.Scalars, total[messages.Padded]+total[messages.Masked], "scalars")
			assert.Equal(t, s.Counts.Points, total[messages.Commitment], "points")
			vectors := 0
			for e, n := range number {
				if messages.All[e].Parts[0] == messages.Vector {
					vectors += n
				}
			}
			assert.Equal(t, len(s.Counts.Vectors), vectors, "vectors")
			proof, err := u.prove(lie{})
			require.NoError(t, err)
			assert.Len(t, proof, header+32*(s.Counts.Points+s.Counts.Scalars))
		})
	}
	for e := range messages.All {
		assert.True(t, seen[e], "no stage sends %s", messages.All[e].Label)
	}
}

// header is the length of what precedes the elements of a proof: magic, version, circuit digest, model ID.
const header = 8 + 4 + 32 + 32

// ends returns the first element of the first message with a label and the last element of the last one.
func ends(sent []message, i int) (elements []int) {
	same := func(m message) bool { return m.label == sent[i].label && m.points == sent[i].points }
	if !slices.ContainsFunc(sent[:i], same) {
		elements = append(elements, 0)
	}
	if !slices.ContainsFunc(sent[i+1:], same) && (len(elements) == 0 || sent[i].n > 1) {
		elements = append(elements, sent[i].n-1)
	}
	return elements
}

// A lie in every message of the proof that belongs to a verifying key.
func rejectChangedSetupMessage(t *testing.T) {
	u := stage(t, "copy")
	r := &recorder{}
	_, err := u.setup(r)
	require.NoError(t, err)
	parts(t, r.messages)
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
	o := engine.Dishonest(engine.Options{Backend: processor}, engine.Hooks{Tamper: tamper})
	_, vk, err := engine.Setup(context.Background(), circuit.Single(u.c), u.weights, o)
	if err != nil {
		return false, fmt.Errorf("the prover fails: %v", err)
	}
	_, err = verifier.ReadKey(context.Background(), circuit.Single(u.c), kit.Kind(u.c), vk)
	return err == nil, err
}
