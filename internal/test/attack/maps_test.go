package attack

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// mapped is a circuit whose second tensor is taken from the first through one map, an equation or the cells of another one.
type mapped struct {
	term  string // of x, the map and the taps, if there are any
	in    []int  // shape of x
	out   []int
	shape []int // of the map
	taps  int
}

// build has the map that is given by its equation, or by cells where there are some.
func (m mapped) build(where string, cells []int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		x := gadget.Rescale(b, "x", b.Weight("w", 6, m.in...), 1, -16, 16)
		var index circuit.ID
		if cells == nil {
			index = b.Affine("map", where, m.shape...)
		} else {
			index = b.Const("map", cells, m.shape...)
		}
		factors := []circuit.ID{x, index}
		if m.taps > 0 {
			factors = append(factors, b.Weight("taps", 4, m.taps))
		}
		gadget.Rescale(b, "y", b.Virtual("acc", m.out, b.Times(1, m.term, factors...)), 0, -512, 512)
	}
}

// reject proves with every other map, against the verifier of the true one. Every one of them is a circuit of equally many tensors, and one
// that gives another result: the lie is about something.
func (m mapped) reject(t *testing.T, where string, equations []string, cells ...[]int64) {
	s := spec{cfg: classes("maps", 5, 6), build: m.build(where, nil)}
	u := newSubject(t, s)
	u.accept(t, lie{circuit: finish(t, s.cfg, s.build)})
	honest, err := u.generate(lie{})
	require.NoError(t, err)
	try := func(what string, c *circuit.Circuit) {
		t.Run(what, func(t *testing.T) {
			require.Equal(t, len(u.c.Tensors), len(c.Tensors))
			l := lie{circuit: c}
			lying, err := u.generate(l)
			require.NoError(t, err)
			y := u.id(t, "y")
			require.NotEqual(t, honest.Tensor(y).All(), lying.Tensor(y).All(), "the same function")
			u.mustReject(t, l)
		})
	}
	for _, e := range equations {
		try(e, finish(t, s.cfg, m.build(e, nil)))
	}
	for i, c := range cells {
		try(fmt.Sprintf("cells %d", i), finish(t, s.cfg, m.build("", c)))
	}
}

// A window that moves in other steps, begins elsewhere, has its taps farther apart or turned around, and one that finds a cell where
// padding is zero: the cell at the other end, or the nearest.
func rejectWrongWindow(t *testing.T) {
	const in, out, taps = 6, 3, 3
	m := mapped{term: "ti,ijm,m->tj t=2 i=6 j=3 m=3", in: []int{2, in}, out: []int{2, out}, shape: []int{in, out, taps}, taps: taps}
	padding := func(i int) []int64 { // window 0 has its first tap before x
		cells := poly.AffineCells(1, []int64{1, -2, -1}, m.shape)
		require.Zero(t, cells[i*out*taps])
		cells[i*out*taps] = 1
		return cells
	}
	m.reject(t, "i - 2j - k + 1", []string{"i - j - k + 1", "i - 3j - k + 1", "i - 2j - k", "i - 2j - k + 2", "i - 2j - 2k + 1", "i - 2j + k - 1"},
		padding(in-1), padding(0))
}

// A slice that begins a cell later, takes every third for every second, runs backwards, or has a cell twice.
func rejectWrongSlice(t *testing.T) {
	m := mapped{term: "ti,ij->tj t=2 i=7 j=3", in: []int{2, 7}, out: []int{2, 3}, shape: []int{7, 3}}
	twice := poly.AffineCells(-1, []int64{1, -2}, m.shape)
	twice[0] = 1
	m.reject(t, "i - 2j - 1", []string{"i - 2j - 2", "i - 2j", "i - 3j", "i + 2j - 5"}, twice)
}

// An axis of 15 that is stored as 3·5 and looked at as 5·3: with the parts exchanged, one cell farther, or with a cell taken from another
// place.
func rejectWrongStorage(t *testing.T) {
	m := mapped{term: "ab,abcd->cd a=3 b=5 c=5 d=3", in: []int{3, 5}, out: []int{5, 3}, shape: []int{3, 5, 5, 3}}
	moved := poly.AffineCells(0, []int64{5, 1, -3, -1}, m.shape)
	last := len(moved) - 1
	require.EqualValues(t, 1, moved[last])
	moved[last], moved[14] = 0, 1 // the last cell of the result is the first of x
	m.reject(t, "5i + j - 3k - l", []string{"5i + j - k - 5l", "i + 3j - 3k - l", "5i + j - 3k - l - 1", "5i + j - 3k - l + 1"}, moved)
}
