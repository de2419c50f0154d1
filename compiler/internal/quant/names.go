package quant

import (
	"regexp"
	"strings"

	"github.com/zkllmc/zkllmc/ir"
)

// rename gives the values of a prepared graph names by their role, the same in every layer, from which the names of the circuit's
// tensors follow: exporters number their values, and a numbered name says nothing and differs between layers. The original
// name stays in Node.Origin.
func rename(g *ir.Graph) {
	for _, n := range g.Nodes {
		v := g.Value(n.Out[0])
		switch n.Op {
		case ir.OpWeight:
			v.Name = weightName(v.Name)
		case ir.OpConst:
			v.Name = constantName(v.Name)
		case ir.OpAffine: // numbered by the frontend
			v.Name = strings.TrimRight(v.Name, "0123456789._# ")
		}
	}
	for _, n := range g.Nodes {
		for _, o := range n.Out {
			if name := role(g, n); name != "" {
				g.Value(o).Name = name
			}
		}
	}
	for _, n := range g.Nodes {
		if n.Op == ir.OpSoftmax {
			if v := g.Value(n.In[0]); v.Def.Op == ir.OpEinsum {
				v.Name = "scores"
			}
			if n.Attr.(*ir.SoftmaxAttr).HasMask {
				g.Value(n.In[1]).Name = "mask"
			}
		}
	}
	for _, p := range g.Outputs {
		if v := g.Value(p.Value); v.Def.Op == ir.OpEinsum {
			v.Name = "logits"
			if !g.IsLanguageModel() {
				v.Name = portName(p.Name, "output")
			}
		}
	}
}

// portName is the name of the tensor that carries a port.
func portName(name, otherwise string) string {
	if s := strings.Trim(unclean.ReplaceAllString(name, "_"), "_."); s != "" {
		return s
	}
	return otherwise
}

var (
	layerIndex = regexp.MustCompile(`^.*(?:^|[._/])\d+[._/]`)
	numbered   = regexp.MustCompile(`\d{2,}|^[a-z]+_?\d+$|::`)
	unclean    = regexp.MustCompile(`[^A-Za-z0-9_.]+`)
)

// weightName keeps the part of an initializer's name that follows the layer's index; a name that an exporter invented becomes
// "weight".
func weightName(name string) string {
	s := layerIndex.ReplaceAllString(name, "")
	s = strings.Trim(unclean.ReplaceAllString(s, "_"), "_.")
	if s == "" || numbered.MatchString(s) {
		return "weight"
	}
	return s
}

// constantName is weightName for constants; what the pass "linear" made of index arithmetic is a map.
func constantName(name string) string {
	if strings.HasSuffix(name, ".linear") {
		return "map"
	}
	if name = weightName(name); name == "weight" {
		return "constant"
	}
	return name
}

// stem is a weight's name without its last part, what it is a weight of.
func stem(name string) string {
	if name == "weight" {
		return "linear"
	}
	for _, suffix := range []string{".weight", ".bias", "_weight", ".gamma", ".scale"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// role names the result of a node.
func role(g *ir.Graph, n *ir.Node) string {
	switch n.Op {
	case ir.OpWeight, ir.OpConst, ir.OpAffine:
		return "" // named already
	case ir.OpInput:
		if g.IsLanguageModel() {
			return "ids"
		}
		return portName(g.InputOf(n.Out[0]).Name, "input")
	case ir.OpOneHot:
		return "tokens"
	case ir.OpSoftmax:
		return "attention"
	case ir.OpUnary:
		return functionName(n.Attr.(*ir.UnaryAttr).Fn)
	case ir.OpNorm:
		if len(n.In) > 1 {
			if s := stem(g.Value(n.In[1]).Name); s != "linear" {
				return s
			}
		}
		return "norm"
	case ir.OpEinsum:
		return einsumRole(g, n)
	}
	return strings.ToLower(string(n.Op))
}

// functionName is what the result of a function is called: of a composed one, as the outermost.
func functionName(fn string) string {
	name, _, _ := strings.Cut(fn, "(")
	return name
}

func einsumRole(g *ir.Graph, n *ir.Node) string {
	activations, constants, maps := 0, 0, 0
	weight, softmax, hot := "", false, false
	for _, id := range n.In {
		switch v := g.Value(id); v.Def.Op {
		case ir.OpWeight:
			if weight == "" {
				weight = stem(v.Name)
			}
		case ir.OpConst:
			constants++
		case ir.OpAffine:
			maps++
		case ir.OpOneHot:
			hot = true
		default:
			softmax = softmax || v.Def.Op == ir.OpSoftmax
			activations++
		}
	}
	terms := len(n.Attr.(*ir.EinsumAttr).Terms)
	switch {
	case hot:
		return "embedding"
	case softmax:
		return "context"
	case weight != "":
		return weight
	case activations > 1 && terms > 1:
		return "residual"
	case activations > 1:
		return "product"
	case constants > 0:
		return "rotated"
	case maps > 0:
		return "moved"
	}
	return "view"
}
