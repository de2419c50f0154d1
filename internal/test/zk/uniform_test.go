package zk

import (
	"math"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// proofs is how many proofs of one statement are compared: enough to see a bit that stands still.
const proofs = 100

// limit bounds how far a sum of n independent bits strays from its mean: further than that with probability below 1e-19 (Hoeffding:
// 2·exp(−2·limit²/n)). Some 10^5 sums are looked at, so that a sound prover fails here once in 10^14 runs.
func limit(n int) float64 { return math.Sqrt(float64(n) * math.Log(2e19) / 2) }

// probability returns how likely bit k of a uniform integer below m is 1.
func probability(m *big.Int, k uint) float64 {
	low := new(big.Int).Lsh(big.NewInt(1), k)
	ones, rest := new(big.Int).DivMod(m, new(big.Int).Lsh(low, 1), new(big.Int))
	ones.Mul(ones, low)
	if rest.Sub(rest, low); rest.Sign() > 0 {
		ones.Add(ones, rest)
	}
	p, _ := new(big.Rat).SetFrac(ones, m).Float64()
	return p
}

// means returns how likely bits 255, …, 0 of an element are 1. A point has a flag and its sign on top, and below them its abscissa: any
// element of the base field is as likely as any other, or is none at all.
func means(isPoint bool) *[256]float64 {
	m := field.Modulus()
	if isPoint {
		m = fp.Modulus()
	}
	var out [256]float64
	for i := range out {
		out[i] = probability(m, uint(255-i))
	}
	if isPoint {
		out[0], out[1] = 1, 0.5
	}
	return &out
}

// sums counts the ones among the bits of elements.
type sums struct {
	n    int
	mean *[256]float64
	ones [256]int
}

func (s *sums) add(e [32]byte) {
	s.n++
	for i := range s.ones {
		s.ones[i] += int(e[i/8] >> (7 - i%8) & 1)
	}
}

func (s *sums) merge(t *sums) {
	s.n += t.n
	for i := range s.ones {
		s.ones[i] += t.ones[i]
	}
}

func (s *sums) stray() bool {
	for i := range s.ones {
		if math.Abs(float64(s.ones[i])-float64(s.n)*s.mean[i]) > limit(s.n) {
			return true
		}
	}
	return false
}

// straying returns the positions of elements of which some bit is not what a uniform element's would be, over many proofs, and whether
// the elements of all positions together stray.
func straying(shape []element, runs [][][32]byte) (positions []int, together bool) {
	scalars, points := &sums{mean: means(false)}, &sums{mean: means(true)}
	for i := range shape {
		all := scalars
		if shape[i].isPoint {
			all = points
		}
		s := &sums{mean: all.mean}
		for _, r := range runs {
			s.add(r[i])
		}
		all.merge(s)
		if s.stray() {
			positions = append(positions, i)
		}
	}
	return positions, scalars.stray() || points.stray()
}

// repeated counts elements that occurred before, wherever they stand.
func repeated(runs ...[][32]byte) (n int) {
	seen := map[[32]byte]bool{}
	for _, r := range runs {
		for _, e := range r {
			if seen[e] {
				n++
			}
			seen[e] = true
		}
	}
	return n
}

// With the challenges of all proofs equal, a hidden value is the same in every proof of one statement and witness. So whatever were sent
// without its pad, or padded with a pad that is not fresh, would stand still from proof to proof.
func TestElementsAreUniform(t *testing.T) {
	u := shared[1](t)
	in := u.ask(t, 2, 0, 3)
	files, errs := make([][]byte, proofs), make([]error, proofs)
	many(proofs, func(i int) { files[i], errs[i] = u.try(in, engine.Hooks{Transcript: newDeaf}) })
	shape := u.dissect(t, in.Statement, files[0], newDeaf)
	runs := make([][][32]byte, proofs)
	for i := range runs {
		require.NoError(t, errs[i])
		runs[i] = chunks(files[i])
		require.Len(t, runs[i], len(shape))
	}
	require.Equal(t, raw(shape), runs[0])
	positions, together := straying(shape, runs)
	require.Empty(t, positions)
	require.False(t, together)
	require.Zero(t, repeated(runs...))
	neutral := [32]byte(group.Encode(nil, &group.Affine{}))
	for _, r := range runs {
		require.NotContains(t, r, neutral)
	}
	t.Logf("%d proofs of %d elements", proofs, len(shape))
}

// dull is randomness some of whose streams begin with zeros.
type dull struct {
	veil.Randomness
	zeros map[string]int // how many, by label
}

func (d dull) Uniform(label string, n int) []field.Element {
	out := d.Randomness.Uniform(label, n)
	clear(out[:min(n, d.zeros[label])])
	return out
}

// The test above sees what it is for: where pads and blinders are missing, exactly the elements that need them stand still.
func TestMissingPadsAreSeen(t *testing.T) {
	u := shared[0](t)
	in := u.ask(t, 2, 0)
	runs, errs := make([][][32]byte, proofs), make([]error, proofs)
	var shape []element
	many(proofs, func(i int) {
		var elements []element
		elements, errs[i] = u.run(t, in, dull{fresh(), map[string]int{"pads": 8, "witness blinders": 2, "blinder vector 1": 1, "product block": 1}})
		if runs[i] = raw(elements); i == 0 {
			shape = elements
		}
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	still := map[string]int{}
	positions, _ := straying(shape, runs)
	for _, i := range positions {
		still[shape[i].label]++
	}
	require.Equal(t, map[string]int{"lookup root": 7, "lookup layer first": 1, "witness rows": 2, "wave 1 evaluations": 1, "f(c), g(c)": 1}, still)
	require.Equal(t, len(positions)*(proofs-1), repeated(runs...))
}
