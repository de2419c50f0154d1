package planner_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

func TestReal(t *testing.T) {
	for _, m := range []string{"/work/shared/onnx/models/stories260K-dynamo18/model.onnx", "/work/main/models/sums/model.onnx"} {
		in, err := onnx.LoadTensor(filepath.Dir(m) + "/test_data_set_0/input_0.pb")
		require.NoError(t, err)
		ctx := context.Background()
		r, err := compiler.Compile(ctx, m, compiler.Config{ImportPath: "example.com/m"})
		require.NoError(t, err)
		c, err := r.Check(ctx, nil)
		require.NoError(t, err)
		t.Logf("%+v", c)
		c, err = r.Check(ctx, []compiler.Input{{IDs: in.I}})
		require.NoError(t, err)
		t.Logf("%+v", c)
		t.Logf("%+v", r.Stats)
	}
}

func TestTables(t *testing.T) {
	for _, m := range []string{"/work/shared/onnx/models/stories260K-dynamo18/model.onnx", "/work/main/models/sums/model.onnx"} {
		r, err := compiler.Compile(context.Background(), m, compiler.Config{ImportPath: "example.com/m"})
		require.NoError(t, err)
		for _, tb := range r.Circuit.Tables {
			t.Log(tb.Name, len(tb.Cols), len(tb.Cols[0]))
		}
	}
}
