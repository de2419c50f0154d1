package circuit

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bounds of virtual tensors are what tables, limbs and the lemma that nothing wraps rest on. Every cell of every assignment of extreme
// values to the factors lies in them.
func TestBoundsHold(t *testing.T) {
	for _, spec := range []string{
		"3 i,i->i i=2|xy", "-2 i,i->i i=2|xy", // one shape and axes, two tensors: no square
		"1 i,i->i i=2|xx", "-1 i,i->i i=2|xx", "1 i,i->i i=2|yy", "2 i,i,i->i i=2|xxx", "1 i,i,i->i i=2|xxy", "1 i,i,i,i->i i=2|xxyy",
		"1 ij,ji->ij i=2 j=2|mm", "1 ij,ij->ij i=2 j=2|mm", // a transpose is no square
		"1 ij,ji->i i=2 j=2|mm", "-1 ij,j->i i=2 j=2|mx", "5 ij->i i=2 j=2|m", "-5 ij->. i=2 j=2|m",
		"7 ->i i=2|", "-7 ->i i=2|", "3 i->. i=2|x + 1 ->.|", "-3 i->. i=2|y + -4 ->.|", "1 i->i i=2|x + -1 i->i i=2|y + 2 i,i->i i=2|xx",
		// Known factors with one 1 for every choice of the other indices, one after the other and in a circle.
		"3 i,ij->j i=2 j=2|xs", "-3 i,ij->. i=2 j=2|xs", "1 i,ijk->j i=2 j=2 k=2|xw", "1 i,ijk->jk i=2 j=2 k=2|xw", "1 ik,ij,kj->j i=2 j=2 k=2|mss",
		"1 i,ij,ji->. i=2 j=2|xee", "1 i,ij,ij->. i=2 j=2|xee", "1 i,ij->j i=2 j=2|xc", "2 i,ij->i i=2 j=2|yc", "1 (ij),ij->. i=2 j=2|qe",
	} {
		t.Run(spec, func(t *testing.T) { boundsHold(t, spec) })
	}
}

// boundsHold takes a sum of terms, each a coefficient, a text and the names of its factors.
func boundsHold(t *testing.T, spec string) {
	b := start()
	looked(b, "control", 2)
	x, y, m := b.Witness("x", -3, 2, 2), b.Witness("y", 1, 4, 2), b.Witness("m", -2, 5, 2, 2)
	names := map[rune]ID{'x': x, 'y': y, 'm': m, 'q': b.Const("q", []int64{3, -4, 5, 6}, 4), 'c': b.Const("c", []int64{0, -7, 0, 2}, 2, 2),
		's': b.Affine("s", "i - j - 1", 2, 2), 'e': b.Affine("e", "i - j", 2, 2), 'w': b.Affine("w", "i - j - k + 1", 2, 2, 2)}
	var terms []Term
	for _, text := range splitTerms(spec) {
		var factors []ID
		for _, n := range text.factors {
			factors = append(factors, names[n])
		}
		terms = append(terms, b.Times(text.coef, text.spec, factors...))
	}
	var shape []int
	for _, labels := range terms[0].Out {
		shape = append(shape, 1)
		for _, l := range labels {
			shape[len(shape)-1] *= terms[0].Extents[l]
		}
	}
	v := b.Virtual("v", shape, terms...)
	require.NoError(t, b.err)
	lo, hi := b.Bounds(v)
	cells := map[ID][]int64{x: make([]int64, 2), y: make([]int64, 2), m: make([]int64, 4)}
	for _, n := range "qcsew" {
		cells[names[n]] = b.c.Tensors[names[n]].KnownCells()
	}
	every(b, []ID{x, y, m}, cells, func() {
		sum := make([]int64, Size(shape))
		for _, term := range terms {
			addTerm(term, cells, sum)
		}
		for _, s := range sum {
			require.True(t, lo <= s && s <= hi, "%d is outside [%d, %d]", s, lo, hi)
		}
	})
}

// termText is one summand of a spec.
type termText struct {
	coef          int64
	spec, factors string
}

func splitTerms(spec string) (out []termText) {
	for _, one := range strings.Split(spec, " + ") {
		one, factors, _ := strings.Cut(one, "|")
		coef, text, _ := strings.Cut(one, " ")
		n, err := strconv.ParseInt(coef, 10, 64)
		if err != nil {
			panic(err)
		}
		out = append(out, termText{n, text, factors})
	}
	return out
}

// every assigns least, zero and greatest values to all cells in all ways.
func every(b *Builder, ids []ID, cells map[ID][]int64, f func()) {
	if len(ids) == 0 {
		f()
		return
	}
	lo, hi := b.Bounds(ids[0])
	values := []int64{lo, hi}
	if lo < 0 && hi > 0 {
		values = append(values, 0)
	}
	var set func(i int)
	set = func(i int) {
		if i == len(cells[ids[0]]) {
			every(b, ids[1:], cells, f)
			return
		}
		for _, v := range values {
			cells[ids[0]][i] = v
			set(i + 1)
		}
	}
	set(0)
}

// addTerm adds a term by its definition.
func addTerm(term Term, cells map[ID][]int64, sum []int64) {
	index := make([]int, len(term.Extents))
	at := func(axes [][]int) int {
		n := 0
		for _, labels := range axes {
			for _, l := range labels {
				n = n*term.Extents[l] + index[l]
			}
		}
		return n
	}
	for range Size(term.Extents) {
		p := term.Coef
		for _, f := range term.Factors {
			p *= cells[f.T][at(f.Axes)]
		}
		sum[at(term.Out)] += p
		for l := range index {
			if index[l]++; index[l] < term.Extents[l] {
				break
			}
			index[l] = 0
		}
	}
}

// A sum over the solutions of an equation has no more cells than the indices that it does not determine.
func TestMapsKeepBounds(t *testing.T) {
	b := start()
	x := b.Witness("x", -3, 2, 8)
	for spec, want := range map[string][2]int64{
		"i,ijk->jk i=8 j=4 k=3": {-3, 2}, "i,ijk->j i=8 j=4 k=3": {-9, 6}, "i,ijk->k i=8 j=4 k=3": {-12, 8}, "i,ijk->i i=8 j=4 k=3": {-9, 6},
	} {
		shape := map[byte][]int{'i': {8}, 'j': {4}, 'k': {3}}[spec[7]]
		if spec[8] == 'k' {
			shape = []int{4, 3}
		}
		lo, hi := b.Bounds(b.Virtual("v", shape, b.Times(1, spec, x, b.Affine("window", "i - 2j - k + 1", 8, 4, 3))))
		require.Equal(t, want, [2]int64{lo, hi}, spec)
	}
}
