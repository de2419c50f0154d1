package compiler

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler/internal/passes"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Random programs, and what must hold for every one of them. ZKLLMC_PROPERTY is how many graphs and how many circuits are tried,
// ZKLLMC_SEED the first seed. A failure names its seed and prints the program, made small; -run 'Property.*/seed=123' tries it again.

// few is how many are tried where nothing says how many, and from which seed on: as many as it takes to meet what must occur, there where
// it takes the least.
type few struct {
	n     int
	first uint64
}

var (
	fewGraphs    = few{14, 38}
	fewScaled    = few{4, 1} // wide results among them
	fewCircuits  = few{14, 18}
	fewFunctions = few{20, 62} // every kind of port, public and private
)

// TestPropertyGraphs compiles random float graphs and proves the result on random tokens.
func TestPropertyGraphs(t *testing.T) {
	var must []string
	for _, op := range ir.Ops() {
		if slices.Contains(op.Stages, ir.StageInt) {
			must = append(must, "integer op "+string(op.Op))
		}
	}
	properties(t, checkGraph, fewGraphs, must)
}

// TestPropertyCircuits proves random circuits that call the gadgets with random parameters.
func TestPropertyCircuits(t *testing.T) {
	var must []string
	for _, gadget := range []string{"Rescale", "RescaleWide", "RescaleTable", "Table", "PiecewiseLinear", "Rsqrt", "Reciprocal", "Limbs", "ZkAttn"} {
		must = append(must, "call "+gadget+"()")
	}
	properties(t, checkCircuit, fewCircuits, must)
}

// TestPropertyScales compiles decoders whose weights and activations have magnitudes from 1e-9 to 1e5: they come out as precise as the same
// functions of weights of about one size do.
func TestPropertyScales(t *testing.T) {
	properties(t, checkScaled, fewScaled, []string{"scaled: precise", "circuits with committed limbs of wide results"})
}

// TestPropertyFunctions compiles random functions of several inputs and outputs of every kind, public and private, and proves them.
func TestPropertyFunctions(t *testing.T) {
	var must []string
	for _, kind := range []circuit.Element{circuit.IDs, circuit.Integers, circuit.Booleans, circuit.Reals} {
		must = append(must, fmt.Sprintf("input of %v, %v", kind, circuit.Values), fmt.Sprintf("input of %v, %v", kind, circuit.Nothing))
	}
	properties(t, checkFunction, fewFunctions, append(must, "output of reals, values", "output of reals, argmax", "output of reals, nothing"))
}

// check tries the program of a seed, cut to a number of steps if that is not 0.
type check func(seed uint64, steps int, seen *coverage) error

func properties(t *testing.T, f check, few few, must []string) {
	seen := &coverage{counts: map[string]int{}}
	list := seeds(t, few)
	t.Cleanup(func() {
		t.Log(seen.text())
		if len(list) >= few.n && !t.Failed() {
			seen.enough(t, len(list), must)
		}
	})
	for _, seed := range list {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			err := guarded(f, seed, 0, seen)
			if err == nil {
				return
			}
			for steps := 1; steps < 10; steps++ {
				if small := guarded(f, seed, steps, &coverage{counts: map[string]int{}}); small != nil {
					t.Fatalf("seed %d, cut to %d steps: %v\nas drawn: %v", seed, steps, small, firstLine(err))
				}
			}
			t.Fatalf("seed %d: %v", seed, err)
		})
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// seeds lists the seeds to try: the one that -run names, or as many as the environment asks for, else a few.
func seeds(t *testing.T, few few) []uint64 {
	if m := regexp.MustCompile(`seed=(\d+)`).FindStringSubmatch(flag.Lookup("test.run").Value.String()); m != nil {
		return []uint64{uint64(number(t, m[1]))}
	}
	if s := os.Getenv("ZKLLMC_PROPERTY"); s != "" {
		few.n, few.first = number(t, s), 1
	}
	if s := os.Getenv("ZKLLMC_SEED"); s != "" {
		few.first = uint64(number(t, s))
	}
	list := make([]uint64, few.n)
	for i := range list {
		list[i] = few.first + uint64(i)
	}
	return list
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		t.Fatalf("%q is no number", s)
	}
	return n
}

// guarded makes a panic an error.
func guarded(f check, seed uint64, steps int, seen *coverage) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(seed, steps, seen)
}

// coverage counts what occurred.
type coverage struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *coverage) add(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// has counts a program in which something occurred.
func (c *coverage) has(what string, occurred bool) {
	if occurred {
		c.add(what, 1)
	}
}

// enough demands that most programs were proved, not refused, and that what must occur did.
func (c *coverage) enough(t *testing.T, programs int, must []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.counts["proofs accepted"]; n < programs/2 { // not require, which in a cleanup ends the test without a word
		t.Errorf("most programs were refused: %d of %d proofs accepted", n, programs)
	}
	for _, what := range must {
		if c.counts[what] == 0 {
			t.Errorf("%s never occurred", what)
		}
	}
}

func (c *coverage) text() string {
	var lines []string
	for what, n := range c.counts {
		lines = append(lines, fmt.Sprintf("%7d %s", n, what))
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][8:] < lines[j][8:] })
	return "what occurred:\n" + strings.Join(lines, "\n")
}

// digitsOf hides numbers and names, so that like reasons count as one.
var digitsOf = regexp.MustCompile(`-?[0-9][0-9.e+-]*|"[^"]*"|\[[^\]]*\]`)

func (c *coverage) refused(err error) {
	text := digitsOf.ReplaceAllString(firstLine(err), "#")
	c.add("refused: "+text[:min(len(text), 150)], 1)
}

// refusable are the reasons for which a drawn graph may be refused; any other error is a failure.
var refusable = regexp.MustCompile(`beyond 2\^[0-9]+|bits apart, and a sum|is not finite on|epsilon .* is .* in units|a step of them would be|slacks may reach|leave 62 bits|of which 2\^-?[0-9]+ is left|` +
	`needs at least one axis|has no table with arguments|times coarser than|bits at the scale of the finer one|a shift by .* bits, want|(shift|scale) [0-9]+ is not in|it has no lookup|token ids as numbers|more than there are letters`)

// propertyConfig draws how a graph is compiled.
func propertyConfig(rng *rand.Rand, g *ir.Graph) Config {
	cfg := Config{Reveal: map[string]string{"": []string{"argmax", "values"}[rng.IntN(2)]}, Pad: rng.Int64N(int64(g.Vocab())), WeightBits: rowBits(rng), WitnessBits: rowBits(rng)}
	if rng.IntN(3) == 0 {
		cfg.PrivateInputs = []string{all}
	}
	switch rng.IntN(4) {
	case 0: // what other tokens do is a surprise: clamps have work
		cfg.Pad, cfg.Calibrate = 0, []Input{Tokens(make([]int64, g.Inputs[0].Shape[0])...)}
	case 1:
		ids := make([]int64, g.Inputs[0].Shape[0])
		for i := range ids {
			ids[i] = cfg.Pad
		}
		copy(ids, randomTokens(rng, 1+rng.IntN(len(ids)), g.Vocab()))
		cfg.Calibrate = []Input{Tokens(ids...)}
	}
	return cfg
}

// exacting asks of every eighth program that it is as precise as programs are made.
func exacting(cfg *Config, seed uint64) {
	if seed%8 == 0 {
		cfg.Finer = quant.MostFiner
	}
}

// rowBits draws the log of a row width; the narrowest, with thousands of rows for a table's multiplicities, are the slowest.
func rowBits(rng *rand.Rand) int {
	return []int{4, 5, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8}[rng.IntN(16)]
}

func randomTokens(rng *rand.Rand, n, vocab int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = rng.Int64N(int64(vocab))
	}
	return ids
}

// checkGraph draws a float graph, compiles it and checks the result. Where a graph is refused, its prefixes are tried, so that
// nearly every seed proves something.
func checkGraph(seed uint64, steps int, seen *coverage) error {
	last := ""
	for n := cmp.Or(steps, randgraph.MaxSteps); n > 0; n-- {
		g := randgraph.Graph(seed, n)
		if g.String() == last {
			continue
		}
		last = g.String()
		if refused, err := tryGraph(g, seed, seen); err != nil || !refused || steps > 0 {
			return err
		}
	}
	return nil
}

// checkScaled draws a decoder and the same function of other weights, and checks the second. What is moved leaves channels that
// differ by less than 2^4, which may cost as much.
func checkScaled(seed uint64, _ int, seen *coverage) error {
	plain, scaled := randgraph.Scaled(seed)
	if err := errors.Join(passes.Causal(plain), passes.Causal(scaled)); err != nil {
		return err
	}
	if err := sameFunction(plain, scaled, randomTokens(rand.New(rand.NewPCG(seed, 98)), scaled.Inputs[0].Shape[0], scaled.Vocab())); err != nil {
		return fmt.Errorf("the generator is at fault: %w", err)
	}
	off, err := precise(scaled, seen)
	if refusable.MatchString(fmt.Sprint(err)) {
		seen.refused(err)
		return nil
	}
	if errors.Is(err, quant.ErrImprecise) {
		if before, plainly := precise(plain, &coverage{counts: map[string]int{}}); plainly == nil && off > 16*before {
			return fmt.Errorf("%w, where the same function was off by %.2g\n%s", err, before, scaled)
		}
		seen.add("scaled: imprecise, or nearly so, as drawn too", 1)
		return nil
	}
	if err == nil {
		_, err = tryGraph(scaled, seed, seen)
	}
	return err
}

// precise compiles a graph and compares it with its program on the calibration set. It returns the largest error, in parts of the largest logit.
func precise(g *ir.Graph, seen *coverage) (float64, error) {
	r, err := fromGraph(context.Background(), g, Config{})
	if err != nil {
		return 0, err
	}
	report, err := r.Check(context.Background(), nil)
	if err != nil {
		return 0, err
	}
	if err := report.Err(); err != nil {
		return report.Error(), err
	}
	seen.add("scaled: precise", 1)
	seen.has("circuits with committed limbs of wide results", slices.ContainsFunc(r.Circuit.Tensors, func(t circuit.Tensor) bool { return strings.Contains(t.Name, ".digit") }))
	return report.Error(), nil
}

// tryGraph says that a graph is refused, or checks it.
func tryGraph(g *ir.Graph, seed uint64, seen *coverage) (refused bool, err error) {
	text := "\n" + g.String()
	if err := ir.Verify(g); err != nil {
		return false, fmt.Errorf("the generator is at fault: %w%s", err, text)
	}
	if err := passes.Causal(g); err != nil { // the last pass; the others have nothing to do here
		return false, err
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	cfg := propertyConfig(rng, g)
	prepared, err := quant.Prepare(nil, g)
	if err != nil {
		return false, err
	}
	if err := sameFunction(g, prepared, randomTokens(rng, g.Inputs[0].Shape[0], g.Vocab())); err != nil {
		return false, fmt.Errorf("quant.Prepare: %w%s", err, text)
	}
	exacting(&cfg, seed)
	r, err := fromGraph(context.Background(), g, cfg)
	if err != nil && refusable.MatchString(err.Error()) {
		seen.refused(err)
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("compile: %w%s", err, text)
	}
	seen.graph(g, r)
	if err := ir.Verify(r.program.Int); err != nil {
		return false, fmt.Errorf("integer program: %w%s", err, text)
	}
	accuracy(r, rng, seen)
	hold(r)
	stretch(rng, r.Circuit, weightsOf(r.Circuit, r)) // in place: the interpreter's weights too
	p := &proved{c: r.Circuit, weights: weightsOf(r.Circuit, r), rng: rng, seen: seen}
	p.logits = func(ids []int64) ([]int64, error) {
		vals, err := eval.Int(r.program.Int, ids) // every value within its declared bounds, too
		return vals[r.program.Int.Out()], err
	}
	if err := p.check(); err != nil {
		return false, fmt.Errorf("%w%s%s", err, text, r.program.Int)
	}
	if counts := r.Stats.ProofBytes; counts != p.proofBytes {
		return false, fmt.Errorf("the proof has %d bytes, Stats counts %d%s", p.proofBytes, counts, text)
	}
	return false, nil
}

// proofHeader is what precedes the messages of a proof: magic, version, digest of the circuit, model.
const proofHeader = 8 + 4 + 32 + 32

// sameFunction compares the outputs of two float graphs.
func sameFunction(a, b *ir.Graph, ids []int64) error {
	if err := ir.Verify(b); err != nil {
		return err
	}
	want, err := eval.Float(a, eval.Reals(ids))
	if err != nil {
		return err
	}
	got, err := eval.Float(b, eval.Reals(ids))
	if err != nil {
		return err
	}
	top := 0.0
	for _, x := range want[a.Out()] {
		top = math.Max(top, math.Abs(x))
	}
	noise, err := sensitivity(a, ids, want[a.Out()])
	if err != nil {
		return err
	}
	for i, x := range want[a.Out()] {
		if y := got[b.Out()][i]; math.Abs(x-y) > 1e-6*(1+top)+1000*noise {
			return fmt.Errorf("logit %d is %g, was %g", i, y, x)
		}
	}
	return nil
}

// sensitivity is how far the logits move when the weights do in their last digits: a norm over the small differences of large
// numbers, say, hangs on the rounding of what precedes it, and no order of the same operations is more right than another.
func sensitivity(g *ir.Graph, ids []int64, logits []float64) (far float64, err error) {
	moved := *g
	moved.Values = slices.Clone(g.Values)
	for i, v := range g.Values {
		if len(v.Data) > 0 {
			w := *v
			w.Data = slices.Clone(v.Data)
			for j := range w.Data {
				w.Data[j] *= 1 + 0x1p-50*float64(1+j%3)
			}
			moved.Values[i] = &w
		}
	}
	got, err := eval.Float(&moved, eval.Reals(ids))
	if err != nil {
		return 0, err
	}
	for i, x := range logits {
		far = math.Max(far, math.Abs(got[moved.Out()][i]-x))
	}
	return far, nil
}

// accuracy counts, for information, how near the integer program comes to the float graph on a calibration input.
func accuracy(r *Result, rng *rand.Rand, seen *coverage) {
	report, err := r.Check(context.Background(), []Input{{Elements: []Data{{Values: r.samples[rng.IntN(len(r.samples))].Elements[0]}}}})
	if err != nil {
		return // check reports it with the program's text
	}
	switch e := report.MaxError / math.Max(report.MaxLogit, 1e-3); {
	case e < 0.01:
		seen.add("accuracy: error below 1% of the largest logit", 1)
	case e < 0.2:
		seen.add("accuracy: error below 20%", 1)
	default:
		seen.add("accuracy: error above 20%, "+r.program.Int.Name, 1)
	}
}

// weightsOf are the weights of a model, those of its interpreter where hold has been called.
func weightsOf(_ *circuit.Circuit, r *Result) map[circuit.ID]integer.Tensor {
	cells, err := r.integers()
	if err != nil {
		panic(err)
	}
	return cells
}

// hold keeps the weights in memory, once for circuit and interpreter.
func hold(r *Result) {
	for i := range r.Weights {
		cells, err := weights.All(r.Weights[i].Short)
		if err != nil {
			panic(err)
		}
		for _, v := range r.program.Int.Values {
			if v.Short != nil && weights.Identical(v.Short, r.Weights[i].Short) {
				v.Short = weights.Held[int16](cells)
			}
		}
		r.Weights[i].Short = weights.Held[int16](cells)
	}
}

// stretch replaces the cells of some weights by others of their declared range, its ends above all: a circuit is for all of them.
func stretch(rng *rand.Rand, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor) {
	if rng.IntN(2) == 0 {
		return
	}
	for _, id := range protocol.WeightIDs(c) {
		fill(rng, c.Tensor(id), weights[id].V)
	}
}

// fill sets all cells of a weight: to one end of the range, to random ends, or anywhere; or leaves it as it is.
func fill(rng *rand.Rand, t *circuit.Tensor, v []int64) {
	kind := rng.IntN(6)
	for i := range v {
		switch kind {
		case 0:
			v[i] = t.Lo
		case 1:
			v[i] = t.Hi
		case 2:
			v[i] = []int64{t.Lo, t.Hi}[rng.IntN(2)]
		case 3:
			v[i] = t.Lo + rng.Int64N(t.Hi-t.Lo+1)
		case 4:
			v[i] = []int64{t.Lo, t.Hi, 0, max(t.Lo, -1)}[rng.IntN(4)]
		}
	}
}

// checkCircuit draws a circuit and checks it.
func checkCircuit(seed uint64, steps int, seen *coverage) error {
	c, err := randgraph.DrawCircuit(seed, steps)
	if err != nil {
		seen.refused(err)
		return nil
	}
	var text strings.Builder
	for _, call := range c.Calls {
		text.WriteString("\n" + call.Text)
		seen.add("call "+regexp.MustCompile(`\w+\(`).FindString(call.Text)+")", 1)
	}
	for _, f := range c.Failed {
		seen.refused(errors.New(f))
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	for round := range 3 {
		p := &proved{c: c.Circuit, weights: map[circuit.ID]integer.Tensor{}, rng: rng, seen: seen, calls: c.Calls}
		for _, id := range protocol.WeightIDs(c.Circuit) {
			w := c.Tensor(id)
			v := make([]int64, circuit.Size(w.Shape))
			fill(rng, &circuit.Tensor{Lo: w.Lo / 8, Hi: w.Hi / 8}, v) // for what fill leaves as it is
			fill(rng, w, v)
			p.weights[id] = integer.Tensor{Shape: w.Shape, V: v}
		}
		p.witnessOnly = round > 0
		if err := p.check(); err != nil {
			return fmt.Errorf("round %d: %w%s\n%s", round, err, text.String(), describe(c.Circuit))
		}
	}
	return nil
}

// describe is a circuit as text.
func describe(c *circuit.Circuit) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", c.Config)
	for i := range c.Tensors {
		t := &c.Tensors[i]
		fmt.Fprintf(&b, "%d %s %s %v in [%d, %d]", t.ID, t.Kind, t.Name, t.Shape, t.Lo, t.Hi)
		for _, d := range t.Def {
			fmt.Fprintf(&b, " + %d·%v→%v %v", d.Coef, d.Factors, d.Out, d.Extents)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// proved is a circuit with weights on its way through all checks.
type proved struct {
	c       *circuit.Circuit
	weights map[circuit.ID]integer.Tensor
	rng     *rand.Rand
	seen    *coverage
	calls   []randgraph.Call
	logits  func(ids []int64) ([]int64, error) // the oracle; nil: what the witness says

	function func() (*engine.Input, [][]int64, error) // of functions: a true statement, and what the oracle says of each output

	witnessOnly bool // no proof
	key         *engine.Key
	proofBytes  int
}

// checkFunction draws a function of several inputs and outputs, compiles it and checks the result.
func checkFunction(seed uint64, steps int, seen *coverage) error {
	g := randgraph.Function(seed, steps)
	text := "\n" + g.String()
	if err := ir.Verify(g); err != nil {
		return fmt.Errorf("the generator is at fault: %w%s", err, text)
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	cfg := Config{WeightBits: rowBits(rng), WitnessBits: rowBits(rng), Reveal: map[string]string{}, Statement: asFunctions}
	for i := range g.Inputs {
		if rng.IntN(3) == 0 {
			cfg.PrivateInputs = append(cfg.PrivateInputs, g.Inputs[i].Name)
		}
	}
	for i := range g.Outputs {
		if p := &g.Outputs[i]; i > 0 && rng.IntN(2) == 0 {
			cfg.Reveal[p.Name] = "nothing"
		} else if rng.IntN(3) == 0 && len(p.Shape) > 1 {
			cfg.Reveal[p.Name] = "argmax"
		}
	}
	exacting(&cfg, seed)
	r, err := fromGraph(context.Background(), g, cfg)
	if err != nil && (refusable.MatchString(err.Error()) || refusableFunction.MatchString(err.Error())) {
		seen.refused(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("compile: %w%s", err, text)
	}
	if err := ir.Verify(r.program.Int); err != nil {
		return fmt.Errorf("integer program: %w%s", err, text)
	}
	for _, p := range r.Circuit.Ports {
		seen.add(fmt.Sprintf("%s of %v, %v", p.Side(), p.Kind, p.Reveal), 1)
	}
	p := &proved{c: r.Circuit, weights: weightsOf(r.Circuit, r), rng: rng, seen: seen}
	p.function = func() (*engine.Input, [][]int64, error) {
		elements, err := r.program.Elements(r.samples[rng.IntN(len(r.samples))].Elements)
		if err != nil {
			return nil, nil, err
		}
		outs, err := quant.Outputs(nil, r.program, elements)
		return functionClaim(r.Circuit, elements, outs), outs, err
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("%w%s%s", err, text, r.program.Int)
	}
	return nil
}

// refusableFunction are the reasons for which a drawn function may be refused besides those of language models.
var refusableFunction = regexp.MustCompile(`nothing that is committed|no constraint uses it|has no private weights and no private input|2\^16 values are supported`)

// check computes the witness of a random statement, compares it with the oracle, proves it and verifies the proof, and sees that
// statements that are false are not proved.
func (p *proved) check() error {
	if p.function != nil {
		return p.checkFunction()
	}
	in, tokens, all, err := p.input()
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	a, err := p.generate(in)
	if err != nil {
		return fmt.Errorf("no witness: %w", err)
	}
	_, out := ends(p.c)
	if got := a.Tensor(out.T).V; !slices.Equal(got, all) {
		return fmt.Errorf("the witness' logits are %v, the oracle's %v", got, all)
	}
	if err := witness.CheckSatisfied(p.c, a); err != nil {
		return fmt.Errorf("the witness does not satisfy the circuit: %w", err)
	}
	if err := p.callsAgree(a); err != nil {
		return err
	}
	if err := p.readsAhead(tokens, all); err != nil {
		return err
	}
	if err := p.decodes(in, tokens, a); err != nil {
		return err
	}
	p.seen.circuit(p.c, a)
	if p.witnessOnly {
		return nil
	}
	return p.prove(in, a)
}

// checkFunction is check for a function of several inputs and outputs.
func (p *proved) checkFunction() error {
	in, outs, err := p.function()
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	a, err := p.generate(in)
	if err != nil {
		return fmt.Errorf("no witness: %w", err)
	}
	for i := range p.c.Ports {
		if o := &p.c.Ports[i]; o.Out {
			if got := a.Tensor(o.T).V; !slices.Equal(got, outs[0]) {
				return fmt.Errorf("the witness' output %s is %v, the oracle's %v", o.Name, got, outs[0])
			}
			outs = outs[1:]
		}
	}
	if err := witness.CheckSatisfied(p.c, a); err != nil {
		return fmt.Errorf("the witness does not satisfy the circuit: %w", err)
	}
	p.seen.circuit(p.c, a)
	return p.prove(in, a)
}

func (p *proved) generate(in *engine.Input, opts ...witness.Option) (*witness.Assignment, error) {
	publics := func(id circuit.ID) integer.Tensor { return *in.Statement.Public(p.c, id) }
	return witness.Generate(context.Background(), p.c, p.weights, publics, in.Private, opts...)
}

// callsAgree compares the results of gadgets with their definitions.
func (p *proved) callsAgree(a *witness.Assignment) error {
	for _, call := range p.calls {
		var in [][]int64
		for _, id := range call.In {
			in = append(in, slices.Concat(a.Tensor(id).V, a.Tensor(id).High))
		}
		for i, want := range call.Want(in) {
			if got := a.Tensor(call.Out[i]).V; !slices.Equal(got, want) {
				return fmt.Errorf("%s: result %d is %v, by definition %v", call.Text, i, got, want)
			}
		}
	}
	return nil
}

// ends are the input and the output of a circuit that has one of each.
func ends(c *circuit.Circuit) (in, out *circuit.Port) {
	for i := range c.Ports {
		if c.Ports[i].Out {
			out = &c.Ports[i]
		} else {
			in = &c.Ports[i]
		}
	}
	return in, out
}

// input draws a true statement: random tokens, and an answer that the model gives where one is found. It returns all tokens and logits, too.
func (p *proved) input() (*engine.Input, []int64, []int64, error) {
	c, g := p.c, p.c.Generation
	if g == nil {
		in, _ := ends(c)
		tokens := randomTokens(p.rng, in.Shape[0], in.Vocab())
		all, err := p.allLogits(tokens)
		if err != nil {
			return nil, nil, nil, err
		}
		p.seen.add("functions", 1)
		return functionClaim(c, [][]int64{tokens}, [][]int64{all}), tokens, all, nil
	}
	n := 1 + p.rng.IntN(g.Length)
	st := &generation.Statement{Tokens: randomTokens(p.rng, n, g.Vocab), Prompt: 1 + p.rng.IntN(n), Next: generation.Unclaimed}
	var all []int64
	var err error
	settled := false
	for try := 0; !settled; try++ {
		if all, err = p.allLogits(st.Tokens); err != nil {
			return nil, nil, nil, err
		}
		if try == 6 {
			st.Prompt = n
		}
		settled = true
		for t := st.Prompt; t < n; t++ {
			best := statement.Argmax(all[(t-1)*g.Vocab : t*g.Vocab])
			settled = settled && best == st.Tokens[t]
			st.Tokens[t] = best
		}
	}
	if g.Reveal == circuit.Values {
		st.Logits = slices.Clone(all[(st.Prompt-1)*g.Vocab : n*g.Vocab])
	} else if st.Prompt == n || p.rng.IntN(2) == 0 {
		st.Next = statement.Argmax(all[(n-1)*g.Vocab : n*g.Vocab])
	}
	return &engine.Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, st.Tokens)}, st.Tokens, all, nil
}

// decodes compares the witness with what is computed position by position.
func (p *proved) decodes(in *engine.Input, tokens []int64, a *witness.Assignment) error {
	if p.c.Generation == nil {
		return nil
	}
	given := witnesstest.Instance{C: p.c, Weights: p.weights, Publics: map[circuit.ID]integer.Tensor{}, Private: in.Private}
	for i := range p.c.Tensors {
		if t := &p.c.Tensors[i]; t.Kind == circuit.Public {
			given.Publics[t.ID] = *in.Statement.Public(p.c, t.ID)
		}
	}
	switch err := witnesstest.Decoded(given, a, tokens, p.rng); {
	case errors.Is(err, witness.ErrWhole):
		p.seen.add("texts not decoded position by position", 1)
	case err != nil:
		return fmt.Errorf("decoding %v: %w", tokens, err)
	default:
		p.seen.add("texts decoded position by position", 1)
	}
	return nil
}

// readsAhead changes the tokens from a position on, whether they are told or not, and compares the logits before it with what they were.
func (p *proved) readsAhead(tokens, logits []int64) error {
	if p.c.Generation == nil || p.c.Generation.Length < 2 || p.c.Generation.Private {
		return nil
	}
	p.seen.add("causal", 1)
	ids := slices.Clone(tokens)
	for len(ids) < p.c.Generation.Length {
		ids = append(ids, p.c.Generation.Pad)
	}
	cut := 1 + p.rng.IntN(p.c.Generation.Length-1)
	copy(ids[cut:], randomTokens(p.rng, p.c.Generation.Length-cut, p.c.Generation.Vocab))
	again, err := p.allLogits(ids)
	if err != nil {
		return err
	}
	if n := cut * p.c.Generation.Vocab; !slices.Equal(again[:n], logits[:n]) {
		return fmt.Errorf("the circuit is causal, but %v has the logits %v before position %d and not %v", ids, again[:n], cut, logits[:n])
	}
	return nil
}

// allLogits asks the oracle, or where there is none a witness that claims nothing.
func (p *proved) allLogits(tokens []int64) ([]int64, error) {
	ids := slices.Clone(tokens)
	for g := p.c.Generation; g != nil && len(ids) < g.Length; {
		ids = append(ids, g.Pad)
	}
	if p.logits != nil {
		return p.logits(ids)
	}
	port, out := ends(p.c)
	var in *engine.Input
	if p.c.Generation == nil {
		in = functionClaim(p.c, [][]int64{ids}, [][]int64{make([]int64, circuit.Size(out.Shape))})
	} else {
		probe := &generation.Statement{Tokens: ids, Prompt: len(ids), Next: generation.Unclaimed, Logits: make([]int64, port.Vocab())}
		in = &engine.Input{Statement: probe.Hide(p.c), Private: generation.PrivateInput(p.c, ids)}
	}
	a, err := p.generate(in, witness.WithoutChecks())
	if err != nil {
		return nil, err
	}
	return a.Tensor(out.T).V, nil
}

// prove proves and verifies, and tries to prove what is false.
func (p *proved) prove(in *engine.Input, a *witness.Assignment) error {
	ctx := context.Background()
	o := engine.Dishonest(engine.Options{Backend: cpu.New()}, engine.Hooks{Seed: []byte("property")})
	key, vk, err := engine.Setup(ctx, circuit.Single(p.c), p.weights, o)
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	p.key = key
	filed, err := filed(ctx, circuit.Single(p.c))
	if err != nil {
		return err
	}
	accepted, err := verifier.ReadKey(ctx, filed, engine.Kind(p.c), vk)
	if err != nil {
		return err
	}
	proof, err := key.Prove(ctx, in, o)
	if err != nil {
		return fmt.Errorf("prove: %w", err)
	}
	p.proofBytes = len(proof)
	enc, err := statement.Encode(p.c, in.Statement)
	if err != nil {
		return err
	}
	if err := accepted.Verify(enc, proof); err != nil {
		return fmt.Errorf("an honest proof is refused: %w", err)
	}
	p.seen.add("proofs accepted", 1)
	if err := p.countsAgree(proof); err != nil {
		return err
	}
	if p.rng.IntN(24) == 0 {
		if err := p.backendsAgree(in, vk, proof); err != nil {
			return err
		}
	}
	return p.lie(in, accepted, proof, o)
}

// countsAgree compares the dry run with the proof.
func (p *proved) countsAgree(proof []byte) error {
	counts, err := protocol.Schedule(p.c)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if want := proofHeader + 32*(counts.Points+counts.Scalars); want != len(proof) {
		return fmt.Errorf("the proof has %d bytes, Count says %d", len(proof), want)
	}
	return nil
}

// backendsAgree repeats setup and proof with the reference backend.
func (p *proved) backendsAgree(in *engine.Input, vk, proof []byte) error {
	ctx := context.Background()
	o := engine.Dishonest(engine.Options{Backend: reference.New()}, engine.Hooks{Seed: []byte("property")})
	key, again, err := engine.Setup(ctx, circuit.Single(p.c), p.weights, o)
	if err != nil {
		return fmt.Errorf("reference setup: %w", err)
	}
	slow, err := key.Prove(ctx, in, o)
	if err != nil {
		return fmt.Errorf("reference proof: %w", err)
	}
	if !slices.Equal(vk, again) || !slices.Equal(proof, slow) {
		return errors.New("the backends give different bytes")
	}
	p.seen.add("backends compared", 1)
	return nil
}

// forged is a statement with one logit or the answer changed; nil where it says neither.
func (p *proved) forged(honest statement.Statement) statement.Statement {
	change := func(v []int64, argmax bool, n int) []int64 {
		v = slices.Clone(v)
		if i := p.rng.IntN(len(v)); argmax {
			v[i] = (v[i] + 1 + p.rng.Int64N(int64(n)-1)) % int64(n)
		} else {
			v[i] += int64(1 - 2*p.rng.IntN(2))
		}
		return v
	}
	var revealed []int
	for i := range p.c.Ports {
		if o := &p.c.Ports[i]; o.Out && o.Public() && (o.Reveal != circuit.Argmax || o.Shape[len(o.Shape)-1] > 1) {
			revealed = append(revealed, i)
		}
	}
	if len(revealed) == 0 {
		return nil
	}
	port := revealed[p.rng.IntN(len(revealed))]
	out := &p.c.Ports[port]
	argmax, n := out.Reveal == circuit.Argmax, out.Shape[len(out.Shape)-1]
	switch st := honest.(type) {
	case *function.Statement:
		lie := &function.Statement{Ports: slices.Clone(st.Ports)}
		lie.Ports[port] = change(st.Ports[port], argmax, n)
		return lie
	case *generation.Statement:
		lie := *st
		switch {
		case !argmax:
			lie.Logits = change(st.Logits, false, n)
		case st.Next == generation.Unclaimed:
			return nil
		default:
			lie.Next = change([]int64{st.Next}, true, n)[0]
		}
		return &lie
	}
	return nil
}

// lie changes one logit or the answer: the honest proof is none for that statement, the witness does not exist, and what is computed
// as if it did makes no proof.
func (p *proved) lie(in *engine.Input, accepted *verifier.Key, proof []byte, o engine.Options) error {
	st := p.forged(in.Statement)
	if st == nil {
		return nil
	}
	forged := engine.Input{Statement: st, Private: in.Private}
	if accepted.VerifyStatement(p.c, st, proof) == nil {
		return errors.New("the proof is accepted for another statement")
	}
	if st.Check(p.c) != nil || st.CheckClaim(p.c) != nil {
		return nil // a logit outside its bounds, or another answer: no proof is looked at
	}
	if _, err := p.generate(&forged); err == nil {
		return errors.New("a false statement has a witness")
	}
	if p.rng.IntN(3) > 0 {
		return nil
	}
	a, err := p.generate(&forged, witness.WithoutChecks())
	if err != nil {
		return fmt.Errorf("witness without checks: %w", err)
	}
	bad, err := p.key.ProveAssignment(context.Background(), st, a, o)
	if err == nil && accepted.VerifyStatement(p.c, st, bad) == nil {
		return errors.New("a proof of a false statement is accepted")
	}
	p.seen.add("false proofs refused", 1)
	return nil
}

// graph counts what a graph and its program hold.
func (c *coverage) graph(g *ir.Graph, r *Result) {
	c.add("graphs compiled", 1)
	c.has("graphs with a repeated block", r.Layers() > 0)
	for _, n := range g.Nodes {
		name := string(n.Op)
		switch a := n.Attr.(type) {
		case *ir.UnaryAttr:
			name += " " + a.Fn
		case *ir.NormAttr:
			name += fmt.Sprintf(" center=%v gamma=%v beta=%v", a.Center, a.HasGamma, a.HasBeta)
		case *ir.SoftmaxAttr:
			name += fmt.Sprintf(" mask=%v", a.HasMask)
		case *ir.EinsumAttr:
			c.terms(a)
		}
		c.add("op "+name, 1)
	}
	for _, n := range r.program.Int.Nodes {
		c.add("integer op "+string(n.Op), 1)
	}
}

// terms counts the kinds of terms.
func (c *coverage) terms(a *ir.EinsumAttr) {
	for _, t := range a.Terms {
		c.add(fmt.Sprintf("term of %d factors", len(t.In)), 1)
		square, split, one := false, false, false
		for i, in := range t.In {
			for j := range i {
				square = square || t.In[j] == in
			}
		}
		for _, axes := range append(t.Axes[:len(t.Axes):len(t.Axes)], t.Out) {
			for _, labels := range axes {
				split, one = split || len(labels) > 1, one || len(labels) == 0
			}
		}
		c.has("term with a factor twice", square)
		c.has("term with a split or merged axis", split)
		c.has("term with an axis of extent 1", one)
	}
}

// circuit counts what a circuit and its witness hold.
func (c *coverage) circuit(circ *circuit.Circuit, a *witness.Assignment) {
	in, out := ends(circ)
	c.has("circuits that reveal the arg-max", out.Reveal == circuit.Argmax)
	c.has("circuits with private input", !in.Public())
	owned, tail, packed := false, false, false
	for i := range circ.Tensors {
		t := &circ.Tensors[i]
		if t.Kind == circuit.Weight || t.Kind == circuit.Witness {
			bits := map[circuit.Kind]int{circuit.Weight: circ.WeightBits, circuit.Witness: circ.WitnessBits}[t.Kind]
			o, r := rowsOf(t.Shape, bits)
			owned, tail, packed = owned || o && !t.Mult, tail || r, packed || !o
		}
		switch {
		case strings.HasSuffix(t.Name, ".class"):
			c.add("clamps", 1)
			c.has("clamps that saturate above", slices.Contains(a.Tensor(t.ID).V, 1))
			c.has("clamps that saturate below", slices.Contains(a.Tensor(t.ID).V, -1))
		case t.Kind == circuit.Witness && strings.Contains(t.Name, ".digit"):
			c.add("committed limbs of wide results", 1)
		case t.Kind == circuit.Witness && strings.Contains(t.Name, ".limb"):
			c.add("committed limbs", 1)
		case t.Kind == circuit.Witness && strings.Contains(t.Name, ".excess"):
			c.add("committed limbs of an excess", 1)
		}
	}
	c.has("circuits with wide tensors", slices.ContainsFunc(circ.Tensors, func(t circuit.Tensor) bool { return t.Wide() }))
	c.has("circuits with owned rows", owned)
	c.has("circuits with tail rows", tail)
	c.has("circuits with packed rows", packed)
	c.has("circuits with 3 waves or more", circ.Waves() >= 3)
}

// rowsOf says whether a tensor owns rows of 2^bits columns, and whether the last of them is cut off.
func rowsOf(shape []int, bits int) (owned, tail bool) {
	if circuit.ShapeBits(shape) < bits {
		return false, false
	}
	for i := len(shape) - 1; ; i-- {
		if n := circuit.Bits(shape[i]); n < bits {
			bits -= n
			continue
		}
		return true, shape[i]%(1<<bits) != 0
	}
}

// TestPropertyGeneratedCode builds the generated packages of some random graphs, those with a repeated block first, in a module of
// their own and runs their Build, which compares the digest with that of the circuit that the compiler built, proved and compared with
// the interpreter. A generated prover is that Build and calls into the runtime; compiler/service_test.go runs one.
func TestPropertyGeneratedCode(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the Go toolchain")
	}
	dir := t.TempDir()
	var imports, calls strings.Builder
	list := seeds(t, fewFunctions)
	left, plain := max(2, min(40, len(list)/8)), max(2, min(10, len(list)/16))
	for _, seed := range list {
		if left == 0 {
			break
		}
		r := compiled(seed)
		if r == nil || r.Layers() == 0 && plain == 0 {
			continue
		}
		if left--; r.Layers() == 0 {
			plain--
		}
		name := fmt.Sprintf("p%d", seed)
		files, err := codegen.Generate(r.plans(), r.Family, codegen.Target{ImportPath: "example.com/random/" + name})
		require.NoError(t, err, "seed %d", seed)
		for _, f := range files {
			writeFile(t, filepath.Join(dir, name, filepath.FromSlash(f.Path)), f.Data)
		}
		fmt.Fprintf(&imports, "\t%s \"example.com/random/%s/circuit\"\n", name, name)
		fmt.Fprintf(&calls, "\tif _, err := %s.Build(); err != nil {\n\t\tpanic(err)\n\t}\n", name)
	}
	require.GreaterOrEqual(t, strings.Count(calls.String(), "Build()"), min(2, len(list)), "hardly any graph was compiled")
	writeFile(t, filepath.Join(dir, "main.go"), []byte("package main\n\nimport (\n"+imports.String()+")\n\nfunc main() {\n"+calls.String()+"}\n"))
	useThisModule(t, dir)
	run := exec.Command("go", "run", "-ldflags=-w", ".")
	run.Dir = dir
	out, err := run.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// useThisModule makes a module of a folder that uses this source tree.
func useThisModule(t *testing.T, dir string) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, f := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, f))
		require.NoError(t, err)
		if f == "go.mod" {
			text := strings.Replace(string(data), "module github.com/zkllmc/zkllmc\n", "module example.com/random\n", 1)
			data = []byte(text + "\nrequire github.com/zkllmc/zkllmc v0.0.0-00010101000000-000000000000\n\nreplace github.com/zkllmc/zkllmc => " + root + "\n")
		}
		writeFile(t, filepath.Join(dir, f), data)
	}
}

// compiled is a compiled random graph, or nil.
func compiled(seed uint64) (r *Result) {
	defer func() { _ = recover() }() // TestPropertyGraphs reports it
	g := randgraph.Graph(seed, 0)
	r, err := fromGraph(context.Background(), g, propertyConfig(rand.New(rand.NewPCG(seed, 99)), g))
	if err != nil {
		return nil
	}
	return r
}

func writeFile(t *testing.T, name string, data []byte) {
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, data, 0o644))
}
