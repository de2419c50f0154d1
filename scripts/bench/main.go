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

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
)

// options are the command line's.
type options struct {
	rows    []string
	runs    int
	dir     string
	stories string
	model   string
	length  int
	python  string
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
model answers the other half. A verification is on one thread, from statement and proof to the verdict, key and generators loaded.
Ratios follow, which say more across machines: to a multiplication in the field, measured in the same run, to the circuit's counts, and
to the time that onnxruntime takes for the same model, where --python has it, on as many threads. GOMAXPROCS sets their number.

Tables are printed, and written to DIR/bench.md. Rows:
` + describeRows() + `
Weights of all rows but stories260K and model are drawn, see scripts/model.`,
		Example: `  go run ./scripts/bench
  go run ./scripts/bench --rows gpt2 --runs 3 --python build/venv/bin/python
  go run ./scripts/bench --rows model --model build/smollm2/model`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.rows, "rows", light(), "rows to measure, in this order")
	f.IntVar(&o.runs, "runs", 5, "how often each proof, verification and inference is repeated")
	f.StringVar(&o.dir, "dir", filepath.Join("build", "bench"), "folder for everything that is written")
	f.StringVar(&o.stories, "stories", filepath.Join("..", "shared", "onnx", "models", "stories260K-dynamo18"), "folder of stories260K as ONNX; without it the row is left out")
	f.StringVar(&o.model, "model", "", "folder with model.onnx of the row model, and, of a chat model, tokenizer.json and calibrate.jsonl, as models/smollm2 makes it")
	f.IntVar(&o.length, "length", 64, "positions that the row model is compiled for, if it takes several numbers")
	f.StringVar(&o.python, "python", "python3", "Python with onnxruntime and numpy, for the time of inference")
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
	for _, name := range o.rows {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %q; there are\n%s", name, describeRows())
		}
	}
	l, err := newLab(ctx, o, progress)
	if err != nil {
		return err
	}
	var report Report
	for _, name := range o.rows {
		r := rows[slices.IndexFunc(rows, func(r row) bool { return r.name == name })]
		m, err := l.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("row %s: %w", name, err)
		}
		if m == nil {
			continue
		}
		report.Rows = append(report.Rows, *m)
		if report.Machine, err = l.machine(ctx, m); err != nil {
			return err
		}
		file := filepath.Join(o.dir, "bench.md")
		if err := atomicfile.Write(ctx, file, []byte(report.markdown()), atomicfile.Options{Mode: 0o644, Replace: true}); err != nil {
			return err
		}
	}
	if len(report.Rows) == 0 {
		return fmt.Errorf("nothing was measured: of the rows %s none has its model here", strings.Join(o.rows, ", "))
	}
	_, err = io.WriteString(out, report.markdown())
	return err
}
