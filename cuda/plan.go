package cuda

import (
	"context"

	"github.com/zkllmc/zkllmc/cuda/internal/paper"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/engine"
)

// Plan is what a proof about a circuit takes of a device, with its memory or, unless that is 0, with a budget: that of a session that begins with it. This backend makes the
// proof, on a device that counts and computes nothing, so that what is planned is what runs.
func Plan(ctx context.Context, c *circuit.Circuit, of cost.Device, budget int64) (*cost.Plan, error) {
	if budget == 0 {
		budget = of.Memory
	}
	return plan(ctx, c, of, budget, usualTail)
}

// plan is Plan for a backend that leaves so much to the processor.
func plan(ctx context.Context, c *circuit.Circuit, of cost.Device, budget int64, tail int) (*cost.Plan, error) {
	d := paper.Open(of, budget)
	err := engine.Rehearse(ctx, c, Over(d, tail), d.Begin)
	return d.Plan(), err
}
