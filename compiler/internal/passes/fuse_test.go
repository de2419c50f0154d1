package passes

import (
	"math"
	"testing"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// What is computed of one value cell by cell by several functions is one function of it, whatever its spelling; what something else uses, and
// what is exact, stays.
func TestFuse(t *testing.T) {
	for name, c := range map[string]struct {
		build func(m *model) // z of x
		fn    string         // of the one function that is left; "": those that are not fused
		want  func(x float64) float64
	}{
		"mish": {func(m *model) { m.node("Softplus", "x", "a"); m.node("Tanh", "a", "b"); m.node("Mul", "b x", "z") },
			"mul(tanh(softplus(x)),x)", func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) }},
		"softsign": {func(m *model) { m.node("Abs", "x", "a"); m.node("Add", "a 1", "b"); m.node("Div", "x b", "z") },
			"mul(x,reciprocal(add(max(x,mul(-1,x)),1)))", func(x float64) float64 { return x / (1 + math.Abs(x)) }},
		"scaled": {func(m *model) {
			m.node("Add", "x 0.5", "a")
			m.node("Sin", "a", "b")
			m.node("Exp", "b", "c")
			m.node("Sub", "c 1", "z")
		},
			"add(exp(sin(add(x,0.5))),-1)", func(x float64) float64 { return math.Exp(math.Sin(x+0.5)) - 1 }},
		"one": {func(m *model) { m.node("Tanh", "x", "a"); m.node("Mul", "a x", "z") }, "", func(x float64) float64 { return x * math.Tanh(x) }},
		"clip": {func(m *model) {
			m.node("Relu", "x", "a")
			m.node("Sub", "x 1", "b")
			m.node("Relu", "b", "c")
			m.node("Sub", "a c", "z")
		}, "",
			func(x float64) float64 { return math.Min(math.Max(x, 0), 1) }},
		"floor": {func(m *model) {
			m.node("Floor", "x", "a")
			m.node("Tanh", "x", "b")
			m.node("Sin", "b", "c")
			m.node("Mul", "a c", "z")
		}, "sin(tanh(x))",
			func(x float64) float64 { return math.Floor(x) * math.Sin(math.Tanh(x)) }},
		"used twice": {func(m *model) {
			m.node("Tanh", "x", "a")
			m.node("Sin", "a", "b")
			m.node("MatMul", "a wide", "c")
			m.node("MatMul", "b wide", "d")
			m.node("Add", "c d", "z")
		}, "", nil},
	} {
		m := newModel()
		if name == "used twice" {
			m.weight("wide", 8, 8)
		}
		c.build(m)
		g, err := Lower(m.project("z", 8), Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		var fns []string
		for _, n := range g.Nodes {
			if n.Op == ir.OpUnary {
				fns = append(fns, n.Attr.(*ir.UnaryAttr).Fn)
			}
		}
		has := false
		for _, fn := range fns {
			has = has || fn == c.fn
		}
		if has == (c.fn == "") || c.fn != "" && len(fns) > 2 {
			t.Errorf("%s: functions %q are left, want %q", name, fns, c.fn)
		}
		if c.want == nil {
			continue
		}
		ids := []float64{0, 1, 2, 3}
		got, err := eval.Float(g, ids)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, n := range g.Nodes { // the functions' arguments and results
			if n.Op == ir.OpUnary && n.Attr.(*ir.UnaryAttr).Fn == c.fn && name != "floor" {
				for i, x := range got[n.In[0]] {
					if y := got[n.Out[0]][i]; math.Abs(y-c.want(x)) > 1e-9 {
						t.Errorf("%s of %g is %g, want %g", name, x, y, c.want(x))
					}
				}
			}
		}
	}
}
