package gadget

import "github.com/zkllmc/zkllmc/runtime/circuit"

// product is a term over labels 0, 1, … of the given extents: out and every factor name their labels, one per axis.
func product(coef int64, extents []int, out []int, factors ...circuit.Factor) circuit.Term {
	return circuit.Term{Coef: coef, Extents: append([]int(nil), extents...), Factors: factors, Out: single(out)}
}

func factor(t circuit.ID, labels ...int) circuit.Factor {
	return circuit.Factor{T: t, Axes: single(labels)}
}

func single(labels []int) [][]int {
	a := make([][]int, len(labels))
	for i, l := range labels {
		a[i] = []int{l}
	}
	return a
}

// Embed is the virtual [T, D] tensor of the lines of a [V, D] table that the one-hot rows of a [T, V] tensor choose.
//
// Its bounds are the table's: every row of onehot has one 1 and zeros. The public one-hot of a statement has such rows by
// construction, PrivateTokens proves it. No cell is committed here.
func Embed(b *circuit.Builder, name string, onehot, table circuit.ID) circuit.ID {
	h, w := b.Shape(onehot), b.Shape(table)
	if len(h) != 2 || len(w) != 2 || h[1] != w[0] {
		b.Fail("%s: one-hot rows of shape %v do not choose lines of a table of shape %v", name, h, w)
		return table
	}
	lo, hi := b.Bounds(table)
	return b.VirtualBound(name, []int{h[0], w[1]}, lo, hi, "every row of the first factor has one 1 and zeros, so that a cell is a cell of the table",
		product(1, []int{h[0], h[1], w[1]}, []int{0, 2}, factor(onehot, 0, 1), factor(table, 1, 2)))
}

// PrivateTokens commits the one-hot rows of private token ids, shape [T, V].
//
// Cells are looked up in {0, 1} and Σ_v onehot[t,v] − 1 is zero-checked: an integer sum of at most V ones, so exactly one cell of
// a row is 1. Where the public Known[t] is 1 the row equals the public one: Known[t]·(onehot[t,v] − TokenOneHot[t,v]) is
// zero-checked; elsewhere the row is the prover's private input.
func PrivateTokens(b *circuit.Builder) circuit.ID {
	cfg := b.Config()
	shape := []int{cfg.Length, cfg.Vocab}
	onehot := b.Witness("tokens", 0, 1, shape...)
	b.Lookup(Range(b, 0, 1), onehot)
	b.Hint(circuit.Hint{Kind: circuit.HintTokens, Out: []circuit.ID{onehot}})
	b.Zero(b.VirtualBound("tokens.sum", shape[:1], 0, 0, "zero-checked", SumLast(b, 1, onehot), Ones(-1, shape[:1])))
	known := b.Public("tokens.known", circuit.Known, 0, 1)
	public := b.Public("tokens.public", circuit.TokenOneHot, 0, 1)
	b.Zero(b.VirtualBound("tokens.agree", shape, 0, 0, "zero-checked",
		product(1, shape, []int{0, 1}, factor(known, 0), factor(onehot, 0, 1)),
		product(-1, shape, []int{0, 1}, factor(known, 0), factor(public, 0, 1))))
	return onehot
}
