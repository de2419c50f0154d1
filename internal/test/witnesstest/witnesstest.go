// Package witnesstest helps tests of gadgets and circuits: it makes honest assignments, checks them against the naive checker, and
// plays provers who lie in one place.
package witnesstest

import (
	"context"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Instance is a circuit with its inputs.
type Instance struct {
	C       *circuit.Circuit
	Weights map[circuit.ID]integer.Tensor
	Publics map[circuit.ID]integer.Tensor
	Private witness.PrivateInput
}

// Builder starts a small circuit.
func Builder() *circuit.Builder {
	return circuit.NewBuilder(circuit.Config{Name: "test", WeightBits: 4, WitnessBits: 4})
}

// Text is a generation to be: ids of T positions in, logits [T, V] out. With Length 0 it is a function of whatever ports its circuit gets.
type Text struct {
	Name         string
	Length       int
	Vocab        int
	Pad          int64
	Reveal       circuit.Reveal
	PrivateInput bool
	WeightBits   int
	WitnessBits  int
}

// Builder starts the circuit.
func (x Text) Builder() *circuit.Builder {
	b := circuit.NewBuilder(circuit.Config{Name: x.Name, WeightBits: x.WeightBits, WitnessBits: x.WitnessBits})
	if x.Length > 0 {
		b.Generation(x.Pad)
	}
	return b
}

// Port is the input port.
func (x Text) Port() circuit.Port {
	p := circuit.Port{Name: "tokens", Kind: circuit.IDs, Shape: []int{x.Length}, Hi: int64(x.Vocab) - 1, Reveal: circuit.Values}
	if x.PrivateInput {
		p.Reveal = circuit.Nothing
	}
	return p
}

// Tokens declares the input port and returns its one-hot rows, [T, V].
func (x Text) Tokens(b *circuit.Builder) circuit.ID { return gadget.Input(b, "tokens", x.Port()) }

// Logits declares the output port, which a tensor of shape [T, V] carries.
func (x Text) Logits(b *circuit.Builder, id circuit.ID) {
	gadget.Output(b, circuit.Port{Name: "logits", Kind: circuit.Integers, Reveal: x.Reveal}, id)
}

// Finish finishes a circuit that must be good.
func Finish(t testing.TB, b *circuit.Builder) *circuit.Circuit {
	t.Helper()
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Cells is a tensor of the given cells.
func Cells(shape []int, v ...int64) integer.Tensor { return integer.Tensor{Shape: shape, V: v} }

// Generate runs the generator.
func (in Instance) Generate(opts ...witness.Option) (*witness.Assignment, error) {
	return witness.Generate(context.Background(), in.C, in.Weights, in.Public, in.Private, opts...)
}

// Public is a public tensor.
func (in Instance) Public(id circuit.ID) integer.Tensor { return in.Publics[id] }

// Honest generates the assignment and checks it with the naive checker, over the integers and over the field.
func (in Instance) Honest(t testing.TB) *witness.Assignment {
	t.Helper()
	a, err := in.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := witness.CheckSatisfied(in.C, a); err != nil {
		t.Fatal(err)
	}
	if err := witness.CheckField(in.C, Values(a)); err != nil {
		t.Fatal(err)
	}
	return a
}

// Values returns the cells of an assignment as field elements, freshly made: a test may change what it gets.
func Values(a *witness.Assignment) func(circuit.ID) []*big.Int {
	return func(id circuit.ID) []*big.Int {
		var v []*big.Int
		for _, x := range a.Tensor(id).All() {
			v = append(v, big.NewInt(x))
		}
		return v
	}
}

// With returns Values(a) with cell i of a tensor replaced by x.
func With(a *witness.Assignment, id circuit.ID, i int, x *big.Int) func(circuit.ID) []*big.Int {
	values := Values(a)
	return func(want circuit.ID) []*big.Int {
		v := values(want)
		if want == id {
			v[i] = x
		}
		return v
	}
}

// Witnesses lists the witness tensors of a circuit but the multiplicities.
func Witnesses(c *circuit.Circuit) []circuit.ID {
	var ids []circuit.ID
	for i := range c.Tensors {
		if t := &c.Tensors[i]; t.Kind == circuit.Witness && !t.Mult {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// Lies returns field elements near and far from x that a prover might put in its place: off by one, by a limb, by a fraction
// 2^-k (which a remainder alone would accept), negated, and anything.
func Lies(rng *rand.Rand, x int64) []*big.Int {
	p := field.Modulus()
	at := big.NewInt(x)
	var lies []*big.Int
	add := func(d *big.Int) { lies = append(lies, new(big.Int).Mod(new(big.Int).Add(at, d), p)) }
	for _, d := range []int64{1, -1, 2, -2, 1 << 16, -1 << 16, -2 * x} {
		if d != 0 {
			add(big.NewInt(d))
		}
	}
	for _, k := range []uint{1, 4, 16} {
		f := new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), k), p)
		add(f)
		add(new(big.Int).Neg(f))
	}
	wide := new(big.Int)
	for range 4 {
		wide.Add(wide.Lsh(wide, 64), new(big.Int).SetUint64(rng.Uint64()))
	}
	add(wide)
	return lies
}

// RefusesCells checks that every lie in a single committed cell, all others honest, is refused over the field. At most limit cells
// of a tensor are tried.
func (in Instance) RefusesCells(t testing.TB, a *witness.Assignment, limit int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	checker := witness.NewChecker(in.C)
	for _, id := range Witnesses(in.C) {
		v := a.Tensor(id).All()
		for n := range min(limit, len(v)) {
			i := n
			if len(v) > limit {
				i = rng.IntN(len(v))
			}
			for _, lie := range Lies(rng, v[i]) {
				if checker.Field(With(a, id, i, lie)) == nil {
					t.Errorf("tensor %s: cell %d is %d, and %v is accepted too", in.C.Tensor(id).Name, i, v[i], lie)
				}
			}
		}
	}
}

// RefusesStaged checks that every lie in a single committed cell, after which everything is honestly recomputed, is refused over the
// field and by Generate. Deltas are added to the honest value.
func (in Instance) RefusesStaged(t testing.TB, limit int, deltas ...int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(8, 8))
	checker := witness.NewChecker(in.C)
	for _, id := range Witnesses(in.C) {
		size := circuit.Size(in.C.Tensor(id).Shape)
		for range min(limit, size) {
			i := rng.IntN(size)
			for _, d := range deltas {
				lie := witness.WithOverride(func(at circuit.ID, v *integer.Tensor) {
					if at == id {
						v.V[i] += d
					}
				})
				a, err := in.Generate(lie, witness.WithoutChecks())
				if err != nil {
					t.Fatal(err)
				}
				if checker.Field(Values(a)) == nil {
					t.Errorf("tensor %s: cell %d off by %d is accepted", in.C.Tensor(id).Name, i, d)
				}
				if _, err := in.Generate(lie); err == nil {
					t.Errorf("tensor %s: cell %d off by %d passes Generate", in.C.Tensor(id).Name, i, d)
				}
			}
		}
	}
}
