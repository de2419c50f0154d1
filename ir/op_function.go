package ir

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Elementwise functions: Unary over the reals, Table over the integers.

// UnaryAttr names an elementwise function (StageFloat): one of Functions. One that is flat has no derivative: of Roundings, where errors are
// held against what they are of, so that none comes through.
type UnaryAttr struct {
	Fn   string
	Flat bool
}

// TableAttr (StageInt): y = Fn(x) for x in [Lo, Hi], the input's range, elementwise:
// y = round(Fn(x·2^(-InScale))·2^OutScale) clamped to 16 bits signed, as internal/tables computes it.
type TableAttr struct {
	Fn                string
	InScale, OutScale int
	Lo, Hi            int64
}

func (a *UnaryAttr) text() string { return " fn=" + a.Fn }

func (a *TableAttr) text() string {
	return fmt.Sprintf(" fn=%s in=%d out=%d range=[%d,%d]", a.Fn, a.InScale, a.OutScale, a.Lo, a.Hi)
}

func init() {
	register(&OpInfo{
		Op: OpUnary, Stages: reals, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true,
		Meaning: "an elementwise function, one of Functions, of Roots or of Roundings", Shape: "that of x", Scale: "-",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*UnaryAttr)
			return n.attrs(g, is && (IsFunction(a.Fn) || slices.Contains(Roots, a.Fn) || slices.Contains(Roundings, a.Fn)))
		},
		float: func(r *Run, n *Node, in [][]float64) ([][]float64, error) {
			fn := n.Attr.(*UnaryAttr).Fn
			f, ok := Function(fn)
			if !ok {
				return nil, n.Errorf("unknown function %q", fn)
			}
			out, err := each(r, in[0], f)
			return [][]float64{out}, err
		},
		pull: pullUnary,
	})
	register(&OpInfo{
		Op: OpTable, Stages: integers, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true,
		Meaning: "an elementwise function on 16-bit integers, by lookup", Shape: "that of x", Scale: "OutScale",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*TableAttr)
			return n.attrs(g, is && (IsFunction(a.Fn) || a.Fn == StepFunction) && a.Lo <= a.Hi)
		},
		bound: func(_ *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
			a := n.Attr.(*TableAttr)
			lines, err := tables.Eval(a.Fn, a.Lo, a.Hi, a.InScale, a.OutScale)
			if err != nil {
				return nil, RefuseFor(n.Origin, n.Named(), err)
			}
			return []interval.Interval{interval.Of(slices.Min(lines), slices.Max(lines))}, nil
		},
		integer: intTable,
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			a := n.Attr.(*TableAttr)
			return plan.Table, []plan.Arg{plan.Text("fn", a.Fn), plan.Size("inScale", a.InScale), plan.Size("outScale", a.OutScale)}
		},
		Unique: "gadget.Table, gadget.RescaleTable",
	})
}

// Functions lists the elementwise functions of Unary and Table.
//
//	silu       x·σ(x)                      sigmoid   1/(1+exp(−x))
//	gelu       x/2·(1+erf(x/√2))           gelu_tanh x/2·(1+tanh(√(2/π)(x+0.044715x³)))
//	tanh       the hyperbolic tangent      relu      max(x, 0)
//	exp        the exponential function    erf       the error function
//	sin, cos   of radians                  softplus  log(1+exp(x))
var Functions = []string{"silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "relu", "exp", "erf", "sin", "cos", "softplus"}

// IsFunction says whether fn is one of Functions, or one that is composed of others: see tables.Composed.
func IsFunction(fn string) bool {
	_, composed := tables.Composed(fn)
	return composed || slices.Contains(Functions, fn)
}

// Roots are the functions that Unary may name besides Functions. The integer program has no table of them: it divides, and takes roots of
// quotients, so that results are as precise in relation to themselves over many powers of two; see package quant.
var Roots = []string{"sqrt", "reciprocal", "rsqrt"}

// Roundings are functions that Unary may name, too, to the integer below, above, nearest (an even one where two are) and towards 0.
var Roundings = []string{"floor", "ceil", "round", "trunc"}

var functions = map[string]func(float64) float64{
	"silu":    func(x float64) float64 { return x / (1 + portable.Exp(-x)) },
	"sigmoid": portable.Sigmoid,
	"gelu":    func(x float64) float64 { return float64(x / 2 * (1 + portable.Erf(x/math.Sqrt2))) },
	"gelu_tanh": func(x float64) float64 {
		return float64(x / 2 * (1 + portable.Tanh(float64(math.Sqrt(2/math.Pi)*(x+float64(0.044715*x*x*x))))))
	},
	"tanh":     portable.Tanh,
	"relu":     func(x float64) float64 { return math.Max(x, 0) },
	"exp":      portable.Exp,
	"erf":      portable.Erf,
	"sin":      portable.Sin,
	"cos":      portable.Cos,
	"softplus": portable.Softplus,
	// Of OpStep, and of Table.
	StepFunction: positive,
	"floor":      math.Floor,
	"ceil":       math.Ceil,
	"round":      math.RoundToEven,
	"trunc":      math.Trunc,
	"sqrt":       math.Sqrt,
	"reciprocal": func(x float64) float64 { return 1 / x },
	"rsqrt":      func(x float64) float64 { return 1 / math.Sqrt(x) },
}

// Function returns the real function that a name of Functions, Roots or Roundings, or a composed one, stands for.
func Function(fn string) (func(float64) float64, bool) {
	if f, ok := functions[fn]; ok {
		return f, true
	}
	return tables.Composed(fn)
}

// each applies a function to every cell.
func each(r *Run, x []float64, f func(float64) float64) ([]float64, error) {
	out := make([]float64, len(x))
	for i, v := range x {
		if i%pollAfter == pollAfter-1 && r.Budget.Poll() != nil {
			return nil, r.Budget.Poll()
		}
		out[i] = f(v)
	}
	return out, nil
}

func intTable(_ *Run, n *Node, in [][]int64) ([][]int64, error) {
	x, a := in[0], n.Attr.(*TableAttr)
	t, err := tables.Eval(a.Fn, a.Lo, a.Hi, a.InScale, a.OutScale)
	if err != nil {
		return nil, RefuseFor(n.Origin, n.Named(), err)
	}
	out := make([]int64, len(x))
	for i, v := range x {
		if v < a.Lo || v > a.Hi {
			return nil, n.Errorf("cell %d: input %d is outside of [%d,%d]", i, v, a.Lo, a.Hi)
		}
		out[i] = t[v-a.Lo]
	}
	return [][]int64{out}, nil
}
