// Package compiler turns a transformer in ONNX into a zero-knowledge prover and verifier in Go.
package compiler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/passes"
	"github.com/zkllmc/zkllmc/compiler/internal/planner"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Config says how to compile a model. The zero value is a good start for a model without symbolic dimensions.
type Config struct {
	Name         string            // of the model; empty: that of the file, or of its folder if the file is model.onnx
	Dims         map[string]int    // values of symbolic dimensions
	Public       []string          // initializers that become part of the circuit
	Private      []string          // initializers that are committed although they would be public
	Output       string            // the graph output with the logits; empty: the only one
	Fix          map[string]string // inputs besides the token ids that are fixed: file with a TensorProto, by input
	PrivateInput string            // the input that proofs hide: its name, or all; empty: none
	RevealArgmax bool              // the statement shows predicted tokens instead of logits
	Pad          int64             // token at positions after the end of a shorter input
	WeightBits   int               // log2 of the row width of the weights' commitments; 0: chosen
	WitnessBits  int               // of the witness'
	Budget       int               // factor on the limits of what a model of its size and length may cost at compile time; 0: 1
	ImportPath   string            // of the generated code
	Vocab        []byte            // vocabulary file for the generated commands, or nil

	// Calibrate holds sequences of token ids from which scales are chosen; nil: a deterministic set, see
	// quant.DefaultSamples. Sequences shorter than the model's length are padded.
	Calibrate [][]int64
	// Progress is told what begins, Dump gets the text form of the program after every pass; both may be nil.
	Progress func(string)
	Dump     func(pass, text string)
}

// Report says which scales were chosen.
type Report = quant.Report

// Result is a compiled model.
type Result struct {
	Files   []codegen.SourceFile // generated code, paths relative to its folder
	Circuit *circuit.Circuit
	Weights []plan.Tensor // in the order of the circuit's weights
	Scales  *Report       // what calibration chose
	Stats   Stats

	left    *budget.Budget // of the compilation
	plan    *plan.Plan
	program *quant.Program
	samples [][]int64
}

// Compile reads a model and generates its prover and verifier.
func Compile(ctx context.Context, model string, cfg Config) (*Result, error) {
	r, err := analyse(ctx, model, cfg)
	if err != nil {
		return nil, err
	}
	cfg.progress("generating code")
	if r.Files, r.Circuit, err = codegen.Generate(ctx, r.plan, codegen.Target{ImportPath: cfg.ImportPath, Vocab: cfg.Vocab}); err != nil {
		return nil, refused(r.left, err)
	}
	weights, err := r.encodeWeights()
	if err != nil {
		return nil, err
	}
	r.Files = append(r.Files, codegen.SourceFile{Path: WeightsFile, Data: weights})
	return r, nil
}

// WeightsFile is the generated file with the quantised weights. It is as secret as the weights are.
const WeightsFile = "weights.zkw"

func (r *Result) encodeWeights() ([]byte, error) {
	var names []string
	var tensors []backend.Tensor
	for _, w := range r.Weights {
		names, tensors = append(names, w.Name), append(tensors, backend.Tensor{Shape: w.Shape, V: w.Values})
	}
	var out bytes.Buffer
	err := format.WriteWeights(&out, r.Circuit.Digest(), names, tensors)
	return out.Bytes(), err
}

func (c Config) progress(phase string) {
	if c.Progress != nil {
		c.Progress(phase)
	}
}

// analyse does everything but print code.
func analyse(ctx context.Context, model string, cfg Config) (*Result, error) {
	left := budget.New(ctx, cfg.Budget)
	cfg.progress("reading and simplifying " + model)
	m, err := onnx.LoadContext(ctx, model)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, unreadable(err)
	}
	if err := checkNames(m, cfg); err != nil {
		return nil, err
	}
	fix, err := fixed(cfg)
	if err != nil {
		return nil, err
	}
	g, err := passes.LowerModel(m, passes.Options{Dims: cfg.Dims, Public: cfg.Public, Private: cfg.Private, Output: cfg.Output, Fix: fix, Dump: cfg.Dump, Budget: left})
	if err != nil {
		return nil, refused(left, err)
	}
	if g.Name = cfg.Name; g.Name == "" {
		g.Name = modelName(model)
	}
	return build(left, g, cfg)
}

// fixed loads the tensors of fixed inputs.
func fixed(cfg Config) (map[string]*onnx.Tensor, error) {
	fix := map[string]*onnx.Tensor{}
	for input, file := range cfg.Fix {
		t, err := onnx.LoadTensor(file)
		if err != nil {
			return nil, unreadable(fmt.Errorf("input %s: %w", input, err))
		}
		fix[input] = t
	}
	return fix, nil
}

// modelName derives a name from a path.
func modelName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if name == "model" {
		if dir, err := filepath.Abs(filepath.Dir(file)); err == nil {
			name = filepath.Base(dir)
		}
	}
	return name
}

// build compiles a canonical float graph up to the circuit.
func build(left *budget.Budget, g *ir.Graph, cfg Config) (*Result, error) {
	if err := isLanguageModel(g); err != nil {
		return nil, refuse(err)
	}
	if name := g.Value(g.Input).Name; cfg.PrivateInput != "" && cfg.PrivateInput != "all" && cfg.PrivateInput != name {
		return nil, refuse(fmt.Errorf("%w: there is no input %q to hide; the token ids are %q", ErrName, cfg.PrivateInput, name))
	}
	if err := checkSize(g); err != nil {
		return nil, refuse(err)
	}
	f := quant.Prepare(g)
	r := &Result{left: left}
	var err error
	if r.samples, err = samples(left, f, cfg); err != nil {
		return nil, refused(left, err)
	}
	cfg.progress(fmt.Sprintf("calibrating on %d inputs", len(r.samples)))
	cal, err := quant.Calibrate(left, f, r.samples)
	if err != nil {
		return nil, refused(left, err)
	}
	return r, r.settle(f, cal, cfg)
}

// maxSettle bounds the programs that are tried. The second has committed what the first one's circuit was crowded with; more are there for
// what only then becomes visible.
const maxSettle = 4

// settle makes program and circuit, anew as long as the circuit has sums that a proof would evaluate at so many points that they are better
// committed to: sums of a value and of the same value in another order, again and again.
func (r *Result) settle(f *ir.Graph, cal *quant.Calibration, cfg Config) error {
	o := planner.Options{
		Pad: cfg.Pad, RevealArgmax: cfg.RevealArgmax, PrivateInput: cfg.PrivateInput != "",
		WeightBits: cfg.WeightBits, WitnessBits: cfg.WitnessBits,
	}
	var commit []ir.ValueID
	for try := 1; ; try++ {
		cfg.progress("choosing scales")
		var err error
		if r.program, err = quant.Quantise(r.left, f, cal, commit...); err != nil {
			return refused(r.left, err)
		}
		r.Scales = r.program.Report
		if cfg.Dump != nil {
			cfg.Dump("quantise", r.program.Int.String())
		}
		cfg.progress("planning the circuit")
		if r.plan, err = planner.Plan(r.program, o); err != nil {
			return refuse(err)
		}
		r.Weights = r.plan.Weights
		crowded, err := r.buildCircuit()
		before := len(commit)
		for _, name := range crowded {
			if id, ok := r.program.Of[r.valueOf(name).ID]; ok && !slices.Contains(commit, id) {
				commit = append(commit, id)
			}
		}
		switch {
		case len(commit) > before && try < maxSettle:
		case err != nil:
			return err
		default:
			return r.chooseWidths(o)
		}
	}
}

// valueOf returns the value of the program that a virtual tensor of the circuit is; one without a number if it is a part of a gadget.
func (r *Result) valueOf(tensor string) *ir.Value {
	if id, ok := r.plan.Values[tensor]; ok {
		return r.program.Int.Value(ir.ValueID(id))
	}
	return &ir.Value{ID: -1}
}

// buildCircuit builds the circuit of the plan. It returns the names of tensors that should be committed, also with the error of a circuit
// that is refused for the number of its evaluations; that names the node with most of them.
func (r *Result) buildCircuit() (crowded []string, err error) {
	if r.Circuit, err = codegen.BuildCircuit(r.left.Context(), r.plan); err == nil {
		return r.Circuit.Crowded(), nil
	}
	var requests *circuit.RequestsError
	var step *codegen.Refusal
	switch {
	case errors.As(err, &step):
		return nil, refuse(ir.Refuse(step.Node, step.Operator, "%s; %s", step.Reason, step.Remedy))
	case !errors.As(err, &requests):
		return nil, refused(r.left, err)
	}
	if n := r.valueOf(requests.Tensor).Def; n != nil {
		err = ir.Refuse(n.Origin, n.Named(), "a proof would take more than %d %s, its result alone at %d points or more; "+
			"make fewer sums of a value and the same value in another order", requests.Limit, requests.What, requests.Points)
	}
	return requests.Commit, refuse(err)
}

// chooseWidths counts the cells of the circuit, and builds it again if their number asks for wider rows.
func (r *Result) chooseWidths(o planner.Options) (err error) {
	if r.Stats, err = statistics(r.Circuit); err != nil {
		return err
	}
	before := r.plan.Config
	if planner.ChooseWidths(&r.plan.Config, o, r.Stats.WeightCells, r.Stats.WitnessCells); r.plan.Config == before {
		return nil
	}
	if _, err = r.buildCircuit(); err != nil {
		return err
	}
	r.Stats, err = statistics(r.Circuit)
	return err
}

// isLanguageModel says that a graph maps T token ids to logits of shape [T, V] for ids of the same vocabulary.
func isLanguageModel(g *ir.Graph) error {
	in, out := g.Value(g.Input), g.Value(g.Output)
	if len(in.Shape) != 1 || len(out.Shape) != 2 || out.Shape[0] != in.Shape[0] || out.Shape[1] != g.Vocab || g.Vocab < 2 {
		return out.Def.Errorf("the output has shape %v; %v token ids of a vocabulary of %d need logits %v", out.Shape, in.Shape, g.Vocab, append(in.Shape[:len(in.Shape):len(in.Shape)], g.Vocab))
	}
	return nil
}

// maxCells bounds the cells of all values of a model, weights among them: beyond, calibration alone would take the memory of a machine.
const maxCells = 1 << 31

// checkSize refuses a model before anything of its size is allocated.
func checkSize(g *ir.Graph) error {
	if t := g.Value(g.Input).Shape[0]; t > 1<<17 {
		return fmt.Errorf("the model takes %d tokens; one-hot rows and causal masks of that length are out of reach", t)
	}
	total := int64(0)
	for _, v := range g.Values {
		if total += int64(ir.Size(v.Shape)); total > maxCells {
			return v.Def.Errorf("with its result the values of the model have more than 2^31 cells; take fewer tokens or a smaller model")
		}
	}
	return nil
}

// refused says whether a step failed because of the model or because it was cancelled.
func refused(left *budget.Budget, err error) error {
	if cancelled := left.Poll(); cancelled != nil {
		return cancelled
	}
	return refuse(err)
}

// samples returns the calibration inputs, each of the model's length.
func samples(left *budget.Budget, f *ir.Graph, cfg Config) ([][]int64, error) {
	if cfg.Calibrate == nil {
		cfg.progress("running the model for calibration")
		return quant.DefaultSamples(left, f)
	}
	var out [][]int64
	for _, ids := range cfg.Calibrate {
		padded, err := pad(f, ids, cfg.Pad)
		if err != nil {
			return nil, err
		}
		out = append(out, padded)
	}
	return out, nil
}

// pad brings token ids to the length of a graph.
func pad(f *ir.Graph, ids []int64, with int64) ([]int64, error) {
	n := f.Value(f.Input).Shape[0]
	if len(ids) == 0 || len(ids) > n {
		return nil, refuse(fmt.Errorf("an input of %d tokens; the model takes 1 to %d", len(ids), n))
	}
	out := append([]int64(nil), ids...)
	for len(out) < n {
		out = append(out, with)
	}
	return out, nil
}

// Input is one input of Check: token ids, and the expected logits of the first positions, row-major, or nil.
type Input = quant.Input

// CheckReport compares the integer program with the float model.
type CheckReport = quant.CheckReport

// Check runs the compiled integer program and the float model on inputs and compares their logits; without inputs on the
// calibration set.
func (r *Result) Check(ctx context.Context, inputs []Input) (*CheckReport, error) {
	if inputs == nil {
		for _, ids := range r.samples {
			inputs = append(inputs, Input{IDs: ids})
		}
	}
	var padded []Input
	for _, in := range inputs {
		ids, err := pad(r.program.Float, in.IDs, r.plan.Config.Pad)
		if err != nil {
			return nil, err
		}
		padded = append(padded, Input{IDs: ids, Logits: in.Logits})
	}
	return quant.Check(r.left.With(ctx), r.program, padded)
}

// Analyse compiles a model without generating code, for Check and for its statistics.
func Analyse(ctx context.Context, model string, cfg Config) (*Result, error) {
	return analyse(ctx, model, cfg)
}

// Layers is the number of times that the repeated block of the generated code runs, 0 if it has none.
func (r *Result) Layers() int { return r.plan.Layers }
