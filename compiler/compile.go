// Package compiler turns a transformer in ONNX into a zero-knowledge prover and verifier in Go.
package compiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/passes"
	"github.com/zkllmc/zkllmc/compiler/internal/planner"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Config says how to compile a model. The zero value is a good start for a model without symbolic dimensions.
type Config struct {
	Name        string            // of the model; empty: that of the file, or of its folder if the file is model.onnx
	Dims        map[string]int    // values of symbolic dimensions
	Lengths     []int             // values of the symbolic dimension that Dims leaves open, the length: a circuit for each, of one model
	Public      []string          // initializers that become part of the circuit
	Private     []string          // initializers that are committed although they would be public
	Outputs     []string          // the graph outputs to compile; none: all
	Fix         map[string]string // inputs that are fixed and public, by input: ones, zeros, arange (0, 1, … along the last axis), a number, or a file with a TensorProto
	Fixed       map[string]Data   // the same of which the elements are known
	Preset      string            // what of the above and below is meant for a kind of model where nothing is said: decoder, encoder or vision
	Pad         int64             // of a generation: token at positions after the end of a shorter input
	WeightBits  int               // log2 of the row width of the weights' commitments; 0: chosen
	WitnessBits int               // of the witness'
	Budget      int               // factor on the limits of what a model of its size and length may cost at compile time; 0: 1
	ImportPath  string            // of the generated code
	Vocab       []byte            // file of the tokenizer for the generated commands, or nil: a tokenizer.json, or what package tokens reads
	Template    []byte            // of a tokenizer.json: how texts become prompts, see package huggingface; or nil

	// PrivateInputs names the inputs that proofs hide, or "all". Reveal says what statements tell of outputs, by name, and under "" of all
	// others: "values" (which is meant where nothing is said), "argmax" along the last axis, or "nothing". Statement chooses the kind of
	// statements, "generation" or "function"; empty: generations where the model continues prompts.
	PrivateInputs []string
	Reveal        map[string]string
	Statement     string

	// Ranges bounds inputs of integers and of real numbers; those that are missing follow from Calibrate. Statements and proofs about
	// other elements do not exist.
	Ranges map[string]Range
	// Calibrate holds inputs from which scales are chosen; none: a deterministic set, see quant.Calibrate.
	Calibrate []Input
	// Tolerance is up to which part of the largest magnitude of an output Check finds it right; 0: quant.Tolerance. With Places it says where
	// precision is lost.
	Tolerance float64
	Places    bool
	// Finer is by how many steps, three at most, roundings are finer than what usually suffices, for a model that Check finds imprecise
	// otherwise, and its report Coarse: each makes them cost more.
	Finer int
	// Enlarged is another file with the same model at more positions, Layers a greater number of the repeated layers: Result.Larger is that model's
	// circuit with the scales that are chosen here, for plans of what a proof would take.
	Enlarged string
	Layers   int
	// NothingHidden takes models, too, of which proofs hide neither a weight nor an input.
	NothingHidden bool
	// Progress is told what begins, Done from several goroutines how many equal parts of it, of all, are done; Dump gets the text form of the
	// program after every pass. Each may be nil.
	Progress func(string)
	Done     func(done, all int)
	Dump     func(pass, text string)
}

// Report says which scales were chosen.
type Report = quant.Report

// Result is a compiled model.
type Result struct {
	Files   []codegen.SourceFile // generated code, paths relative to its folder
	Length  int                  // of Config.Lengths; 0 where that has none
	Circuit *circuit.Circuit
	Family  *circuit.Family // of the circuits of all lengths
	Weights []plan.Tensor   // in the order of the circuit's weights
	Scales  *Report         // what calibration chose
	Stats   Stats
	Notes   []string // where the program's meaning is one of several that the file allows, and what of the file is left out
	// Shorter is the model at the lengths of Config that are not the longest, ascending: circuit and statistics, with the scales and weights
	// of this one, the longest.
	Shorter []*Result

	Larger *Result // what Config.Enlarged and Layers ask for, without weights

	left       *budget.Budget // of the compilation
	names      fileNames
	float      *ir.Graph // prepared
	generation bool      // the kind of its statements
	check      quant.CheckOptions
	pad        int64
	parts      []passage.Part // what the inputs tell of a text, of a function of texts
	bare       bool           // nothing need be hidden
	plan       *plan.Plan
	program    *quant.Program
	samples    []quant.Input // of calibration
}

// Compile reads a model and generates its prover and verifier.
func Compile(ctx context.Context, model string, cfg Config) (*Result, error) {
	r, err := analyse(ctx, model, cfg)
	if err != nil {
		return nil, err
	}
	cfg.progress("generating code")
	if r.Files, err = codegen.Generate(r.plans(), r.Family, cfg.target()); err != nil {
		return nil, err
	}
	r.Files = append(r.Files, codegen.SourceFile{Path: WeightsFile, Write: r.writeWeights})
	return r, nil
}

// target says where the code will stand, and with which tokenizer.
func (cfg *Config) target() codegen.Target {
	return codegen.Target{ImportPath: cfg.ImportPath, Vocab: cfg.Vocab, Template: cfg.Template, HuggingFace: vocab.IsHuggingFace(cfg.Vocab)}
}

// WeightsFile is the generated file with the quantised weights. It is as secret as the weights are.
const WeightsFile = "weights.zkw"

// writeWeights quantises the weights on their way from the model's file.
func (r *Result) writeWeights(to io.Writer) error {
	var list []format.Weight
	for _, w := range r.Weights {
		list = append(list, format.Weight{Name: w.Name, Shape: w.Shape, Cells: w.Short.Len(), Read: func(dst []int16, from int) error {
			if err := r.left.Poll(); err != nil {
				return err
			}
			return w.Short.Read(dst, from)
		}})
	}
	return format.WriteWeights(to, r.Family.Digest(), list)
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
	m, err := onnx.Load(ctx, model)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, unreadable(err)
	}
	if cfg, err = cfg.withPreset(m); err != nil {
		return nil, refuse(err)
	}
	if err := checkNames(m, cfg); err != nil {
		return nil, err
	}
	fix, fill, err := fixed(m, cfg)
	if err != nil {
		return nil, err
	}
	names := namesOf(m)
	cfg.Calibrate = slices.Clone(cfg.Calibrate)
	for i := range cfg.Calibrate {
		if cfg.Calibrate[i], err = names.settle(cfg.Calibrate[i]); err != nil {
			return nil, refuse(err)
		}
	}
	ranges, err := names.ranges(m, cfg)
	if err != nil {
		return nil, refuse(err)
	}
	lengths, err := lengthsOf(m, cfg)
	if err != nil {
		return nil, err
	}
	options := func(l length) passes.Options {
		return passes.Options{Dims: l.dims, Public: cfg.Public, Private: cfg.Private, Outputs: cfg.Outputs, Ranges: ranges, Fix: fix, Fill: fill, Dump: cfg.Dump, Budget: left}
	}
	lower := func(l length) (*ir.Graph, error) {
		g, err := passes.Lower(m, options(l))
		if err != nil {
			return nil, l.wrap(refused(left, err))
		}
		if g.Name = cfg.Name; g.Name == "" {
			g.Name = modelName(model)
		}
		return g, nil
	}
	r, whole, err := ofLengths(left, lengths, lower, names, cfg)
	if err != nil {
		return nil, err
	}
	return r, r.enlarge(whole, cfg, options(lengths[len(lengths)-1]))
}

// ofLengths builds the circuit of the greatest length, and those of the shorter ones, which share its weights and scales.
func ofLengths(left *budget.Budget, lengths []length, lower func(length) (*ir.Graph, error), names fileNames, cfg Config) (r *Result, whole *ir.Graph, err error) {
	last := lengths[len(lengths)-1]
	if whole, err = lower(last); err != nil {
		return nil, nil, err
	}
	if r, err = build(left, whole, names, cfg); err != nil {
		return nil, nil, last.wrap(err)
	}
	r.Length = last.n
	for _, l := range lengths[:len(lengths)-1] {
		cfg.progress(fmt.Sprintf("building the circuit of length %d", l.n))
		left.Again()
		g, err := lower(l)
		if err != nil {
			return nil, nil, err
		}
		s, err := r.shorten(whole, g, cfg)
		if err != nil {
			return nil, nil, l.wrap(err)
		}
		s.Length = l.n
		r.Shorter = append(r.Shorter, s)
	}
	return r, whole, r.join()
}

// fixed loads the tensors of fixed inputs, and tells how those without one are filled.
func fixed(m *onnx.Model, cfg Config) (fix map[string]*onnx.Tensor, fill map[string]frontend.Fill, err error) {
	fix, fill = map[string]*onnx.Tensor{}, map[string]frontend.Fill{}
	words := map[string]frontend.Fill{"ones": {Number: 1}, "zeros": {}, "arange": {Count: true}}
	for input, what := range cfg.Fix {
		if f, ok := words[what]; ok {
			fill[input] = f
		} else if x, err := strconv.ParseFloat(what, 64); err == nil {
			fill[input] = frontend.Fill{Number: x}
		} else if fix[input], err = onnx.LoadTensor(what); err != nil {
			return nil, nil, unreadable(fmt.Errorf("input %s: %w", input, err))
		}
	}
	for _, in := range m.Graph.Inputs {
		if d, ok := cfg.Fixed[in.Name]; ok {
			if fix[in.Name], err = frontend.TensorOf(in, d.Shape, d.Values); err != nil {
				return nil, nil, refuse(err)
			}
		}
	}
	return fix, fill, nil
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
func build(left *budget.Budget, g *ir.Graph, names fileNames, cfg Config) (*Result, error) {
	if err := checkSize(g, machine.Available()); err != nil {
		return nil, refuse(err)
	}
	notes, err := names.used(g, cfg)
	if err != nil {
		return nil, refuse(err)
	}
	r := &Result{Notes: slices.Concat(g.Notes, notes), left: left, names: names, pad: cfg.Pad, bare: cfg.NothingHidden}
	if r.float, err = quant.Prepare(left, g); err != nil {
		return nil, refused(left, err)
	}
	r.check = quant.CheckOptions{Tolerance: cfg.Tolerance, Places: cfg.Places, Ran: cfg.Done}
	if err := r.ports(cfg); err != nil {
		return nil, refuse(err)
	}
	samples, err := r.inputs(cfg.Calibrate)
	if err != nil {
		return nil, refused(left, err)
	}
	cfg.progress("calibrating")
	cal, err := quant.Calibrate(left, r.float, samples, cfg.Done)
	if err != nil {
		return nil, refused(left, err)
	}
	r.samples, cal.Sensed, cal.Finer = cal.Samples, cfg.Done, min(max(cfg.Finer, 0), quant.MostFiner)
	return r, r.settle(cal, cfg)
}

// maxSettle bounds the programs that are tried. The second has committed what the first one's circuit was crowded with; more are there for
// what only then becomes visible.
const maxSettle = 4

// settle makes program and circuit, anew as long as the circuit has sums that a proof would evaluate at so many points that they are better
// committed to: sums of a value and of the same value in another order, again and again.
func (r *Result) settle(cal *quant.Calibration, cfg Config) error {
	o := r.planOptions(cfg)
	var commit []ir.ValueID
	for try := 1; ; try++ {
		cfg.progress("choosing scales")
		var err error
		if r.program, err = quant.Quantise(r.left, r.float, cal, commit...); err != nil {
			return refused(r.left, err)
		}
		r.Scales = r.program.Report
		if cfg.Dump != nil {
			cfg.Dump("quantise", r.program.Int.String())
		}
		cfg.progress("planning the circuit")
		crowded, err := r.planCircuit(o)
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
			return r.chooseWidths(cfg)
		}
	}
}

func (r *Result) planOptions(cfg Config) planner.Options {
	o := planner.Options{Generation: r.generation}
	o.WeightBits, o.WitnessBits = cmp.Or(cfg.WeightBits, minWidth), cmp.Or(cfg.WitnessBits, minWidth)
	if r.generation {
		o.Pad = cfg.Pad
	}
	return o
}

// planCircuit plans the circuit of the program and builds it; see buildCircuit.
func (r *Result) planCircuit(o planner.Options) (crowded []string, err error) {
	if r.plan, err = planner.Plan(r.program, o); err != nil {
		return nil, refuse(err)
	}
	if r.Weights = r.plan.Weights; len(r.Weights) == 0 && !r.bare && !r.hidesInput() {
		return nil, refuse(fmt.Errorf("the model has no private weights and no private input, so that %w; commit to an initializer, --private NAME, or hide an input, --private-input NAME", ErrNothingHidden))
	}
	return r.buildCircuit()
}

// hidesInput says whether an input is private.
func (r *Result) hidesInput() bool {
	return slices.ContainsFunc(r.program.Int.Inputs, func(p ir.Port) bool { return p.Reveal == plan.Nothing })
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
	case errors.Is(err, circuit.ErrVacuous), errors.Is(err, circuit.ErrUnused):
		return nil, refuse(fmt.Errorf("%w: whoever sees the public inputs computes it without a proof; hide an input, --private-input NAME, or leave the port out", err))
	case errors.Is(err, circuit.ErrNoLookup):
		return nil, refuse(fmt.Errorf("%w: the model is linear and all its inputs are public; hide an input, --private-input NAME", err))
	case !errors.As(err, &requests):
		return nil, refused(r.left, err)
	}
	if n := r.valueOf(requests.Tensor).Def; n != nil {
		err = ir.Refuse(n.Origin, n.Named(), "a proof would take more than %d %s, its result alone at %d points or more; "+
			"make fewer sums of a value and the same value in another order", requests.Limit, requests.What, requests.Points)
	}
	return requests.Commit, refuse(err)
}

// maxCells bounds the cells of all values of a model that a run computes, whatever the machine.
const maxCells = 1 << 31

// checkSize refuses a model before anything of its size is allocated: one whose values take more than the bytes that there are where most of
// them are in memory at one time, where derivatives are measured. Weights are not: they are read where they are. 0 bytes: nobody knows how many.
func checkSize(g *ir.Graph, have uint64) error {
	for _, p := range g.Inputs {
		if t := p.Shape[0]; p.Kind == plan.IDs && t > 1<<17 {
			return fmt.Errorf("the model takes %d tokens; one-hot rows and causal masks of that length are out of reach", t)
		}
	}
	var values []*ir.Value
	total := int64(0)
	for _, v := range g.Values {
		if v.Unstored() || v.Def.Op == ir.OpWeight || v.Def.Op == ir.OpConst {
			continue
		}
		values = append(values, v)
		if total += int64(ir.Size(v.Shape)); total > maxCells {
			return v.Def.Errorf("with its result the values of the model have more than 2^31 cells; take fewer tokens or a smaller model")
		}
	}
	slices.SortStableFunc(values, func(a, b *ir.Value) int { return cmp.Compare(ir.Size(b.Shape), ir.Size(a.Shape)) })
	if need := 8 * uint64(eval.Kept(g)); have > 0 && need > have {
		var largest []string
		for _, v := range values[:min(len(values), shownValues)] {
			largest = append(largest, fmt.Sprintf("that of node %q (%s) with the shape %v", v.Def.Origin, v.Def.Named(), v.Shape))
		}
		return fmt.Errorf("the values of one run of the model take %s of memory, of which there are %s; the largest are %s: take fewer tokens, or a machine with more memory",
			humanize.Bytes(need), humanize.Bytes(have), strings.Join(largest, ", "))
	}
	return nil
}

// shownValues is how many of the largest values an error names.
const shownValues = 3

// refused says whether a step failed because of the model or because it was cancelled.
func refused(left *budget.Budget, err error) error {
	if cancelled := left.Poll(); cancelled != nil {
		return cancelled
	}
	return refuse(err)
}

// inputs brings inputs into the order of the graph's.
func (r *Result) inputs(given []Input) (out []quant.Input, err error) {
	if given, err = r.split(given); err != nil {
		return nil, err
	}
	for _, in := range given {
		run := quant.Input{}
		if run.Elements, err = r.elements(in); err == nil {
			run.Expected, err = r.expected(in)
		}
		if err != nil {
			return nil, refuse(in.fail(err))
		}
		if r.generation {
			run.Positions = min(len(in.Elements[0].Values), len(run.Elements[0]))
		}
		out = append(out, run)
	}
	return out, nil
}

// CheckReport compares the integer program with the float model, and both with expected outputs.
type CheckReport = quant.CheckReport

// Check runs the compiled integer program and the float model on inputs and compares their outputs; without inputs on the
// calibration set. The report's Err is what a user must be told.
func (r *Result) Check(ctx context.Context, inputs []Input) (*CheckReport, error) {
	runs, err := r.inputs(inputs)
	if err != nil {
		return nil, err
	}
	if inputs == nil {
		runs = r.samples
	}
	quant.Recall(runs, r.samples)
	lengths, err := r.agree(ctx)
	if err != nil {
		return nil, err
	}
	o := r.check
	o.Perplexed = len(inputs) > 0 // of texts, not of what the default set draws
	left := r.left.With(ctx)
	report, err := quant.Check(left, r.program, r.followers(), runs, o)
	if err != nil {
		return nil, refused(left, err)
	}
	report.Lengths = lengths
	r.nameTensors(report)
	return report, nil
}

// nameTensors gives places the names that the circuit has for them. What a gadget computes on its way to a tensor has none, and gets one
// in the tensor's layer.
func (r *Result) nameTensors(report *CheckReport) {
	names := make([]string, len(r.program.Int.Values))
	for name, id := range r.plan.Values {
		if id < len(names) && (names[id] == "" || name < names[id]) {
			names[id] = name
		}
	}
	layer := ""
	for id := len(names) - 1; id >= 0; id-- {
		if names[id] == "" {
			names[id] = layer + r.program.Int.Values[id].Name
			continue
		}
		layer = ""
		if prefix, _, ok := strings.Cut(names[id], "."); ok && strings.HasPrefix(prefix, "layer") {
			layer = prefix + "."
		}
	}
	for i := range report.Places {
		report.Places[i].Tensor = names[report.Places[i].Value]
	}
	if report.Worst != nil {
		report.Worst.Tensor = names[report.Worst.Value]
	}
}

// Analyse compiles a model without generating code, for Check and for its statistics.
func Analyse(ctx context.Context, model string, cfg Config) (*Result, error) {
	return analyse(ctx, model, cfg)
}

// Layers is the number of times that the repeated block of the generated code runs, 0 if it has none.
func (r *Result) Layers() int { return r.plan.Layers }
