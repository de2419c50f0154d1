package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
)

func (a *app) checkCommand() *cobra.Command {
	var m modelFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "check MODEL.onnx [DATA…]",
		Short: "Compare the integer program with the float model",
		Long: `check compiles a model up to its integer program, runs that and the float model on the inputs and compares their outputs; where the
data has expected outputs, it compares with these as well. Without DATA it uses the calibration set.

It fails (exit code 1) if the best token of a language model differs at a position whose two best float logits are more than 0.05
apart, or a cell of another model's output by more than 1/64 of the output's largest magnitude.
DATA is an ONNX test folder, an npz file with arrays that have the names of inputs and outputs, or JSON: [1,2,3] for the elements of the
only input, [[1,2],[3]] for several such, {"inputs": {"NAME": nested lists, …}, "outputs": {…}} or a list of these.

A proof never contains a tolerance: this comparison says how good
the quantisation is, a proof says that the integer program gave exactly the shown output.`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.check(ctx, args[0], args[1:], &m, asJSON) }),
	}
	m.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print a report as JSON")
	return c
}

// checkReport is what check --json prints.
type checkReport struct {
	Model string `json:"model"`
	OK    bool   `json:"ok"`
	*compiler.CheckReport
	usage
}

func (a *app) check(ctx context.Context, model string, data []string, m *modelFlags, asJSON bool) error {
	cfg, err := m.config(a)
	if err != nil {
		return err
	}
	if err := readable(model); err != nil {
		return err
	}
	var inputs []compiler.Input
	for _, path := range data {
		in, err := readData(path)
		if err != nil {
			return err
		}
		inputs = append(inputs, in...)
	}
	r, err := compiler.Analyse(ctx, model, cfg)
	if err != nil {
		return err
	}
	a.progress("running both programs")
	report, err := r.Check(ctx, inputs)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.json(checkReport{model, report.OK(), report, a.usage()})
	} else {
		printCheck(a.out, "float model", report)
		if report.Expected != nil {
			printCheck(a.out, "expected output", report.Expected)
		}
	}
	if err == nil && !report.OK() {
		err = errRejected
	}
	return err
}

func printCheck(w io.Writer, against string, r *compiler.CheckReport) {
	if r.PredictionReport == nil {
		fmt.Fprintf(w, "against the %s: %d inputs\n", against, r.Inputs)
		for _, o := range r.Outputs {
			fmt.Fprintf(w, "  %-15s error max %.4g, mean %.3g of %d cells (largest magnitude %.4g)\n", o.Name, o.MaxError, o.MeanError, o.Cells, o.MaxValue)
		}
		return
	}
	fmt.Fprintf(w, "against the %s: %d inputs, %d positions\n", against, r.Inputs, r.Positions)
	fmt.Fprintf(w, "  logit error     max %.4g, mean %.3g (largest logit %.4g)\n", r.MaxError, r.MeanError, r.MaxLogit)
	fmt.Fprintf(w, "  best token      same at %d of %d positions, at %d of %d clear ones\n", r.Agree, r.Positions, r.ClearAgree, r.Clear)
	if r.Agree < r.Positions {
		fmt.Fprintf(w, "  largest gap     %.4g between the two best float logits where it differs\n", r.WorstGap)
	}
}
