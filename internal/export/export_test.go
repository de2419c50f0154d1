package export

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// reference reads a real export among the test data that lies beside the repository, or skips the test.
func reference(t *testing.T, name string) *pb.GraphProto {
	file := filepath.Join("..", "..", "..", "shared", "onnx", "exports", name, "model.onnx")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("the shared test data is not here: %v", err)
	}
	m := &pb.ModelProto{}
	require.NoError(t, proto.Unmarshal(data, m))
	require.Equal(t, "pytorch", m.ProducerName)
	require.Equal(t, int64(20), m.OpsetImport[0].Version)
	return m.Graph
}

// topology lists the nodes of a graph in words: operator, what each input is (another node's output, an input of the graph, a constant with
// its integers, a weight with its shape), attributes, and the name of the node without its numbers.
func topology(g *pb.GraphProto) (nodes []string) {
	made := map[string]string{}
	for _, in := range g.Input {
		made[in.Name] = "input"
	}
	for _, c := range g.Initializer {
		made[c.Name] = describe(c)
	}
	for i, n := range g.Node {
		in, name := n.Input, numbers.ReplaceAllString(n.Name, "")
		if n.OpType == "Gemm" { // biases of the real model are zero: the exporter leaves them out, and calls the node anew
			in, name = in[:2], "node_addmm"
		}
		s := n.OpType + " " + name + "("
		for _, in := range in {
			s += made[in] + ", "
		}
		attrs := []string{}
		for _, a := range n.Attribute {
			attrs = append(attrs, fmt.Sprintf("%s: %v %v %v", a.Name, a.F, a.I, a.Ints))
		}
		slices.Sort(attrs)
		nodes = append(nodes, s+")"+strings.Join(attrs, ", "))
		for j, out := range n.Output {
			made[out] = fmt.Sprintf("%d.%d", i, j)
		}
	}
	return nodes
}

var numbers = regexp.MustCompile(`_?[0-9]+`)

func describe(c *pb.TensorProto) string {
	cells := c.Int64Data
	for raw := c.RawData; c.DataType == int64Type && len(raw) > 0; raw = raw[8:] {
		cells = append(cells, int64(binary.LittleEndian.Uint64(raw)))
	}
	s := fmt.Sprint(c.DataType, c.Dims, cells)
	if c.DataType == float32Type && len(c.Dims) == 0 {
		v := c.FloatData
		if len(v) == 0 {
			v = []float32{math.Float32frombits(binary.LittleEndian.Uint32(c.RawData))}
		}
		if s += fmt.Sprint(v[0]); v[0] > 0 && v[0] <= 1e-5 {
			s = "epsilon"
		}
	}
	return s
}

// What is written has the nodes of a real export of the same architecture and size, in its order, with its attributes, constants and shapes
// of weights; each takes what its counterpart takes. Weights are called alike as far as the exporter keeps their names.
func TestLikeTheExporter(t *testing.T) {
	for name, make := range map[string]func() (*Model, error){
		"gpt2-dyn-head24": func() (*Model, error) {
			return GPT2(Config{Layers: 2, Width: 48, Heads: 2, Vocabulary: 256, Length: 8})
		},
		"llama-dyn-head20": func() (*Model, error) {
			return LLaMA(Config{Layers: 2, Width: 40, Heads: 2, KVHeads: 1, MLP: 64, Vocabulary: 256, Length: 8})
		},
	} {
		t.Run(name, func(t *testing.T) {
			real := reference(t, name)
			m, err := make()
			require.NoError(t, err)
			g := m.proto.Graph
			want, got := topology(real), topology(g)
			for i := range min(len(want), len(got)) {
				require.Equal(t, want[i], got[i], "node %d", i)
			}
			require.Len(t, got, len(want))
			require.Equal(t, real.Input[0].Name, g.Input[0].Name)
			require.Equal(t, real.Input[0].Type.String(), g.Input[0].Type.String())
			require.Equal(t, real.Output[0].Type.String(), g.Output[0].Type.String())
			known := map[string]string{}
			for _, c := range g.Initializer {
				known[c.Name] = fmt.Sprint(c.Dims)
			}
			for _, c := range real.Initializer {
				if name, is := strings.CutPrefix(c.Name, "m."); is {
					require.Equal(t, fmt.Sprint(c.Dims), known[name], name)
				}
			}
		})
	}
}

// small models of each kind.
var small = map[string]func(seed uint64) (*Model, error){
	"gpt2": func(seed uint64) (*Model, error) {
		return GPT2(Config{Layers: 2, Width: 32, Heads: 4, Vocabulary: 50, Length: 8, Seed: seed})
	},
	"llama": func(seed uint64) (*Model, error) {
		return LLaMA(Config{Layers: 2, Width: 32, Heads: 4, KVHeads: 2, MLP: 48, Vocabulary: 50, Length: 8, Seed: seed})
	},
	"half": func(seed uint64) (*Model, error) {
		return LLaMA(Config{Layers: 1, Width: 32, Heads: 4, Vocabulary: 50, Length: 8, Half: true, Seed: seed})
	},
	"block": func(seed uint64) (*Model, error) {
		return LLaMA(Config{Layers: 1, Width: 32, Heads: 4, Length: 8, Vocabulary: 1, Block: true, Seed: seed})
	},
}

// written are the files that a model is written as.
func written(t *testing.T, name string, seed uint64) (model, data []byte) {
	m, err := small[name](seed)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, m.Write(context.Background(), dir, false))
	model, err = os.ReadFile(filepath.Join(dir, ModelFile))
	require.NoError(t, err)
	data, err = os.ReadFile(filepath.Join(dir, DataFile))
	require.NoError(t, err)
	return model, data
}

// The same seed gives the same bytes, another one other weights in the same graph.
func TestDeterministic(t *testing.T) {
	for name := range small {
		model, data := written(t, name, 1)
		again, cells := written(t, name, 1)
		require.Equal(t, model, again)
		require.Equal(t, data, cells)
		_, cells = written(t, name, 2)
		require.Len(t, cells, len(data))
		require.NotEqual(t, data, cells)
	}
}

// Weights have the magnitudes that are promised, and lie in the data file one after the other without gaps.
func TestWeights(t *testing.T) {
	m, err := GPT2(Config{Layers: 8, Width: 64, Heads: 4, Vocabulary: 500, Length: 16})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, m.Write(context.Background(), dir, false))
	data, err := os.ReadFile(filepath.Join(dir, DataFile))
	require.NoError(t, err)
	require.Len(t, data, int(m.Bytes()))
	total, weights := 0, 0
	for _, c := range m.proto.Graph.Initializer {
		if c.DataType != float32Type {
			continue
		}
		raw := c.RawData
		if c.DataLocation == 1 {
			require.Equal(t, fmt.Sprint(total), c.ExternalData[1].Value, c.Name)
			var size int
			fmt.Sscan(c.ExternalData[2].Value, &size)
			raw, total = data[total:total+size], total+size
		}
		mean, dev := moments(raw)
		if centre, spread, is := expected(c.Name); is {
			weights += len(raw) / 4
			require.InDelta(t, centre, mean, 4*spread/math.Sqrt(float64(len(raw)/4)), c.Name)
			require.InEpsilon(t, spread, dev, 0.3, c.Name)
		}
	}
	require.Equal(t, len(data), total)
	require.Equal(t, 8*(12*64*64+13*64)+2*64+516*64, int(m.Weights()))
	require.Equal(t, int(m.Weights()), weights)
}

// expected are mean and deviation of a weight, by its name.
func expected(name string) (mean, dev float64, is bool) {
	switch matrix := strings.HasSuffix(name, ".weight"); {
	case matrix && strings.Contains(name, "ln_"):
		return 1, 0.1, true
	case matrix && strings.Contains(name, "c_proj"):
		return 0, 0.02 / 4, true // of 8 layers
	}
	return 0, 0.02, strings.Contains(name, ".") || name == "embedding_1"
}

func moments(raw []byte) (mean, dev float64) {
	n := float64(len(raw) / 4)
	var square float64
	for ; len(raw) > 0; raw = raw[4:] {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		mean += x / n
		square += x * x / n
	}
	return mean, math.Sqrt(max(0, square-mean*mean))
}

// Existing files are kept unless they are to be replaced; who is interrupted leaves nothing behind.
func TestWriteIsAtomic(t *testing.T) {
	m, err := small["gpt2"](1)
	require.NoError(t, err)
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	require.ErrorIs(t, m.Write(ctx, dir, false), context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	mine := filepath.Join(dir, ModelFile)
	require.NoError(t, os.WriteFile(mine, []byte("mine"), 0o600))
	require.ErrorContains(t, m.Write(context.Background(), dir, false), "exists")
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, m.Write(context.Background(), dir, true))
	info, err := os.Stat(mine)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(1000))
}

// What cannot be is refused in words.
func TestRefusals(t *testing.T) {
	fine := Config{Layers: 1, Width: 32, Heads: 4, Vocabulary: 50, Length: 8}
	for want, change := range map[string]func(c *Config){
		"layers: 0":                     func(c *Config) { c.Layers = 0 },
		"not a multiple of 5 heads":     func(c *Config) { c.Heads = 5 },
		"cannot share 3 of keys":        func(c *Config) { c.KVHeads = 3 },
		"the length: -1":                func(c *Config) { c.Length = -1 },
		"2 is the least":                func(c *Config) { c.Length = 1 },
		"heads of an even width":        func(c *Config) { c.Heads = 32 },
		"the vocabulary: 0, between":    func(c *Config) { c.Vocabulary = 0 },
		"the width of the MLP: -3, bet": func(c *Config) { c.MLP = -3 },
	} {
		c := fine
		change(&c)
		_, err := LLaMA(c)
		require.ErrorContains(t, err, want)
	}
	for _, c := range []Config{{KVHeads: 2}, {Half: true}, {Block: true}} {
		d := fine
		d.KVHeads, d.Half, d.Block = c.KVHeads, c.Half, c.Block
		_, err := GPT2(d)
		require.ErrorContains(t, err, "GPT-2")
	}
}

// Numbers of 16 bits are the nearest ones, in every range of exponents.
func TestHalf(t *testing.T) {
	for x, want := range map[float32]uint16{
		0: 0, 1: 0x3c00, -2: 0xc000, 65504: 0x7bff, 65519: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, float32(math.Inf(-1)): 0xfc00,
		1.0 / 3: 0x3555, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, // ties go to the even one
		1.0 / (1 << 14): 0x0400, 1.0 / (1 << 24): 1, 1.0 / (1 << 25): 0, 3.0 / (1 << 25): 2, 1023.75 / (1 << 24): 0x0400,
	} {
		require.Equal(t, want, half(x), x)
	}
	require.Equal(t, uint16(0x7e00), half(float32(math.NaN()))&0x7e00)
}
