package cli

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// A case whose expected outputs the float model does not give has failed; one whose integer program is off by more than the tolerance is
// imprecise, with an exit code of its own, unless another one has failed.
func TestVerdictsOfCases(t *testing.T) {
	root := t.TempDir()
	write := func(name string, outputs ...float32) string {
		return writeCase(t, filepath.Join(root, name), func(file string) { scorer(t, file) }, outputs...)
	}
	right, wrong := write("right", 5.475, -0.95), write("wrong", 5.475, 0.95)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{right}, console.OK, "conformance: 1 proved, 0 folded, 0 refused, 0 failed of 1"},
		{[]string{right, "--tolerance", "1e-6"}, console.Imprecise, "imprecise " + right + ": the integer program is not precise enough, against the float model"},
		{[]string{wrong}, console.Rejected, "failed    " + wrong + ": the float model does not give the expected output"},
		{[]string{root, "--tolerance", "1e-6"}, console.Rejected, "conformance: 0 proved, 0 folded, 1 refused, 1 failed of 2"},
		{[]string{wrong, "--tolerance", "0.5"}, console.OK, "1 proved"},
	} {
		code, out, stderr := run(t, append([]string{"conformance"}, c.args...)...)
		require.Equal(t, c.code, code, "%v: %s%s", c.args, out, stderr)
		require.Contains(t, out, c.want)
	}
}

// A case is tried with private and with public inputs. What hides nothing is proved with private ones, and with public ones where there is
// a lookup; what folds is compared with what is expected.
func TestColumnsOfCases(t *testing.T) {
	root := t.TempDir()
	model := func(kind string, initializers ...*pb.TensorProto) func(file string) {
		return func(file string) {
			x := tensorInput("x", 1, 4)
			n := &pb.NodeProto{OpType: kind, Input: []string{"x"}, Output: []string{"y"}}
			if len(initializers) > 0 {
				n.Input = []string{"c", "c"}
			}
			data, err := proto.Marshal(&pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
				Node: []*pb.NodeProto{n}, Input: []*pb.ValueInfoProto{x}, Output: []*pb.ValueInfoProto{{Name: "y"}}, Initializer: initializers,
			}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, data, 0o600))
		}
	}
	two := &pb.TensorProto{Name: "c", DataType: 1, Dims: []int64{1}, FloatData: []float32{1.5}}
	writeCase(t, filepath.Join(root, "a-relu"), model("Relu"), 0.3, 0, 3, 0.7)
	writeCase(t, filepath.Join(root, "b-linear"), model("Neg"), -0.3, 1.2, -3, -0.7)
	writeCase(t, filepath.Join(root, "c-folded"), model("Add", two), 3)
	code, out, stderr := run(t, "conformance", root)
	require.Equal(t, console.OK, code, out+stderr)
	require.Contains(t, out, "with public inputs: 1 proved, 1 folded, 1 refused, 0 failed of 3\nconformance: 2 proved, 1 folded, 0 refused, 0 failed of 3\n")
	require.Contains(t, out, "  public  refused: circuit b-linear: it has no lookup")

	writeCase(t, filepath.Join(root, "c-folded"), model("Add", two), 3.5)
	code, out, stderr = run(t, "conformance", root)
	require.Equal(t, console.Rejected, code, out+stderr)
	require.Contains(t, out, `c-folded: the output "y" is folded to other values than those expected`)
}

// Data that no statement can be about is no defect: numbers that are none, and elements of types that are not read.
func TestDataOfNoStatement(t *testing.T) {
	root := t.TempDir()
	isNaN := func(file string) {
		x := tensorInput("x", 1, 4)
		data, err := proto.Marshal(&pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
			Node: []*pb.NodeProto{{OpType: "IsNaN", Input: []string{"x"}, Output: []string{"y"}}}, Input: []*pb.ValueInfoProto{x}, Output: []*pb.ValueInfoProto{{Name: "y"}},
		}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, data, 0o600))
	}
	dir := writeCase(t, filepath.Join(root, "nan[1] *"), isNaN, 1, 0, 0, 0)
	put := func(x *pb.TensorProto) {
		data, err := proto.Marshal(x)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "test_data_set_0", "input_0.pb"), data, 0o600))
	}
	code, out, _ := run(t, "conformance", root)
	require.Equal(t, console.Rejected, code, "of numbers it is a defect: "+out)
	put(&pb.TensorProto{DataType: 1, Dims: []int64{1, 4}, FloatData: []float32{float32(math.NaN()), 1, 2, 3}})
	code, out, stderr := run(t, "conformance", root)
	require.Equal(t, console.OK, code, out+stderr)
	require.Contains(t, out, "an input holds what is no finite number")
	put(&pb.TensorProto{DataType: 8, Dims: []int64{1, 4}, StringData: [][]byte{{1}, {2}, {3}, {4}}})
	code, out, stderr = run(t, "conformance", root)
	require.Equal(t, console.OK, code, out+stderr)
	require.Contains(t, out, "element type string is not supported")
}

// tensorInput declares an input of float32.
func tensorInput(name string, shape ...int64) *pb.ValueInfoProto {
	var dims []*pb.TensorShapeProto_Dimension
	for _, d := range shape {
		dims = append(dims, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	return &pb.ValueInfoProto{Name: name, Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: 1, Shape: &pb.TensorShapeProto{Dim: dims}}}}}
}

// writeCase writes a case of a model with an input of four numbers.
func writeCase(t *testing.T, dir string, model func(file string), outputs ...float32) string {
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "test_data_set_0"), 0o755))
	model(filepath.Join(dir, "model.onnx"))
	for file, x := range map[string]*pb.TensorProto{
		"input_0.pb":  {DataType: 1, Dims: []int64{1, 4}, FloatData: []float32{0.3, -1.2, 3, 0.7}},
		"output_0.pb": {DataType: 1, Dims: []int64{1, int64(len(outputs))}, FloatData: outputs},
	} {
		data, err := proto.Marshal(x)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "test_data_set_0", file), data, 0o600))
	}
	return dir
}
