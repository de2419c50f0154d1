package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
)

// checkHelp is what check and compile say about precision.
const checkHelp = `The integer program is precise enough where no cell of an output differs from the float model's by more than --tolerance, a part of the
output's largest magnitude (default 1/256), and the best token of a language model is the same at every position whose two best float
logits are more than 0.05 apart.`

func (a *app) checkCommand() *cobra.Command {
	var m modelFlags
	var asJSON, layers bool
	c := &cobra.Command{
		Use:   "check MODEL.onnx [DATA…]",
		Short: "Compare the integer program with the float model",
		Long: `check compiles a model up to its integer program, runs that and the float model on the inputs and compares their outputs; where the
data has expected outputs, it compares both with these as well. Without DATA it uses the calibration set.

` + checkHelp + `
If it is not, the exit code is 5 and the place where most precision is lost is named. The exit code is 1 if the float model itself differs
from the expected outputs by more: then the frontend understands the file otherwise than what computed them, or they are of another model.

DATA is an ONNX test folder, an npz file with arrays that have the names of inputs and outputs, or JSON: [1,2,3] for the elements of the
only input, [[1,2],[3]] for several such, {"inputs": {"NAME": nested lists, …}, "outputs": {…}} or a list of these. Arrays and nested lists
have the shape of their input or output, where axes of extent 1 do not count. With --tokenizer it may be texts: a .txt file with a prompt
per line, or a .jsonl file with {"prompt": "…", "answer": "…"} or {"text": "…"} per line; each is cut to the model's length. Prompts go
through the template of --chat, a text is what the model reads; of a model that reads a text whole all inputs are made of it.

With several --length the inputs are run at the longest. Of a model that continues prompts every other length is compared with it on one of
them: its integer logits are equal. Of a function, whose outputs may depend on the length, they are not compared.

With --layers it tells of every layer how much noise it adds: the mean over all rows of the length of a row's error, in parts of the
row's length.

A proof never contains a tolerance: this comparison says how good
the quantisation is, a proof says that the integer program gave exactly the shown output.`,
		Args: takes("MODEL.onnx", 0),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.check(ctx, args[0], args[1:], &m, layers, asJSON)
		}),
	}
	m.register(c)
	m.registerTolerance(c)
	c.Flags().BoolVar(&layers, "layers", false, "say where precision is lost, layer by layer")
	c.Flags().BoolVar(&asJSON, "json", false, "print a report as JSON")
	return c
}

// checkReport is what check --json prints.
type checkReport struct {
	Model   string `json:"model"`   // file
	Circuit string `json:"circuit"` // digest of the circuit; of several lengths that of the family
	// exit code 0: no clear position differs, and no output by more than the tolerance, as the help of check says
	OK bool `json:"ok"`
	*compiler.CheckReport
	usage
}

func (a *app) check(ctx context.Context, model string, data []string, m *modelFlags, layers, asJSON bool) error {
	cfg, err := m.config(a)
	if err != nil {
		return err
	}
	cfg.Places = layers
	if err := readable(model); err != nil {
		return err
	}
	var inputs []compiler.Input
	for _, path := range data {
		in, err := m.readInputs(path)
		if err != nil {
			return err
		}
		inputs = append(inputs, in...)
	}
	c, err := a.compared(ctx, model, m, cfg, inputs, a.err)
	if err == nil {
		c, err = refined(ctx, &cfg, c, func(c checked) bool { return c.again }, func(c checked) (checked, error) {
			a.coarse(c.report, cfg.Finer)
			return a.compared(ctx, model, m, cfg, inputs, io.Discard)
		})
	}
	if err != nil {
		return err
	}
	report := c.report
	if asJSON {
		err = a.json(checkReport{model, c.circuit, report.OK(), report, a.usage()})
	} else {
		printCheck(a.out, report)
	}
	return errors.Join(err, report.Err())
}

// checked is how the program of a model compares with the float model on inputs. again says that compile would make a finer one: that it
// is too coarse also on what scales were chosen from.
type checked struct {
	report  *compiler.CheckReport
	circuit string // digest
	again   bool
}

// compared runs the program of a model and the float model on inputs.
func (a *app) compared(ctx context.Context, model string, m *modelFlags, cfg compiler.Config, inputs []compiler.Input, notes io.Writer) (c checked, err error) {
	r, err := interruptible(ctx, a, func() (*compiler.Result, error) { return compiler.Analyse(ctx, model, cfg) })
	if err != nil {
		return c, err
	}
	drawn(notes, r, cfg)
	if err := m.texts(notes, r, slices.Concat(inputs, cfg.Calibrate)); err != nil {
		return c, err
	}
	c.circuit = hexadecimal(r.Family.Digest())
	a.progress("running both programs")
	c.report, err = interruptible(ctx, a, func() (*compiler.CheckReport, error) { return r.Check(ctx, inputs) })
	if err != nil || !c.report.Coarse() || inputs == nil {
		c.again = err == nil && c.report.Coarse()
		return c, err
	}
	own, err := interruptible(ctx, a, func() (*compiler.CheckReport, error) { return r.Check(ctx, cfg.Calibrate) })
	c.again = err == nil && own.Coarse()
	return c, err
}

// printCheck prints what was compared.
func printCheck(w io.Writer, r *compiler.CheckReport) {
	printComparison(w, "integer program against the float model", &r.Comparison)
	if n := len(r.Lengths); n > 0 {
		fmt.Fprintf(w, "  lengths         %s and %d give the same integer logits\n", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(r.Lengths[:n-1])), ", "), "[]"), r.Lengths[n-1])
	}
	if r.Expected != nil {
		printComparison(w, "float model against the expected output", r.FloatExpected)
		printComparison(w, "integer program against the expected output", r.Expected)
	}
	if len(r.Places) > 0 {
		printLayers(w, r.Places)
	}
}

func printComparison(w io.Writer, what string, r *quant.Comparison) {
	if r.PredictionReport == nil {
		fmt.Fprintf(w, "%s: %d inputs\n", what, r.Inputs)
		for _, o := range r.Outputs {
			fmt.Fprintf(w, "  %-15s error max %.4g, mean %.3g of %d cells (largest magnitude %.4g)\n", o.Name, o.MaxError, o.MeanError, o.Cells, o.MaxValue)
			if o.RowReport != nil {
				fmt.Fprintf(w, "  %-15s %d rows: least cosine %.8g, greatest cell the same in %d, in %d of the %d where it stands out\n", "", o.Rows, o.Cosine, o.Agree, o.ClearAgree, o.Clear)
			}
		}
		return
	}
	fmt.Fprintf(w, "%s: %d inputs, %d positions\n", what, r.Inputs, r.Positions)
	fmt.Fprintf(w, "  logit error     max %.4g, mean %.3g (largest logit %.4g)\n", r.MaxError, r.MeanError, r.MaxLogit)
	fmt.Fprintf(w, "  best token      same at %d of %d positions, at %d of %d clear ones\n", r.Agree, r.Positions, r.ClearAgree, r.Clear)
	if r.ReferencePerplexity > 0 {
		fmt.Fprintf(w, "  perplexity      %.6g against %.6g\n", r.Perplexity, r.ReferencePerplexity)
	}
	if r.Agree < r.Positions {
		fmt.Fprintf(w, "  largest gap     %.4g between the two best logits where it differs\n", r.WorstGap)
	}
}

// printLayers prints a line for every layer, and one for what comes before and behind them: the noise at its last place, and the place in
// it that adds most.
func printLayers(w io.Writer, places []quant.Place) {
	fmt.Fprintf(w, "noise of rows by layer\n  %-10s %-9s most is added at\n", "layer", "at its end")
	for len(places) > 0 {
		layer, n := layerOf(places[0].Tensor), 1
		for n < len(places) && layerOf(places[n].Tensor) == layer {
			n++
		}
		worst, most := &places[0], "nothing"
		for i := range places[:n] {
			if p := &places[i]; p.Lost > worst.Lost {
				worst = p
			}
		}
		if worst.Lost > 0 {
			most = fmt.Sprintf("%s, %.2g, node %q (%s), error up to %.3g of %.3g", worst.Tensor, worst.Lost, worst.Node, worst.Op, worst.MaxError, worst.MaxValue)
			if worst.Beyond > 0 {
				most += fmt.Sprintf(", %d cells beyond the range", worst.Beyond)
			}
		}
		fmt.Fprintf(w, "  %-10s %-9.2g  %s\n", layer, places[n-1].Noise, most)
		places = places[n:]
	}
}

// layerOf is the layer of a tensor of the circuit, by its name there; - for what is no part of a layer.
func layerOf(tensor string) string {
	if layer, _, ok := strings.Cut(tensor, "."); ok && strings.HasPrefix(layer, "layer") && strings.Trim(layer[len("layer"):], "0123456789") == "" {
		return layer
	}
	return "-"
}
