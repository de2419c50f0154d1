package prover

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/console/commands"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// budget is how much memory proofs may take: what --memory says, or else what the machine has now; 0 if that is not known.
func (o *proveFiles) budget() (bytes uint64, err error) {
	if o.memory == "" {
		return machine.Available(), nil
	}
	return commands.Memory(o.memory)
}

// affordable refuses a proof about a circuit that is predicted to take more memory than there is, and says whether only a frugal one fits.
func affordable(c *circuit.Circuit, budget uint64) (frugal bool, err error) {
	w := cost.Of(c)
	fits, frugal := w.Fits(budget)
	if !fits {
		return false, tooLarge(c, &w, budget)
	}
	return frugal, nil
}

// afford is affordable for a proof that is begun now: it tells the backend what there is, which takes longer where something does not fit.
func (a *app) afford(ctx context.Context, c *circuit.Circuit, budget uint64) (context.Context, error) {
	frugal, err := affordable(c, budget)
	if err != nil {
		return ctx, err
	}
	if budget > 0 {
		ctx = backend.WithBudget(ctx, budget)
	}
	if !frugal {
		return ctx, nil
	}
	w := cost.Of(c)
	a.progress.yield()
	fmt.Fprintf(a.stderr, "prover: the proof takes about %s of memory, or %s and longer, and there are %s\n",
		size(w.Bytes()), size(w.FrugalBytes()), size(float64(budget)))
	return ctx, nil
}

// tooLarge is the refusal of a proof.
func tooLarge(c *circuit.Circuit, w *cost.Work, budget uint64) error {
	var parts, largest []string
	for _, s := range w.Memory(true) {
		parts = append(parts, s.Name+" "+size(s.Bytes))
	}
	for _, s := range cost.Largest(c, 3) {
		largest = append(largest, fmt.Sprintf("%s (%s)", s.Name, size(s.Bytes)))
	}
	remedy := "another machine, or --memory SIZE to try it all the same"
	if c.Generation != nil {
		remedy = fmt.Sprintf("a model compiled for fewer positions than these %d (compile --length), %s", c.Generation.Length, remedy)
	}
	return &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("the proof would take about %s of memory, and there are %s: %s; most for %s. What helps: %s",
		size(w.FrugalBytes()), size(float64(budget)), strings.Join(parts, ", "), strings.Join(largest, ", "), remedy)}
}

// size writes bytes for people.
func size(bytes float64) string { return humanize.Bytes(uint64(portable.Clamp(bytes))) }
