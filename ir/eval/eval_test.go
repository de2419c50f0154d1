package eval

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// intGraph is a graph in StageInt of one operation on a constant.
func intGraph(op ir.Op, attr ir.Attr, shape []int, cells []int64, mask []int64) *ir.Graph {
	g := &ir.Graph{Name: "g", Stage: ir.StageInt}
	x := g.Add(ir.OpConst, "", "x", shape, nil, nil)
	x.Ints = cells
	in := []ir.ValueID{x.ID}
	if mask != nil {
		m := g.Add(ir.OpConst, "", "mask", shape[len(shape)-1:], nil, nil)
		m.Ints = mask
		in = append(in, m.ID)
	}
	g.Return(g.Add(op, "node", "", shape, in, attr).ID)
	return g
}

func run(t *testing.T, g *ir.Graph) map[ir.ValueID][]int64 {
	t.Helper()
	if err := ir.Verify(g); err != nil {
		t.Fatal(err)
	}
	vals, err := Int(g)
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
	equal(t, run(t, g)[g.Out()], []int64{-3, -2, -1, 0, 0, 1, 2})
	g = intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 0, Lo: -3, Hi: 2}, []int{2}, []int64{-9, 1}, nil)
	equal(t, run(t, g)[g.Out()], []int64{-3, 1})
	g = intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 2, Lo: 0, Hi: 1}, []int{1}, []int64{math.MaxInt64}, nil)
	if _, err := Int(g); err == nil {
		t.Error("an overflow of the rounding is accepted")
	}
}

func TestRsqrt(t *testing.T) {
	g := intGraph(ir.OpRsqrt, &ir.RsqrtAttr{Num: 1 << 62, Eps: 3}, []int{4}, []int64{0, 1, 1000003, 1 << 40}, nil)
	for i, r := range run(t, g)[g.Out()] {
		s := g.Value(0).Ints[i] + 3
		if r*r > (1<<62)/s || (r+1)*(r+1) <= (1<<62)/s {
			t.Errorf("s = %d: r = %d", s, r)
		}
	}
}

func TestTable(t *testing.T) {
	g := intGraph(ir.OpTable, &ir.TableAttr{Fn: "silu", InScale: 4, OutScale: 4, Lo: -32, Hi: 31}, []int{3}, []int64{-32, 0, 31}, nil)
	equal(t, run(t, g)[g.Out()], []int64{-4, 0, 27})
	g.Value(0).Ints[0] = -33
	if _, err := Int(g); err == nil || !strings.Contains(err.Error(), "outside") {
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
	e, err := tables.Exp(3, 8, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, vals[n.Out[0]], []int64{256, e[1], 0, 0, 256, 0}) // σ = 3, 2 and −20, 0
	equal(t, vals[n.Out[1]], []int64{(1 << 20) / (256 + e[1]), (1 << 20) / 256})
}

func TestOverflowIsAnError(t *testing.T) {
	big := int64(1) << 40
	term := ir.Term{ICoef: 1, Extents: []int{2}, In: []int{0, 0}, Axes: [][][]int{{{0}}, {{0}}}, Out: [][]int{{0}}}
	g := intGraph(ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{term}}, []int{2}, []int64{3, big}, nil)
	if _, err := Int(g); err == nil || !strings.Contains(err.Error(), "64 bits") {
		t.Errorf("got %v", err)
	}
	// Far terms that cancel are fine: what counts is the sum.
	minus := term.Clone()
	minus.ICoef = -1
	g = intGraph(ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{term, minus}}, []int{2}, []int64{3, big}, nil)
	equal(t, run(t, g)[g.Out()], []int64{0, 0})
}

func TestDeclaredRangeIsChecked(t *testing.T) {
	g := intGraph(ir.OpRescale, &ir.RescaleAttr{Shift: 0, Lo: -9, Hi: 9}, []int{1}, []int64{7}, nil)
	g.Value(g.Out()).Lo, g.Value(g.Out()).Hi = -6, 6
	if _, err := Int(g); err == nil || !strings.Contains(err.Error(), "declared range") {
		t.Errorf("got %v", err)
	}
}

func TestTokenIDsAreChecked(t *testing.T) {
	g := &ir.Graph{Name: "g", Stage: ir.StageFloat}
	x := g.AddIDs("ids", 2, 3)
	g.Return(g.Add(ir.OpOneHot, "", "", []int{2, 3}, []ir.ValueID{x.ID}, nil).ID)
	for _, ids := range [][]float64{{0}, {0, 3}, {-1, 0}, {0.5, 0}, {math.NaN(), 0}} {
		if _, err := Float(g, ids); err == nil {
			t.Errorf("%v is accepted", ids)
		}
	}
	if v, err := Float(g, []float64{2, 0}); err != nil || v[g.Out()][2] != 1 || v[g.Out()][3] != 1 {
		t.Errorf("%v %v", v, err)
	}
}

// What an input does not take is an error that names it, and so is another number of inputs.
func TestElementsAreChecked(t *testing.T) {
	g := &ir.Graph{Name: "g", Stage: ir.StageFloat}
	x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -1, Hi: 1, Shape: []int{2}})
	g.AddInput(ir.Port{Name: "m", Kind: plan.Booleans, Hi: 1, Shape: []int{1}})
	g.Return(x.ID)
	for want, in := range map[string][][]float64{
		"elements of 1 inputs, graph g has 2":                            {{0, 0}},
		`1 elements, the input "x" of graph g takes 2`:                   {{0}, {0}},
		`element 1 of the input "x" is 1.5; it takes Reals in [-1, 1]`:   {{0, 1.5}, {0}},
		`element 0 of the input "x" is NaN; it takes Reals in [-1, 1]`:   {{math.NaN(), 0}, {0}},
		`element 0 of the input "m" is 0.5; it takes Booleans in [0, 1]`: {{0, 0}, {0.5}},
		`element 0 of the input "m" is 2; it takes Booleans in [0, 1]`:   {{0, 0}, {2}},
	} {
		if _, err := Float(g, in...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if v, err := Float(g, []float64{-1, 0.25}, []float64{1}); err != nil || v[x.ID][1] != 0.25 {
		t.Errorf("%v %v", v, err)
	}
}

// embedding is a graph that looks ids up in a table of V rows and multiplies by a matrix, as one product of three operands.
func embedding(T, V, d, e int) *ir.Graph {
	g := &ir.Graph{Name: "g", Stage: ir.StageFloat}
	ids := g.AddIDs("ids", T, V)
	hot := g.Add(ir.OpOneHot, "", "hot", []int{T, V}, []ir.ValueID{ids.ID}, nil)
	table := g.Add(ir.OpWeight, "", "table", []int{V, d}, nil, nil)
	matrix := g.Add(ir.OpWeight, "", "matrix", []int{d, e}, nil, nil)
	for _, w := range []*ir.Value{table, matrix} {
		w.Data = make([]float64, ir.Size(w.Shape))
		for i := range w.Data {
			w.Data[i] = math.Sin(float64(i))
		}
	}
	t := ir.Term{Coef: 2, Extents: []int{T, V, d, e}, In: []int{0, 1, 2}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}, {{2}, {3}}}, Out: [][]int{{0}, {3}}}
	g.Return(g.Add(ir.OpEinsum, "lookup", "out", []int{T, e}, []ir.ValueID{hot.ID, table.ID, matrix.ID}, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID)
	return g
}

// TestGather looks ids up: the result is that of the product with one-hot vectors, and the demand does not grow with the vocabulary
// but for the vectors themselves.
func TestGather(t *testing.T) {
	g := embedding(3, 5, 4, 2)
	ids := []int64{4, 0, 4}
	got, err := Float(g, Reals(ids))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, 6)
	for i := range want {
		for k := range 4 {
			want[i] += 2 * g.Value(2).Data[int(ids[i/2])*4+k] * g.Value(3).Data[k*2+i%2]
		}
	}
	for i, x := range got[g.Out()] {
		if math.Abs(x-want[i]) > 1e-14 {
			t.Errorf("cell %d is %g, want %g", i, x, want[i])
		}
	}
	for _, V := range []int{5, 50000} {
		b := budget.New(context.Background(), 1)
		bytes, err := Demand(b, embedding(3, V, 4, 2), 10)
		if err != nil {
			t.Fatal(err)
		}
		if w := b.Spent().Work; w != int64(10*(3*V+3*3*4*2)) {
			t.Errorf("%d tokens: %d multiplications", V, w)
		}
		if bytes != 8*(3*V+3*2) {
			t.Errorf("%d tokens: %d bytes", V, bytes)
		}
	}
}

// TestCancelled ends a product of minutes soon after its context, in both meanings.
func TestCancelled(t *testing.T) {
	const n = 1 << 12
	term := ir.Term{Coef: 1, ICoef: 1, Extents: []int{n, n, n}, In: []int{0, 0}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}
	float := &ir.Graph{Stage: ir.StageFloat}
	x := float.Add(ir.OpConst, "", "x", []int{n, n}, nil, nil)
	x.Data = make([]float64, n*n)
	float.Return(float.Add(ir.OpEinsum, "square", "", []int{n, n}, []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{term}}).ID)
	for i := range x.Data {
		x.Data[i] = 1
	}
	for _, cell := range []int64{1, math.MaxInt64} { // the second needs big integers
		g := intGraph(ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{term}}, []int{n, n}, nil, nil)
		g.Value(0).Ints = make([]int64, n*n)
		for i := range g.Value(0).Ints {
			g.Value(0).Ints[i] = cell
		}
		err := EachInt(budget.New(askedOften(), 1<<30), g, make([][][]int64, 1), func(int, *ir.Value, []int64) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("integers: %v", err)
		}
	}
	err := EachFloat(budget.New(askedOften(), 1), float, make([][][]float64, 1), func(int, *ir.Value, []float64) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("reals: %v", err)
	}
}

// asked is a context that ends when it has been asked a number of times: whoever asks less often is not ended by it.
type asked struct {
	context.Context
	left *atomic.Int64
}

func askedOften() asked {
	a := asked{context.Background(), new(atomic.Int64)}
	a.left.Store(40)
	return a
}

func (a asked) Err() error {
	if a.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestDemand refuses a product that no budget has work for, and one whose result no budget has memory for, by the node's name.
func TestDemand(t *testing.T) {
	for want, n := range map[string]int{"multiplications": 1 << 13, "bytes": 1 << 15} {
		g := &ir.Graph{Stage: ir.StageFloat}
		x := g.Add(ir.OpConst, "", "x", []int{n}, nil, nil)
		term, runs := ir.Term{Coef: 1, Extents: []int{n, n}, In: []int{0, 0}, Axes: [][][]int{{{0}}, {{1}}}, Out: [][]int{{0}, {1}}}, 1
		if want == "multiplications" {
			term.Axes, term.Out = [][][]int{{{0}}, {{0}}}, term.Out[:1]
			runs = 1 << 20
		}
		g.Return(g.Add(ir.OpEinsum, "outer", "", []int{n, n}[:len(term.Out)], []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{term}}).ID)
		_, err := Demand(budget.New(context.Background(), 1), g, runs)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `node "outer" (Einsum)`) || !strings.Contains(err.Error(), "--budget") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
