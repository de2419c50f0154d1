package compiler

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// zeroedRows is a layer of attention over ids, of which a mask of integers says which count: it chooses −∞, and what a softmax makes of a row
// of nothing else is replaced by zeros. A causal mask of finite numbers is added before or not; looking twice at the softmax is another model.
func zeroedRows(inverted, causal, twice bool) *pb.ModelProto {
	nodes := []*pb.NodeProto{
		op("Gather", "E ids", "x"), op("Transpose", "x", "xt", intsAttr("perm", 0, 2, 1)), op("MatMul", "x xt", "s"),
		op("Unsqueeze", "attention_mask one", "m1"), op("Cast", "m1", "m", intAttr("to", int64(onnx.Bool))),
	}
	if inverted {
		nodes = append(nodes, op("Not", "m", "left"), op("Where", "left inf nil", "bias"))
	} else {
		nodes = append(nodes, op("Where", "m nil inf", "bias"))
	}
	scores := "s bias"
	if causal {
		nodes = append(nodes, op("Add", "s later", "s1"))
		scores = "s1 bias"
	}
	nodes = append(nodes, op("Add", scores, "s2"), op("Softmax", "s2", "p", intAttr("axis", -1)), op("IsNaN", "p", "none"), op("Where", "none nil p", "q"),
		op("MatMul", "q x", "z"), op("MatMul", "z W", "logits"))
	if twice {
		nodes[len(nodes)-1] = op("MatMul", "z W", "l")
		nodes = append(nodes, op("MatMul", "p l", "logits"))
	}
	later := floatsOf("later", 0, -2000, -2000, 0, 0, -2000, 0, 0, 0)
	later.Dims = []int64{3, 3}
	return portsModel([]*pb.ValueInfoProto{port("ids", int64sOf, 1, 3), port("attention_mask", int64sOf, 1, 3)}, []string{"logits"}, nodes,
		matrix("E", 9, 4), matrix("W", 4, 5), int64s("one", 1), scalarOf("nil", 0), scalarOf("inf", float32(math.Inf(-1))), later)
}

// A row of which a mask of −∞ leaves nothing is zeros where the file puts them in the place of what is no number, whichever way its booleans
// are; then nothing is noted. Where another use of the softmax sees the row, too, a note says so; and another mask is refused.
func TestEmptiedRowsThatAreZeroed(t *testing.T) {
	ctx := context.Background()
	ranges := map[string]Range{"attention_mask": {Lo: 0, Hi: 1}}
	for name, c := range map[string]struct {
		inverted, causal, twice bool
		notes                   int
	}{"kept": {}, "inverted": {inverted: true}, "behind another mask": {causal: true}, "used twice": {twice: true, notes: 1}} {
		r, err := compileFile(ctx, write(t, zeroedRows(c.inverted, c.causal, c.twice)), narrow(Config{Ranges: ranges}))
		if c.causal { // -2000, where the mask counts as -512
			require.ErrorContains(t, err, `node "Softmax_p" (Softmax): a mask that is an input is added to scores, and so is a constant of down to -2000`)
			continue
		}
		require.NoError(t, err, name)
		require.Len(t, r.Notes, c.notes, name)
		if c.notes > 0 {
			require.Contains(t, r.Notes[0], `node "Where_bias" (Where)`)
			continue
		}
		of := func(mask ...float64) []float64 {
			vals, err := eval.Float(r.float, []float64{1, 5, 7}, mask)
			require.NoError(t, err)
			return vals[r.float.Out()]
		}
		for _, x := range of(0, 0, 0) {
			require.Zero(t, x, name)
		}
		one := of(0, 1, 0)
		require.NotZero(t, one[0])
		require.Equal(t, one[:5], one[5:10], "every row sees the second id alone")
		for _, mask := range [][]float64{{0, 0, 0}, {0, 1, 0}, {1, 1, 1}} {
			report, err := r.Check(ctx, []Input{{Elements: []Data{{Values: []float64{1, 5, 7}}, {Values: mask}}}})
			require.NoError(t, err)
			require.Less(t, report.Outputs[0].MaxError, 0.01)
		}
		require.NoError(t, r.Prove(ctx, Input{Elements: []Data{{Values: []float64{1, 5, 7}}, {Values: []float64{0, 0, 0}}}}), name)
	}
}

// TestScoresBeyondMasks refuses scores that lie further apart than what a mask that is an input takes off them, in every spelling of the mask,
// and takes those that do not, however great they are.
func TestScoresBeyondMasks(t *testing.T) {
	for name, nodes := range map[string][]*pb.NodeProto{
		"chosen": {op("Where", "m s low", "masked")},
		"added": {op("Cast", "m", "f", intAttr("to", int64(onnx.Float32))), op("Sub", "one f", "off"), op("Mul", "off low", "bias"),
			op("Add", "s bias", "masked")},
	} {
		m := portsModel([]*pb.ValueInfoProto{port("s", float32s, 4, 6), port("m", bools, 1, 6)}, []string{"p"}, append(nodes, op("Softmax", "masked", "p")),
			scalarOf("low", -1e9), scalarOf("one", 1))
		for most, refused := range map[float64]bool{200: false, 700: true} {
			r, err := Analyse(context.Background(), write(t, m), Config{Ranges: map[string]Range{"s": {Lo: -most, Hi: most}}, PrivateInputs: []string{"s"}})
			if refused {
				require.ErrorContains(t, err, `node "Softmax_p" (Softmax): its scores lie so far apart that a mask that is an input, which takes 512 off them, leaves weights that are wrong by up to`, name)
				require.ErrorContains(t, err, "--fix NAME=FILE", name)
				continue
			}
			require.NoError(t, err, name)
			require.NotEmpty(t, r.Notes, name)
		}
	}
}

// A row of which the mask of an Attention and the order of positions leave nothing, where either alone leaves something, is zeros.
func TestEmptiedByMaskAndOrder(t *testing.T) {
	q := port("q", float32s, 1, 1, 3, 2)
	m := portsModel([]*pb.ValueInfoProto{q, port("mask", bools, 3, 3)}, []string{"y"}, []*pb.NodeProto{op("Attention", "q q q mask", "y", intAttr("is_causal", 1))})
	m.OpsetImport[0].Version = 24
	x := []float64{1, -0.5, 2, 0.25, -1, 0.75}
	row := func(i int, keys ...int) []float64 {
		var scores []float64
		for _, k := range keys {
			scores = append(scores, (x[2*i]*x[2*k]+x[2*i+1]*x[2*k+1])/math.Sqrt2)
		}
		y := make([]float64, 2)
		for n, w := range softmaxOf(scores...) {
			y[0], y[1] = y[0]+w*x[2*keys[n]], y[1]+w*x[2*keys[n]+1]
		}
		return y
	}
	in := Input{Elements: []Data{{Values: x}, {Values: []float64{1, 0, 0, 0, 0, 1, 1, 0, 1}}}, Expected: []Data{{Name: "y", Values: append(append(row(0, 0), 0, 0), row(2, 0, 2)...)}}}
	r, err := Analyse(context.Background(), write(t, m), Config{Calibrate: []Input{in}, PrivateInputs: []string{"q"}})
	require.NoError(t, err)
	require.Empty(t, r.Notes)
	report, err := r.Check(context.Background(), []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Less(t, report.FloatExpected.Error(), 1e-6)
}
