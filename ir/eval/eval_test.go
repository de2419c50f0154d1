package eval

import (
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/tables"
)

// intGraph is a graph in StageInt of one operation on a constant.
func intGraph(op ir.Op, attr ir.Attr, shape []int, cells []int64, mask []int64) *ir.Graph {
	g := &ir.Graph{Name: "g", Stage: ir.StageInt, Input: -1}
	x := g.Add(ir.OpConst, "", "x", shape, nil, nil)
	x.Ints = cells
	in := []ir.ValueID{x.ID}
	if mask != nil {
		m := g.Add(ir.OpConst, "", "mask", shape[len(shape)-1:], nil, nil)
		m.Ints = mask
		in = append(in, m.ID)
	}
	g.Output = g.Add(op, "node", "", shape, in, attr).ID
	return g
}

func run(t *testing.T, g *ir.Graph) map[ir.ValueID][]int64 {
	t.Helper()
	if err := ir.Verify(g); err != nil {
		t.Fatal(err)
	}
	vals, err := Int(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	return vals
}

func equal(t *testing.T, got, want []int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestRescale(t *testing.T) {
	g := intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 2, Lo: -3, Hi: 2}, []int{7}, []int64{-100, -7, -6, -2, 1, 2, 100}, nil)
	equal(t, run(t, g)[g.Output], []int64{-3, -2, -1, 0, 0, 1, 2})
	g = intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 0, Lo: -3, Hi: 2}, []int{2}, []int64{-9, 1}, nil)
	equal(t, run(t, g)[g.Output], []int64{-3, 1})
	g = intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 2, Lo: 0, Hi: 1}, []int{1}, []int64{math.MaxInt64}, nil)
	if _, err := Int(g, nil); err == nil {
		t.Error("an overflow of the rounding is accepted")
	}
}

func TestRsqrt(t *testing.T) {
	g := intGraph(ir.OpRsqrt, &ir.RsqrtAttr{Num: 1 << 62, Eps: 3}, []int{4}, []int64{0, 1, 1000003, 1 << 40}, nil)
	for i, r := range run(t, g)[g.Output] {
		s := g.Value(0).Ints[i] + 3
		if r*r > (1<<62)/s || (r+1)*(r+1) <= (1<<62)/s {
			t.Errorf("s = %d: r = %d", s, r)
		}
	}
}

func TestTable(t *testing.T) {
	g := intGraph(ir.OpTable, &ir.TableAttr{Fn: "silu", InScale: 4, OutScale: 4, Lo: -32, Hi: 31}, []int{3}, []int64{-32, 0, 31}, nil)
	equal(t, run(t, g)[g.Output], []int64{-4, 0, 27})
	g.Value(0).Ints[0] = -33
	if _, err := Int(g, nil); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Error(err)
	}
}

func TestZkAttn(t *testing.T) {
	a := &ir.ZkAttnAttr{Shift: 1, DBits: 3, EBits: 8, InvBits: 20, Unit: 0.5, HasMask: true}
	g := intGraph(ir.OpZkAttn, a, []int{2, 3}, []int64{5, 3, 99, -40, 0, 99}, []int64{0, 0, 1})
	n := g.Nodes[len(g.Nodes)-1]
	inv := g.NewValue("inv", []int{2})
	inv.Def = n
	n.Out = append(n.Out, inv.ID)
	vals := run(t, g)
	e := tables.Exp(3, 8, 0.5)
	equal(t, vals[n.Out[0]], []int64{256, e[1], 0, 0, 256, 0}) // σ = 3, 2 and −20, 0
	equal(t, vals[n.Out[1]], []int64{(1 << 20) / (256 + e[1]), (1 << 20) / 256})
}

// TestEinsumPathsAgree compares the nested loops with the sums in big integers on random terms.
func TestEinsumPathsAgree(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for round := 0; round < 200; round++ {
		term := randomTerm(r)
		var in [][]int64
		for _, axes := range term.Axes {
			x := make([]int64, size(term, axes))
			for i := range x {
				x[i] = int64(r.Intn(21) - 10)
			}
			in = append(in, x)
		}
		n := size(term, term.Out)
		fast := make([]int64, n)
		addTerm(fast, &term, term.ICoef, in)
		slow, err := intEinsumBig(&term, in, n)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fast, slow)
	}
}

func intEinsumBig(term *ir.Term, in [][]int64, n int) ([]int64, error) {
	return sumBig([]ir.Term{*term}, func(*ir.Term) [][]int64 { return in }, n)
}

func size(t ir.Term, axes [][]int) int {
	n := 1
	for _, a := range axes {
		n *= t.AxisExtent(a)
	}
	return n
}

func randomTerm(r *rand.Rand) ir.Term {
	t := ir.Term{ICoef: int64(r.Intn(5) - 2)}
	labels := 1 + r.Intn(4)
	for l := 0; l < labels; l++ {
		t.Extents = append(t.Extents, 1+r.Intn(4))
	}
	axes := func() [][]int {
		var out [][]int
		for _, l := range r.Perm(labels)[:r.Intn(labels+1)] {
			if len(out) > 0 && r.Intn(3) == 0 {
				out[len(out)-1] = append(out[len(out)-1], l)
			} else {
				out = append(out, []int{l})
			}
		}
		return out
	}
	for k := r.Intn(4); k >= 0; k-- {
		t.In, t.Axes = append(t.In, len(t.In)), append(t.Axes, axes())
	}
	t.Out = axes()
	return t
}

func TestOverflowIsAnError(t *testing.T) {
	big := int64(1) << 40
	term := ir.Term{ICoef: 1, Extents: []int{2}, In: []int{0, 0}, Axes: [][][]int{{{0}}, {{0}}}, Out: [][]int{{0}}}
	g := intGraph(ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{term}}, []int{2}, []int64{3, big}, nil)
	if _, err := Int(g, nil); err == nil || !strings.Contains(err.Error(), "64 bits") {
		t.Errorf("got %v", err)
	}
	// Far terms that cancel are fine: what counts is the sum.
	minus := term.Clone()
	minus.ICoef = -1
	g = intGraph(ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{term, minus}}, []int{2}, []int64{3, big}, nil)
	equal(t, run(t, g)[g.Output], []int64{0, 0})
}

func TestDeclaredRangeIsChecked(t *testing.T) {
	g := intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 0, Lo: -9, Hi: 9}, []int{1}, []int64{7}, nil)
	g.Value(g.Output).Lo, g.Value(g.Output).Hi = -6, 6
	if _, err := Int(g, nil); err == nil || !strings.Contains(err.Error(), "declared range") {
		t.Errorf("got %v", err)
	}
}

func TestTokenIDsAreChecked(t *testing.T) {
	g := &ir.Graph{Name: "g", Stage: ir.StageFloat, Vocab: 3}
	x := g.Add(ir.OpInput, "", "ids", []int{2}, nil, nil)
	g.Input, g.Output = x.ID, g.Add(ir.OpOneHot, "", "", []int{2, 3}, []ir.ValueID{x.ID}, nil).ID
	for _, ids := range [][]int64{{0}, {0, 3}, {-1, 0}} {
		if _, err := Float(g, ids); err == nil {
			t.Errorf("%v is accepted", ids)
		}
	}
	if v, err := Float(g, []int64{2, 0}); err != nil || v[g.Output][2] != 1 || v[g.Output][3] != 1 {
		t.Errorf("%v %v", v, err)
	}
}
