package passes

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/ir"
)

// fuse makes one function of what is computed of one value cell by cell, whatever its spelling: of two functions at least, which are used
// for nothing else. A composed function has one table and one rounding of its argument.
func fuse(g *ir.Graph) error {
	whole, f := ir.Wholes(g), fusion{g: g, users: usersOf(g)}
	for _, n := range slices.Backward(g.Nodes) {
		if n.Op != ir.OpEinsum && n.Op != ir.OpUnary && n.Op != ir.OpMax {
			continue
		}
		if x, fn, ok := f.best(n, whole); ok {
			replace(n, ir.OpUnary, []ir.ValueID{x}, &ir.UnaryAttr{Fn: fn})
			f.users = usersOf(g)
		}
	}
	return nil
}

// fusion looks for a value of which another one is a function.
type fusion struct {
	g     *ir.Graph
	users [][]*ir.Node

	inside  map[ir.ValueID]string // the values of the function, with their formulas
	smooth  int                   // functions among them that are no maxima
	kinks   int
	failing bool
}

const (
	mostAtoms   = 32
	mostFormula = 900
)

// usersOf lists the nodes that use a value; nil stands for an output.
func usersOf(g *ir.Graph) [][]*ir.Node {
	users := make([][]*ir.Node, len(g.Values))
	for _, n := range g.Nodes {
		for _, in := range n.In {
			users[in] = append(users[in], n)
		}
	}
	for _, p := range g.Outputs {
		users[p.Value] = append(users[p.Value], nil)
	}
	return users
}

// best is the farthest value of which a node's is a function that is worth a table of its own, with the function's name.
func (f *fusion) best(n *ir.Node, whole []bool) (x ir.ValueID, fn string, ok bool) {
	most, before := 0, f.ancestors(n.Out[0])
	if !slices.ContainsFunc(before, func(id ir.ValueID) bool { o := f.g.Value(id).Def.Op; return o == ir.OpUnary || o == ir.OpMax }) {
		return 0, "", false
	}
	for _, at := range before {
		if isParam(f.g, int(at)) || whole[at] {
			continue
		}
		f.inside, f.smooth, f.kinks, f.failing = map[ir.ValueID]string{at: "x"}, 0, 0, false
		text := f.formula(n.Out[0])
		if f.failing || f.smooth == 0 || f.smooth+f.kinks < 2 || f.smooth+f.kinks < most || len(text) > mostFormula || !ir.IsFunction(text) || !f.alone(at, n) {
			continue
		}
		x, fn, ok, most = at, text, true, f.smooth+f.kinks
	}
	return x, fn, ok
}

// ancestors are the values that a value is computed of cell by cell, nearest first, without itself.
func (f *fusion) ancestors(id ir.ValueID) []ir.ValueID {
	list := []ir.ValueID{id}
	for i := 0; i < len(list) && len(list) < mostAtoms; i++ {
		n := f.g.Value(list[i]).Def
		var in []ir.ValueID
		switch n.Op {
		case ir.OpUnary, ir.OpMax:
			in = n.In
		case ir.OpEinsum:
			for _, t := range ir.Free(n) {
				for k, x := range t.In {
					if sameAxes(t, k) {
						in = append(in, ir.ValueID(x))
					}
				}
			}
		}
		for _, x := range in {
			if !slices.Contains(list, x) {
				list = append(list, x)
			}
		}
	}
	return list[1:]
}

// alone says that the values between two ones are used for nothing else.
func (f *fusion) alone(from ir.ValueID, to *ir.Node) bool {
	for id := range f.inside {
		if id == from || id == to.Out[0] {
			continue
		}
		for _, n := range f.users[id] {
			if n == nil {
				return false
			}
			if _, inside := f.inside[n.Out[0]]; !inside {
				return false
			}
		}
	}
	return true
}

// formula is a value as a function of x.
func (f *fusion) formula(id ir.ValueID) string {
	if text, known := f.inside[id]; known || f.failing {
		return text
	}
	n, text := f.g.Value(id).Def, ""
	switch n.Op {
	case ir.OpUnary:
		fn := n.Attr.(*ir.UnaryAttr).Fn
		if f.smooth++; fn == "relu" {
			f.smooth, f.kinks = f.smooth-1, f.kinks+1
		}
		of := f.formula(n.In[0])
		if text = applied(fn, of); slices.Contains(ir.Roots, fn) && !farFromZero(of) {
			text = "" // it is more precise by itself
		}
	case ir.OpMax:
		f.kinks++
		text = "max(" + f.formula(n.In[0]) + "," + f.formula(n.In[1]) + ")"
	case ir.OpEinsum:
		text = f.sum(ir.Free(n))
	}
	f.failing = f.failing || text == "" || len(text) > mostFormula
	f.inside[id] = text
	return text
}

// farFromZero says that a formula's values are positive, and not near 0, wherever x may be.
func farFromZero(formula string) bool {
	f, ok := ir.Function(formula)
	if !ok {
		return false
	}
	for k := -20; k <= 10; k++ {
		for _, x := range []float64{0, math.Ldexp(1, k), -math.Ldexp(1, k)} {
			if y := f(x); !(y >= 1.0/128 && y <= math.MaxFloat64) {
				return false
			}
		}
	}
	return true
}

func number(c float64) string { return strconv.FormatFloat(c, 'g', -1, 64) }

func (f *fusion) sum(ts []ir.Term) (sum string) {
	for _, t := range ts {
		if reduces(t) || f.failing {
			return ""
		}
		product := ""
		if t.Coef != 1 || len(t.In) == 0 {
			product = number(t.Coef)
		}
		for k, id := range t.In {
			if !sameAxes(t, k) {
				return ""
			}
			product = joined("mul", product, f.formula(ir.ValueID(id)))
		}
		sum = joined("add", sum, product)
	}
	return sum
}

func joined(op, a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return op + "(" + a + "," + b + ")"
}

// formulas are those of functions that are called otherwise in formulas.
var formulas = map[string]string{"relu": "max(0,x)", "silu": "mul(x,sigmoid(x))", "rsqrt": "pow(x,-0.5)", "gelu": "mul(mul(0.5,x),add(1,erf(mul(0.7071067811865476,x))))"}

// applied is a function of a formula, "" for one that is no part of any.
func applied(fn, to string) string {
	text, ok := formulas[fn]
	if !ok {
		text = fn
		if !strings.HasSuffix(fn, ")") {
			text = fn + "(x)"
		}
	}
	if !ir.IsFunction(text) {
		return ""
	}
	var out strings.Builder
	for text != "" { // word by word: "max" has an x, too
		end := strings.IndexAny(text, "(),")
		if end < 0 {
			end = len(text)
		}
		if word := text[:end]; word == "x" {
			out.WriteString(to)
		} else {
			out.WriteString(word)
		}
		if end < len(text) {
			out.WriteByte(text[end])
			end++
		}
		text = text[end:]
	}
	return out.String()
}
