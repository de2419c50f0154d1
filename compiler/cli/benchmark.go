package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/compiler/internal/benchmark"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// benchmarkReport is what benchmark prints with --json.
type benchmarkReport struct {
	// how long this machine takes, in seconds of one core, for amounts of work, which are given in seconds of the reference
	Rates *cost.Rates `json:"rates"`
	Kept  string      `json:"kept,omitempty"` // the file that has it for predictions
	usage
}

func (a *app) benchmarkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "benchmark",
		Short: "Measure how fast this machine proves, for predictions",
		Long: `benchmark makes keys and proofs about two small models and keeps what they took in the folder for caches (ZKLLMC_CACHE), beside generators.
From then on what compile and inspect predict is in seconds of this machine's cores; before it is in seconds of a processor with AVX-512 of
which the rates are built in. Circuits, keys and proofs do not depend on it. Another processor, another number of threads or another zkllmc
with other rates make it measure again: what is kept is not believed then.

Seconds are those that all processors spend on it. Other programs that run meanwhile disturb it a little.`,
		Example: `  zkllmc benchmark
  zkllmc inspect model.onnx`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			r, err := interruptible(ctx, a, func() (*cost.Rates, error) { return benchmark.Measure(ctx, a.progress) })
			if err != nil {
				return err
			}
			report := benchmarkReport{Rates: r}
			if folder := console.CacheFolder(); folder != "" {
				if report.Kept, err = r.Store(ctx, folder); err != nil {
					return console.Unusable(err)
				}
			}
			if report.usage = a.usage(); asJSON {
				return a.json(report)
			}
			report.print(a)
			return nil
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a report as JSON")
	return c
}

// print says how fast the machine is, against the reference.
func (r *benchmarkReport) print(a *app) {
	fmt.Fprintf(a.out, "%s, %d threads; seconds of the smallest model and of the largest, and how fast that is against the reference:\n", r.CPU, r.Threads)
	line := func(name string, p cost.Pace) {
		last := p[len(p)-1]
		fmt.Fprintf(a.out, "%-16s %.4f s to %.4f s, %.2f times as fast\n", name, p[0].Seconds, last.Seconds, last.Work/last.Seconds)
	}
	for _, p := range (&cost.Work{}).Phases() {
		line(p.Name, r.Rates.Phases[p.Name])
	}
	line("a token", r.Rates.Decoding)
	line("setup", r.Rates.Setup)
	if r.Kept == "" {
		fmt.Fprintln(a.out, "not kept: ZKLLMC_CACHE names no folder")
		return
	}
	fmt.Fprintf(a.out, "kept in %s, for the predictions of compile and inspect\n", r.Kept)
}
