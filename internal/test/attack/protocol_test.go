package attack

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/einsum"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/sumcheck"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/messages"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// noPublics is for ledgers of circuits in which nothing is public.
type noPublics struct{}

func (noPublics) Eval(circuit.ID, []field.Element) field.Element { return field.Element{} }

// A claim that is left out: verifier and prover walk the same ledger, which says so if a claim on a virtual tensor is open, if
// an evaluation was asked for and not bound, or if one is used that was not bound.
func rejectClaimLeftOutOfTheLedger(t *testing.T) {
	u := stage(t, "residual")
	q := u.id(t, "q") // its product part is discharged by a wave, and the wave's factors by a later one
	ledger := func() (*veil.Channel, *einsum.Ledger, []field.Element) {
		ch := veil.NewCounter(transcript.New("ledger"))
		ch.Open()
		return ch, einsum.NewLedger(ch, u.c, noPublics{}, nil, nil), make([]field.Element, circuit.ShapeBits(u.c.Tensor(q).Shape))
	}
	run := func(skip int) error { // all waves but one
		ch, l, point := ledger()
		l.Ask(q, point)
		l.Bind("claims", 0, nil)
		for w := 1; w <= u.c.Waves(); w++ {
			if w != skip {
				l.Wave(w, "wave")
			}
		}
		_, err := l.Openings()
		require.NoError(t, ch.Err())
		return err
	}
	require.Greater(t, u.c.Waves(), 1)
	require.NoError(t, run(0))
	for w := 1; w <= u.c.Waves(); w++ {
		require.ErrorContains(t, run(w), "open", "wave %d", w)
	}
	_, l, point := ledger()
	l.Ask(q, point)
	_, err := l.Openings()
	require.ErrorContains(t, err, "not bound")
	ch, l, point := ledger()
	l.Expr(q, point)
	require.ErrorContains(t, ch.Err(), "not bound")
	ch, l, point = ledger()
	l.Wave(u.c.Wave(q), "wave")
	l.Ask(q, point)
	l.Bind("claims", 0, nil)
	require.ErrorContains(t, ch.Err(), "after its wave")
}

// A cell that no lookup covers is the prover's to choose: such a circuit cannot be built.
func rejectUncoveredTensor(t *testing.T) {
	b := config("uncovered").Builder()
	x := b.Witness("x", 0, 7, 3)
	b.Lookup(gadget.Range(b, 0, 7), x)
	b.Witness("free", 0, 7, 3)
	_, err := b.Finish()
	require.ErrorContains(t, err, "no lookup covers")
	b = config("too wide").Builder()
	b.Lookup(gadget.Range(b, 0, 8), b.Witness("x", 0, 7, 3))
	_, err = b.Finish()
	require.ErrorContains(t, err, "declared")
}

// Rounds: the number of rounds and of coefficients in each follows from the circuit, so that a polynomial of higher degree, a
// missing round and an extra one move every later item of the proof.
func rejectRoundsOfOtherShape(t *testing.T) {
	for degree := 1; degree <= 4; degree++ {
		for rounds := range 4 {
			ch := veil.NewCounter(transcript.New("rounds"))
			ch.Open()
			point, _ := sumcheck.Rounds(ch, "rounds", rounds, degree, veil.Expr{}, nil)
			require.Len(t, point, rounds)
			require.Equal(t, rounds*degree, ch.Counts().Pads)
		}
	}
	u := stage(t, "reveal logits")
	proof := u.proved(t)
	sent, kinds := u.record(t)
	offset := header // of the first item of the message
	for i, m := range sent {
		if kinds[i] == messages.Padded {
			end := offset + 32*m.n
			extra := append(append(bytes.Clone(proof[:end]), make([]byte, 32)...), proof[end:]...)   // one degree more
			missing := append(bytes.Clone(proof[:offset]), proof[end:]...)                           // no such round
			double := append(append(bytes.Clone(proof[:end]), proof[offset:end]...), proof[end:]...) // one round more
			require.NoError(t, refusal(u.verify(u.st, extra)))
			require.NoError(t, refusal(u.verify(u.st, missing)))
			require.NoError(t, refusal(u.verify(u.st, double)))
		}
		if kinds[i] != messages.Vector {
			offset += 32 * m.n
		}
	}
	require.Equal(t, len(proof), offset)
}

// bends are round polynomials of another function: of twice the claim, of a function of higher degree as far as its values go into
// the message, and of zero.
var bends = map[string]func(round int, g []field.Element){
	"zero": func(_ int, g []field.Element) { clear(g) },
	"doubled": func(_ int, g []field.Element) {
		for i := range g {
			g[i].Double(&g[i])
		}
	},
	"higher degree": func(_ int, g []field.Element) { g[len(g)-1] = plus(g[len(g)-1], one) },
	"one round": func(round int, g []field.Element) {
		if round == 1 {
			g[0] = plus(g[0], one)
		}
	},
}

// with is the processor, whose runs are changed.
func with(change func(r backend.Run) backend.Run) backend.Backend {
	return kit.Wrapped{Backend: processor, Run: change}
}

type bent struct {
	backend.Run
	bend func(round int, g []field.Element)
}

func (b *bent) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	return &bentSumcheck{Sumcheck: b.Run.Sumcheck(instances, rounds, degree), bend: b.bend}
}

type bentSumcheck struct {
	backend.Sumcheck
	bend  func(round int, g []field.Element)
	round int
}

func (b *bentSumcheck) Round() []field.Element {
	g := b.Sumcheck.Round()
	b.bend(b.round, g)
	b.round++
	return g
}

// The tree of fractions 0/0, which is consistent in all its layers whatever the leaves are.
func rejectZeroFractionTree(t *testing.T) {
	u := stage(t, "rescale")
	wrong := at("y", 0, add(1))
	u.mustReject(t, lie{override: wrong, processor: hollow})
	u.mustReject(t, lie{processor: hollow})
	for i, what := range []string{"a0", "a1", "b0", "b1", "z", "q", "q⁻¹"} { // and one that claims an inverse
		u.mustReject(t, lie{override: wrong, processor: hollow, tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "lookup root" {
				v[i] = one
				if what == "q" {
					v[6] = one
				}
			}
		}}})
	}
}

type hollowTree struct{ backend.Run }

// hollow is a processor of such trees.
var hollow = with(func(r backend.Run) backend.Run { return hollowTree{r} })

func (hollowTree) Fractions(int, []backend.Block) backend.FractionTree { return zeros{} }

// zeros is a tree of fractions 0/0.
type zeros struct{}

func (zeros) Root() (a0, a1, b0, b1 field.Element)                          { return }
func (zeros) Layer(int, []field.Element, field.Element) backend.LayerRounds { return zeros{} }
func (zeros) First() (v field.Element)                                      { return }
func (zeros) Round() (delta, inf field.Element)                             { return }
func (zeros) Bind(field.Element)                                            {}
func (zeros) Claims() (a0, a1, b0, b1 field.Element)                        { return }

// tape takes a proof's items and gives random elements, for channels without a prover around.
type tape struct {
	points  []group.Affine
	scalars []field.Element
}

func (s *tape) Point(p group.Affine)   { s.points = append(s.points, p) }
func (s *tape) Scalar(v field.Element) { s.scalars = append(s.scalars, v) }

func (s *tape) Uniform(_ string, n int) []field.Element {
	out := make([]field.Element, n)
	for i := range out {
		if _, err := out[i].SetRandom(); err != nil {
			panic(err)
		}
	}
	return out
}

// A pad that is used twice, or not at all: a pad's index is the position of its scalar, and the prover stops unless it has used
// exactly as many pads as it committed to.
func rejectPadUsedTwice(t *testing.T) {
	run := func(declared int, lengths ...int) (map[veil.Wire]int, error) {
		s := &tape{}
		ch := veil.NewProver(transcript.New("pads"), s, s, kit.Begin(t.Context(), processor), declared)
		ch.Open()
		used := map[veil.Wire]int{}
		for _, n := range lengths {
			for _, e := range ch.Scalars("message", n, func() []field.Element { return make([]field.Element, n) }) {
				for _, term := range e.Terms {
					used[term.W]++
				}
			}
		}
		return used, ch.Finish()
	}
	used, err := run(5, 2, 1, 2)
	require.NoError(t, err)
	require.Len(t, used, 5)
	for w, n := range used {
		require.Equal(t, 1, n, "%v", w)
		require.Zero(t, w.Seg)
	}
	_, err = run(6, 2, 1, 2)
	require.ErrorContains(t, err, "5 pads used of 6")
	_, err = run(4, 2, 1, 2)
	require.ErrorContains(t, err, "needs pad 5 of 4")
}

// The pads are committed to once, before everything else.
func rejectPadsCommittedLate(t *testing.T) {
	s := &tape{}
	ch := veil.NewProver(transcript.New("pads"), s, s, kit.Begin(t.Context(), processor), 0)
	ch.Open()
	ch.Open()
	require.ErrorContains(t, ch.Err(), "once")
}
