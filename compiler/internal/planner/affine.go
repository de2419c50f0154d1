package planner

import (
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/ir"
)

// Slices, shifts, padding and concatenation reach the planner as constant matrices of zeros and ones that stand in products. Those that
// are the indicator of one linear equation between their indices become that equation: neither the circuit's file nor the verifier
// holds or walks the matrix then.

// equation returns the linear equation in the indices i, j, … that holds exactly where the cells are 1, one per axis.
// It fails where a cell is neither 0 nor 1, where there is no such equation, and where evaluating it would cost more than the cells do.
func equation(values []int64, shape []int) (*ir.AffineAttr, bool) {
	for _, v := range values {
		if v != 0 && v != 1 {
			return nil, false
		}
	}
	e := &solver{shape: shape}
	for i, v := range values {
		if v == 1 && !e.add(e.index(i)) {
			break
		}
	}
	offset, strides, ok := e.solve()
	if !ok || poly.AffineWork(offset, strides, shape) >= int64(len(values)) || !slices.Equal(values, poly.AffineCells(offset, strides, shape)) {
		return nil, false
	}
	return &ir.AffineAttr{Offset: offset, Strides: strides}, true
}

// solver finds the one direction that is orthogonal to all differences of the indices of ones, by elimination over the rationals.
type solver struct {
	shape []int
	first []int
	rows  [][]*big.Rat // in echelon form
	lead  []int        // per row: its pivot, an axis
}

// index returns the indices of a cell.
func (e *solver) index(i int) []int {
	x := make([]int, len(e.shape))
	for a := len(e.shape) - 1; a >= 0; a-- {
		x[a] = i % e.shape[a]
		i /= e.shape[a]
	}
	return x
}

// add takes another index at which there is a one, and says whether more are wanted: whoever calls it checks all cells in the end.
func (e *solver) add(x []int) bool {
	if e.first == nil {
		e.first = x
		for a, d := range e.shape { // an axis of one cell has no part in the equation
			if d == 1 {
				row := make([]*big.Rat, len(e.shape))
				for k := range row {
					row[k] = new(big.Rat)
				}
				row[a].SetInt64(1)
				e.reduce(row)
			}
		}
		return true
	}
	if len(e.rows) >= len(e.shape)-1 {
		return false
	}
	row := make([]*big.Rat, len(x))
	for a := range x {
		row[a] = new(big.Rat).SetInt64(int64(x[a] - e.first[a]))
	}
	e.reduce(row)
	return true
}

// reduce adds a row, less its parts along those that are there.
func (e *solver) reduce(row []*big.Rat) {
	t := new(big.Rat)
	for r, lead := range e.lead {
		f := new(big.Rat).Set(row[lead])
		for a := range row {
			row[a].Sub(row[a], t.Mul(f, e.rows[r][a]))
		}
	}
	for lead := range row {
		if row[lead].Sign() == 0 {
			continue
		}
		f := new(big.Rat).Inv(row[lead])
		for a := range row {
			row[a].Mul(row[a], f)
		}
		for _, other := range e.rows { // the others lose their part along the new row
			f := new(big.Rat).Set(other[lead])
			for a := range other {
				other[a].Sub(other[a], t.Mul(f, row[a]))
			}
		}
		e.rows, e.lead = append(e.rows, row), append(e.lead, lead)
		return
	}
}

// solve returns the equation, in least integers, the last stride that is not zero being negative.
func (e *solver) solve() (offset int64, strides []int64, ok bool) {
	n := len(e.shape)
	if e.first == nil || len(e.rows) != n-1 {
		return 0, nil, false
	}
	free := 0
	for _, lead := range e.lead {
		free += lead
	}
	free = n*(n-1)/2 - free // the one axis that leads no row
	den := big.NewInt(1)
	for _, row := range e.rows {
		g := new(big.Int).GCD(nil, nil, den, row[free].Denom())
		den.Div(new(big.Int).Mul(den, row[free].Denom()), g)
	}
	strides = make([]int64, n)
	for r, row := range e.rows {
		v := new(big.Rat).Mul(row[free], new(big.Rat).SetInt(den))
		strides[e.lead[r]] = -v.Num().Int64()
	}
	strides[free] = den.Int64()
	last := n - 1
	for strides[last] == 0 {
		last--
	}
	if strides[last] > 0 {
		for a := range strides {
			strides[a] = -strides[a]
		}
	}
	for a, x := range e.first {
		offset -= strides[a] * int64(x)
	}
	return offset, strides, true
}
