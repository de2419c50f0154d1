// Package backend declares what a prover asks of a backend, as small interfaces over plain data. It is a leaf: no protocol, no
// transcript. Protocol packages orchestrate through these interfaces, backends compute; since every result is an exact field
// or group element, all backends give byte-equal proofs for the same randomness.
//
// Conventions, everywhere in the runtime: a point lists the lowest variable first; tensors are row-major with the last axis
// lowest; an axis of extent d has ⌈log2 d⌉ variables and the multilinear extension (MLE) of a tensor is zero outside its box.
package backend

import (
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Row is a row of cells that is committed to: boxes of tensors, and zeros beside them. Where boxes overlap, the last one counts.
type Row []Box

// Box says that cells of a tensor, those from From on in row-major order, are a box of the given shape, which stands in a row: the cell of
// index x in column Column + the row-major index of x in the box whose axes are filled up to powers of two.
type Box struct {
	T      *integer.Tensor
	From   int
	Shape  []int
	Column int
}

// RowSum asks for Σ_i Coefs[i]·Rows[i].
type RowSum struct {
	Rows  []Row
	Coefs []field.Element
}

// Block is one block of leaves of the fraction tree (SPEC.md 9.3): a lookup or a table. With f = ID + Σ_i Gamma[i]·Cols[i]
// a cell in the box has the denominator Beta − f and the numerator 1 (Mult nil) or −Mult[cell]; a cell of the padded box outside
// the box is 0/1. The block's cells start at leaf Offset, a multiple of the padded size; the leaf index within the block is the
// cell's padded row-major index. Lines, if given, is the block of the table in which the cells were looked up: where a cell's columns are
// those of a line, their denominators are one. It only tells a backend where to look.
type Block struct {
	Offset int
	Shape  []int
	Cols   [][]int64
	Gamma  []field.Element
	ID     field.Element
	Beta   field.Element
	Mult   []int64
	Lines  *Block
}

// FractionTree is the prover's side of the fraction tree with 2^n leaves; leaves outside every block are 0/1.
// Layer n holds the leaves, layer j < n the sums p = p⁰q¹ + p¹q⁰, q = q⁰q¹ where the children of y are 2y and 2y+1.
type FractionTree interface {
	// Root returns p_1(0), p_1(1), q_1(0), q_1(1).
	Root() (a0, a1, b0, b1 field.Element)
	// Layer starts the sumcheck of layer j, 1 ≤ j < n, at s (len j−1) with combiner λ:
	// F(y) = p_{j+1}(y,0)q_{j+1}(y,1) + p_{j+1}(y,1)q_{j+1}(y,0) + λ q_{j+1}(y,0)q_{j+1}(y,1).
	// Layers are asked in the order 1, 2, …; a tree may drop what lies above the layer asked.
	Layer(j int, s []field.Element, lambda field.Element) LayerRounds
}

// LayerRounds is the sumcheck of one layer of the fraction tree, exactly as in SPEC.md 9.5.
type LayerRounds interface {
	// First returns h∞, the coefficient of X² of round 1 (the variable b, the lowest of layer j; not weighted by eq).
	First() field.Element
	// Round returns Δ = h(1)−h(0) and h∞ of the next round, 2..j, with h(X) = Σ eq(s_i..s_{j−1},·)·F(ρ_1..ρ_{i−1},X,·) where
	// the eq factor of the round's own variable is left out (Gruen's form).
	Round() (delta, inf field.Element)
	// Bind fixes the variable of the round last asked to ρ.
	Bind(rho field.Element)
	// Claims returns p_{j+1}(0,s), p_{j+1}(1,s), q_{j+1}(0,s), q_{j+1}(1,s) at s = (ρ_1..ρ_j), after the last Bind.
	Claims() (a0, a1, b0, b1 field.Element)
}

// Weights says how one label of a tensor enters a partial evaluation: as a variable (Var ≥ 0: the label's lowest bit is bit
// Var of the result's index) or folded with the weights Fold, one per value of the label (nil: all ones).
type Weights struct {
	Extent int
	Var    int
	Fold   []field.Element
}

// Factor is one MLE of a product, given by its values: index bit i of Vals is variable Vars[i] of the instance (ascending).
type Factor struct {
	Vals []field.Element
	Vars []int
}

// Instance is Coef · Σ_{x ∈ {0,1}^N} Π_i Factors[i](x): one summand of a batched sumcheck. An instance with fewer than the
// batch's L variables is constant in the first L−N of them (the caller's Coef already holds the factor 2^-(L-N)), and its
// variable i is bound by the challenge L−N+i.
type Instance struct {
	N       int
	Coef    field.Element
	Factors []Factor
}

// Sumcheck is the prover's side of a batched sumcheck with L rounds. Round returns g(0), g(2), …, g(D) of the batch's round
// polynomial g of degree at most D (g(1) follows from the running claim); Bind fixes the round's variable. Variables are
// bound lowest first. The instances' Vals are read and not changed, during the first round that binds one of their variables and before.
// Finals returns, after the last Bind, the value of every factor of every instance at the point.
type Sumcheck interface {
	Round() []field.Element
	Bind(r field.Element)
	Finals() [][]field.Element
}

// Eval asks for the MLE of T at Point.
type Eval struct {
	T     *integer.Tensor
	Point []field.Element
}

// Argument is the prover's side of the folding of the final argument (SPEC.md 13.5): u (vector), l (form) and g
// (generators; the identity at padding positions) of equal power-of-two length.
type Argument interface {
	// Round returns L = ⟨u_lo, g_hi⟩ + ⟨u_lo, l_hi⟩·U and R = ⟨u_hi, g_lo⟩ + ⟨u_hi, l_lo⟩·U, halves by the highest index bit.
	Round() (l, r group.Affine)
	// Fold applies the challenge x: u' = x·u_lo + u_hi, g' = g_lo + x·g_hi, l' = l_lo + x·l_hi.
	Fold(x field.Element)
	// Rest returns what is left of u.
	Rest() []field.Element
}

// Backend is everything that a prover computes on large data. Partial is called from several goroutines at once.
type Backend interface {
	// CommitRows returns Σ_j cell_j·G_j for every row. What hides the cells is added by whoever asks: no backend sees a blinder. Rows end
	// before the generators do. It is an error if a cell does not fit 32 bits: commitments are to small integers.
	CommitRows(gens []group.Affine, rows []Row) ([]group.Affine, error)
	// MSM returns Σ scalars[i]·points[i].
	MSM(points []group.Affine, scalars []field.Element) group.Affine
	// EvalMany evaluates MLEs at points.
	EvalMany(evals []Eval) []field.Element
	// Partial folds the tensor's labels (labels in row-major order; the product of their extents is the tensor's size):
	// out[x] = Σ over folded labels of Π weights · t, with zeros where a variable label is outside its extent. The result
	// has 2^bits entries.
	Partial(t *integer.Tensor, labels []Weights, bits int) []field.Element
	// Fractions builds the fraction tree with 2^n leaves.
	Fractions(n int, blocks []Block) FractionTree
	// Sumcheck starts a batched sumcheck with rounds rounds of degree at most degree.
	Sumcheck(instances []Instance, rounds, degree int) Sumcheck
	// FoldRows returns the sums over the first width columns of rows that were committed to.
	FoldRows(sums []RowSum, width int) [][]field.Element
	// Combine returns Σ_i coef[i]·vecs[i], of vectors of one length.
	Combine(vecs [][]field.Element, coef []field.Element) []field.Element
	// Argument starts the folding of the final argument, U its inner-product base.
	Argument(u, l []field.Element, g []group.Affine, U group.Affine) Argument
}
