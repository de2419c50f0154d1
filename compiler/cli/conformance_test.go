package cli

import (
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
		dir := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "test_data_set_0"), 0o755))
		scorer(t, filepath.Join(dir, "model.onnx"))
		for file, x := range map[string]*pb.TensorProto{
			"input_0.pb":  {DataType: 1, Dims: []int64{1, 4}, FloatData: []float32{0.3, -1.2, 3, 0.7}},
			"output_0.pb": {DataType: 1, Dims: []int64{1, 2}, FloatData: outputs},
		} {
			data, err := proto.Marshal(x)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "test_data_set_0", file), data, 0o600))
		}
		return dir
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
