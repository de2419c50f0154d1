// Command bench measures what proofs cost: seconds of processors and of the clock, memory, bytes, for models of several sizes, and beside
// it what inference alone takes. See its --help.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/console"
)

// options are the command line's.
type options struct {
	rows    []string
	runs    int
	dir     string
	stories string
	model   string
	python  string
	ezkl    string
	most    float64
	single  bool
	doc     string
	stored  string
	only    bool
	curves  bool
	goTool  string
}

func main() {
	ctx, stop := console.Interrupts()
	defer stop()
	if err := command(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(out, progress io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what proofs cost, on models of several sizes",
		Long: `Compiles models, sets them up, proves and verifies answers, and prints what each step took: seconds of processors (user and system, of the
whole command), seconds of the clock, peak memory, bytes; of proofs and verifications the median of --runs, with the least and the
greatest. An answer is proved from token ids to the proof on the disk: the first half of the circuit's positions is the prompt, the
model answers the other half. Of block drawn hidden states are the input. A verification is on one thread, from statement and proof to the verdict, key and generators loaded.
Ratios follow, which say more across machines: those of prove --stats, and to the time that onnxruntime takes for the same model, where
--python has it, on as many threads. GOMAXPROCS sets their number. --ezkl tries EZKL on the smaller rows, in the same run.

A row that was measured is a file of --stored, in place of an older one of its name; each tells the commit that it is of. Tables of all of
them are printed and written to --doc, those of a single row that was measured again, too; --tables does that alone. Rows:
` + describeRows() + `
Weights of all rows but stories260K and smollm2 are drawn, see scripts/model.`,
		Example: `  go run ./scripts/bench
  go run ./scripts/bench --rows gpt2 --runs 3 --python build/venv/bin/python
  go run ./scripts/bench --rows smollm2 --model build/smollm2/model`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.rows, "rows", light(), "rows to measure, in this order; all: all whose models are here")
	f.IntVar(&o.runs, "runs", 5, "how often each proof, verification and inference is repeated")
	f.StringVar(&o.dir, "dir", filepath.Join("build", "bench"), "folder for everything that is written")
	f.StringVar(&o.stories, "stories", filepath.Join("..", "shared", "onnx", "models", "stories260K-dynamo18"), "folder of stories260K as ONNX; without it the row is left out")
	f.StringVar(&o.model, "model", "", "folder with model.onnx, tokenizer.json and calibrate.jsonl of the row smollm2, as models/smollm2 makes it; without it the row is left out")
	f.StringVar(&o.python, "python", "python3", "Python with onnxruntime and numpy, for the time of inference")
	f.StringVar(&o.ezkl, "ezkl", "", "Python with ezkl and onnx, to prove the smaller rows with EZKL")
	f.Float64Var(&o.most, "ezkl-memory", 14, "gigabytes of addresses that EZKL may have")
	f.BoolVar(&o.single, "single", true, "prove once on one thread, too, for what the others gain")
	f.StringVar(&o.doc, "doc", "", "file that the tables are written to, too")
	f.StringVar(&o.stored, "stored", filepath.Join("scripts", "bench", "rows"), "folder of the rows that were measured")
	f.BoolVar(&o.only, "tables", false, "measure nothing: write the tables of the rows that are stored")
	f.BoolVar(&o.curves, "curves", false, "measure models of one width with more and more positions, and with more and more layers, instead of rows; fits exponents")
	f.StringVar(&o.goTool, "go", "go", "the go command")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return bench(cmd.Context(), o, out, progress) }
	cmd.SetOut(out)
	cmd.SetErr(progress)
	return cmd
}

// bench measures the rows one after the other, and prints and writes what is known after each, so that an interruption loses one row.
func bench(ctx context.Context, o options, out, progress io.Writer) error {
	if o.runs < 1 {
		return fmt.Errorf("--runs %d: at least one is needed", o.runs)
	}
	if slices.Equal(o.rows, []string{"all"}) {
		o.rows = nil
		for _, r := range rows {
			o.rows = append(o.rows, r.name)
		}
	}
	for _, name := range o.rows {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %q; there are\n%s", name, describeRows())
		}
	}
	if o.only {
		return o.print(ctx, out)
	}
	l, err := newLab(ctx, o, progress)
	if err != nil {
		return err
	}
	if o.curves {
		return l.draw(ctx, out)
	}
	measured := false
	for _, name := range o.rows {
		m, err := l.measure(ctx, rows[slices.IndexFunc(rows, func(r row) bool { return r.name == name })])
		if err != nil {
			return fmt.Errorf("row %s: %w", name, err)
		}
		if m == nil {
			continue
		}
		measured = true
		if err := o.store(ctx, m); err != nil {
			return err
		}
		if _, err := o.tables(ctx); err != nil {
			return err
		}
	}
	if !measured {
		return fmt.Errorf("nothing was measured: of the rows %s none has its model here", strings.Join(o.rows, ", "))
	}
	return o.print(ctx, out)
}
