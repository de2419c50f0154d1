package passes

import (
	"math"

	"github.com/zkllmc/zkllmc/ir"
)

// activations recognises SiLU and GELU that the model spells out. Every candidate is brought into a normal form, a polynomial in
// x and u = f(…), where f is the sigmoid, erf or tanh whose argument is a polynomial in x: the spelling does not matter.
func activations(g *ir.Graph) error {
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if n := g.Nodes[i]; n.Op == ir.OpEinsum {
			matchActivation(g, n)
		}
	}
	return nil
}

// poly is a polynomial in x and u: coefficients by degree. It is an array, so that sums of coefficients have one order.
type poly [maxDegree + 1][2]float64

const maxDegree = 4

// polynomial expands a value in terms of x and u; every step is elementwise.
type polynomial struct {
	g     *ir.Graph
	x, u  ir.ValueID
	steps int
}

func (p *polynomial) expand(id ir.ValueID) (poly, bool) {
	switch id {
	case p.x:
		return poly{1: {1, 0}}, true
	case p.u:
		return poly{{0, 1}}, true
	}
	ts := terms(p.g, id)
	if p.steps++; ts == nil || p.steps > 64 {
		return poly{}, false
	}
	sum := poly{}
	for _, t := range ts {
		prod := poly{{t.Coef, 0}}
		for k, in := range t.In {
			if !sameAxes(t, k) {
				return poly{}, false
			}
			f, ok := p.expand(ir.ValueID(in))
			if !ok {
				return poly{}, false
			}
			if prod, ok = prod.times(&f); !ok {
				return poly{}, false
			}
		}
		for d := range prod {
			sum[d][0] += prod[d][0]
			sum[d][1] += prod[d][1]
		}
	}
	return sum, true
}

// times multiplies; a product of too high a degree is none.
func (a *poly) times(b *poly) (r poly, ok bool) {
	for i := range 2 * len(a) {
		for j := range 2 * len(b) {
			x, u := i/2+j/2, i%2+j%2
			switch c := float64(a[i/2][i%2] * b[j/2][j%2]); {
			case c == 0:
			case x > maxDegree || u > 1:
				return poly{}, false
			default:
				r[x][u] += c
			}
		}
	}
	return r, true
}

// is compares with the given coefficients; others must vanish.
func (a *poly) is(want poly) bool {
	for d := range a {
		for e, c := range a[d] {
			if w := want[d][e]; w != 0 && !closeTo(c, w) || w == 0 && !(math.Abs(c) <= 1e-9) {
				return false
			}
		}
	}
	return true
}

// closeTo allows for constants that exporters print with few digits (0.7978, 0.044715).
func closeTo(a, b float64) bool { return math.Abs(a-b) <= 2e-4*math.Abs(b) }

// atoms collects the values that an elementwise expression is made of, nearest first.
func atoms(g *ir.Graph, root ir.ValueID, limit int) []ir.ValueID {
	list := []ir.ValueID{root}
	seen := map[ir.ValueID]bool{root: true}
	for i := 0; i < len(list) && len(list) < limit; i++ {
		for _, t := range terms(g, list[i]) {
			for k, in := range t.In {
				if id := ir.ValueID(in); sameAxes(t, k) && !seen[id] {
					seen[id] = true
					list = append(list, id)
				}
			}
		}
	}
	return list
}

func matchActivation(g *ir.Graph, n *ir.Node) {
	for _, u := range atoms(g, n.Out[0], 24) {
		def := g.Value(u).Def
		if def.Op != ir.OpUnary {
			continue
		}
		fn := def.Attr.(*ir.UnaryAttr).Fn
		if fn != "sigmoid" && fn != "erf" && fn != "tanh" {
			continue
		}
		for _, x := range atoms(g, def.In[0], 24) {
			if tryActivation(g, n, fn, x, u, def.In[0]) {
				return
			}
		}
	}
}

// tryActivation replaces the node if it is an activation of x with inner function u = fn(arg).
func tryActivation(g *ir.Graph, n *ir.Node, fn string, x, u, arg ir.ValueID) bool {
	inner, ok := (&polynomial{g: g, x: x, u: -1}).expand(arg)
	if !ok {
		return false
	}
	outer, ok := (&polynomial{g: g, x: x, u: u}).expand(n.Out[0])
	if !ok {
		return false
	}
	switch fn {
	case "sigmoid": // x·σ(c·x) = silu(c·x)/c
		c := inner[1][0]
		k := outer[1][1]
		if c == 0 || k == 0 || !inner.is(poly{1: {c, 0}}) || !outer.is(poly{1: {0, k}}) {
			return false
		}
		emitActivation(g, n, "silu", x, c, k/c)
	case "erf": // k·x·(1 + erf(c·x/√2)) = 2k/c·gelu(c·x)
		c := float64(inner[1][0] * math.Sqrt2)
		k := outer[1][1]
		if c == 0 || k == 0 || !inner.is(poly{1: {c / math.Sqrt2, 0}}) || !outer.is(poly{1: {k, k}}) {
			return false
		}
		emitActivation(g, n, "gelu", x, c, 2*k/c)
	case "tanh":
		k := outer[1][1]
		s := math.Sqrt(2 / math.Pi)
		if k == 0 || !inner.is(poly{1: {s, 0}, 3: {float64(s * 0.044715), 0}}) || !outer.is(poly{1: {k, k}}) {
			return false
		}
		emitActivation(g, n, "gelu_tanh", x, 1, float64(2*k))
	}
	return true
}

// emitActivation replaces the node by out·fn(in·x).
func emitActivation(g *ir.Graph, n *ir.Node, fn string, x ir.ValueID, in, out float64) {
	if closeTo(in, 1) {
		in = 1
	}
	arg := scaled(g, n, x, in)
	if closeTo(out, 1) {
		replace(n, ir.OpUnary, []ir.ValueID{arg}, &ir.UnaryAttr{Fn: fn})
		return
	}
	y := g.Derive(n, ir.OpUnary, "", g.Value(x).Shape, []ir.ValueID{arg}, &ir.UnaryAttr{Fn: fn})
	t := identityTerm(g, y.ID)
	t.Coef = out
	setTerms(n, []ir.Term{t})
}
