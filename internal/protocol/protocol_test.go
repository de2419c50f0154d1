package protocol_test

import (
	"crypto/sha3"
	"errors"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// seeded is deterministic randomness for tests.
type seeded string

func (s seeded) Uniform(label string, n int) []field.Element {
	h := sha3.NewSHAKE256()
	h.Write([]byte(string(s) + "/" + label))
	raw := make([]byte, 48*n)
	h.Read(raw)
	out := make([]field.Element, n)
	for i := range out {
		out[i] = field.Uniform(raw[48*i : 48*i+48])
	}
	return out
}

// tape is a proof in memory.
type tape struct {
	items []any
}

func (t *tape) Point(p group.Affine)   { t.items = append(t.items, p) }
func (t *tape) Scalar(s field.Element) { t.items = append(t.items, s) }

var errTape = errors.New("tape")

type replay struct{ t *tape }

func (r replay) Points(out []group.Affine) error {
	for i := range out {
		if len(r.t.items) == 0 {
			return errTape
		}
		p, ok := r.t.items[0].(group.Affine)
		r.t.items = r.t.items[1:]
		if !ok {
			return errTape
		}
		out[i] = p
	}
	return nil
}

func (r replay) Scalar() (field.Element, error) {
	if len(r.t.items) == 0 {
		return field.Element{}, errTape
	}
	p, ok := r.t.items[0].(field.Element)
	r.t.items = r.t.items[1:]
	if !ok {
		return p, errTape
	}
	return p, nil
}

// sample is a circuit with a product of two committed tensors, a square, a virtual tensor behind a virtual one, broadcasts and
// reductions over axes that are no powers of two, and a zero-check.
func sample(t *testing.T, rowBits int) (*circuit.Circuit, map[circuit.ID]*integer.Tensor) {
	b := circuit.NewBuilder(circuit.Config{Name: "sample", WeightBits: rowBits, WitnessBits: rowBits})
	w := b.Weight("w", 8, 5, 6)
	x := b.Witness("x", -128, 127, 3, 5)
	r8 := b.TableOf("range8", func() [][]int64 { return [][]int64{seq(-128, 127)} })
	b.Lookup(r8, x)
	acc := b.Virtual("acc", []int{3, 6}, b.Times(1, "tk,kj->tj t=3 k=5 j=6", x, w))
	y := b.Witness("y", -2048, 2047, 3, 6)
	r12 := b.TableOf("range12", func() [][]int64 { return [][]int64{seq(-2048, 2047)} })
	b.Lookup(r12, y)
	rem := b.Virtual("rem", []int{3, 6}, b.Times(1, "tj->tj t=3 j=6", acc), b.Times(32, "->tj t=3 j=6"), b.Times(-64, "tj->tj t=3 j=6", y))
	r6 := b.TableOf("range6", func() [][]int64 { return [][]int64{seq(0, 63)} })
	b.Lookup(r6, rem)
	// s = Σ_j y², z = s·x + broadcast, and a committed copy of the low part to have a nested product behind a zero-check.
	s := b.Virtual("s", []int{3}, b.Times(1, "tj,tj->t t=3 j=6", y, y))
	c := b.Const("c", []int64{3, 1, 4, 1, 5}, 5)
	z := b.Virtual("z", []int{3, 5}, b.Times(1, "t,tk->tk t=3 k=5", s, x), b.Times(2, "t->tk t=3 k=5", s), b.Times(1, "k->tk t=3 k=5", c), b.Times(1, "tj->tk t=3 k=5 j=6", acc))
	b.Zero(b.Virtual("zero", []int{3, 5}, b.Times(1, "tk->tk t=3 k=5", z), b.Times(-1, "t,tk->tk t=3 k=5", s, x),
		b.Times(-2, "tj,tj->tk t=3 k=5 j=6", y, y), b.Times(-1, "k->tk t=3 k=5", c), b.Times(-1, "ta,aj->tk t=3 k=5 j=6 a=5", x, w)))
	circ, err := b.Finish()
	require.NoError(t, err)

	data := map[circuit.ID]*integer.Tensor{}
	set := func(id circuit.ID, v []int64) { data[id] = &integer.Tensor{Shape: circ.Tensor(id).Shape, V: v} }
	rng := rand.New(rand.NewSource(1))
	random := func(n int) []int64 {
		v := make([]int64, n)
		for i := range v {
			v[i] = int64(rng.Intn(256) - 128)
		}
		return v
	}
	wv, xv := random(30), random(15)
	accv, yv, remv := make([]int64, 18), make([]int64, 18), make([]int64, 18)
	sv, zv := make([]int64, 3), make([]int64, 15)
	for i := 0; i < 3; i++ {
		for j := 0; j < 6; j++ {
			for k := 0; k < 5; k++ {
				accv[i*6+j] += xv[i*5+k] * wv[k*6+j]
			}
			yv[i*6+j] = (accv[i*6+j] + 32) >> 6
			remv[i*6+j] = accv[i*6+j] + 32 - 64*yv[i*6+j]
			sv[i] += yv[i*6+j] * yv[i*6+j]
		}
		for k := 0; k < 5; k++ {
			zv[i*5+k] = sv[i]*xv[i*5+k] + 2*sv[i] + circ.Tensor(c).Values[k]
			for j := 0; j < 6; j++ {
				zv[i*5+k] += accv[i*6+j]
			}
		}
	}
	set(w, wv)
	set(x, xv)
	set(acc, accv)
	set(y, yv)
	set(rem, remv)
	set(s, sv)
	set(z, zv)
	set(circ.Zeros[0], make([]int64, 15))
	for i, tab := range circ.Tables {
		m := make([]int64, len(tab.Cols[0]))
		for _, l := range circ.Lookups {
			if l.Table == i {
				for _, v := range data[l.Cols[0]].V {
					m[v-tab.Cols[0][0]]++
				}
			}
		}
		set(tab.Mult, m)
	}
	return circ, data
}

func seq(lo, hi int64) []int64 {
	var v []int64
	for x := lo; x <= hi; x++ {
		v = append(v, x)
	}
	return v
}

func prove(t *testing.T, c *circuit.Circuit, data map[circuit.ID]*integer.Tensor) (*protocol.Proof, *tape) {
	held := kit.Hold(reference.New(), c, func(id circuit.ID) *integer.Tensor { return data[id] })
	set := func(l *commit.Layout, label string) commit.Set {
		s, err := held.Commit(l, c, seeded("s").Uniform(label, l.Rows))
		require.NoError(t, err)
		return s
	}
	weights := set(protocol.WeightLayout(c), "weights")
	p := protocol.Inference(circuit.Single(c), c, weights.Points, protocol.Nothing{})
	p.Weights, p.Backend = weights, held
	p.Witness = set(commit.NewLayout(c, circuit.Witness, c.WitnessBits), "witness")
	counts, err := p.Count()
	require.NoError(t, err)
	out := &tape{}
	require.NoError(t, p.Run(veil.NewProver(p.Transcript(), out, seeded("p"), held, counts.Pads)))
	require.Len(t, out.items, counts.Points+counts.Scalars)
	return p, out
}

func TestComplete(t *testing.T) {
	for _, bits := range []int{4, 6, 9} {
		c, data := sample(t, bits)
		p, out := prove(t, c, data)
		p.Backend, p.Witness, p.Weights.Rows = nil, commit.Set{}, nil
		require.NoError(t, p.Run(veil.NewVerifier(p.Transcript(), replay{out})))
		require.Empty(t, out.items)
	}
}

func TestLieInEveryTensor(t *testing.T) {
	c, _ := sample(t, 6)
	for i := range c.Tensors {
		k := c.Tensors[i].Kind
		if k == circuit.Const || k == circuit.Public {
			continue
		}
		_, data := sample(t, 6)
		v := data[circuit.ID(i)].V
		v[len(v)-1]++
		p, out := prove(t, c, data)
		err := p.Run(veil.NewVerifier(p.Transcript(), replay{out}))
		require.ErrorIs(t, err, veil.ErrRejected, c.Tensors[i].Name)
	}
}
