package gadget

import "github.com/zkllmc/zkllmc/internal/circuit"

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
// construction, Input proves it of private ids. No cell is committed here.
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

// Input declares an input port and returns the tensor that carries it: of ids one-hot rows, of one axis more than the port, else the
// elements themselves. That of a public port both sides compute from the statement. That of a private one is committed, and unique only
// in that it lies in the port's range: it is what the prover chose.
//
//   - Elements of a private port of integers, booleans or reals are looked up in [Lo, Hi], which has at most 2^16 values.
//   - Of private ids the one-hot rows are committed: see privateIDs.
func Input(b *circuit.Builder, name string, p circuit.Port) circuit.ID {
	port := b.Input(p)
	var id circuit.ID
	switch {
	case p.Kind == circuit.IDs && p.Reveal == circuit.Nothing:
		id = privateIDs(b, name, port)
	case p.Kind == circuit.IDs:
		id = b.View(name, circuit.OneHot, port)
	case p.Reveal == circuit.Nothing:
		id = b.Witness(name, p.Lo, p.Hi, p.Shape...)
		if t := Range(b, p.Lo, p.Hi); t >= 0 {
			b.Lookup(t, id)
		}
		b.Hint(circuit.Hint{Kind: circuit.HintInput, Out: []circuit.ID{id}, Params: []int64{int64(port)}})
	default:
		id = b.View(name, circuit.PortValues, port)
	}
	b.Carry(port, id)
	return id
}

// privateIDs commits the one-hot rows of private ids.
//
// Cells are looked up in {0, 1} and Σ_v onehot[x,v] − 1 is zero-checked: an integer sum of at most n ones, so exactly one cell of
// a row is 1. In a generation, where the public Known[t] is 1 the row equals the public one: Known[t]·(onehot[t,v] − OneHot[t,v]) is
// zero-checked; elsewhere the row is the prover's private input.
func privateIDs(b *circuit.Builder, name string, port int) circuit.ID {
	p := b.Port(port)
	shape := append(append([]int(nil), p.Shape...), p.Vocab())
	onehot := b.Witness(name, 0, 1, shape...)
	b.Lookup(Range(b, 0, 1), onehot)
	b.Hint(circuit.Hint{Kind: circuit.HintInput, Out: []circuit.ID{onehot}, Params: []int64{int64(port)}})
	b.Zero(b.VirtualBound(name+".sum", p.Shape, 0, 0, "zero-checked", circuit.SumLast(b, 1, onehot), circuit.Ones(-1, p.Shape)))
	if !b.Generates() {
		return onehot
	}
	known := b.View(name+".known", circuit.Known, port)
	public := b.View(name+".public", circuit.OneHot, port)
	b.Zero(b.VirtualBound(name+".agree", shape, 0, 0, "zero-checked",
		product(1, shape, []int{0, 1}, factor(known, 0), factor(onehot, 0, 1)),
		product(-1, shape, []int{0, 1}, factor(known, 0), factor(public, 0, 1))))
	return onehot
}
