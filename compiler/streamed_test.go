package compiler

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/internal/export"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// written is what Files says that a file of a compiled model holds.
func written(r *Result, name string, to io.Writer) error {
	i := slices.IndexFunc(r.Files, func(f codegen.SourceFile) bool { return f.Path == name })
	return r.Files[i].Write(to)
}

// drawnModel writes a language model whose weights lie in a file beside it.
func drawnModel(t *testing.T, c export.Config) (dir string, m *export.Model) {
	m, err := export.LLaMA(c)
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, m.Write(context.Background(), dir, false))
	return dir, m
}

// Weights stay where the model has them, beside it or in its own file: no step of the compilation until the circuit is made leaves as many of them in memory as would
// take half a byte each. What is compiled does not depend on where they were.
func TestWeightsAreNotHeld(t *testing.T) {
	dir, m := drawnModel(t, export.Config{Layers: 1, Width: 128, Heads: 2, MLP: 256, Vocabulary: 12000, Length: 2, Seed: 1, Half: true})
	live := func() int64 {
		runtime.GC()
		runtime.GC() // what pools keep
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before, most, looks := live(), int64(0), 0
	look := func() { most, looks = max(most, live()-before), looks+1 }
	// Of one input, since the outputs of calibration are kept.
	cfg := Config{ImportPath: "example.com/m", Calibrate: []Input{Tokens(1, 2)}, Progress: func(phase string) {
		if phase != "generating code" { // when the circuit's tables are there
			look()
		}
	}}
	r, err := Compile(context.Background(), filepath.Join(dir, export.ModelFile), cfg)
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, written(r, WeightsFile, &file))
	require.Greater(t, int64(file.Len()), 2*m.Weights())
	require.Less(t, most, m.Weights()/2)
	require.Equal(t, 4, looks)

	inside := write(t, held(t, dir))
	again, err := Analyse(context.Background(), inside, Config{Name: r.Circuit.Name, Calibrate: []Input{Tokens(1, 2)}})
	require.NoError(t, err)
	require.Equal(t, r.Circuit.Digest(), again.Circuit.Digest())
	want, err := r.integers()
	require.NoError(t, err)
	got, err := again.integers()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// held is a model with its external data in its own file.
func held(t *testing.T, dir string) *pb.ModelProto {
	data, err := os.ReadFile(filepath.Join(dir, export.ModelFile))
	require.NoError(t, err)
	m := &pb.ModelProto{}
	require.NoError(t, proto.Unmarshal(data, m))
	weights, err := os.ReadFile(filepath.Join(dir, export.DataFile))
	require.NoError(t, err)
	for _, w := range m.Graph.Initializer { // in the order of the file
		if w.DataLocation == 1 {
			size := 2
			for _, d := range w.Dims {
				size *= int(d)
			}
			w.RawData, weights = weights[:size], weights[size:]
			w.DataLocation, w.ExternalData = 0, nil
		}
	}
	require.Empty(t, weights)
	return m
}

// A file of weights that is cut off or written to while its model is compiled is refused with the tensor and the place, whatever has been
// read of it before.
func TestWeightsThatChange(t *testing.T) {
	dir, _ := drawnModel(t, export.Config{Layers: 1, Width: 32, Heads: 2, MLP: 64, Vocabulary: 40, Length: 2, Seed: 1})
	file := filepath.Join(dir, export.DataFile)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, change := range map[string]func() error{
		"the file ends before them":                     func() error { return os.Truncate(file, 0) },
		"the file has changed since the model was read": func() error { return os.WriteFile(file, append(whole, 0), 0o600) },
	} {
		for _, when := range []string{"calibrating", "choosing scales", "written"} {
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			cfg := Config{ImportPath: "example.com/m", Progress: func(phase string) {
				if phase == when {
					require.NoError(t, change())
				}
			}}
			r, err := Compile(context.Background(), filepath.Join(dir, export.ModelFile), cfg)
			if when == "written" {
				require.NoError(t, err)
				require.NoError(t, change())
				err = written(r, WeightsFile, io.Discard)
			}
			require.ErrorContains(t, err, name, when)
			require.ErrorContains(t, err, `tensor "`, when)
			require.ErrorContains(t, err, "at offset ", when)
		}
	}
}
