package compiler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Prove makes keys and a proof of every input, of one calibration input if there are none, and verifies it; of a generation at several
// lengths also of the input's beginnings, at the shorter ones. The outputs in the statement are those of the interpreter of the integer
// program, so that circuit and program are compared as well, and the verifier's circuits are those of the circuit file.
func (r *Result) Prove(ctx context.Context, inputs ...Input) error {
	runs := [][][]float64{r.samples[0].Elements}
	if len(inputs) > 0 {
		runs = nil
	}
	for _, in := range inputs {
		elements, err := r.elements(in)
		if err != nil {
			return err
		}
		runs = append(runs, elements)
	}
	cells, err := r.integers()
	if err != nil {
		return err
	}
	o := engine.Options{Backend: cpu.New()}
	key, vk, err := engine.Setup(ctx, r.Family, cells, o)
	if err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	family, err := filed(ctx, r.Family)
	if err != nil {
		return err
	}
	accepted, err := verifier.ReadKey(ctx, family, engine.Kind(r.Circuit), vk)
	if err != nil {
		return fmt.Errorf("the verifying key is not accepted: %w", err)
	}
	for _, elements := range runs {
		for _, m := range r.Members() {
			if m != r && !r.generation {
				continue // of other shapes
			}
			in, err := m.claim(ctx, m.beginning(elements))
			if err != nil {
				return err
			}
			proof, err := key.Prove(ctx, in, o)
			if err != nil {
				return fmt.Errorf("prover: %w", err)
			}
			if err := accepted.VerifyStatementContext(ctx, family.Member(m.Circuit.Digest()), in.Statement, proof); err != nil {
				return fmt.Errorf("the proof is not accepted: %w", err)
			}
			if other := otherOutput(m.Circuit, in.Statement); other != nil && accepted.VerifyStatementContext(ctx, family.Member(m.Circuit.Digest()), other, proof) == nil {
				return errors.New("the proof is accepted for another output")
			}
		}
	}
	return nil
}

// filed are the circuits as a verifier has them that reads the circuit file.
func filed(ctx context.Context, f *circuit.Family) (*circuit.Family, error) {
	data, err := circuits.Encode(f)
	if err != nil {
		return nil, err
	}
	read, err := circuits.Decode(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("the circuit file is not accepted: %w", err)
	}
	return read, nil
}

// integers are all weights, in memory.
func (r *Result) integers() (map[circuit.ID]integer.Tensor, error) {
	cells := map[circuit.ID]integer.Tensor{}
	for i, id := range protocol.WeightIDs(r.Family.Shortest()) {
		short, err := weights.All(r.Weights[i].Short)
		if err != nil {
			return nil, err
		}
		cells[id] = integer.Tensor{Shape: r.Weights[i].Shape, Short: short}
	}
	return cells, nil
}

// otherOutput is a statement that claims another output, within its range: the next value of the first cell told of one.
func otherOutput(c *circuit.Circuit, st statement.Statement) statement.Statement {
	next := func(v []int64, lo, hi int64) []int64 {
		v = slices.Clone(v)
		if v[0]++; v[0] > hi {
			v[0] = lo
		}
		return v
	}
	switch s := st.(type) {
	case *generation.Statement:
		other := *s
		if g := c.Generation; s.Next != generation.Unclaimed {
			other.Next = next([]int64{s.Next}, 0, int64(g.Vocab)-1)[0]
		} else {
			p := &c.Ports[g.Out]
			other.Logits = next(s.Logits, p.Lo, p.Hi)
		}
		return &other
	case *function.Statement:
		other := &function.Statement{Ports: slices.Clone(s.Ports), NoSaturation: s.NoSaturation}
		for i := range c.Ports {
			p := &c.Ports[i]
			lo, hi := p.Lo, p.Hi
			if p.Reveal == circuit.Argmax {
				lo, hi = 0, int64(p.Shape[len(p.Shape)-1])-1
			}
			if p.Out && p.Reveal != circuit.Nothing && lo < hi {
				other.Ports[i] = next(s.Ports[i], lo, hi)
				return other
			}
		}
	}
	return nil // outputs have one value only
}

// beginning is an input of a generation, cut to the circuit's length.
func (r *Result) beginning(elements [][]float64) [][]float64 {
	if g := r.Circuit.Generation; g != nil {
		return [][]float64{elements[0][:g.Length]}
	}
	return elements
}

// claim is what is to be proved of an input: that the circuit gives what the interpreter does. Of a generation that is what it gives after
// the last token: its logits, or the best token.
func (r *Result) claim(ctx context.Context, elements [][]float64) (*engine.Input, error) {
	in, err := r.program.Elements(elements)
	if err != nil {
		return nil, err
	}
	out, err := quant.Outputs(r.left.With(ctx), r.program, in)
	if err != nil {
		return nil, err
	}
	c, g := r.Circuit, r.Circuit.Generation
	if g == nil {
		return functionClaim(c, in, out), nil
	}
	logits, padded := out[0], in[0]
	row := logits[len(logits)-g.Vocab:]
	st := &generation.Statement{Tokens: padded, Prompt: len(padded), Next: generation.Unclaimed}
	if g.Reveal == circuit.Values {
		st.Logits = append([]int64(nil), row...)
	} else {
		st.Next = statement.Argmax(row)
	}
	return &engine.Input{Statement: st.Hide(c), Private: generation.PrivateInput(c, padded)}, nil
}

// functionClaim says that inputs gave outputs; both are in the circuit's order.
func functionClaim(c *circuit.Circuit, inputs, outputs [][]int64) *engine.Input {
	st, private := &function.Statement{Ports: make([][]int64, len(c.Ports))}, map[int][]int64{}
	for i := range c.Ports {
		switch p := &c.Ports[i]; {
		case p.Out:
			st.Fill(c, i, outputs[0])
			outputs = outputs[1:]
		case p.Public():
			st.Ports[i], inputs = inputs[0], inputs[1:]
		default:
			private[i], inputs = inputs[0], inputs[1:]
		}
	}
	return &engine.Input{Statement: st, Private: private}
}
