package lookup

import (
	"math/bits"
	"sort"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
)

// Block is one aligned range of leaves: the cells of a lookup, or the lines of a table.
type Block struct {
	Lookup int    // index of the lookup, -1 for the table's own block
	Table  int    // index of the table
	Shape  []int  // the box whose cells are the block's leaves
	Bits   int    // log2 of the padded size
	Offset uint64 // first leaf, a multiple of the padded size; all leaves together may be more than an int of 32 bits counts
}

// Plan says where every lookup and every table of a circuit stands among the leaves of the one fraction tree. It depends on the
// circuit only, is immutable and may be shared.
type Plan struct {
	Blocks []Block
	N      int // number of leaf variables, at least 1

	circuit *circuit.Circuit
	tables  [][]column // per table and column: how the verifier evaluates it
}

// NewPlan lays the blocks out by falling padded size, lookups before tables of the same size, each in the circuit's order: with
// powers of two in falling order the first free leaf is always aligned, so that no leaf is lost between blocks.
func NewPlan(c *circuit.Circuit) *Plan {
	p := &Plan{circuit: c, N: 1}
	for i, l := range c.Lookups {
		shape := c.Tensor(l.Cols[0]).Shape
		p.Blocks = append(p.Blocks, Block{Lookup: i, Table: l.Table, Shape: shape, Bits: circuit.ShapeBits(shape)})
	}
	for i, t := range c.Tables {
		shape := c.Tensor(t.Mult).Shape
		p.Blocks = append(p.Blocks, Block{Lookup: -1, Table: i, Shape: shape, Bits: circuit.ShapeBits(shape)})
		cols := make([]column, len(t.Cols))
		for k, values := range t.Cols {
			cols[k] = newColumn(values)
		}
		p.tables = append(p.tables, cols)
	}
	sort.SliceStable(p.Blocks, func(i, j int) bool { return p.Blocks[i].Bits > p.Blocks[j].Bits })
	end := uint64(0)
	for i := range p.Blocks {
		p.Blocks[i].Offset = end
		end += 1 << p.Blocks[i].Bits
	}
	p.N = max(p.N, bits.Len64(max(end, 1)-1))
	return p
}

// columns is the largest number of columns of a table.
func (p *Plan) columns() int {
	k := 0
	for _, cols := range p.tables {
		k = max(k, len(cols))
	}
	return k
}

// hidden returns the tensors whose evaluations a block's leaves need: the columns of a lookup, the multiplicities of a table.
func (p *Plan) hidden(b *Block) []circuit.ID {
	if b.Lookup < 0 {
		t := &p.circuit.Tables[b.Table]
		return []circuit.ID{t.Mult}
	}
	return p.circuit.Lookups[b.Lookup].Cols
}

// tableID is the fingerprint's constant term. It is the coefficient of γ⁰, which no column uses, and differs from table to table
// and from zero: a line of one table is never a line of another, and padding is no line.
func tableID(table int) field.Element { return field.FromInt64(int64(table) + 1) }

// powers returns γ¹, γ², …, γⁿ: γ⁰ is the id's.
func powers(gamma field.Element, n int) []field.Element { return field.Powers(gamma, n+1)[1:] }

// tableAt returns Σ_i γ^i·T_i(point) over the columns of a table.
func (p *Plan) tableAt(table int, point []field.Element, gamma field.Element) field.Element {
	var sum, v field.Element
	cols := p.tables[table]
	gammas := powers(gamma, len(cols))
	for i := range cols {
		v = cols[i].at(point)
		sum.Add(&sum, v.Mul(&v, &gammas[i]))
	}
	return sum
}

// Leaves describes the leaves to a backend.
func (p *Plan) Leaves(columns Columns, beta, gamma field.Element) []backend.Block {
	out := make([]backend.Block, len(p.Blocks))
	tables := make([]*backend.Block, len(p.tables))
	for i := range p.Blocks {
		if b := &p.Blocks[i]; b.Lookup < 0 {
			tables[b.Table] = &out[i]
		}
	}
	for i := range p.Blocks {
		b := &p.Blocks[i]
		k := backend.Block{Offset: int(b.Offset), Shape: b.Shape, ID: tableID(b.Table), Beta: beta}
		if b.Lookup < 0 {
			k.Cols = columns.Table(b.Table)
			k.Mult = columns.Tensor(p.circuit.Tables[b.Table].Mult)
		} else {
			k.Lines = tables[b.Table]
			for _, id := range p.circuit.Lookups[b.Lookup].Cols {
				k.Cols = append(k.Cols, columns.Tensor(id))
			}
		}
		k.Gamma = powers(gamma, len(k.Cols))
		out[i] = k
	}
	return out
}
