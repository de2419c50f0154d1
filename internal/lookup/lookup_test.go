package lookup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

func TestHonestProofsAreAccepted(t *testing.T) {
	for i, shapes := range [][][]int{
		{{1}},
		{{2}, {1}},
		{{5}, {3, 3}, {2, 2}},
		{{1}, {17}, {1}, {3, 5}, {4, 4}, {2, 3, 4}},
		{{3, 1, 5}, {1, 1}, {9}, {33}, {7}, {6}, {2, 2}, {2}, {1}},
	} {
		t.Run(fmt.Sprint(shapes), func(t *testing.T) { newSession(build(t, uint64(i), shapes...)).accept(t) })
	}
}

func TestRandomCircuits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(12, 1))
	for i := range 10 {
		shapes := make([][]int, 1+rnd.IntN(8))
		for k := range shapes {
			shapes[k] = make([]int, 1+rnd.IntN(3))
			for a := range shapes[k] {
				shapes[k][a] = 1 + rnd.IntN(6)
			}
		}
		t.Run(fmt.Sprint(shapes), func(t *testing.T) {
			f := build(t, uint64(100+i), shapes...)
			newSession(f).accept(t)
			l := f.c.Lookups[rnd.IntN(len(f.c.Lookups))]
			v := f.data[l.Cols[rnd.IntN(len(l.Cols))]].V
			v[rnd.IntN(len(v))] += 1 << 39
			newSession(f).reject(t)
		})
	}
}

// One leaf variable: no layer, the root's claims are the leaves'.
func TestSmallestTree(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "one", WeightBits: 4, WitnessBits: 4})
	table := b.TableOf("constant", func() [][]int64 { return [][]int64{{7}} })
	b.Lookup(table, b.Witness("x", 7, 7, 1))
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{c: c, data: []*integer.Tensor{{Shape: []int{1}, V: []int64{1}}, {Shape: []int{1}, V: []int64{7}}}}
	if n := NewPlan(c).N; n != 1 {
		t.Fatalf("%d variables, want 1", n)
	}
	newSession(f).accept(t)
	f.data[1].V[0] = 8
	newSession(f).reject(t)
}

func TestPlan(t *testing.T) {
	f := build(t, 3, []int{3, 5}, []int{2}, []int{17}, []int{1}, []int{16}, []int{4, 4})
	p := NewPlan(f.c)
	if got, want := len(p.Blocks), len(f.c.Lookups)+len(f.c.Tables); got != want {
		t.Fatalf("%d blocks, want %d", got, want)
	}
	end, bits := uint64(0), p.Blocks[0].Bits
	for _, b := range p.Blocks {
		if b.Offset != end || b.Offset%(1<<b.Bits) != 0 || b.Bits > bits {
			t.Errorf("block %+v behind leaf %d", b, end)
		}
		end, bits = end+uint64(1)<<b.Bits, b.Bits
	}
	if end > 1<<p.N || end <= 1<<(p.N-1) {
		t.Errorf("%d leaves in %d variables", end, p.N)
	}
}

// All leaves together may be more than an int of 32 bits counts: a verifier needs their number of variables and offsets, never an array.
func TestPlanBeyond32Bits(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "large", WeightBits: 24, WitnessBits: 24})
	table := b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} })
	for i, d := range []int{1<<30 + 1, 1 << 30, 1 << 30, 1 << 30} {
		b.Lookup(table, b.Witness(fmt.Sprint("x", i), 0, 1, d))
	}
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlan(c)
	if p.N != 33 {
		t.Errorf("%d variables, want 33", p.N)
	}
	for i, want := range []uint64{0, 1 << 31, 3 << 30, 4 << 30, 5 << 30} {
		if p.Blocks[i].Offset != want {
			t.Errorf("block %d begins at leaf %d, want %d", i, p.Blocks[i].Offset, want)
		}
	}
	ch := veil.NewCounter(transcript.New("count"))
	Run(ch, p, nil, nil)
	if e := ch.Counts().Errors[0]; e.Degree != 2<<33 || e.Bits != veil.FullBits {
		t.Errorf("β and γ are charged with %+v, want a degree of 2^34", e)
	}
}

// The dry run's counts are the closed forms, and tell a prover its number of pads.
func TestCounts(t *testing.T) {
	f := build(t, 4, []int{3, 5}, []int{2}, []int{40})
	p := NewPlan(f.c)
	ch := veil.NewCounter(transcript.New("count"))
	l := Run(ch, p, nil, nil)
	if got := ch.Counts(); got.Pads != p.scalars() || got.Scalars != p.scalars() || got.Products != p.products() || got.Points != 0 {
		t.Errorf("%+v, want %d scalars and %d products", got, p.scalars(), p.products())
	}
	if len(l.Point) != p.N {
		t.Errorf("the leaf point has %d variables, want %d", len(l.Point), p.N)
	}
}

// Tensors of one padded size are asked at one slice, each tensor once.
func TestPointsShareSlices(t *testing.T) {
	f := build(t, 5, []int{3, 5}, []int{2}, []int{16}, []int{13})
	l := Run(veil.NewCounter(transcript.New("count")), NewPlan(f.c), nil, nil)
	asked := map[circuit.ID]bool{}
	first := map[int]*field.Element{}
	l.Points(func(id circuit.ID, point []field.Element) {
		if asked[id] || len(point) != circuit.ShapeBits(f.c.Tensor(id).Shape) {
			t.Errorf("tensor %d asked twice or at %d variables", id, len(point))
		}
		asked[id] = true
		if at, ok := first[len(point)]; ok && at != &point[0] {
			t.Errorf("tensor %d has a slice of its own", id)
		}
		first[len(point)] = &point[0]
	})
	if len(asked) != len(f.c.Tensors) {
		t.Errorf("%d tensors asked, want %d", len(asked), len(f.c.Tensors))
	}
}

// Every attack stands next to its control: the same session with the honest witness is accepted.
func TestFalseWitness(t *testing.T) {
	base := build(t, 6, []int{3, 3}, []int{4}, []int{5}, []int{2, 3})
	newSession(base).accept(t)
	col := func(lookup, k int) circuit.ID { return base.c.Lookups[lookup].Cols[k] }
	mult := func(table int) circuit.ID { return base.c.Tables[table].Mult }
	for name, change := range map[string]func(f *fixture){
		"one multiplicity too large":    func(f *fixture) { f.data[mult(0)].V[2]++ },
		"multiplicities swapped around": func(f *fixture) { v := f.data[mult(1)].V; v[0], v[1] = v[0]+1, v[1]-1 },
		"value outside the table":       func(f *fixture) { f.data[col(0, 0)].V[4] = 10 },
		"value below the table":         func(f *fixture) { f.data[col(0, 0)].V[8] = -4 },
		"line of the neighbouring table": func(f *fixture) { // 11 is no line of the first table, but one of the second
			v := &f.data[col(0, 0)].V[4]
			f.data[mult(0)].V[*v+3]--
			*v = 11
			f.data[mult(1)].V[11+3]++
		},
		"columns of two lines mixed": func(f *fixture) {
			v := f.data[col(2, 1)].V
			for i := range v {
				v[i] = f.c.Tables[2].Cols[1][(int(f.data[col(2, 0)].V[i])+5+1)%11]
			}
		},
		"columns exchanged": func(f *fixture) {
			f.data[col(2, 0)], f.data[col(2, 2)] = f.data[col(2, 2)], f.data[col(2, 0)]
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := base.clone()
			change(f)
			newSession(f).reject(t)
		})
	}
}

// A prover that is honest but for one scalar: root, h∞, Δ, claims and z of every layer.
func TestEveryScalarMatters(t *testing.T) {
	f := build(t, 7, []int{3}, []int{2, 2})
	n := NewPlan(f.c).scalars()
	for i := -1; i < n; i++ {
		s := newSession(f)
		if i < 0 {
			s.accept(t)
			continue
		}
		s.lies = []int{i}
		if err := s.verify(s.prove(t)); !errors.Is(err, veil.ErrRejected) {
			t.Errorf("scalar %d of %d: got %v, want a rejection", i, n, err)
		}
	}
}

// An evaluation that is not the column's fails the leaf checks, whatever checks the evaluation itself.
func TestEveryEvaluationMatters(t *testing.T) {
	f := build(t, 8, []int{3, 3}, []int{4}, []int{5})
	for id := circuit.ID(-1); int(id) < len(f.c.Tensors); id++ {
		s := newSession(f)
		s.bind = func(_ *Leaves, at circuit.ID, honest field.Element) field.Element {
			if at == id {
				one := field.FromInt64(1)
				honest.Add(&honest, &one)
			}
			return honest
		}
		if id < 0 {
			s.accept(t)
		} else {
			s.reject(t)
		}
	}
}

// A tree with two zero denominators has the root 0/0 and is consistent in every layer, whatever its sum. The bound evaluations are
// chosen to agree with its leaves, so that nothing but the inverse of the root's denominator can refuse it; or, where the
// prover claims q = q⁻¹ = 1, nothing but q = b0·b1.
func TestZeroRoot(t *testing.T) {
	f := build(t, 9, []int{3, 3}, []int{4}, []int{5})
	newSession(f).accept(t)
	target := f.c.Lookups[0].Cols[0]
	f.data[target].V[0] = 100 // the false statement
	for name, lies := range map[string][]int{"no inverse": nil, "inverse of something else": {5, 6}} {
		t.Run(name, func(t *testing.T) {
			s := newSession(f)
			be := newBackend()
			be.fractions = func(n int, blocks []backend.Block) backend.FractionTree { return zeroTree(t, f, n, blocks) }
			s.be, s.lies = be, lies
			s.bind = func(l *Leaves, id circuit.ID, honest field.Element) field.Element {
				if id == target {
					gain := zeroed(l, f)
					honest.Add(&honest, &gain)
				}
				return honest
			}
			s.reject(t)
		})
	}
}

// zeroTree makes the first two denominators of lookup 0 zero.
func zeroTree(t *testing.T, f *fixture, n int, blocks []backend.Block) backend.FractionTree {
	at := int(lookupBlock(NewPlan(f.c), 0).Offset)
	for leaf := at; leaf < at+2; leaf++ {
		blocks = append(blocks, backend.Block{Offset: leaf, Shape: []int{1}, ID: blocks[0].Beta, Beta: blocks[0].Beta})
	}
	tree := begin().Fractions(n, blocks)
	a0, a1, b0, b1 := tree.Root()
	a0.Mul(&a0, &b1)
	a1.Mul(&a1, &b0)
	a0.Add(&a0, &a1)
	if b0.Mul(&b0, &b1); !a0.IsZero() || !b0.IsZero() {
		t.Fatal("the root is not 0/0")
	}
	return tree
}

func lookupBlock(p *Plan, lookup int) *Block {
	for i := range p.Blocks {
		if p.Blocks[i].Lookup == lookup {
			return &p.Blocks[i]
		}
	}
	return nil
}

// zeroed returns what the first column of lookup 0 must gain at the leaf point when its first two denominators become zero.
func zeroed(l *Leaves, f *fixture) field.Element {
	b := lookupBlock(l.plan, 0)
	var gain field.Element
	for leaf := 0; leaf < 2; leaf++ { // −eq(leaf)·(β − f) = −eq_block·γ·gain
		q := l.Beta
		id := tableID(b.Table)
		v := field.FromInt64(f.data[f.c.Lookups[0].Cols[0]].V[leaf])
		v.Mul(&v, &l.Gamma)
		q.Sub(&q, &id)
		q.Sub(&q, &v)
		e := poly.EqIndex(l.low(b.Bits), uint64(leaf))
		gain.Add(&gain, q.Mul(&q, &e))
	}
	var inv field.Element
	inv.Inverse(&l.Gamma)
	return *gain.Mul(&gain, &inv)
}

// frozen is a transcript whose challenges depend on their label alone: whoever reads the source knows them in advance.
type frozen struct{ transcript.Source }

func (frozen) fresh() *transcript.Transcript               { return transcript.New("frozen") }
func (f frozen) Challenge(label string) field.Element      { return f.fresh().Challenge(label) }
func (f frozen) Short(label string) field.Element          { return f.fresh().Short(label) }
func (f frozen) ChallengeBytes(label string, n int) []byte { return f.fresh().ChallengeBytes(label, n) }

// repaired claims a root that sums to zero and, knowing ρ1, repairs the running claim of layer 1 with h∞. Everything else is the
// honest tree of a false sum.
type repaired struct {
	backend.FractionTree
	rho field.Element
}

func (r *repaired) Root() (a0, a1, b0, b1 field.Element) {
	_, a1, b0, b1 = r.FractionTree.Root()
	a0.Div(&b0, &b1)
	a0.Mul(&a0, &a1)
	a0.Neg(&a0)
	return a0, a1, b0, b1
}

func (r *repaired) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	rounds := r.FractionTree.Layer(j, s, lambda)
	if j > 1 {
		return rounds
	}
	truth, _, _, _ := r.FractionTree.Root()
	claimed, _, _, _ := r.Root()
	truth.Sub(&truth, &claimed)
	weight := field.FromInt64(1)
	weight.Sub(&weight, &r.rho)
	truth.Mul(&truth, &weight)
	p := parabola(r.rho)
	truth.Div(&truth, &p)
	return &repairedRounds{rounds, truth}
}

type repairedRounds struct {
	backend.LayerRounds
	delta field.Element
}

func (r *repairedRounds) First() field.Element {
	inf := r.LayerRounds.First()
	return *inf.Add(&inf, &r.delta)
}

// The known attack on challenges that are frozen to constants succeeds against them and fails against the real transcript.
func TestFrozenChallenges(t *testing.T) {
	f := build(t, 10, []int{3, 3}, []int{4})
	attack := func(real bool) *session {
		s := newSession(f.clone())
		s.f.data[f.c.Lookups[0].Cols[0]].V[0] = 100
		if !real {
			s.source = func() transcript.Source { return frozen{transcript.New("lookup test")} }
		}
		be := newBackend()
		be.fractions = func(n int, blocks []backend.Block) backend.FractionTree {
			return &repaired{be.Run.Fractions(n, blocks), frozen{}.Short("lookup rho")}
		}
		s.be = be
		return s
	}
	attack(false).accept(t)
	attack(true).reject(t)
	honest := newSession(f)
	honest.source = func() transcript.Source { return frozen{transcript.New("lookup test")} }
	honest.accept(t)
}

// The verifier returns an error on proofs that end early or hold other numbers, and never panics.
func TestMutilatedProofs(t *testing.T) {
	s := newSession(build(t, 11, []int{3}, []int{2}))
	proof := s.prove(t)
	for n := range len(proof.scalars) {
		if err := s.verify(&items{points: proof.points, scalars: proof.scalars[:n]}); !errors.Is(err, errEnd) {
			t.Errorf("%d of %d scalars: %v", n, len(proof.scalars), err)
		}
	}
	for n := range len(proof.points) {
		if err := s.verify(&items{points: proof.points[:n], scalars: proof.scalars}); !errors.Is(err, errEnd) {
			t.Errorf("%d of %d points: %v", n, len(proof.points), err)
		}
	}
	zero := &items{points: proof.points, scalars: make([]field.Element, len(proof.scalars))}
	if err := s.verify(zero); err == nil {
		t.Error("a proof of zeros is accepted")
	}
}
