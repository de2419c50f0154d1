package compiler

import (
	"context"
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/runtime/backend/cpu"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/verifier"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// Prove makes keys and a proof of one input, nil for a calibration input, and verifies it. The output in the statement is that of
// the interpreter of the integer program, so that circuit and program are compared as well.
func (r *Result) Prove(ctx context.Context, ids []int64) error {
	if ids == nil {
		ids = r.samples[0]
	}
	st, err := r.statement(ctx, ids)
	if err != nil {
		return err
	}
	weights := map[circuit.ID]kernel.Tensor{}
	for i, id := range protocol.WeightIDs(r.Circuit) {
		weights[id] = kernel.Tensor{Shape: r.Weights[i].Shape, V: r.Weights[i].Values}
	}
	o := prover.Options{Backend: cpu.New()}
	key, vk, err := prover.Setup(ctx, r.Circuit, weights, o)
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	accepted, err := verifier.ReadKeyContext(ctx, r.Circuit, vk)
	if err != nil {
		return fmt.Errorf("the verifying key is not accepted: %w", err)
	}
	public := st.Hide(r.Circuit)
	in := prover.Input{Statement: *public}
	if r.Circuit.PrivateInput {
		in.Private = &witness.PrivateInput{Tokens: st.Tokens}
	}
	proof, err := key.Prove(ctx, &in, o)
	if err != nil {
		return fmt.Errorf("prover: %w", err)
	}
	if err := accepted.VerifyStatementContext(ctx, public, proof); err != nil {
		return fmt.Errorf("the proof is not accepted: %w", err)
	}
	return nil
}

// statement claims what the interpreter gives after the last token: its logits, or the best token.
func (r *Result) statement(ctx context.Context, ids []int64) (*statement.Statement, error) {
	padded, err := pad(r.program.Float, ids, r.plan.Config.Pad)
	if err != nil {
		return nil, err
	}
	logits, err := quant.Output(r.left.With(ctx), r.program, padded)
	if err != nil {
		return nil, err
	}
	c := r.Circuit
	row := logits[len(logits)-c.Vocab:]
	st := &statement.Statement{Tokens: padded, Prompt: len(padded), Next: statement.Unclaimed}
	if c.Reveal == circuit.RevealLogits {
		st.Logits = append([]int64(nil), row...)
		return st, nil
	}
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	st.Next = int64(best)
	return st, nil
}
