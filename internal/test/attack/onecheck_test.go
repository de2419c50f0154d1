package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The provers of this file make every check hold but one, and fit all other values to the lie: where that check is missing they succeed.

// falseSum is a witness whose fractions do not sum to zero.
func falseSum(drawn map[string][]field.Element, scalars func(label string, v []field.Element)) lie {
	return lie{override: at("y", 0, add(1)), tamper: tamperer{scalars: scalars}, source: func(tr *transcript.Transcript) transcript.Source {
		return &source{Source: tr, drawn: drawn}
	}}
}

// The products of the fraction tree, each false where the others hold.
func rejectOneFalseProductOfTheTree(t *testing.T) {
	u := stage(t, "rescale")
	drawn := map[string][]field.Element{}
	var off field.Element // what a0 is off by
	first := true
	falseRoot := func(v []field.Element) { // a0 := −a1·b0/b1, so that the sum is zero, and z = a0·b1
		truth := v[0]
		v[0] = neg(div(mul(v[1], v[2]), v[3]))
		v[4] = mul(v[0], v[3])
		off = sub(v[0], truth)
	}
	for name, scalars := range map[string]func(label string, v []field.Element){
		"z = a0·b1 of the root": func(label string, v []field.Element) {
			if label == "lookup root" {
				v[4] = neg(mul(v[1], v[2]))
			}
		},
		"-z = a1·b0 of the root": func(string, []field.Element) {},
		"z = (a0+λb0)·b1 of a layer": func(label string, v []field.Element) {
			switch {
			case label == "lookup root":
				falseRoot(v)
			case label == "lookup layer claims" && first: // C is off by (1−ρ)·off; z takes it
				first = false
				v[4] = plus(v[4], mul(sub(one, drawn["lookup rho"][0]), off))
			}
		},
		"C-z = a1·b0 of a layer": func(label string, v []field.Element) {
			if label == "lookup root" {
				falseRoot(v)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			clear(drawn)
			first = true
			u.mustReject(t, falseSum(drawn, scalars))
		})
	}
}

// A partial product of a wave that is not the product of its factors but what the false tensor needs.
func rejectFalsePartialProduct(t *testing.T) {
	u := newSubject(t, spec{cfg: config("product"), build: func(b *circuit.Builder) {
		x, y := b.Weight("x", 4, 1), b.Weight("y", 4, 1)
		b.Lookup(gadget.Range(b, -64, 64), b.Virtual("v", []int{1}, circuit.Product(b, 1, x, y)))
	}, weights: map[string][]int64{"x": {5}, "y": {-3}}})
	const claimed = 7
	u.mustReject(t, lie{
		edit: func(a *witness.Assignment) {
			a.Tensor(u.id(t, "v")).V[0] = claimed
			recount(u.c, a, nil)
		},
		tamper: tamperer{scalars: func(label string, v []field.Element) {
			if label == "wave 1 evaluations" {
				require.Equal(t, field.FromInt64(-15), v[len(v)-1])
				v[len(v)-1] = field.FromInt64(claimed)
			}
		}},
	})
}
