package witness_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	attentionhint "github.com/zkllmc/zkllmc/runtime/gadget/attention/hint"
	"github.com/zkllmc/zkllmc/runtime/gadget/hint"
)

// scaled is a circuit y = ⌊(3·x + 4)/8⌋ over n cells of 8 bits, two lookups in one range.
func scaled(t testing.TB, n int) (in witnesstest.Instance, x, y circuit.ID) {
	b := witnesstest.Builder()
	x = b.Weight("x", 8, n)
	v := b.Virtual("v", []int{n}, circuit.Scaled(b, 3, x))
	y = gadget.Rescale(b, "y", v, 3, -128, 127)
	b.Lookup(gadget.Range(b, -128, 127), x)
	in.C = witnesstest.Finish(t, b)
	cells := make([]int64, n)
	for i := range cells {
		cells[i] = int64(i*37%256) - 128
	}
	in.Weights = map[circuit.ID]integer.Tensor{x: {Shape: []int{n}, V: cells}}
	return in, x, y
}

func TestMultiplicities(t *testing.T) {
	const n = 100_000 // enough for several counters
	in, x, y := scaled(t, n)
	a, err := in.Generate()
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64]int64{}
	for _, id := range []circuit.ID{x, y} {
		for _, v := range a.Tensor(id).V {
			want[v]++
		}
	}
	for i := range in.C.Tables {
		if tab := &in.C.Tables[i]; tab.Name == "range [-2^7,2^7)" {
			for line, v := range tab.Cols[0] {
				if got := a.Tensor(tab.Mult).V[line]; got != want[v] {
					t.Errorf("multiplicity of %d is %d, want %d", v, got, want[v])
				}
			}
			return
		}
	}
	t.Error("the range is missing")
}

// TestShortWeights: weights of 16 bits and of 64 have one witness, and the same first cell that is in no line of its table is told of.
func TestShortWeights(t *testing.T) {
	const n = 50_000
	in, x, _ := scaled(t, n)
	honest := in.Honest(t)
	short := in.Weights[x]
	short.Shorten()
	a, err := witness.Generate(parallel.With(t.Context(), parallel.New(2)), in.C, map[circuit.ID]integer.Tensor{x: short}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range in.C.Tensors {
		if id := circuit.ID(i); !slices.Equal(honest.Tensor(id).All(), a.Tensor(id).All()) {
			t.Errorf("tensor %s differs", in.C.Tensor(id).Name)
		}
	}
	b := witnesstest.Builder()
	w := b.Weight("w", 9, n)
	b.Lookup(gadget.Range(b, -128, 127), w)
	c := witnesstest.Finish(t, b)
	for _, cells := range [][]int64{{n - 1: 128}, {n - 1: -129}, {n/2 - 1: 255, n - 1: -256}} {
		long := integer.Tensor{Shape: []int{n}, V: slices.Grow(cells, n)[:n]}
		short := long
		short.Shorten()
		var texts []string
		for _, v := range []integer.Tensor{long, short} {
			_, err := witness.Generate(t.Context(), c, map[circuit.ID]integer.Tensor{w: v}, nil, nil)
			if err == nil {
				t.Fatal("a cell that is in no line is counted")
			}
			texts = append(texts, err.Error())
		}
		at := slices.IndexFunc(cells, func(v int64) bool { return v != 0 })
		if texts[0] != texts[1] || !strings.Contains(texts[1], fmt.Sprintf("cell [%d] holds [%d], which is no line", at, cells[at])) {
			t.Error(texts)
		}
	}
}

// TestDeterministic compares two runs, and runs on pools of one and of several threads.
func TestDeterministic(t *testing.T) {
	in, _, _ := scaled(t, 50_000)
	a := in.Honest(t)
	for threads := range 4 {
		b, err := witness.Generate(parallel.With(t.Context(), parallel.New(threads)), in.C, in.Weights, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range in.C.Tensors {
			if !reflect.DeepEqual(a.Tensor(circuit.ID(i)), b.Tensor(circuit.ID(i))) {
				t.Errorf("tensor %s differs between two runs", in.C.Tensors[i].Name)
			}
		}
	}
}

// TestPool runs on a pool that begins nothing: whatever is computed, looked up or compared is a task of the pool that the context has.
func TestPool(t *testing.T) {
	in, x, y := scaled(t, 50_000)
	ended, end := context.WithCancel(t.Context())
	end()
	a, err := witness.Generate(parallel.With(t.Context(), parallel.New(2).Until(ended)), in.C, in.Weights, nil, nil, witness.WithoutChecks())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []circuit.ID{y, in.C.Tables[0].Mult, in.C.Tables[1].Mult} {
		if v := a.Tensor(id).V; slices.ContainsFunc(v, func(x int64) bool { return x != 0 }) {
			t.Errorf("cells of %s are computed beside the pool", in.C.Tensor(id).Name)
		}
	}
	if len(a.Tensor(x).V) == 0 {
		t.Error("the control: there are weights")
	}
}

// TestSettle keeps what fits 16 bits in as many, of what was computed alone, drops a sum that only passes claims on, and changes no value.
func TestSettle(t *testing.T) {
	in, x, y := scaled(t, 100)
	a, err := in.Generate()
	if err != nil {
		t.Fatal(err)
	}
	var before [][]int64
	for i := range in.C.Tensors {
		before = append(before, slices.Clone(a.Tensor(circuit.ID(i)).All()))
	}
	a.Settle()
	dropped := 0
	for i := range in.C.Tensors {
		id := circuit.ID(i)
		got, _ := a.Known(id).(*integer.Tensor)
		switch t1 := in.C.Tensor(id); {
		case got == nil:
			if dropped++; t1.Kind != circuit.Virtual {
				t.Errorf("%s is dropped", t1.Name)
			}
		case (id == y || t1.Name == "y.rem" || t1.Mult) != (got.V == nil):
			t.Errorf("%s is in the wrong form", t1.Name)
		}
		if !slices.Equal(a.Tensor(id).All(), before[i]) {
			t.Errorf("%s has changed", in.C.Tensor(id).Name)
		}
	}
	if dropped == 0 || a.Known(x).(*integer.Tensor).V == nil {
		t.Error("the control")
	}
}

func TestErrorsNameTheCell(t *testing.T) {
	in, x, y := scaled(t, 10)
	_, err := in.Generate(witness.WithOverride(func(id circuit.ID, v *integer.Tensor) {
		if id == y {
			v.V[7]++
			v.V[9]++
		}
	}))
	for _, want := range []string{"y.rem", "cell [7]", "range [0,2^3)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	in.Weights[x].V[3] = 128
	if _, err = in.Generate(); err == nil || !strings.Contains(err.Error(), "weight tensor x: cell [3] is 128") {
		t.Errorf("a weight outside its range: %v", err)
	}
	in.Weights = nil
	if _, err = in.Generate(); err == nil || !strings.Contains(err.Error(), "tensor x of shape [10] has 0 cells") {
		t.Errorf("a missing weight: %v", err)
	}
}

func TestCancel(t *testing.T) {
	in, _, _ := scaled(t, 10)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := witness.Generate(ctx, in.C, in.Weights, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run returns %v", err)
	}
}

// TestEveryHintHasOneRule looks for the rule of every kind of hint that circuits may have.
func TestEveryHintHasOneRule(t *testing.T) {
	b := witnesstest.Builder()
	x := b.Weight("x", 4, 3)
	gadget.Rescale(b, "y", x, 1, -8, 8)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b), Weights: map[circuit.ID]integer.Tensor{x: witnesstest.Cells([]int{3}, 1, 2, 3)}}
	for kind := circuit.HintRescale; kind <= circuit.HintWide+1; kind++ {
		in.C.Hints[0].Kind, in.C.Hints[0].Params = kind, nil
		_, err := in.Generate()
		known := err == nil || !strings.Contains(err.Error(), "unknown hint")
		if want := kind <= circuit.HintWide; known != want {
			t.Errorf("hint %d: %v", kind, err)
		}
		if kind <= circuit.HintWide && kind != circuit.HintInput && (err == nil || !strings.Contains(err.Error(), "has 0 parameters")) {
			t.Errorf("hint %d without parameters: %v", kind, err)
		}
	}
	both := hint.Rules()
	for kind := range attentionhint.Rules() {
		if both[kind] != nil {
			t.Errorf("hint %d has two rules", kind)
		}
	}
}

func TestBrokenCircuits(t *testing.T) {
	b := witnesstest.Builder()
	w := b.Witness("w", 0, 1, 3)
	b.Lookup(gadget.Range(b, 0, 1), w)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
	if _, err := in.Generate(); err == nil || !strings.Contains(err.Error(), "no hint computes the witness tensor w") {
		t.Errorf("a tensor without hint: %v", err)
	}
	b = witnesstest.Builder()
	b.Lookup(gadget.Range(b, 0, 1), gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Booleans, Shape: []int{2}, Hi: 1, Reveal: circuit.Values}))
	in = witnesstest.Instance{C: witnesstest.Finish(t, b)}
	if _, err := witness.Generate(context.Background(), in.C, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "public tensor") {
		t.Errorf("no public tensors: %v", err)
	}
}

// TestSearchedTable has a table that is dense in no few columns.
func TestSearchedTable(t *testing.T) {
	far := []int64{-1 << 50, -5, 0, 7, 1 << 40, 1 << 60}
	b := witnesstest.Builder()
	one := b.Const("one", []int64{1 << 40, 0, 1 << 60, -1 << 50}, 4)
	two := b.Const("two", []int64{5, 3, 6, 1}, 4)
	tab := b.TableOf("far", func() [][]int64 { return [][]int64{far, {1, 2, 3, 4, 5, 6}} })
	b.Lookup(tab, one, two)
	in := witnesstest.Instance{C: witnesstest.Finish(t, b)}
	a := in.Honest(t)
	if got := fmt.Sprint(a.Tensor(in.C.Tables[tab].Mult).V); got != "[1 0 1 0 1 1]" {
		t.Errorf("multiplicities %s", got)
	}
	b = witnesstest.Builder()
	one, two = b.Const("one", far, 6), b.Const("two", far, 6)
	b.Lookup(b.TableOf("both far", func() [][]int64 { return [][]int64{{3, 1 << 60, -1 << 55, -5}, {0, 1 << 60, 1, -5}} }), one, two)
	in.C = witnesstest.Finish(t, b)
	if _, err := in.Generate(); err == nil || !strings.Contains(err.Error(), "cell [0]") {
		t.Errorf("pairs outside a searched table: %v", err)
	}
	a, err := in.Generate(witness.WithoutChecks())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.Tensor(in.C.Tables[0].Mult).V); got != "[0 1 0 1]" {
		t.Errorf("multiplicities %s", got)
	}
}

// TestChecker has the naive checker refuse wrong multiplicities, zeros and virtual cells.
func TestChecker(t *testing.T) {
	in, _, y := scaled(t, 10)
	a, err := in.Generate(witness.WithoutChecks(), witness.WithOverride(func(id circuit.ID, v *integer.Tensor) {
		if in.C.Tensor(id).Mult {
			v.V[1]++
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := witness.CheckSatisfied(in.C, a); err == nil || !strings.Contains(err.Error(), "multiplicity of line 1") {
		t.Errorf("a wrong multiplicity: %v", err)
	}
	if err := witness.CheckField(in.C, witnesstest.With(in.Honest(t), y, 0, big.NewInt(1<<40))); err == nil {
		t.Error("a wrong cell is accepted")
	}
	b := witnesstest.Builder()
	c := b.Const("c", []int64{0, 0, 5}, 3)
	b.Lookup(gadget.Range(b, 0, 7), c)
	b.Zero(b.Virtual("z", []int{3}, circuit.Scaled(b, 2, c)))
	in = witnesstest.Instance{C: witnesstest.Finish(t, b)}
	if _, err := in.Generate(); err == nil || !strings.Contains(err.Error(), "zero-check of z: cell [2] is 10") {
		t.Errorf("a failing zero-check: %v", err)
	}
	if a, err = in.Generate(witness.WithoutChecks()); err != nil {
		t.Fatal(err)
	}
	if err := witness.CheckSatisfied(in.C, a); err == nil || !strings.Contains(err.Error(), "zero-check of z") {
		t.Errorf("a failing zero-check: %v", err)
	}
}

// BenchmarkGenerate is the width of a feed-forward of GPT-2 small at 64 tokens: a matrix product and a rescale of its result.
func BenchmarkGenerate(b *testing.B) {
	cb := witnesstest.Builder()
	x, w := cb.Weight("x", 16, 64, 768), cb.Weight("w", 8, 768, 3072)
	v := cb.Virtual("v", []int{64, 3072}, cb.Times(1, "tk,kj->tj t=64 k=768 j=3072", x, w))
	gadget.Rescale(cb, "y", v, 14, -1<<15, 1<<15-1)
	in := witnesstest.Instance{C: witnesstest.Finish(b, cb), Weights: map[circuit.ID]integer.Tensor{}}
	for _, id := range []circuit.ID{x, w} {
		t := in.C.Tensor(id)
		cells := make([]int64, circuit.Size(t.Shape))
		for i := range cells {
			cells[i] = t.Lo + int64(i)*40503%(t.Hi-t.Lo+1)
		}
		in.Weights[id] = integer.Tensor{Shape: t.Shape, V: cells}
	}
	for b.Loop() {
		if _, err := in.Generate(); err != nil {
			b.Fatal(err)
		}
	}
}
