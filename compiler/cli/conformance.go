package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/console"
)

// caseReport is the outcome of one conformance case.
type caseReport struct {
	Case   string `json:"case"`
	Result string `json:"result"` // proved, agrees, refused, imprecise or failed
	Node   string `json:"node,omitempty"`
	Op     string `json:"op,omitempty"`
	Reason string `json:"reason,omitempty"`
	Remedy string `json:"remedy,omitempty"`

	// Of the integer program, where there is one: the largest error of an output in parts of its largest magnitude, against the float model
	// and the expected outputs, and of a language model the positions of the test sets, with those where the best token is the expected one.
	Error     float64 `json:"error,omitempty"`
	Positions int     `json:"positions,omitempty"`
	Agree     int     `json:"top1_agree,omitempty"`
}

// conformanceReport is what conformance --json prints.
type conformanceReport struct {
	Cases  []caseReport `json:"cases"`
	Counts string       `json:"summary"`
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
            chosen from, and with the expected outputs, and a proof of its first input was made and accepted
  agrees    the same without a proof: the circuit commits to more than 5 million cells
  refused   it asks for something that this release does not prove; the node, its operator and the reason are named
  imprecise its float model gives the expected outputs, its integer program differs by more than the tolerance
  failed    its float model does not give the expected outputs, or its proof was not accepted: a defect

Ranges of inputs are those of the first test set. All inputs and outputs are public; where that leaves nothing to hide or the model takes
its inputs in a way that is not supported, all inputs but the first are fixed and the first output is compiled alone.
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
	reports := []caseReport{}
	counts := map[string]int{}
	for _, dir := range cases {
		r := tryCase(ctx, dir, cfg)
		if ctx.Err() != nil {
			return ctx.Err() // the case failed of that, if it did
		}
		reports = append(reports, r)
		counts[r.Result]++
		if !asJSON {
			fmt.Fprintln(a.out, r)
		}
	}
	summary := fmt.Sprintf("%d proved, %d agrees, %d refused, %d imprecise, %d failed",
		counts["proved"], counts["agrees"], counts["refused"], counts["imprecise"], counts["failed"])
	if asJSON {
		err = a.json(conformanceReport{reports, summary, a.usage()})
	} else {
		fmt.Fprintln(a.out, summary)
	}
	switch {
	case err != nil:
		return err
	case counts["failed"] > 0:
		return errRejected
	case counts["imprecise"] > 0:
		return errImprecise
	}
	return nil
}

func (r caseReport) String() string {
	s := fmt.Sprintf("%-9s %s", r.Result, r.Case)
	if r.Op != "" {
		s += fmt.Sprintf(": node %q (%s)", r.Node, r.Op)
	}
	if r.Error > 0 && r.Reason == "" {
		s += fmt.Sprintf(": error %.2g", r.Error)
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	if r.Remedy != "" {
		s += "; " + r.Remedy
	}
	return s
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

// tryCase runs one case. A panic is a failure of the case, not of the run.
func tryCase(ctx context.Context, dir string, cfg compiler.Config) (rep caseReport) {
	rep.Case = dir
	defer func() {
		if r := recover(); r != nil {
			rep.Result, rep.Reason = "failed", fmt.Sprintf("panic: %v", r)
		}
	}()
	var inputs []compiler.Input
	if _, err := os.Stat(filepath.Join(dir, "test_data_set_0")); err == nil {
		if inputs, err = readData(dir); err != nil {
			rep.Result, rep.Reason = "failed", err.Error()
			return rep
		}
	}
	r, err := analyseCase(ctx, dir, cfg, inputs)
	if err != nil {
		return rep.refuse(err)
	}
	rep.Result, err = rep.outcome(ctx, r, inputs)
	switch {
	case errors.Is(err, quant.ErrImprecise):
		rep.Result, rep.Reason = "imprecise", err.Error()
	case err != nil:
		rep.Result, rep.Reason = "failed", err.Error()
	}
	return rep
}

// maxProvedCells is the number of committed cells up to which a case is proved: some ten seconds of one core.
const maxProvedCells = 5_000_000

// outcome compares a compiled case with the float model, on what scales were chosen from and on its own inputs, and with its expected
// outputs, and proves its first input.
func (r *caseReport) outcome(ctx context.Context, c *compiler.Result, inputs []compiler.Input) (string, error) {
	sets := [][]compiler.Input{nil}
	if len(inputs) > 0 {
		sets = [][]compiler.Input{inputs, nil}
	}
	for _, in := range sets {
		report, err := c.Check(ctx, in)
		if err != nil {
			return "", err
		}
		r.compared(report, in != nil)
		if err := report.Err(); err != nil {
			return "", err
		}
	}
	if c.Stats.WitnessCells+c.Stats.WeightCells > maxProvedCells {
		return "agrees", nil
	}
	return "proved", c.Prove(ctx, inputs[:min(1, len(inputs))]...)
}

// compared keeps the largest error of all comparisons, and the predictions of the test sets.
func (r *caseReport) compared(report *compiler.CheckReport, own bool) {
	compared := &report.Comparison
	r.Error = max(r.Error, compared.Error())
	if report.Expected != nil {
		compared = report.Expected
		r.Error = max(r.Error, compared.Error())
	}
	if p := compared.PredictionReport; p != nil && own {
		r.Positions, r.Agree = p.Positions, p.Agree
	}
}

// analyseCase compiles a case with all its inputs and outputs, or where that is refused with its first input and output alone. The error is
// that of the first attempt.
func analyseCase(ctx context.Context, dir string, cfg compiler.Config, inputs []compiler.Input) (*compiler.Result, error) {
	var first error
	for _, fix := range []bool{false, true} {
		c, err := adapt(ctx, dir, cfg, inputs, fix)
		if err != nil {
			return nil, err
		}
		r, err := compiler.Analyse(ctx, filepath.Join(dir, "model.onnx"), c)
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// adapt settles what a command line would have to say about a case, from its test sets: the values of symbolic dimensions, and what its
// inputs look like, unless it has one of token ids. It may fix all inputs but the first, and choose the first output.
func adapt(ctx context.Context, dir string, cfg compiler.Config, inputs []compiler.Input, fix bool) (compiler.Config, error) {
	m, err := onnx.Load(ctx, filepath.Join(dir, "model.onnx"))
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", compiler.ErrUnsupported, err)
	}
	dims, flags := map[string]int{}, map[string]int{}
	cfg.Fix = map[string]string{}
	initial := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		initial[t.Name] = true
	}
	k, numbers := 0, false
	for _, v := range m.Graph.Inputs {
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
		file := filepath.Join(dir, "test_data_set_0", fmt.Sprintf("input_%d.pb", k))
		if t, err := onnx.LoadTensor(file); err == nil {
			for i, d := range v.Dims {
				if d.Param != "" && i < len(t.Shape) {
					dims[d.Param] = t.Shape[i]
				}
			}
			if k > 0 && fix {
				cfg.Fix[v.Name] = file
			}
			numbers = numbers || v.DType.IsFloat() && (k == 0 || !fix)
		}
		k++
	}
	if numbers || k > 1 && !fix {
		cfg.Calibrate = inputs
	}
	for name, n := range flags {
		dims[name] = n
	}
	cfg.Dims = dims
	if len(m.Graph.Outputs) > 0 && fix {
		cfg.Outputs = []string{m.Graph.Outputs[0].Name}
	}
	return cfg, nil
}

func (r caseReport) refuse(err error) caseReport {
	r.Result, r.Reason = "refused", err.Error()
	var u *compiler.Unsupported
	if errors.As(err, &u) {
		r.Node, r.Op, r.Reason, r.Remedy = u.Node, u.Op, u.Reason, u.Remedy
	} else if !errors.Is(err, compiler.ErrUnsupported) {
		r.Result = "failed"
	}
	return r
}
