package frontend

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// hidden is what exporters mask by.
const hidden = -math.MaxFloat32

// scored is a model on real numbers x [3,3] of nodes "OUTPUT OPERATOR INPUT…; …", called after what they give, of which the last is the
// output. It holds a weight W, one that masks where it is the least float, far, signs in integers q, a triangle and some scalars.
func scored(nodes string) *onnx.Model {
	x := onnx.ValueInfo{Name: "x", DType: onnx.Float32, HasShape: true, Dims: []onnx.Dim{{Value: 3}, {Value: 3}}}
	g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{x}}
	tensor := func(name string, shape []int, cells ...float64) {
		g.Initializers = append(g.Initializers, &onnx.Tensor{Name: name, DType: onnx.Float32, Shape: shape, F: cells})
	}
	square := []int{3, 3}
	tensor("W", square, 0.25, -0.5, 0.75, -0.125, -0.3, 0.7, -1, -2, 0.1)
	tensor("row", []int{3}, 1, 2, 3)
	tensor("far", square, 0.25, hidden, hidden, 0, 0.5, hidden, 0, 0.5, 1)
	for name, x := range map[string]float64{"zero": 0, "one": 1, "third": 0.3, "low": -0.4, "hide": -1e9, "least": hidden, "huge": 1e38} {
		tensor(name, nil, x)
	}
	integers := func(name string, d onnx.DType, shape []int, cells ...int64) {
		g.Initializers = append(g.Initializers, &onnx.Tensor{Name: name, DType: d, Shape: shape, I: cells})
	}
	integers("q", onnx.Int8, square, 1, 0, 2, 1, 1, 0, 2, 2, 1)
	integers("one8", onnx.Int8, nil, 1)
	integers("triangle", onnx.Bool, square, 1, 0, 0, 1, 1, 0, 1, 1, 1)
	integers("rows", onnx.Int64, []int{3}, 2, 1, 0)
	integers("shape", onnx.Int64, []int{2}, 3, 3)
	integers("from", onnx.Int64, []int{1}, 0)
	integers("to", onnx.Int64, []int{1}, 2)
	for _, line := range strings.Split(nodes, "; ") {
		words := strings.Fields(line)
		n := &onnx.Node{Name: "make " + words[0], Op: words[1], Inputs: words[2:], Outputs: words[:1]}
		if op, to, ok := strings.Cut(n.Op, "="); ok {
			n.Op = op
			if op == "Concat" {
				n.Attrs = []*onnx.Attr{{Name: "axis", Type: onnx.AttrInt, I: int64(to[0] - '0')}}
				g.Nodes = append(g.Nodes, n)
				g.Outputs = []onnx.ValueInfo{{Name: words[0]}}
				continue
			}
			d := map[string]onnx.DType{
				"bool": onnx.Bool, "integer": onnx.Int64, "half": onnx.Float16, "float": onnx.Float32, "double": onnx.Float64}[to]
			n.Attrs = []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, I: int64(d)}}
		}
		g.Nodes = append(g.Nodes, n)
		g.Outputs = []onnx.ValueInfo{{Name: words[0]}}
	}
	return &onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: g}
}

func buildScored(nodes string, public ...string) (*ir.Graph, error) {
	return Build(scored(nodes), Options{Ranges: map[string]Range{"x": {Lo: -8, Hi: 8}}, Public: public})
}

// TestPredicatesOfWeights computes masks and numbers of the circuit from a weight that stays private: whatever it is computed by, and
// however the weight serves besides, the model is refused by the node's name, and compiles where its owner makes the weight public.
func TestPredicatesOfWeights(t *testing.T) {
	const (
		scores  = "; scores Add x v; p Softmax scores"
		product = "; end MatMul p W"
		parted  = "scores Add x far; p Softmax scores; c Greater far third; "
	)
	for name, c := range map[string]struct {
		nodes  string
		node   string
		leaves string // the one that the error names, and what else must be public for the model to compile
	}{
		"its signs, beside what is left of it": {"c Greater W zero; v Where c least W" + scores, "scores", "W"},
		"two thresholds of it": {"c Greater W zero; v Where c least W" + scores +
			"; d Less W low; v2 Where d least W; scores2 Add p v2; end Softmax scores2", "scores", "W"},
		"where it is positive, beside a number":  {"c Greater W zero; g Expand one shape; v Where c least g" + scores + product, "scores", "W"},
		"a product beyond all scores":            {"v Mul W huge" + scores, "scores", "W"},
		"a quotient beyond all scores":           {"r Relu W; v Div low r" + scores, "scores", "W"},
		"a mask that is scaled":                  {"v Mul far third" + scores, "scores", "far"},
		"a mask that is rounded":                 {"v Cast=half far" + scores, "scores", "far"},
		"rows that it chooses":                   {"i Cast=integer W; v Gather far i" + scores, "scores", "W far"},
		"its signs, of a comparison":             {"c Greater W zero; v Where c hide zero" + scores + product, "scores", "W"},
		"its signs, of a cast":                   {"r Relu W; b Cast=bool r; f Cast=float b; v Mul f hide" + scores + product, "scores", "W"},
		"its signs, of Sign":                     {"s Sign W; r Relu s; v Mul r hide" + scores + product, "scores", "W"},
		"its signs, of Min":                      {"m Min W zero; s Sign m; n Neg s; v Mul n hide" + scores + product, "scores", "W"},
		"its signs, of Ceil and Clip":            {"u Ceil W; k Clip u zero one; v Mul k hide" + scores + product, "scores", "W"},
		"its signs, of a triangle":               {"s Sign W; r Relu s; t Trilu r; v Mul t hide" + scores + product, "scores", "W"},
		"its signs, as a condition":              {"c Greater W zero; scores Where c least x; p Softmax scores; end MatMul p W", "scores", "W"},
		"what is left of a parted one":           {parted + "v Where c hide zero; scores2 Add p v; end Softmax scores2", "scores2", "far"},
		"that one as a condition":                {parted + "scores2 Where c least p; end Softmax scores2", "scores2", "far"},
		"that one with more masks":               {parted + "v Where c least far; scores2 Add p v; end Softmax scores2", "scores2", "far"},
		"a table that says where it is masked":   {"c Greater far third; v Where c least row" + scores + "; end MatMul p far", "scores", "far"},
		"bits that are a weight, beside a table": {"c Cast=bool q; v Where c least W" + scores + "; f Cast=float q; end MatMul p f", "scores", "q"},
		"an exponent":                            {"m ReduceMax q; f Cast=float m; k Squeeze f; end Pow x k", "end", "q"},
		"a bound":                                {"m ReduceMax q; f Cast=float m; k Squeeze f; end Clip x zero k", "end", "q"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := buildScored(c.nodes)
			var u *Unsupported
			require.True(t, errors.As(err, &u), "%v", err)
			require.Equal(t, "make "+c.node, u.Node)
			if strings.Contains(c.nodes, "Mul W huge") { // every cell of it is, some above all scores
				require.ErrorContains(t, err, "adds 1e+37 to every cell")
				return
			}
			leaves := strings.Fields(c.leaves)
			require.ErrorContains(t, err, "--public "+leaves[0])
			_, err = buildScored(c.nodes, leaves...)
			require.NoError(t, err)
		})
	}
}

// TestPositionsArePublic tells tensors that count the positions of a text from all others.
func TestPositionsArePublic(t *testing.T) {
	for _, c := range []struct {
		shape               []int
		cells               []int64
		long, short, repeat bool // of 64 bits, of 32
	}{
		{[]int{4}, []int64{0, 1, 2, 3}, true, true, false},
		{[]int{1, 4}, []int64{0, 1, 2, 3}, true, true, false},
		{[]int{4, 1}, []int64{0, 1, 2, 3}, true, true, false},
		{[]int{1, 4, 2}, []int64{0, 0, 0, 1, 0, 2, 0, 3}, true, false, false},
		{[]int{2, 2, 2}, []int64{0, 0, 0, 1, 1, 0, 1, 1}, true, false, false},
		{[]int{2, 1}, []int64{0, 1}, true, false, false},
		{[]int{2}, []int64{0, 1}, false, false, false},
		{[]int{3}, []int64{0, 1, 2}, false, false, false},
		{[]int{4}, []int64{1, 2, 3, 4}, false, false, false},
		{[]int{4}, []int64{0, 1, 3, 2}, false, false, false},
		{[]int{2, 2}, []int64{0, 1, 2, 3}, false, false, false},
		{[]int{4, 2}, []int64{0, 0, 1, 0, 0, 1, 1, 1}, false, false, false},
		{[]int{1, 4}, []int64{0, 0, 0, 0}, false, false, true},
		{[]int{4, 1}, []int64{7, 7, 7, 7}, false, false, true},
		{[]int{4, 1}, []int64{0, 1, 2, 1 << 62}, false, false, false},
		{[]int{4, 0}, nil, false, false, true},
	} {
		long, short := &onnx.Tensor{DType: onnx.Int64, Shape: c.shape, I: c.cells}, &onnx.Tensor{DType: onnx.Int32, Shape: c.shape, I: c.cells}
		require.Equal(t, []bool{c.long, c.short, c.repeat, false}, []bool{counts(long), counts(short), repeats(long), repeats(short)}, "%v", c)
	}
	m := scored("v Cast=float counted; y Mul x v; end Softmax y")
	m.Graph.Initializers = append(m.Graph.Initializers, &onnx.Tensor{Name: "counted", DType: onnx.Int64, Shape: []int{1, 4}, I: []int64{0, 1, 2, 3}})
	m.Graph.Inputs[0].Dims[1].Value = 4
	for _, private := range [][]string{nil, {"counted"}} {
		g, err := Build(m, Options{Ranges: map[string]Range{"x": {Lo: -8, Hi: 8}}, Private: private})
		require.NoError(t, err)
		require.Equal(t, len(private) > 0, slices.ContainsFunc(g.Values, func(v *ir.Value) bool { return v.Def.Op == ir.OpWeight }), "hidden where the user says so")
	}
}

// TestConditionsAreHidden chooses by bits that are made of tensors of the file, and mask nothing: they are a weight like those.
func TestConditionsAreHidden(t *testing.T) {
	for name, nodes := range map[string]string{
		"signs of a weight":    "c Greater W zero; y Where c x zero; end MatMul y W",
		"booleans of the file": "y Where triangle x zero",
		"of a softmax":         "p Softmax x; y Where triangle zero p",
		"of an integer":        "c Equal q one8; y Where c zero x",
	} {
		t.Run(name, func(t *testing.T) {
			g, err := buildScored(nodes)
			require.NoError(t, err)
			hidden := 0
			for _, v := range live(g) {
				require.NotEqual(t, ir.OpConst, v.Def.Op)
				if v.Def.Op == ir.OpWeight && !slices.ContainsFunc(v.Data, func(x float64) bool { return x != 0 && x != 1 }) {
					hidden++
				}
			}
			require.Equal(t, 1, hidden)
		})
	}
	_, err := buildScored("c Greater W zero; y Where c x hide; end MatMul y W")
	require.ErrorContains(t, err, "serves as a condition") // nothing computes with what stands for infinity
}

// TestNoCells takes nothing of tensors, joins it to others, and computes with it.
func TestNoCells(t *testing.T) {
	for name, nodes := range map[string]string{
		"joined":      "n Slice x to from; y Concat=0 n x",
		"of nothing":  "n Slice x to from; e Exp n; m Mul e row; p Softmax m; y Concat=0 x p",
		"of a weight": "n Slice W to from; y Concat=0 n x",
		"sum":         "n Slice x to from; s ReduceSum n; y Add x s",
		"product":     "n Slice x to from; v Transpose n; z MatMul v n; y Sub x z",
	} {
		t.Run(name, func(t *testing.T) {
			g, err := buildScored(nodes)
			require.NoError(t, err)
			for _, v := range live(g) {
				require.NotZero(t, ir.Size(v.Shape))
			}
			require.Equal(t, []int{3, 3}, g.Outputs[0].Shape)
		})
	}
	for nodes, name := range map[string]string{"y Slice x to from": "y", "y Clip x one zero": "y", "n Slice x to from; y ReduceMean x": ""} {
		_, err := buildScored(nodes)
		var constant *Constant
		require.Equal(t, name != "", errors.As(err, &constant), "%v", err)
	}
	none := &Constant{outputs: []*val{noCells("y", onnx.Float32, []int{0, 3})}}
	require.NoError(t, none.Gives([][]float64{{}}))
	require.ErrorContains(t, none.Gives([][]float64{{1}}), `output "y" is folded to other values`)
	require.ErrorContains(t, none.Gives(nil), "1 outputs are folded, and 0 expected")
}

// TestMovedMasksAreParted moves a tensor that masks and weighs before it is added to scores: it is parted like one that is not moved.
func TestMovedMasksAreParted(t *testing.T) {
	for name, move := range map[string]string{
		"transposed":        "v Transpose far",
		"reshaped":          "f Flatten far; u Unsqueeze f from; v Reshape u shape",
		"expanded":          "v Expand far shape",
		"rows in an order":  "v Gather far rows",
		"a part":            "s Slice far from to; r Gather s from; v Expand r shape",
		"of a wider type":   "v Cast=double far",
		"through no change": "v Identity far",
	} {
		t.Run(name, func(t *testing.T) {
			g, err := buildScored(move + "; scores Add x v; p Softmax scores; again Add p far; end Softmax again")
			require.NoError(t, err)
			_, err = buildScored(move + "; scores Add x v; p Softmax scores; end MatMul p far")
			require.ErrorContains(t, err, `the mask is computed from "far", which is a private weight too`)
			masksAt := func(x float64) bool { return x <= beyondScores }
			masks, rests := 0, 0
			for _, v := range live(g) {
				switch v.Def.Op {
				case ir.OpConst:
					masks++
					require.True(t, slices.ContainsFunc(v.Data, masksAt))
					require.False(t, slices.ContainsFunc(v.Data, func(x float64) bool { return x != 0 && !masksAt(x) }), "%v", v.Data)
				case ir.OpWeight:
					rests++
					require.False(t, slices.ContainsFunc(v.Data, masksAt))
					require.Contains(t, v.Def.Tensors, "far")
				}
			}
			require.NotZero(t, masks)
			require.NotZero(t, rests)
		})
	}
}

// TestTablesBesideMasks puts the least float into weights where a condition says so, before they are added to scores, as exporters mask ALiBi's
// distances and position biases: the mask is the condition's, public, and the tensor a weight as a whole, wherever else it serves.
func TestTablesBesideMasks(t *testing.T) {
	for name, nodes := range map[string]string{
		"where it is masked":         "v Where triangle least W; scores Add x v; p Softmax scores; end MatMul p W",
		"where it is kept":           "v Where triangle W least; scores Add v x; p Softmax scores; end MatMul p W",
		"by bits of their own":       "c Cast=bool q; v Where c least W; scores Add x v; p Softmax scores; end MatMul p W",
		"a row of every one":         "v Where triangle least row; scores Add x v; p Softmax scores; end Mul p row",
		"of a table that is moved":   "w Transpose W; v Where triangle least w; scores Add x v; p Softmax scores; end MatMul p W",
		"added in several softmaxes": "v Where triangle least W; s Add x v; p Softmax s; s2 Add p v; p2 Softmax s2; end MatMul p2 W",
	} {
		t.Run(name, func(t *testing.T) {
			g, err := buildScored(nodes)
			require.NoError(t, err)
			masks, weights := 0, 0
			for _, v := range live(g) {
				switch v.Def.Op {
				case ir.OpConst:
					masks++
					require.False(t, slices.ContainsFunc(v.Data, func(x float64) bool { return x != 0 && x != hidden }), "%v", v.Data)
				case ir.OpWeight:
					weights++
					require.False(t, slices.Contains(v.Data, hidden))
				}
			}
			require.NotZero(t, masks)
			require.NotZero(t, weights)
		})
	}
}

// TestMeansAreNotParted takes the mean of scores and a tensor that masks: in two, it would count twice.
func TestMeansAreNotParted(t *testing.T) {
	g, err := buildScored("m Mean x far; end Softmax m")
	require.NoError(t, err)
	for _, v := range live(g) {
		require.NotEqual(t, ir.OpConst, v.Def.Op)
	}
}

// TestZerosOfWeights puts the least cell of a tensor, of which nobody knows yet whether it is a weight, in the place of what is no number:
// that it is 0 must not decide what the circuit is.
func TestZerosOfWeights(t *testing.T) {
	p := &val{nan: &emptied{}}
	c := &call{in: []*val{{nan: p.nan}}}
	v, err := c.zeroed([2]*val{{c: vector(onnx.Float32, 0), mark: &mark{name: "q", key: "q"}}, p})
	require.NoError(t, err)
	require.Nil(t, v)
}

// live lists the values that the outputs of a graph are computed from.
func live(g *ir.Graph) (vs []*ir.Value) {
	seen := map[ir.ValueID]bool{}
	var visit func(id ir.ValueID)
	visit = func(id ir.ValueID) {
		if seen[id] {
			return
		}
		seen[id] = true
		vs = append(vs, g.Value(id))
		for _, in := range g.Value(id).Def.In {
			visit(in)
		}
	}
	for _, o := range g.Outputs {
		visit(o.Value)
	}
	return vs
}
