package compiler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/planner"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/internal/test/second"
)

// recurrence is bigramModel with embeddings of the given width and k steps: step i makes the value s<i> of the two before it, s<0> being
// the positive part of x, and s<-1> x itself.
func recurrence(k, width int, step func(i int, before, older string) []*pb.NodeProto, initializers ...*pb.TensorProto) *pb.ModelProto {
	name := func(i int) string {
		if i < 0 {
			return "x"
		}
		return fmt.Sprintf("s%d", i)
	}
	nodes := []*pb.NodeProto{op("Relu", "x", name(0))}
	for i := 1; i <= k; i++ {
		nodes = append(nodes, step(i, name(i-1), name(i-2))...)
	}
	m := bigramModel(append(nodes, op("Reshape", name(k)+" flat", "y")), append(initializers, int64s("flat", 4, int64(width)))...)
	for i, t := range m.Graph.Initializer {
		switch t.Name {
		case "emb":
			m.Graph.Initializer[i] = matrix("emb", 6, width)
		case "head":
			m.Graph.Initializer[i] = matrix("head", width, 6)
		}
	}
	return m
}

// doubleSkips adds each of k values to the one before it.
func doubleSkips(k int) *pb.ModelProto {
	return recurrence(k, 3, func(i int, before, older string) []*pb.NodeProto {
		return []*pb.NodeProto{op("Add", before+" "+older, fmt.Sprintf("s%d", i))}
	})
}

// transposed adds each of k values, four positions by four channels, to its transpose.
func transposed(k int) *pb.ModelProto {
	return recurrence(k, 4, func(i int, before, _ string) []*pb.NodeProto {
		return []*pb.NodeProto{op("Transpose", before, fmt.Sprintf("t%d", i)), op("Add", fmt.Sprintf("%s t%d", before, i), fmt.Sprintf("s%d", i))}
	})
}

// shuffled adds each of k values to itself with two of eight axes exchanged, another pair every time, and halves the sum: its evaluation
// at one point takes the first value at some 2^k, until all orders of the axes are used.
func shuffled(k int) *pb.ModelProto {
	half := &pb.TensorProto{Name: "half", DataType: 1, Dims: []int64{1}, FloatData: []float32{0.5}}
	return recurrence(k, 64, func(i int, before, _ string) []*pb.NodeProto {
		var nodes []*pb.NodeProto
		if i == 1 {
			nodes, before = append(nodes, op("Reshape", before+" bits", "b")), "b"
		}
		order := []int64{0, 1, 2, 3, 4, 5, 6, 7}
		a := i % 7
		order[a], order[a+1] = order[a+1], order[a]
		return append(nodes, op("Transpose", before, fmt.Sprintf("t%d", i), &pb.AttributeProto{Name: "perm", Type: 7, Ints: order}),
			op("Add", fmt.Sprintf("%s t%d", before, i), fmt.Sprintf("a%d", i)), op("Mul", fmt.Sprintf("a%d half", i), fmt.Sprintf("s%d", i)))
	}, half, int64s("bits", 2, 2, 2, 2, 2, 2, 2, 2))
}

// Values that go into two later ones, or into the next one twice in different orders, are walked once per point by compiler, prover and
// verifier; where the points themselves double, or cells beyond all bounds, sums in between are committed. Every such model is proved.
func TestSkips(t *testing.T) {
	for name, test := range map[string]struct {
		model  *pb.ModelProto
		atMost int // evaluations
	}{
		"double skips":       {doubleSkips(40), 100},
		"transposed":         {transposed(40), 200},
		"shuffled, 10 times": {shuffled(10), 400},
		// Beyond some fifty steps exact sums would leave 2^62.
		"double skips, 100 times": {doubleSkips(100), 300},
		"shuffled, 100 times":     {shuffled(100), 4000},
	} {
		t.Run(name, func(t *testing.T) {
			r := analysed(t, test.model)
			require.Empty(t, r.Circuit.Crowded())
			require.LessOrEqual(t, r.Circuit.Requests().Evaluations, test.atMost)
			report, err := r.Check(context.Background(), nil)
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background()))
		})
	}
}

// The models that others have found to take exponential time, as they were written.
func TestSkipsAsReported(t *testing.T) {
	for _, name := range []string{"x03-double-skip-40", "x04-add-transpose-24"} {
		file := filepath.Join("..", "..", "shared", "onnx", "reports", name, "model.onnx")
		if _, err := os.Stat(file); err != nil {
			t.Logf("skipping %s: the folder of shared test data is not here", name)
			continue
		}
		r, err := compileFile(context.Background(), file, Config{})
		require.NoError(t, err)
		require.LessOrEqual(t, r.Circuit.Requests().Evaluations, 200)
		require.NoError(t, r.Prove(context.Background()))
	}
}

// Without committed sums the circuit is refused, and the refusal names the node and the sums.
func TestCrowdedCircuit(t *testing.T) {
	r := analysed(t, shuffled(40))
	cal, err := quant.Calibrate(r.left, r.program.Float, r.samples, nil)
	require.NoError(t, err)
	r.program, err = quant.Quantise(r.left, r.program.Float, cal)
	require.NoError(t, err)
	r.plan, err = planner.Plan(r.program, r.planOptions(Config{}))
	require.NoError(t, err)
	crowded, err := r.buildCircuit()
	require.ErrorIs(t, err, ErrUnsupported)
	var refused *Unsupported
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Regexp(t, `^(Add|Mul)_`, refused.Node)
	require.Contains(t, refused.Reason, "more than 131072 evaluations of tensors")
	require.NotEmpty(t, refused.Remedy)
	require.NotEmpty(t, crowded)
	for _, name := range crowded {
		origin := r.valueOf(name).Def.Origin
		require.True(t, strings.HasPrefix(origin, "Add_") || strings.HasPrefix(origin, "Mul_"), "%s is of %s", name, origin)
	}
}

// What a circuit counts is what its proofs ask for, whatever its terms are: gadgets with random parameters, in random order.
func TestRandomCircuitsCountTheirEvaluations(t *testing.T) {
	circuits, most := 0, 0
	var verdicts second.Verdicts
	for seed := range uint64(150) {
		c, err := randgraph.DrawCircuit(seed, 4)
		if err != nil {
			continue // refused for another reason
		}
		_, err = protocol.CheckedSchedule(c.Circuit)
		require.NoError(t, err, "seed %d", seed)
		require.Empty(t, c.Crowded(), "seed %d", seed)
		circuits++
		most = max(most, c.Requests().Evaluations)
		if circuits <= 40 {
			var encoding bytes.Buffer
			c.Encode(&encoding)
			verdicts.Add(fmt.Sprint("seed ", seed), encoding.Bytes(), nil)
		}
	}
	require.Greater(t, circuits, 100)
	require.Greater(t, most, 100)
	verdicts.Compare(t, second.Circuit)
}
