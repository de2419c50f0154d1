package lookup

import (
	"context"
	"crypto/sha3"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// fixture is a circuit of lookups with a witness that satisfies it, until a test changes a cell.
type fixture struct {
	c    *circuit.Circuit
	data []*integer.Tensor // by tensor
}

func (f *fixture) tensor(id circuit.ID) *integer.Tensor { return f.data[id] }

// Tensor and Table are what a backend holds: the reference has all in memory.
func (f *fixture) Tensor(id circuit.ID) backend.Tensor { return f.data[id] }

func (f *fixture) Table(number int) (cols []backend.Tensor) {
	for _, col := range f.c.Tables[number].Cols {
		cols = append(cols, &integer.Tensor{Shape: []int{len(col)}, V: col})
	}
	return cols
}

// clone copies the witness.
func (f *fixture) clone() *fixture {
	out := &fixture{c: f.c, data: make([]*integer.Tensor, len(f.data))}
	for i, t := range f.data {
		out.data[i] = &integer.Tensor{Shape: t.Shape, V: append([]int64(nil), t.V...)}
	}
	return out
}

func interval(lo, hi int64) []int64 {
	var v []int64
	for x := lo; x <= hi; x++ {
		v = append(v, x)
	}
	return v
}

// build makes a circuit with a lookup of every shape into tables of several kinds, and an honest witness.
func build(t testing.TB, seed uint64, shapes ...[]int) *fixture {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := circuit.NewBuilder(circuit.Config{Name: "lookups", WeightBits: 4, WitnessBits: 4})
	tables := []int{
		b.TableOf("range", func() [][]int64 { return [][]int64{interval(-3, 9)} }),
		b.TableOf("neighbour", func() [][]int64 { return [][]int64{interval(-3, 12)} }),
		b.TableOf("noise", func() [][]int64 {
			x := interval(-5, 5)
			y, z := make([]int64, len(x)), make([]int64, len(x))
			for i := range y {
				y[i], z[i] = rnd.Int64N(1<<40)-1<<39, rnd.Int64N(9)
			}
			return [][]int64{x, y, z}
		}),
	}
	f := &fixture{}
	for i, shape := range shapes {
		table := tables[i%len(tables)]
		var cols []circuit.ID
		for k := range []int{1, 1, 3}[i%len(tables)] {
			cols = append(cols, b.Witness(fmt.Sprintf("col %d.%d", i, k), -1<<40, 1<<40, shape...))
		}
		b.Lookup(table, cols...)
	}
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	f.c = c
	f.data = make([]*integer.Tensor, len(c.Tensors))
	for i := range c.Tensors {
		f.data[i] = &integer.Tensor{Shape: c.Tensors[i].Shape, V: make([]int64, circuit.Size(c.Tensors[i].Shape))}
	}
	for _, l := range c.Lookups {
		tab := &c.Tables[l.Table]
		for cell := range f.data[l.Cols[0]].V {
			line := rnd.IntN(len(tab.Cols[0]))
			f.data[tab.Mult].V[line]++
			for k, id := range l.Cols {
				f.data[id].V[cell] = tab.Cols[k][line]
			}
		}
	}
	return f
}

// items is a proof's stream, for both sides.
type items struct {
	points  []group.Affine
	scalars []field.Element
}

func (s *items) Point(p group.Affine)   { s.points = append(s.points, p) }
func (s *items) Scalar(v field.Element) { s.scalars = append(s.scalars, v) }

var errEnd = errors.New("proof ends early")

type reader struct{ items }

func (r *reader) Points(out []group.Affine) error {
	if len(r.points) < len(out) {
		return errEnd
	}
	r.points = r.points[copy(out, r.points):]
	return nil
}

func (r *reader) Scalar() (field.Element, error) {
	if len(r.scalars) == 0 {
		return field.Element{}, errEnd
	}
	v := r.scalars[0]
	r.scalars = r.scalars[1:]
	return v, nil
}

// randomness is a stream that a seed fixes.
type randomness struct{ h *sha3.SHAKE }

func newRandomness(seed string) *randomness {
	h := sha3.NewSHAKE256()
	h.Write([]byte(seed))
	return &randomness{h}
}

func (r *randomness) Uniform(_ string, n int) []field.Element {
	out := make([]field.Element, n)
	var buf [48]byte
	for i := range out {
		r.h.Read(buf[:])
		out[i] = field.Uniform(buf[:])
	}
	return out
}

// definition is a run of the reference backend with a faster multi-scalar multiplication, and hooks for a prover that lies.
type definition struct {
	backend.Run
	fractions func(n int, blocks []backend.Block) backend.FractionTree
}

func newBackend() *definition { return &definition{Run: begin()} }

// begin begins a run of the reference.
func begin() backend.Run {
	s, err := reference.New().Open()
	if err != nil {
		panic(err)
	}
	return s.Begin(context.Background())
}

func (b *definition) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	if len(bases) > 1 {
		return b.Run.MSM(bases, scalars)
	}
	var out group.Affine
	sum := group.MSM(bases[0].Points[:len(scalars)], scalars)
	return *out.FromJacobian(&sum)
}

func (b *definition) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	if b.fractions != nil {
		return b.fractions(n, blocks)
	}
	return b.Run.Fractions(n, blocks)
}

// session runs the lookup argument between a prover, which may lie, and an honest verifier.
type session struct {
	f      *fixture
	be     backend.Run
	source func() transcript.Source
	// bind, if set, gives the evaluations that the prover binds, and nothing checks them but Leaves.Check. Otherwise the columns'
	// evaluations are checked against the witness: an opening that cannot be cheated.
	bind func(l *Leaves, id circuit.ID, honest field.Element) field.Element
	lies []int // positions of padded scalars that are off by one
}

func newSession(f *fixture) *session {
	return &session{f: f, be: newBackend(), source: func() transcript.Source { return transcript.New("lookup test") }}
}

// protocol is what a caller of the package does.
func (s *session) protocol(ch *veil.Channel, plan *Plan) error {
	ch.Open()
	l := Run(ch, plan, s.be, s.f)
	var ids []circuit.ID
	var honest []field.Element
	slot := make([]int, len(s.f.c.Tensors))
	l.Points(func(id circuit.ID, point []field.Element) {
		slot[id] = len(ids)
		ids = append(ids, id)
		t := s.f.tensor(id)
		honest = append(honest, poly.EvalInts(t.V, t.Shape, point))
	})
	evals := ch.Vector("evaluations", len(ids), func() []field.Element {
		out := append([]field.Element(nil), honest...)
		for i := range out {
			if s.bind != nil {
				out[i] = s.bind(&l, ids[i], honest[i])
			}
		}
		return out
	})
	for i := range evals {
		if s.bind == nil {
			ch.Zero("opening", evals[i].Sub(veil.Constant(honest[i])))
		}
	}
	l.Check(ch, func(id circuit.ID, _ []field.Element) veil.Expr { return evals[slot[id]] })
	return ch.Finish()
}

// prove returns the stream of a proof.
func (s *session) prove(t testing.TB) *items {
	t.Helper()
	plan := NewPlan(s.f.c)
	out := &items{}
	w := &liar{Source: s.source(), items: out, at: s.lies}
	ch := veil.NewProver(w, w, newRandomness("prover"), s.be, plan.scalars())
	if err := s.protocol(ch, plan); err != nil {
		t.Fatalf("prover: %v", err)
	}
	return out
}

// verify runs the verifier.
func (s *session) verify(proof *items) error {
	r := &reader{*proof}
	err := s.protocol(veil.NewVerifier(s.source(), r), NewPlan(s.f.c))
	if err == nil && len(r.points)+len(r.scalars) != 0 {
		return errors.New("trailing elements")
	}
	return err
}

func (s *session) accept(t *testing.T) {
	t.Helper()
	if err := s.verify(s.prove(t)); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func (s *session) reject(t *testing.T) {
	t.Helper()
	if err := s.verify(s.prove(t)); !errors.Is(err, veil.ErrRejected) {
		t.Errorf("got %v, want a rejection", err)
	}
}

// liar is the prover's transcript and output. It adds one to the scalars at some positions: in the proof, in the transcript and,
// since the channel absorbs what its expressions hold, in the prover's own view of it. All else stays honest.
type liar struct {
	transcript.Source
	*items
	at       []int
	absorbed int
}

func (l *liar) Scalar(v field.Element) {
	if slices.Contains(l.at, len(l.scalars)) {
		one := field.FromInt64(1)
		v.Add(&v, &one)
	}
	l.items.Scalar(v)
}

func (l *liar) AbsorbScalars(label string, s []field.Element) {
	one := field.FromInt64(1)
	for i := range s {
		if slices.Contains(l.at, l.absorbed+i) {
			s[i].Add(&s[i], &one)
		}
	}
	l.absorbed += len(s)
	l.Source.AbsorbScalars(label, s)
}

// scalars is the number of padded scalars of Run.
func (p *Plan) scalars() int { return 7 + (p.N-1)*(p.N+4) }

// products is the number of product checks of Run.
func (p *Plan) products() int { return 4 + 2*(p.N-1) }
