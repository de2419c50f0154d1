package attack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// named is one lie of a sweep.
type named struct {
	what string
	lie
	run func() error // instead of the lie: nil where what it does is refused as it must be
}

// try says whether a lie is refused.
func (u *subject) try(l named) error {
	if l.run != nil {
		return l.run()
	}
	return u.rejected(l.lie)
}

// cellLies changes cells of a witness tensor: by one, to the negated value and to what a neighbouring cell holds.
func cellLies(c *circuit.Tensor, v []int64) []named {
	var lies []named
	for n, cell := range spread(len(v), 3) {
		targets := []int64{v[cell] + 1 - 2*int64(n%2)}
		if n == 0 {
			targets = append(targets, v[cell]-1, -v[cell], v[(cell+1)%len(v)])
		}
		seen := map[int64]bool{v[cell]: true}
		for _, x := range targets {
			if !seen[x] {
				seen[x] = true
				lies = append(lies, named{what: fmt.Sprintf("%s[%d] = %d instead of %d", c.Name, cell, x, v[cell]), lie: lie{override: at(c.Name, cell, set(x))}})
			}
		}
	}
	return lies
}

// spread returns at most k indices below n, the first and the last among them.
func spread(n, k int) []int {
	if n <= k {
		k = n
	}
	out := make([]int, k)
	for i := range out {
		out[i] = i * (n - 1) / max(k-1, 1)
	}
	return out
}

// changed returns the weights with one cell changed.
func (u *subject) changed(id circuit.ID, cell int, d int64) map[circuit.ID]integer.Tensor {
	out := map[circuit.ID]integer.Tensor{}
	for k, w := range u.weights {
		out[k] = integer.Tensor{Shape: w.Shape, V: append([]int64(nil), w.V...)}
	}
	out[id].V[cell] += d
	return out
}

// A prover who evaluates one virtual, public or constant tensor wrongly, in one cell, and counts multiplicities accordingly. Some
// of these tensors are never evaluated by a prover, because claims on them pass through: then the proof does not change at all.
func rejectComputedTensorChanged(t *testing.T) {
	untouched := 0
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			seed := []byte("the same pads in all of them")
			honest, err := u.prove(lie{seed: seed})
			require.NoError(t, err)
			var lies []named
			seen := map[circuit.Kind]int{}
			for i := range u.c.Tensors {
				c := &u.c.Tensors[i]
				if c.Kind == circuit.Witness || c.Kind == circuit.Weight {
					continue
				}
				if seen[c.Kind]++; !sweep && seen[c.Kind]%2 == 0 {
					continue
				}
				cells := spread(circuit.Size(c.Shape), 2)
				if !sweep {
					cells = cells[i%len(cells):][:1]
				}
				for _, cell := range cells {
					lies = append(lies, named{what: fmt.Sprintf("%s[%d]", c.Name, cell), lie: lie{seed: seed, edit: u.edit(c.ID, cell)}})
				}
			}
			for i, err := range parallel(len(lies), func(i int) error { return u.changesNothingOrRejected(lies[i].lie, honest) }) {
				if errors.Is(err, errUntouched) {
					untouched++
					continue
				}
				assert.NoError(t, err, lies[i].what)
			}
			t.Logf("%d lies", len(lies))
		})
	}
	t.Logf("%d of them in tensors that no prover evaluates", untouched)
}

var errUntouched = errors.New("the proof is the honest one")

func (u *subject) changesNothingOrRejected(l lie, honest []byte) error {
	proof, err := u.prove(l)
	if err != nil {
		return err
	}
	err = u.verify(u.st, proof)
	switch {
	case bytes.Equal(proof, honest):
		return errUntouched
	case err == nil:
		return errAccepted
	case !errors.Is(err, veil.ErrRejected):
		return err
	}
	return nil
}

// edit adds one to a cell after the program ran and counts the multiplicities anew. Constants are copied first: circuits share them.
func (u *subject) edit(id circuit.ID, cell int) func(a *witness.Assignment) {
	return func(a *witness.Assignment) {
		t := a.Tensor(id)
		t.V, t.Mid, t.Short = append([]int64(nil), t.All()...), nil, nil
		t.V[cell]++
		recount(u.c, a, nil)
	}
}

// Lies in several cells at once, at random: the verifier accepts exactly what the slow definition of a satisfied circuit does.
func TestRandomLiesAgreeWithTheDefinition(t *testing.T) {
	for name := range stages {
		t.Run(name, func(t *testing.T) {
			u := stage(t, name)
			u.control(t)
			checker := witness.NewChecker(u.c)
			for seed := range uint64(4) {
				l := lie{override: u.randomLie(seed)}
				a, err := u.generate(l)
				require.NoError(t, err)
				want := checker.Field(witnesstest.Values(a))
				if err := u.rejected(l); want == nil {
					require.ErrorIs(t, err, errAccepted, "seed %d", seed)
				} else {
					require.NoError(t, err, "seed %d: %v", seed, want)
				}
			}
		})
	}
}

// randomLie changes up to three cells of witness tensors, by small amounts, perhaps by none.
func (u *subject) randomLie(seed uint64) func(string, []int64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	ids := witnesstest.Witnesses(u.c)
	var fs []func(string, []int64)
	for range rng.IntN(4) {
		c := u.c.Tensor(ids[rng.IntN(len(ids))])
		fs = append(fs, at(c.Name, rng.IntN(circuit.Size(c.Shape)), add(rng.Int64N(3)-1)))
	}
	return both(fs...)
}
