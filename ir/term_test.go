package ir

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/ir/plan"
)

// brute evaluates a term by definition: for every assignment of its labels.
func brute(t Term, in [][]float64, shapes [][]int, outShape []int) []float64 {
	out := make([]float64, Size(outShape))
	at := make([]int, len(t.Extents))
	index := func(axes [][]int, shape []int) int {
		k := 0
		for a, axis := range axes {
			p := 0
			for _, l := range axis {
				p = p*t.Extents[l] + at[l]
			}
			k = k*shape[a] + p
		}
		return k
	}
	for n := Size(t.Extents); n > 0; n-- {
		p := t.Coef
		for i := range t.In {
			p *= in[i][index(t.Axes[i], shapes[i])]
		}
		out[index(t.Out, outShape)] += p
		for l := len(at) - 1; l >= 0; l-- {
			if at[l]++; at[l] < t.Extents[l] {
				break
			}
			at[l] = 0
		}
	}
	return out
}

func random(r *rand.Rand, shape []int) []float64 {
	x := make([]float64, Size(shape))
	for i := range x {
		x[i] = float64(r.Intn(9) - 4)
	}
	return x
}

func same(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestComposeKeepsMeaning composes a product with a reshaped, transposed, broadcast and summed operand.
func TestComposeKeepsMeaning(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	x, y := random(r, []int{4, 6}), random(r, []int{2, 2, 3})
	// inner[a,(b c)] = 2·Σ_d x[(b d),(a c)] with a=2 b=2 c=3 d=2, broadcast over a new axis e=5
	inner := Term{Coef: 2, Extents: []int{2, 2, 3, 2, 5}, In: []int{0}, Axes: [][][]int{{{1, 3}, {0, 2}}}, Out: [][]int{{0}, {1, 2}, {4}}}
	// outer[c,e] = 3·Σ_ab inner[a,(b c),e]·y[a,b,c]
	outer := Term{Coef: 3, Extents: []int{2, 2, 3, 5}, In: []int{7, 1}, Axes: [][][]int{{{0}, {1, 2}, {3}}, {{0}, {1}, {2}}}, Out: [][]int{{2}, {3}}}
	mid := brute(inner, [][]float64{x}, [][]int{{4, 6}}, []int{2, 6, 5})
	want := brute(outer, [][]float64{mid, y}, [][]int{{2, 6, 5}, {2, 2, 3}}, []int{3, 5})
	c, ok := Compose(outer, 0, inner)
	if !ok {
		t.Fatal("does not compose")
	}
	if got := brute(c, [][]float64{x, y}, [][]int{{4, 6}, {2, 2, 3}}, []int{3, 5}); !same(got, want) {
		t.Errorf("%s\ngot  %v\nwant %v", c.text(StageFloat, func(i int) string { return fmt.Sprint(i) }), got, want)
	}
}

func TestComposeRefusesUnequalCuts(t *testing.T) {
	split := func(hi, lo int) Term {
		return Term{Coef: 1, Extents: []int{hi, lo}, In: []int{0}, Axes: [][][]int{{{0}, {1}}}, Out: [][]int{{0, 1}}}
	}
	outer := Term{Coef: 1, Extents: []int{3, 2}, In: []int{0}, Axes: [][][]int{{{0, 1}}}, Out: [][]int{{0}, {1}}}
	if _, ok := Compose(outer, 0, split(2, 3)); ok {
		t.Error("an axis of 6 as 3·2 and as 2·3 composes")
	}
	if _, ok := Compose(outer, 0, split(3, 2)); !ok {
		t.Error("equal cuts do not compose")
	}
}

func TestReshape(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for _, c := range [][2][]int{{{6}, {2, 3}}, {{1, 4, 6}, {4, 2, 1, 3}}, {{4, 6}, {8, 3}}, {{2, 3, 4}, {24}}, {{1}, {}}, {{}, {1, 1}}} {
		x := random(r, c[0])
		term, ok := Reshape(0, c[0], c[1])
		if !ok || !same(brute(term, [][]float64{x}, [][]int{c[0]}, c[1]), x) {
			t.Errorf("%v to %v: %v %+v", c[0], c[1], ok, term)
		}
	}
	if _, ok := Reshape(0, []int{2, 3}, []int{3, 2}); ok {
		t.Error("[2,3] to [3,2] has no common factorisation")
	}
}

// valid is a graph with one of most things.
func valid() *Graph {
	g := &Graph{Name: "g", Stage: StageFloat}
	in := g.AddIDs("ids", 2, 3)
	h := g.Add(OpOneHot, "", "", []int{2, 3}, []ValueID{in.ID}, nil)
	w := g.Add(OpWeight, "", "w", []int{3, 2}, nil, nil)
	w.Data = make([]float64, 6)
	t := Term{Coef: 1, Extents: []int{2, 2, 3}, In: []int{0, 1}, Axes: [][][]int{{{0}, {2}}, {{2}, {1}}}, Out: [][]int{{0}, {1}}}
	e := g.Add(OpEinsum, "embed", "", []int{2, 2}, []ValueID{h.ID, w.ID}, &EinsumAttr{[]Term{t}})
	m := g.Add(OpConst, "", "mask", []int{2, 2}, nil, nil)
	m.Data = []float64{0, 1, 0, 0}
	s := g.Add(OpSoftmax, "soft", "", []int{2, 2}, []ValueID{e.ID, m.ID}, &SoftmaxAttr{Scale: 1, HasMask: true})
	g.Return(g.Add(OpUnary, "act", "", []int{2, 2}, []ValueID{s.ID}, &UnaryAttr{Fn: "silu"}).ID)
	return g
}

func TestVerify(t *testing.T) {
	if err := Verify(valid()); err != nil {
		t.Fatal(err)
	}
	term := func(g *Graph) *Term { return &g.Nodes[3].Attr.(*EinsumAttr).Terms[0] }
	for want, breakIt := range map[string]func(g *Graph){
		"unknown stage": func(g *Graph) { g.Stage = 9 },
		"is not an operation of stage 2": func(g *Graph) {
			g.Stage = StageInt
			g.Values[2].Ints = make([]int64, 6)
			g.Values[4].Ints = []int64{0, 1, 0, 0}
			term(g).ICoef = 1
		},
		"before its definition":          func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] },
		"unknown operation":              func(g *Graph) { g.Nodes[1].Op = "Foo" },
		"cells for shape":                func(g *Graph) { g.Values[2].Data = nil },
		"has no terms":                   func(g *Graph) { g.Nodes[3].Attr = &EinsumAttr{} },
		"occurs twice":                   func(g *Graph) { term(g).Axes[0][1] = []int{0} },
		"labels of extent 4":             func(g *Graph) { term(g).Extents[2] = 4 },
		"coefficient 0":                  func(g *Graph) { term(g).Coef = 0 },
		"is not used":                    func(g *Graph) { term(g).Extents = append(term(g).Extents, 5) },
		"is all masked":                  func(g *Graph) { g.Values[4].Data[0] = 1 },
		"the mask has a cell 2":          func(g *Graph) { g.Values[4].Data[0] = 2 },
		"do not fit":                     func(g *Graph) { g.Nodes[6].Attr = &UnaryAttr{Fn: "cbrt"} },
		"from shape":                     func(g *Graph) { g.Values[6].Shape = []int{2, 3} },
		`the output "" is not defined`:   func(g *Graph) { g.Outputs[0].Value = 99 },
		"the output is not defined":      func(g *Graph) { g.Outputs = nil },
		`two outputs are called ""`:      func(g *Graph) { g.Outputs = append(g.Outputs, g.Outputs[0]) },
		`the input "ids" is not defined`: func(g *Graph) { g.Nodes[0].Op = OpConst; g.Values[0].Data = []float64{1, 2} },
		"is none of the graph's inputs":  func(g *Graph) { g.Inputs[0].Value = 3 },
		"its operand is no input of ids": func(g *Graph) { g.Inputs[0].Kind = plan.Integers },
		"vocabulary 4":                   func(g *Graph) { g.Inputs[0].Hi = 3 },
		`input "ids" in [1, 2]`:          func(g *Graph) { g.Inputs[0].Lo = 1 },
		`the input "ids" of shape [3]`:   func(g *Graph) { g.Inputs[0].Shape = []int{3} },
	} {
		g := valid()
		breakIt(g)
		if err := Verify(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestEveryOperationIsInTheTable(t *testing.T) {
	for _, o := range []Op{OpInput, OpWeight, OpConst, OpOneHot, OpEinsum, OpUnary, OpNorm, OpSoftmax, OpRescale, OpTable, OpRsqrt, OpZkAttn} {
		if i, ok := o.Info(); !ok || i.Meaning == "" || i.Shape == "" || i.Scale == "" || len(i.Stages) == 0 {
			t.Errorf("%s: %+v", o, i)
		}
	}
}
