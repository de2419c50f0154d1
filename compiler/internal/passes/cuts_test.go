package passes

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// TestCuts compares functions that are linear in pieces with what their definitions make of maxima and minima.
func TestCuts(t *testing.T) {
	step := func(m *model, x, out string) { // HardSigmoid with its defaults
		m.node("Mul", x+" 0.2", out+"a")
		m.node("Add", out+"a 0.5", out+"b")
		m.node("Max", out+"b 0", out+"c")
		m.node("Min", out+"c 1", out)
	}
	diagonal := make([]float64, 64)
	for i := range 8 {
		diagonal[9*i] = float64(i + 1)
	}
	for name, of := range map[string][2]func(m *model){
		"Clip":        {func(m *model) { m.node("Clip", "x -0.5 0.75", "z") }, func(m *model) { m.node("Max", "x -0.5", "a"); m.node("Min", "a 0.75", "z") }},
		"Clip of far": {func(m *model) { m.node("Clip", "x -65504 0.75", "z") }, func(m *model) { m.node("Min", "x 0.75", "z") }},
		"Clip to far": {func(m *model) { m.node("Mul", "x 1e5", "y"); m.node("Clip", "y -65504 70000", "z") }, func(m *model) {
			m.node("Mul", "x 1e5", "y")
			m.node("Max", "y -65504", "a")
			m.node("Min", "a 70000", "z")
		}},
		"Clip below":    {func(m *model) { m.node("Clip", "x 0.25", "z") }, func(m *model) { m.node("Max", "x 0.25", "z") }},
		"Clip by names": {func(m *model) { m.node("Clip", "x", "z", attrFloat("max", 0.25)) }, func(m *model) { m.node("Min", "x 0.25", "z") }},
		"LeakyRelu":     {func(m *model) { m.node("LeakyRelu", "x", "z") }, func(m *model) { m.node("Mul", "x 0.01", "a"); m.node("Max", "x a", "z") }},
		"LeakyRelu 1.5": {func(m *model) { m.node("LeakyRelu", "x", "z", attrFloat("alpha", 1.5)) }, func(m *model) { m.node("Mul", "x 1.5", "a"); m.node("Min", "x a", "z") }},
		"PRelu": {func(m *model) { m.weight("slope", 8); m.node("PRelu", "x slope", "z") }, func(m *model) {
			m.weight("slope", 8)
			m.node("Max", "x 0", "a")
			m.node("Min", "x 0", "b")
			m.node("Mul", "b slope", "c")
			m.node("Add", "a c", "z")
		}},
		"HardSigmoid": {func(m *model) { m.node("Mul", "x 3", "y"); m.node("HardSigmoid", "y", "z") }, func(m *model) { m.node("Mul", "x 3", "y"); step(m, "y", "z") }},
		"HardSwish": {func(m *model) { m.node("Mul", "x 4", "y"); m.node("HardSwish", "y", "z") }, func(m *model) {
			m.node("Mul", "x 4", "y")
			m.node("Div", "y 1.2", "w") // a sixth, where the other's slope is a fifth
			step(m, "w", "s")
			m.node("Mul", "y s", "z")
		}},
	} {
		var logits [2][]float64
		for i, build := range of {
			m := newModel()
			build(m)
			m.floats("cells", []int{8, 8}, diagonal...) // all cells of z
			m.node("MatMul", "z cells", "logits")
			g, err := Lower(m.finish("logits"), Options{})
			if err != nil {
				t.Fatal(name, err)
			}
			vals, err := eval.Float(g, []float64{0, 1, 2, 3})
			if err != nil {
				t.Fatal(name, err)
			}
			logits[i] = vals[g.Out()]
		}
		for i, x := range logits[1] {
			if y := logits[0][i]; !(math.Abs(x-y) <= 1e-12*math.Max(1, math.Abs(x))) {
				t.Errorf("%s: logit %d is %g, not %g", name, i, y, x)
			}
		}
	}
}

// TestCutsThatAreRefused has bounds that are none.
func TestCutsThatAreRefused(t *testing.T) {
	for what, build := range map[string]func(m *model){
		"a bound that is computed": func(m *model) { m.node("Slice", "x [0] [1] [1]", "b"); m.node("Clip", "x b", "z") },
		"between NaN and 0.5":      func(m *model) { m.floats("nan", nil, math.NaN()); m.node("Clip", "x nan 0.5", "z") },
		"between +Inf and +Inf; ":  func(m *model) { m.floats("inf", nil, math.Inf(1)); m.node("Clip", "x inf", "z") },
	} {
		m := newModel()
		build(m)
		_, err := Lower(m.project("z", 8), Options{})
		var u *ir.Unsupported
		if !errors.As(err, &u) || u.Op != "Clip" || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
