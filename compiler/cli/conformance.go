package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/machine"
)

// caseReport is the outcome of one conformance case.
type caseReport struct {
	Case    string   `json:"case"`          // folder
	Ops     []string `json:"ops,omitempty"` // the operators of its graph
	finding          // with every input of real numbers private
	Public  *finding `json:"public,omitempty"` // the same with all inputs public, of a case with an input of real numbers
}

// finding is what came of a case.
type finding struct {
	Result string `json:"result"`           // proved, folded, refused, imprecise or failed, with every input of real numbers private
	Node   string `json:"node,omitempty"`   // the ONNX node that a refusal is about
	Op     string `json:"op,omitempty"`     // its operator
	Reason string `json:"reason,omitempty"` // why
	Remedy string `json:"remedy,omitempty"` // what to do about it, where that is known

	// largest error of an output of the integer program, in parts of the output's largest magnitude, on the inputs that scales were chosen
	// from and on those of the case
	Error     float64 `json:"error,omitempty"`
	Positions int     `json:"positions,omitempty"`  // of a language model: positions of the case's inputs
	Agree     int     `json:"top1_agree,omitempty"` // those where the best token is the expected one

	ProofBytes int     `json:"proof_bytes,omitempty"` // size of the proof of a case that is proved
	CPUSeconds float64 `json:"cpu_seconds"`           // time of processors for all that was done; 0 if the system does not tell
}

// conformanceReport is what conformance --json prints.
type conformanceReport struct {
	Cases  []caseReport `json:"cases"`          // the cases, sorted
	Counts string       `json:"summary"`        // how many of each, imprecise ones among those refused
	Public string       `json:"public_summary"` // the same with public inputs
	usage
}

func (a *app) conformanceCommand() *cobra.Command {
	var asJSON bool
	var m modelFlags
	c := &cobra.Command{
		Use:   "conformance DIR…",
		Short: "Try every ONNX test case below the folders",
		Long: `conformance looks for ONNX test cases (a model.onnx with test_data_set_k beside it) below the folders and says for each

  proved    it lowers to a circuit whose integer program agrees with the float model, on its own inputs and those that scales were
            chosen from, and with the expected outputs; a proof of its first input was made and accepted, and is refused for another output
  folded    its outputs do not depend on its inputs, and are what is expected
  refused   it asks for something that this release does not prove; the node, its operator and the reason are named
  imprecise its float model gives the expected outputs, its integer program differs by more than the tolerance: compile refuses it; or it
            gives them as soon as what it rounds to integers is a millionth smaller or larger: the last digit of the runtime decided
  failed    its float model does not give the expected outputs, or its proof was not accepted: a defect

once with every input of real numbers private, and once, where there is such an input, with all inputs public. Ranges of inputs are those
of the first test set. All outputs are public. Inputs that the model takes in a way that is not supported, as parameters are that exporters
have as constants, are fixed: those that are no real numbers, or all but the first, with the first output alone. Where that leaves nothing
to hide, all inputs are private in the first column. Outputs of bfloat16 may be off by 1/128 instead of 1/256: what is expected has 8
digits. The last line counts the first column; imprecise cases are among its refused ones.
The exit code is 1 if a case failed, else 5 if one is imprecise.`,
		Args: takes("a folder", 0),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.conformance(ctx, args, &m, asJSON) }),
	}
	c.Flags().StringArrayVar(&m.dims, "dim", nil, "value of a symbolic dimension in all cases, as `NAME=N`")
	c.Flags().BoolVar(&asJSON, "json", false, "print a report as JSON")
	m.registerBudget(c)
	m.registerTolerance(c)
	return c
}

func (a *app) conformance(ctx context.Context, dirs []string, m *modelFlags, asJSON bool) error {
	cases, err := findCases(dirs)
	if err != nil {
		return err
	}
	cfg, err := m.config(a)
	if err != nil {
		return err
	}
	cfg.Progress, cfg.Done = nil, nil // what is done says the list of cases
	reports, count, public := []caseReport{}, tally{}, tally{}
	a.start = time.Now()
	for i, dir := range cases {
		if a.bar != nil && !a.quiet { // what is printed of a case ends it; elsewhere that alone tells how far the cases are
			a.bar.Begin("trying cases")
			a.done(i, len(cases))
		}
		r := caseReport{Case: dir, Ops: operators(ctx, dir)}
		var real bool
		if r.finding, real = tryCase(ctx, dir, cfg, true); real && ctx.Err() == nil {
			v, _ := tryCase(ctx, dir, cfg, false)
			r.Public = &v
		}
		if ctx.Err() != nil {
			return ctx.Err() // the case failed of that, if it did
		}
		reports = append(reports, r)
		count.add(&r.finding)
		public.add(cmp.Or(r.Public, &r.finding))
		if !asJSON {
			fmt.Fprintln(a.out, r)
		}
	}
	if asJSON {
		err = a.json(conformanceReport{reports, count.String(), public.String(), a.usage()})
	} else {
		fmt.Fprintf(a.out, "with public inputs: %s\nconformance: %s\n", public, count)
	}
	switch {
	case err != nil:
		return err
	case count["failed"]+public["failed"] > 0:
		return errRejected
	case count["imprecise"]+public["imprecise"] > 0:
		return errImprecise
	}
	return nil
}

// tally counts results.
type tally map[string]int

func (t tally) add(v *finding) { t[v.Result]++ }

func (t tally) String() string {
	n := 0
	for _, k := range t {
		n += k
	}
	return fmt.Sprintf("%d proved, %d folded, %d refused, %d failed of %d", t["proved"], t["folded"], t["refused"]+t["imprecise"], t["failed"], n)
}

func (r caseReport) String() string {
	s := r.finding.text(r.Case)
	if r.Public != nil && r.Public.text("") != r.finding.text("") {
		s += "\n  public  " + r.Public.text("")
	}
	return s
}

func (v *finding) text(of string) string {
	s := strings.TrimSpace(fmt.Sprintf("%-9s %s", v.Result, of))
	if v.Op != "" {
		s += fmt.Sprintf(": node %q (%s)", v.Node, v.Op)
	}
	if v.Error > 0 && v.Reason == "" {
		s += fmt.Sprintf(": error %.2g", v.Error)
	}
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	if v.Remedy != "" {
		s += "; " + v.Remedy
	}
	return s
}

// operators lists those of a case's graph, if it can be read.
func operators(ctx context.Context, dir string) (ops []string) {
	m, err := onnx.Load(ctx, filepath.Join(dir, "model.onnx"))
	if err != nil {
		return nil
	}
	for _, n := range m.Graph.Nodes {
		op := n.Op
		if n.Domain != "" {
			op = n.Domain + "." + op
		}
		ops = append(ops, op)
	}
	slices.Sort(ops)
	return slices.Compact(ops)
}

// findCases lists the folders with a model.onnx, sorted.
func findCases(dirs []string) ([]string, error) {
	var out []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Name() == "model.onnx" {
				out = append(out, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			return nil, console.Unusable(err)
		}
	}
	if len(out) == 0 {
		return nil, console.Unusable(fmt.Errorf("no model.onnx below %s", strings.Join(dirs, ", ")))
	}
	sort.Strings(out)
	return out, nil
}

// tryCase runs one case, with its inputs of real numbers private or public, and says whether there is one. A panic is a failure of the
// case, not of the run.
func tryCase(ctx context.Context, dir string, cfg compiler.Config, private bool) (v finding, real bool) {
	begin := machine.CPUSeconds()
	defer func() {
		if r := recover(); r != nil {
			v.Result, v.Reason = "failed", fmt.Sprintf("panic: %v", r)
		}
		v.CPUSeconds = machine.CPUSeconds() - begin
	}()
	var inputs []compiler.Input
	if _, err := os.Stat(filepath.Join(dir, "test_data_set_0")); err == nil {
		if inputs, err = readData(dir); err != nil {
			v.Result, v.Reason = "failed", err.Error()
			if unknown := (*onnx.ElementError)(nil); errors.As(err, &unknown) {
				v.Result = "refused"
			}
			return v, false
		}
	}
	t := trial{dir: dir, inputs: inputs, private: private}
	r, err := t.analyse(ctx, cfg)
	if err != nil {
		return v.refuse(err, inputs), t.real
	}
	// settled is what came of a program.
	type settled struct {
		finding
		err error
	}
	settle := func(r *compiler.Result) (s settled) {
		s.Result, s.err = s.finding.settle(ctx, r, inputs)
		return s
	}
	s, err := refined(ctx, &cfg, settle(r), func(s settled) bool { return errors.Is(s.err, quant.ErrImprecise) }, func(settled) (settled, error) {
		r, err := t.analyse(ctx, cfg)
		if err != nil {
			return settled{}, err
		}
		return settle(r), nil
	})
	v = s.finding
	switch err = cmp.Or(err, s.err); {
	case errors.Is(err, quant.ErrImprecise):
		v.Result, v.Reason = "imprecise", err.Error()
	case errors.Is(err, compiler.ErrUnsupported): // as it would be with more bits: there is no budget for that, say
		return v.refuse(err, inputs), t.real
	case err != nil:
		v.Result, v.Reason = "failed", err.Error()
	}
	return v, t.real
}

// settle compares a compiled case with the float model, on what scales were chosen from and on its own inputs, and with its expected
// outputs, and proves its first input.
func (v *finding) settle(ctx context.Context, c *compiler.Result, inputs []compiler.Input) (string, error) {
	sets := [][]compiler.Input{nil}
	if len(inputs) > 0 {
		sets = [][]compiler.Input{inputs, nil}
	}
	for _, in := range sets {
		report, err := c.Check(ctx, in)
		if err != nil {
			return "", err
		}
		v.compared(report, in != nil)
		if err := report.Err(); err != nil {
			return "", err
		}
	}
	err := c.Prove(ctx, inputs[:min(1, len(inputs))]...)
	if err == nil {
		v.ProofBytes = c.Stats.ProofBytes
	}
	return "proved", err
}

// compared keeps the largest error of all comparisons, and the predictions of the test sets.
func (v *finding) compared(report *compiler.CheckReport, own bool) {
	compared := &report.Comparison
	v.Error = max(v.Error, compared.Error())
	if report.Expected != nil {
		compared = report.Expected
		v.Error = max(v.Error, compared.Error())
	}
	if p := compared.PredictionReport; p != nil && own {
		v.Positions, v.Agree = p.Positions, p.Agree
	}
}

// trial is a case with its test sets.
type trial struct {
	dir     string
	inputs  []compiler.Input
	private bool // its inputs of real numbers
	real    bool // it has one
	free    bool // an input of the last attempt was not fixed
}

// attempt is a way to take a case: which inputs are fixed, whether scales are chosen from its test sets also where its inputs are ids, and
// whether all inputs are hidden.
type attempt struct {
	fixed   func(k int, v *onnx.ValueInfo) bool
	first   bool // output alone
	integer bool
	hidden  bool
}

var attempts = []attempt{
	{fixed: func(int, *onnx.ValueInfo) bool { return false }},
	{fixed: func(int, *onnx.ValueInfo) bool { return false }, integer: true},
	{fixed: func(int, *onnx.ValueInfo) bool { return false }, integer: true, hidden: true},
	{fixed: func(_ int, v *onnx.ValueInfo) bool { return !v.DType.IsFloat() }, integer: true},
	{fixed: func(k int, _ *onnx.ValueInfo) bool { return k > 0 }, first: true, integer: true},
	{fixed: func(k int, _ *onnx.ValueInfo) bool { return k > 0 }, first: true, integer: true, hidden: true},
}

// analyse compiles a case in the first of the ways that is not refused, and of which there is nothing to note: a mask that is an input and
// empties a row means what runtimes differ about, one that is fixed does not. The error is that of the last one that says more than that
// nothing would be hidden.
func (t *trial) analyse(ctx context.Context, cfg compiler.Config) (*compiler.Result, error) {
	var refused, constant, fixed error // constant: with an input that is free
	var noted *compiler.Result
	for _, a := range attempts {
		if a.hidden && !t.private {
			continue
		}
		c, err := t.adapt(ctx, cfg, a)
		if err != nil {
			return nil, err
		}
		r, err := compiler.Analyse(ctx, filepath.Join(t.dir, "model.onnx"), c)
		if ctx.Err() != nil || err == nil && len(r.Notes) == 0 {
			return r, err
		}
		if err == nil {
			noted = cmp.Or(noted, r)
			continue
		}
		switch folded := errors.As(err, new(*compiler.Constant)); {
		case folded && a.first && len(t.inputs) > 0 && len(t.inputs[0].Expected) > 1: // of the others nothing is said
			continue
		case folded && t.free:
			constant = cmp.Or(constant, err)
			continue
		case folded:
			fixed = cmp.Or(fixed, err)
			continue
		}
		if refused == nil || !errors.Is(err, compiler.ErrNothingHidden) && !errors.Is(err, circuit.ErrNoLookup) {
			refused = err
		}
	}
	if noted != nil {
		return noted, nil
	}
	return nil, cmp.Or(constant, refused, fixed) // a model that is refused with free inputs does not fold because it does with none
}

// halfTolerance is that of outputs of bfloat16, unless another is asked for: the numbers that are expected have 8 digits of mantissa, so that
// each of the roundings that led to them moved one by up to 1/512 of it.
const halfTolerance = 1.0 / 128

// adapt settles what a command line would have to say about a case, from its test sets: the values of symbolic dimensions, and what its
// inputs look like, unless it has one of token ids.
func (t *trial) adapt(ctx context.Context, cfg compiler.Config, a attempt) (compiler.Config, error) {
	m, err := onnx.Load(ctx, filepath.Join(t.dir, "model.onnx"))
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", compiler.ErrUnsupported, err)
	}
	dims, flags := map[string]int{}, map[string]int{}
	cfg.Fix = map[string]string{}
	initial := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		initial[t.Name] = true
	}
	k, numbers := 0, a.integer
	for i := range m.Graph.Inputs {
		v := &m.Graph.Inputs[i]
		if initial[v.Name] {
			continue
		}
		for i, d := range v.Dims { // the flags are for all cases; a case takes those that it has
			for _, key := range []string{d.Param, fmt.Sprintf("%s[%d]", v.Name, i)} {
				if n, ok := cfg.Dims[key]; ok && d.Value <= 0 {
					flags[key] = n
				}
			}
		}
		fixed := t.input(&cfg, dims, k, v, a)
		numbers = numbers || v.DType.IsFloat() && !fixed
		k++
	}
	t.free = len(cfg.Fix) < k
	cfg.NothingHidden = !t.private
	if numbers || k > 1 && len(cfg.Fix) == 0 {
		cfg.Calibrate = t.inputs
	}
	maps.Copy(dims, flags)
	cfg.Dims = dims
	for _, o := range m.Graph.Outputs {
		if o.DType == onnx.BFloat16 && cfg.Tolerance == quant.Tolerance {
			cfg.Tolerance = halfTolerance
		}
	}
	if len(m.Graph.Outputs) > 0 && a.first {
		cfg.Outputs = []string{m.Graph.Outputs[0].Name}
	}
	return cfg, nil
}

// input takes the shape of an input from the first test set, and fixes or hides it.
func (t *trial) input(cfg *compiler.Config, dims map[string]int, k int, v *onnx.ValueInfo, a attempt) (fixed bool) {
	file := filepath.Join(t.dir, "test_data_set_0", fmt.Sprintf("input_%d.pb", k))
	if x, err := onnx.LoadTensor(file); err == nil {
		for i, d := range v.Dims {
			switch {
			case i >= len(x.Shape):
			case d.Param != "":
				dims[d.Param] = x.Shape[i]
			case d.Value < 0:
				dims[fmt.Sprintf("%s[%d]", v.Name, i)] = x.Shape[i]
			}
		}
		fixed = a.fixed(k, v)
	}
	t.real = t.real || v.DType.IsFloat()
	switch {
	case fixed:
		cfg.Fix[v.Name] = file
	case a.hidden || t.private && v.DType.IsFloat():
		cfg.PrivateInputs = append(cfg.PrivateInputs, v.Name)
	}
	return fixed
}

// noNumber says whether some of the data holds an infinity or no number.
func noNumber(data []compiler.Data) bool {
	return slices.ContainsFunc(data, func(d compiler.Data) bool {
		return slices.ContainsFunc(d.Values, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	})
}

// refuse tells why a case is refused. Where that is for outputs of which none depends on an input, it is folded.
func (v finding) refuse(err error, inputs []compiler.Input) finding {
	var u *compiler.Unsupported
	var constant *compiler.Constant
	v.Result, v.Reason = "refused", err.Error()
	switch {
	case errors.As(err, &constant) && len(inputs) > 0:
		v.Result, v.Reason = "folded", ""
		var expected [][]float64
		for _, d := range inputs[0].Expected {
			expected = append(expected, d.Values)
		}
		if err := constant.Gives(expected); err != nil {
			v.Result, v.Reason = "failed", err.Error()
			if noNumber(inputs[0].Elements) {
				v.Result, v.Reason = "refused", "an input holds what is no finite number, of which there are no statements"
			}
		}
	case errors.As(err, &u):
		v.Node, v.Op, v.Reason, v.Remedy = u.Node, u.Op, u.Reason, u.Remedy
	case !errors.Is(err, compiler.ErrUnsupported):
		v.Result = "failed"
	}
	return v
}
