// Package backend is the seam between a prover and what computes for it: the processor, or a device. The prover orchestrates, and holds
// what hides a proof; large data is made, kept and freed on the backend's side of the seam. What crosses it in the midst of a proof are
// handles, points, scalars and commitments. It knows no protocol and no transcript; since every result is an exact field or group element,
// all backends give byte-equal proofs for the same randomness. Package reference is the definition, for what words leave open.
//
// A Backend opens sessions. A Session holds a model: its weights, and what else all proofs about it look at. A Program computes a witness. A
// Run is one proof: it takes the witness, makes vectors, and computes. All of a run's tensors and vectors end with it, so do a program's
// tensors, and all of a session's with the session.
//
// Conventions, everywhere in the runtime: a point lists the lowest variable first; tensors are row-major with the last axis
// lowest; an axis of extent d has ⌈log2 d⌉ variables and the multilinear extension (MLE) of a tensor is zero outside its box.
package backend

import (
	"context"
	"errors"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Backend is a place to compute. It is safe for concurrent use.
type Backend interface {
	// Open begins a session.
	Open() (Session, error)
}

// ErrDevice says that what computes failed, and not what it was asked: another backend may do better.
var ErrDevice = errors.New("the device failed")

// Session is the work with one model. It is safe for concurrent use.
type Session interface {
	// Load takes a tensor that nobody changes any more, for all runs of the session.
	Load(t *integer.Tensor) Tensor
	// Program begins the computation of a witness.
	Program() Program
	// Begin begins a run, which ends early with the context.
	Begin(ctx context.Context) Run
	// Close frees what the session holds. All runs are closed.
	Close() error
}

// Tensor is a tensor of integers that a backend holds.
type Tensor interface{ Len() int }

// Wide is a wide tensor, in two that a backend holds: its cells are those of Lower and 2^integer.WordBits times those of Upper. No method of a
// run takes one: what is asked of it is linear in the cells, and is asked of both.
type Wide struct{ Lower, Upper Tensor }

// Len is the number of cells.
func (w Wide) Len() int { return w.Lower.Len() }

// Hand hands a tensor over, by a session's or a run's Load, in two where it is wide.
func Hand(load func(*integer.Tensor) Tensor, t *integer.Tensor) Tensor {
	lower, upper := t.Words()
	if upper == nil {
		return load(lower)
	}
	return Wide{load(lower), load(upper)}
}

// Vector is a vector of field elements that a backend holds.
type Vector interface{ Elements() int }

// Run is what a prover asks for a proof. It is not safe for concurrent use: methods that take lists are to be given much at a time.
//
// Errors are sticky: after one, and after the end of the run's context, methods return early, with results of the right form that mean
// nothing.
type Run interface {
	// Err returns the first error, and the context's once that has ended.
	Err() error
	// Close frees what the run holds.
	Close()

	// Load takes a tensor that nobody changes any more.
	Load(t *integer.Tensor) Tensor
	// Vector takes the values of a vector. No proof does, but for those of an argument.
	Vector(vals []field.Element) Vector
	// Values are those of a vector, for whoever tests a backend: no proof asks for them.
	Values(v Vector) []field.Element
	// Free frees vectors before the run ends. A vector that is not there any more is nil.
	Free(vecs ...Vector)

	// CommitRows returns Σ_j cell_j·G_j for every row. What hides the cells is added by whoever asks: no backend sees a blinder. Rows end
	// before the generators do. It is an error if a cell does not fit 32 bits: commitments are to small integers.
	CommitRows(gens []group.Affine, rows []Row) []group.Affine
	// MSM returns Σ scalars[i]·G_i.
	MSM(bases Bases, scalars []field.Element) group.Affine
	// EvalMany evaluates MLEs at points.
	EvalMany(evals []Eval) []field.Element
	// Partials evaluates MLEs at some of their variables.
	Partials(partials []Partial) []Vector
	// FoldRows returns the sums over the first width columns of rows that were committed to.
	FoldRows(sums []RowSum, width int) []Vector
	// Tables writes weights out.
	Tables(tables []Table) []Vector
	// Combine returns Σ_i coefs[i]·vecs[i], of one vector at least, all of one length.
	Combine(vecs []Vector, coefs []field.Element) Vector
	// Fractions builds the fraction tree with 2^n leaves.
	Fractions(n int, blocks []Block) FractionTree
	// Sumcheck starts a batched sumcheck with rounds rounds of degree at most degree.
	Sumcheck(instances []Instance, rounds, degree int) Sumcheck
	// Argument starts the folding of the final argument for u = mask + Σ segments, U its inner-product base.
	Argument(mask []field.Element, segments []Segment, form []field.Element, g Bases, U group.Affine) Argument
}

// Bases are generators: lists of them, each from a position on, and the neutral element elsewhere. The lists are those of package group:
// they never change, and whoever keeps them elsewhere finds them again by their addresses.
type Bases []Generators

// Generators are a list and its position.
type Generators struct {
	At     int
	Points []group.Affine
}

// From is a list from position 0 on.
func From(points []group.Affine) Bases { return Bases{{Points: points}} }

// Row is a row of cells that is committed to: boxes of tensors, and zeros beside them. Where boxes overlap, the last one counts.
type Row []Box

// Box says that cells of a tensor, those from From on in row-major order, are a box of the given shape, which stands in a row: the cell of
// index x in column Column + the row-major index of x in the box whose axes are filled up to powers of two.
type Box struct {
	T      Tensor
	From   int
	Shape  []int
	Column int
}

// RowSum asks for Σ_i Coefs[i]·Rows[i].
type RowSum struct {
	Rows  []Row
	Coefs []field.Element
}

// Eval asks for the MLE of T at Point.
type Eval struct {
	T     Tensor
	Point []field.Element
}

// Partial asks for a tensor folded along some of its labels (in row-major order; the product of their extents is the tensor's size):
// out[x] = Σ over folded labels of Π weights · t, of 2^Bits entries, with zeros where a variable label is outside its extent.
type Partial struct {
	T      Tensor
	Labels []Label
	Bits   int
}

// Label says how a label of a tensor enters a partial evaluation: as a variable (Var ≥ 0: its lowest bit is bit Var of the result's index),
// folded with the weights eq(Point, ·), or summed (Point nil).
type Label struct {
	Extent int
	Var    int
	Point  []field.Element
}

// Table is a sum of weights, a vector of 2^Bits entries.
type Table struct {
	Bits  int
	Terms []Weights
}

// Weights are Scale·Π_a eq(Axes[a].Point, x_a) for the indices x of a box whose axes have the extents and, filled up to powers of two,
// stand from entry Offset on, the first axis lowest; zero everywhere else.
type Weights struct {
	Offset int
	Scale  field.Element
	Axes   []Axis
}

// Axis is an axis of weights.
type Axis struct {
	Point  []field.Element
	Extent int
}

// Block is one block of leaves of the fraction tree (SPEC.md 9.3): a lookup or a table. With f = ID + Σ_i Gamma[i]·Cols[i]
// a cell in the box has the denominator Beta − f and the numerator 1 (Mult nil) or −Mult[cell]; a cell of the padded box outside
// the box is 0/1. The block's cells start at leaf Offset, a multiple of the padded size; the leaf index within the block is the
// cell's padded row-major index. Lines, if given, is the block of the table in which the cells were looked up: where a cell's columns are
// those of a line, their denominators are one. It only tells a backend where to look.
type Block struct {
	Offset int
	Shape  []int
	Cols   []Tensor
	Gamma  []field.Element
	ID     field.Element
	Beta   field.Element
	Mult   Tensor
	Lines  *Block
}

// FractionTree is the prover's side of the fraction tree with 2^n leaves; leaves outside every block are 0/1.
// Layer n holds the leaves, layer j < n the sums p = p⁰q¹ + p¹q⁰, q = q⁰q¹ where the children of y are 2y and 2y+1.
type FractionTree interface {
	// Root returns p_1(0), p_1(1), q_1(0), q_1(1).
	Root() (a0, a1, b0, b1 field.Element)
	// Layer starts the sumcheck of layer j, 1 ≤ j < n, at s (len j−1) with combiner λ:
	// F(y) = p_{j+1}(y,0)q_{j+1}(y,1) + p_{j+1}(y,1)q_{j+1}(y,0) + λ q_{j+1}(y,0)q_{j+1}(y,1).
	// Layers are asked in the order 1, 2, …; a tree may drop what lies above the layer asked, and all after the claims of the last one.
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

// Factor is one MLE of a product, given by its values: index bit i of Vals is variable Vars[i] of the instance (ascending).
type Factor struct {
	Vals Vector
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
// bound lowest first. The instances' vectors are read and not changed; they are the caller's to free, after the last Bind.
// Finals returns, after the last Bind, the value of every factor of every instance at the point.
type Sumcheck interface {
	Round() []field.Element
	Bind(r field.Element)
	Finals() [][]field.Element
}

// Segment is Scale·v from entry Offset of a vector on, v being a vector that the backend holds or values from elsewhere.
type Segment struct {
	Offset int
	Scale  field.Element
	Held   Vector
	Vals   []field.Element
}

// Argument is the prover's side of the folding of the final argument (SPEC.md 13.5): u (vector), l (form) and g
// (generators) of equal power-of-two length.
type Argument interface {
	// Round returns L = ⟨u_lo, g_hi⟩ + ⟨u_lo, l_hi⟩·U and R = ⟨u_hi, g_lo⟩ + ⟨u_hi, l_lo⟩·U, halves by the highest index bit.
	Round() (l, r group.Affine)
	// Fold applies the challenge x: u' = x·u_lo + u_hi, g' = g_lo + x·g_hi, l' = l_lo + x·l_hi.
	Fold(x field.Element)
	// Rest returns what is left of u.
	Rest() []field.Element
}
