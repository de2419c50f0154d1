package tables

import (
	"math"
	"strings"
	"testing"
)

// Composed functions are what their names say, entries at poles the ends of the range, and those that are no numbers 0.
func TestComposed(t *testing.T) {
	for name, want := range map[string]func(float64) float64{
		"log(x)":                           math.Log,
		"pow(x,1.5)":                       func(x float64) float64 { return math.Pow(x, 1.5) },
		"mul(x,reciprocal(add(1,abs(x))))": func(x float64) float64 { return x / (1 + math.Abs(x)) },
		"max(mul(-2,x),exp(x))":            func(x float64) float64 { return math.Max(-2*x, math.Exp(x)) },
	} {
		f, ok := Composed(name)
		if !ok {
			t.Fatal(name)
		}
		for _, x := range []float64{0.25, 1, 3.5, 100} {
			if y := f(x); math.Abs(y-want(x)) > 1e-12*math.Abs(want(x)) {
				t.Errorf("%s of %g is %g", name, x, y)
			}
		}
	}
	lines, err := Eval("log(x)", -1, 2, 1, 8)
	if err != nil || lines[0] != 0 || lines[1] != MinEntry || lines[2] != -177 || lines[3] != 0 {
		t.Errorf("logarithms of −1/2 to 1: %v, %v", lines, err)
	}
	for _, name := range []string{"x", "2", "", "log", "log()", "log(x", "log(x))", "log(y)", "log(x,x)", "mul(x)", "mul(x,x,x)", "mul(y,x)", "mul(1.0,x)", "mul(x)x)", "exp(mul(x,x,)", "mul(x,exp(x)",
		"ln(x)", "add(x,1.0)", "add(x,+1)", "add(x,Inf)", "add(x,NaN)", "add(x, 1)",
		"silu(x)", strings.Repeat("exp(", mostComposed) + "x" + strings.Repeat(")", mostComposed)} {
		if _, ok := Composed(name); ok {
			t.Errorf("%.40q is taken for a function", name)
		}
	}
	nested := func(exps, sqrts int) string {
		return strings.Repeat("exp(", exps) + strings.Repeat("sqrt(", sqrts) + "x" + strings.Repeat(")", exps+sqrts)
	}
	for name, want := range map[string]bool{nested(201, 3): true, nested(200, 4): false} {
		if _, ok := Composed(name); ok != want {
			t.Errorf("of a name of %d letters: %v", len(name), ok)
		}
	}
}
