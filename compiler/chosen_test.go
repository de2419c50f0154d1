package compiler

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// What a condition chooses beside a product with a huge number is what it chose, or the model is refused: the sum that a choice is loses nothing
// where it is parted into values that are rounded.
func TestChosenBesideProducts(t *testing.T) {
	x, w := []float64{1.5, -1, .5, .25, 2, -2, .75, -.5, 1}, []float32{.1, .2, .3, .4, .5, -.1, -.2, -.3, .15}
	bits := []int32{0, 1, 1, 0, 0, 1, 0, 0, 0}
	times := op("Mul", "x far", "p")
	for name, c := range map[string]struct {
		nodes []*pb.NodeProto
		want  func(i int) float64
	}{
		"a number":            {[]*pb.NodeProto{times, op("Where", "bits half p", "c")}, func(i int) float64 { return .5 }},
		"weights":             {[]*pb.NodeProto{times, op("Where", "bits W p", "c")}, func(i int) float64 { return float64(w[i]) }},
		"an input":            {[]*pb.NodeProto{times, op("Where", "bits x p", "c")}, func(i int) float64 { return x[i] }},
		"of a greatest":       {[]*pb.NodeProto{op("Max", "x half", "m"), op("Mul", "m far", "p"), op("Where", "bits half p", "c")}, func(i int) float64 { return .5 }},
		"in the other branch": {[]*pb.NodeProto{times, op("Not", "bits", "not"), op("Where", "not p half", "c")}, func(i int) float64 { return .5 }},
	} {
		for _, far := range []float32{10, 1e6, 1e9, 1e16, 1e20} {
			t.Run(fmt.Sprint(name, far), func(t *testing.T) {
				row, want := make([]float32, 9), make([]float64, 9)
				for i, b := range bits {
					if want[i] = float64(w[i]); b != 0 {
						row[i], want[i] = -far, want[i]+c.want(i)
					}
				}
				m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 3, 3)}, []string{"y"}, append(c.nodes, op("Add", "c W", "y")), scalarOf("half", .5), booleans("bits", []int64{3, 3}, bits...),
					&pb.TensorProto{Name: "W", DataType: float32s, Dims: []int64{3, 3}, FloatData: w}, &pb.TensorProto{Name: "far", DataType: float32s, Dims: []int64{3, 3}, FloatData: row})
				in := Input{Elements: []Data{{Name: "x", Values: x}}, Expected: []Data{{Name: "y", Values: want}}}
				r, err := compileFile(t.Context(), write(t, m), Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}, PrivateInputs: []string{"all"}, Calibrate: []Input{in}})
				if err != nil {
					require.ErrorIs(t, err, ErrUnsupported)
					require.Greater(t, far, float32(1e9))
					return
				}
				report, err := r.Check(t.Context(), []Input{in})
				require.NoError(t, err)
				require.NoError(t, report.Err())
			})
		}
	}
}
