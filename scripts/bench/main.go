// Command bench measures what proofs cost: seconds of processors and of the clock, memory, bytes, for models of several sizes, and beside
// it what inference alone takes. See its --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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
	ezkl    string
	most    float64
	single  bool
	doc     string
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
model answers the other half. A verification is on one thread, from statement and proof to the verdict, key and generators loaded.
Ratios follow, which say more across machines: those of prove --stats, and to the time that onnxruntime takes for the same model, where
--python has it, on as many threads. GOMAXPROCS sets their number. --ezkl tries EZKL on the smaller rows, in the same run.

Rows that were measured before into the same DIR are kept, each with the commit that it is of. Tables are printed, and written to
DIR/bench.md and --doc. Rows:
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
	f.StringVar(&o.ezkl, "ezkl", "", "Python with ezkl and onnx, to prove the smaller rows with EZKL")
	f.Float64Var(&o.most, "ezkl-memory", 14, "gigabytes of addresses that EZKL may have")
	f.BoolVar(&o.single, "single", true, "prove once on one thread, too, for what the others gain")
	f.StringVar(&o.doc, "doc", "", "file that the tables are written to, too")
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
	for _, name := range o.rows {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %q; there are\n%s", name, describeRows())
		}
	}
	l, err := newLab(ctx, o, progress)
	if err != nil {
		return err
	}
	if o.curves {
		return l.draw(ctx, out)
	}
	report, err := l.stored()
	if err != nil {
		return err
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
		report.put(*m)
		if err := l.write(ctx, report, report.markdown(), "bench"); err != nil {
			return err
		}
	}
	if !measured {
		return fmt.Errorf("nothing was measured: of the rows %s none has its model here", strings.Join(o.rows, ", "))
	}
	_, err = io.WriteString(out, report.markdown())
	return err
}

// stored are the rows that were measured before.
func (l *lab) stored() (r Report, err error) {
	data, err := os.ReadFile(l.file("bench.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// write writes what was measured, as numbers and for people, and the latter to --doc, too.
func (l *lab) write(ctx context.Context, measured any, text, name string) error {
	data, err := json.MarshalIndent(measured, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{l.file(name + ".json"): data, l.file(name + ".md"): []byte(text)}
	if l.doc != "" {
		files[l.doc] = []byte(text)
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := atomicfile.Write(ctx, file, files[file], atomicfile.Options{Mode: 0o644, Replace: true}); err != nil {
			return err
		}
	}
	return nil
}
