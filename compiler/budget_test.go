package compiler

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// modest says that no more than half of any limit was spent.
func modest(t *testing.T, left *budget.Budget) {
	t.Helper()
	s, l := left.Spent(), left.Limits()
	t.Logf("cells %.4f, work %.4f (%d), memory %.4f (%d bytes) of the limits", float64(s.Cells)/float64(l.Cells),
		float64(s.Work)/float64(l.Work), s.Work, float64(s.Memory)/float64(l.Memory), s.Memory)
	if s.Cells > l.Cells/2 || s.Work > l.Work/2 || s.Memory > l.Memory/2 {
		t.Errorf("spent %+v of %+v", s, l)
	}
}

// TestHonestModels charges what default calibration of models of known sizes costs, by the functions that the compiler charges with, and
// compiles the exports that we have: the limits leave as much again.
func TestHonestModels(t *testing.T) {
	for name, g := range map[string]*ir.Graph{
		"GPT-2 small":           synthetic.Sketch(true, 12, 768, 12, 64, 50257, 3072),
		"GPT-2 small, 1024":     synthetic.Sketch(true, 12, 768, 12, 1024, 50257, 3072),
		"SmolLM2-135M":          synthetic.Sketch(false, 30, 576, 9, 64, 49152, 1536),
		"LLaMA-2-7B, 128":       synthetic.Sketch(false, 32, 4096, 32, 128, 32000, 11008),
		"narrow and long":       synthetic.Sketch(false, 2, 16, 4, 512, 256, 64),
		"wide vocabulary":       synthetic.Sketch(true, 1, 32, 4, 128, 128000, 128),
		"small and with layers": synthetic.Sketch(false, 48, 64, 4, 128, 512, 256),
	} {
		t.Run(name, func(t *testing.T) {
			left, cells := budget.New(t.Context(), 1), 0
			for _, v := range g.Values {
				if v.Def.Op == ir.OpWeight {
					cells += ir.Size(v.Shape)
				}
			}
			left.Model(cells, g.Value(g.In()).Shape[0])
			left.Runs(64)
			bytes, err := eval.Demand(left, g, 64)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d cells, %d bytes a run", cells, bytes)
			modest(t, left)
		})
	}
	for _, pattern := range []string{"../../shared/onnx/exports/*", "../../shared/onnx/models/*", "../models/sums"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(dirs) == 0 {
			t.Logf("%s is not there", pattern)
		}
		for _, dir := range dirs {
			t.Run(filepath.Base(dir), func(t *testing.T) {
				r, err := Analyse(t.Context(), filepath.Join(dir, "model.onnx"), flagsOf(t, dir))
				if err != nil {
					if strings.Contains(err.Error(), "--budget") {
						t.Error(err)
					}
					if !errors.Is(err, ErrUnsupported) {
						t.Errorf("what is not compiled is refused: %v", err)
					}
					return
				}
				modest(t, r.left)
			})
		}
	}
}

// flagsOf reads the flags with which an export is compiled.
func flagsOf(t *testing.T, dir string) Config {
	cfg := Config{Fix: map[string]string{}, Dims: map[string]int{}}
	text, err := os.ReadFile(filepath.Join(dir, "flags.txt"))
	if err != nil {
		return cfg
	}
	words := strings.Fields(string(text))
	for i := 0; i+1 < len(words); i += 2 {
		name, value, _ := strings.Cut(words[i+1], "=")
		switch words[i] {
		case "--fix":
			cfg.Fix[name] = filepath.Join(dir, value)
		case "--dim":
			if cfg.Dims[name], err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case "--logits":
			cfg.Outputs = []string{name}
		}
	}
	return cfg
}

// wideModels take long in different phases if somebody pays for it.
var wideModels = map[string]func() *pb.ModelProto{
	"folding": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "a"), op("MatMul", "a a", "b"), op("MatMul", "b a", "big")}, int64s("s", 1<<12, 1<<12))
	},
	"folding of functions": func() *pb.ModelProto {
		nodes := []*pb.NodeProto{op("ConstantOfShape", "s", "c0")}
		for i := range 60 {
			nodes = append(nodes, op("Erf", "c"+strconv.Itoa(i), "c"+strconv.Itoa(i+1)))
		}
		return constantly(append(nodes, op("Identity", "c60", "big")), int64s("s", 1<<22))
	},
	"a linear map":      func() *pb.ModelProto { return wide(1 << 12) },
	"outer product":     func() *pb.ModelProto { return factors(1<<9, "td,de,ef,fg->tedfg") },
	"wide activations":  func() *pb.ModelProto { return stretched(30, 1<<18) },
	"weights and sums":  func() *pb.ModelProto { return weighted(2000, "Add", 4) },
	"a long chain":      func() *pb.ModelProto { return bigramModel(chain(300, "Relu", func(p string) string { return p })) },
	"many wide weights": hostile["many wide weights"],
}

// TestCancelledCompilation ends every phase soon after its context is done. The bound is that of the command line, a second, and another
// for a machine that is busy with other tests.
func TestCancelledCompilation(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(wideModels)) {
		file := write(t, wideModels[name]())
		// Each soon, and some of them later and later.
		for _, after := range []time.Duration{10 * time.Millisecond, []time.Duration{150, 500, 1000}[i%3] * time.Millisecond} {
			ctx, cancel := context.WithCancel(context.Background())
			var cancelled time.Time
			timer := time.AfterFunc(after, func() { cancelled = time.Now(); cancel() })
			_, err := Analyse(ctx, file, Config{Budget: 64})
			timer.Stop()
			cancel()
			if late := time.Since(cancelled); errors.Is(err, context.Canceled) && late > 2*time.Second {
				t.Errorf("%s, cancelled after %v: ends %v later", name, after, late)
			} else if t.Logf("%s: %v later: %.120v", name, late, err); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestBudgetFactor refuses a model under the usual limits, by the name of a node and with a remedy that helps.
func TestBudgetFactor(t *testing.T) {
	file := write(t, stretched(60, 1<<16))
	begin := time.Now()
	_, err := Analyse(t.Context(), file, Config{})
	var u *ir.Unsupported
	if !errors.As(err, &u) || !strings.HasPrefix(u.Node, "Relu_t") || !strings.Contains(u.Reason, "multiplications") || !strings.Contains(u.Remedy, "--budget") {
		t.Errorf("got %v", err)
	}
	var e *budget.Exceeded
	if !errors.As(err, &e) || e.Asked <= e.Left {
		t.Errorf("got %v", e)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("refused after %v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Analyse(ctx, file, Config{Budget: 64}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with more budget: %v", err)
	}
}

// Weights are no reason to refuse a model: 7 billion of them, and a text of 512 tokens, are compiled on a machine with 4 GB. Values are, before
// any is made: the error says how much memory there is and which take it.
func TestSizes(t *testing.T) {
	const gigabyte = 1_000_000_000
	llama := func(tokens int) *ir.Graph { return synthetic.Sketch(false, 32, 4096, 32, tokens, 32000, 11008) }
	require.NoError(t, checkSize(llama(128), 4*gigabyte))
	require.NoError(t, checkSize(llama(128), 0), "nobody knows how much memory there is")
	require.NoError(t, checkSize(llama(512), 4*gigabyte))
	err := checkSize(llama(512), gigabyte)
	require.ErrorContains(t, err, "take 2.4 GB of memory, of which there are 1.0 GB; the largest are that of node ")
	require.ErrorContains(t, err, "[512 32000]")
	require.ErrorContains(t, err, "take fewer tokens, or a machine with more memory")
	require.ErrorContains(t, checkSize(llama(1024), 1<<62), "more than 2^31 cells")
}
