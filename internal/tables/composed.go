package tables

import (
	"math"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// Functions that have no entry of their own in functions are composed of others; what they are called is how they are computed, in doubles:
//
//	x, a number, or one of the names below of as many of these in parentheses: mul(x,exp(mul(-0.5,x)))
//
// A function that is no number somewhere has the entry 0 there, and at a pole the least or the greatest.

// mostComposed bounds the length of a name.
const mostComposed = 1 << 10

var (
	unaries = map[string]func(float64) float64{
		"exp": portable.Exp, "log": portable.Log, "sqrt": math.Sqrt, "reciprocal": func(x float64) float64 { return 1 / x }, "abs": math.Abs,
		"sin": portable.Sin, "cos": portable.Cos, "atan": portable.Atan, "tanh": portable.Tanh, "erf": portable.Erf, "sigmoid": portable.Sigmoid,
		"softplus": portable.Softplus,
	}
	binaries = map[string]func(x, y float64) float64{
		"add": func(x, y float64) float64 { return x + y }, "mul": func(x, y float64) float64 { return float64(x * y) }, "max": math.Max, "pow": portable.Pow,
	}
)

// Composed returns the function that a name says how to compute; false for what says nothing so.
func Composed(name string) (func(x float64) float64, bool) {
	if len(name) > mostComposed || !strings.HasSuffix(name, ")") {
		return nil, false
	}
	f, rest, ok := compose(name)
	return f, ok && rest == ""
}

// compose reads a function from the beginning of a text.
func compose(text string) (f func(x float64) float64, rest string, ok bool) {
	end := strings.IndexAny(text, "(),")
	if end < 0 || text[end] != '(' { // x or a number
		if end < 0 {
			end = len(text)
		}
		word, rest := text[:end], text[end:]
		if word == "x" {
			return func(x float64) float64 { return x }, rest, true
		}
		c, err := strconv.ParseFloat(word, 64)
		return func(float64) float64 { return c }, rest, err == nil && strconv.FormatFloat(c, 'g', -1, 64) == word && !math.IsInf(c, 0) && c == c
	}
	word := text[:end]
	a, rest, ok := compose(text[end+1:])
	if g := unaries[word]; g != nil && ok && strings.HasPrefix(rest, ")") {
		return func(x float64) float64 { return g(a(x)) }, rest[1:], true
	}
	g := binaries[word]
	if g == nil || !ok || !strings.HasPrefix(rest, ",") {
		return nil, "", false
	}
	b, rest, ok := compose(rest[1:])
	if !ok || !strings.HasPrefix(rest, ")") {
		return nil, "", false
	}
	return func(x float64) float64 { return g(a(x), b(x)) }, rest[1:], true
}

// evaluator is how entries of a function are computed.
func evaluator(fn string) (eval func(x sample, out int) (abs uint64, neg bool), ok bool) {
	for _, f := range functions {
		if f.name == fn {
			return f.eval, true
		}
	}
	f, ok := Composed(fn)
	if !ok {
		return nil, false
	}
	return rounded(func(x float64) float64 {
		if y := f(x); y == y {
			return y
		}
		return 0
	}), true
}
