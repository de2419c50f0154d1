package protocol

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// The range proof of a model's weights, which says that each lies in its declared range, has pieces of bounded size, so that whoever makes
// or checks one needs memory for one piece and not for the model. A piece is about a run of rows of the weights' commitment, and is a proof
// like others, of a circuit of its own: every cell of these rows, gaps included, is looked up in the range of the tensor that the row
// belongs to; where several tensors share a row, their cells alone are.
//
// Rows belong to one piece each, cells to one row each; so all cells are in their ranges if all pieces are valid. Which rows a piece is
// about follows from the weights that all circuits of the model's family f declare. Its transcript absorbs what the piece is: the digest of
// its circuit, whose name has the digest of f and whose tensors' names have their rows; all row commitments of the model; and its number
// among how many. A piece that is left out, comes twice, in another's place, or from another model is met by a transcript that it was not
// made for. A false weight needs one false piece, so that the error of all pieces is at most the sum of their errors.

// pieceLeaves is how many cells a piece looks up. With the lines of the tables, one per width of at most 16 bits and fewer than 2^17
// together, its fraction tree has at most 2^24 leaves.
const pieceLeaves = 1<<24 - 1<<17

// narrowest is the least width of rows, as a logarithm, of which a piece has as many as fit; it has no more of narrower ones.
const narrowest = 14

// PieceRows is the number of rows of every piece of a model's range proof but the last.
func PieceRows(f *circuit.Family) int {
	return max(1, pieceLeaves>>max(f.Shortest().WeightBits, narrowest))
}

// Pieces is the number of pieces of a model's range proof: none of a model without weights, of which the circuit says everything.
func Pieces(f *circuit.Family) int { return piecesOf(f, WeightLayout(f.Shortest())) }

func piecesOf(f *circuit.Family, layout *commit.Layout) int {
	n := PieceRows(f)
	return (layout.Rows + n - 1) / n
}

// RangeProof returns the number of pieces of a model's range proof, and of the elements, points and scalars, of all of them.
func RangeProof(f *circuit.Family) (pieces, elements int, err error) {
	layout := WeightLayout(f.Shortest())
	pieces = piecesOf(f, layout)
	for i := range pieces {
		p, err := setupPiece(f, layout, i)
		if err != nil {
			return 0, 0, err
		}
		counts, err := Schedule(p.Circuit)
		if err != nil {
			return 0, 0, err
		}
		elements += counts.Points + counts.Scalars
	}
	return pieces, elements, nil
}

// Piece is one piece of a range proof.
type Piece struct {
	Index, Of int          // counted from 0
	Rows      commit.Range // what it is about, among the rows of the model's weights
	Circuit   *circuit.Circuit
	family    [32]byte
	parts     []part
}

// part says what a weight of a piece's circuit is: rows of a weight of the model, all their columns, in as many cells; or, where a row is
// shared, that weight itself.
type part struct {
	id, weight circuit.ID // in the piece's circuit and in the family's shortest
	rows       commit.Range
	shared     bool
}

// SetupPiece makes a piece of the range proof of a family's weights.
func SetupPiece(f *circuit.Family, index int) (*Piece, error) {
	return setupPiece(f, WeightLayout(f.Shortest()), index)
}

func setupPiece(f *circuit.Family, layout *commit.Layout, index int) (*Piece, error) {
	c := f.Shortest()
	size, n := PieceRows(f), piecesOf(f, layout)
	p := &Piece{family: f.Digest(), Index: index, Of: n, Rows: commit.Range{From: index * size, To: min((index+1)*size, layout.Rows)}}
	b := circuit.NewBuilder(circuit.Config{
		Name: fmt.Sprintf("weights of %x", p.family), WeightBits: c.WeightBits, WitnessBits: c.WitnessBits,
	})
	for _, t := range c.Weights() {
		p.add(b, layout, t)
	}
	var err error
	p.Circuit, err = b.Finish()
	return p, err
}

// add looks up the part of a weight that is the piece's. Rows are taken in runs of powers of two, the longest first, so that no leaf of the
// tree is lost to padding.
func (p *Piece) add(b *circuit.Builder, layout *commit.Layout, t *circuit.Tensor) {
	width := bits.Len64(uint64(t.Hi - t.Lo))
	own := layout.Of(t.ID)
	own.From, own.To = max(own.From, p.Rows.From), min(own.To, p.Rows.To)
	look := func(rows commit.Range, name string, shape ...int) {
		id := b.Weight(name, width, shape...)
		b.Lookup(gadget.Range(b, t.Lo, t.Hi), id)
		p.parts = append(p.parts, part{id: id, weight: t.ID, rows: rows, shared: layout.Shared(t.ID)})
	}
	if own.From < own.To && layout.Shared(t.ID) {
		look(own, t.Name, t.Shape...)
		return
	}
	for own.From < own.To {
		n := 1 << (bits.Len(uint(own.To-own.From)) - 1)
		name := fmt.Sprintf("%s rows %d to %d", t.Name, own.From, own.From+n-1)
		look(commit.Range{From: own.From, To: own.From + n}, name, n, 1<<layout.Bits)
		own.From += n
	}
}

// Proof is the proof of a piece about a model with these row commitments.
func (p *Piece) Proof(model []group.Affine) *Proof {
	rows := commit.Set{Layout: WeightLayout(p.Circuit), Points: model[p.Rows.From:p.Rows.To]}
	return &Proof{Kind: KindSetup, Family: p.family, Circuit: p.Circuit, Model: model, Weights: rows, Statement: place{p.Index, p.Of}}
}

// Tensors are the weights of the piece's circuit, given its rows. weight yields cells of a weight of the model, row-major,
// from lo up to hi-1.
func (p *Piece) Tensors(rows []backend.Row, weight func(id circuit.ID, lo, hi int) (integer.Tensor, error)) (map[circuit.ID]integer.Tensor, error) {
	cells, err := commit.Cells(rows)
	if err != nil {
		return nil, err
	}
	out := map[circuit.ID]integer.Tensor{}
	for _, part := range p.parts {
		shape := p.Circuit.Tensor(part.id).Shape
		if part.shared {
			v, err := weight(part.weight, 0, circuit.Size(shape))
			if err != nil {
				return nil, err
			}
			v.Shape = shape
			out[part.id] = v
			continue
		}
		out[part.id] = together(shape, cells[part.rows.From-p.Rows.From:][:shape[0]])
	}
	return out, nil
}

// together makes a tensor of rows, which may end before its columns do.
func together(shape []int, rows [][]int32) integer.Tensor {
	v, width, lost := make([]int16, circuit.Size(shape)), shape[1], int32(0)
	for r, row := range rows {
		for j, x := range row {
			v[r*width+j] = int16(x)
			lost |= x ^ int32(int16(x))
		}
	}
	if lost == 0 {
		return integer.Tensor{Shape: shape, Short: v}
	}
	long := make([]int64, len(v))
	for r, row := range rows {
		for j, x := range row {
			long[r*width+j] = int64(x)
		}
	}
	return integer.Tensor{Shape: shape, V: long}
}

// place is the statement of a piece: all that is public of it but for its circuit and the model's commitment.
type place struct{ index, of int }

// Bytes returns the piece's number, from 0, and how many there are.
func (p place) Bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(p.index)), uint64(p.of))
}

// Unsaturated returns false: a setup circuit computes nothing.
func (place) Unsaturated() bool { return false }

// Eval is never called: a piece's circuit has no public tensors.
func (place) Eval(*circuit.Circuit, circuit.ID, []field.Element) field.Element {
	return field.Element{}
}

// WeightIDs lists the weights of a circuit in order.
func WeightIDs(c *circuit.Circuit) []circuit.ID {
	var ids []circuit.ID
	for _, t := range c.Weights() {
		ids = append(ids, t.ID)
	}
	return ids
}

// WeightLayout places the weights. It follows from their shapes, their order and WeightBits: all circuits of a family have one layout, but
// for the numbers of the tensors.
func WeightLayout(c *circuit.Circuit) *commit.Layout {
	return commit.NewLayout(c, circuit.Weight, c.WeightBits)
}

// Nothing is the statement of a proof of which only the schedule matters.
type Nothing struct{}

// Bytes returns no bytes.
func (Nothing) Bytes() []byte { return nil }

// Unsaturated returns false: what a statement says of clamps sends no message.
func (Nothing) Unsaturated() bool { return false }

// Eval returns zero for every public tensor.
func (Nothing) Eval(*circuit.Circuit, circuit.ID, []field.Element) field.Element {
	return field.Element{}
}
