package engine

import (
	"context"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Rehearse asks a backend for all that a proof about a circuit asks for, in the same order, of weights and an input that are zero and share
// their memory, and with points that are no generators. It serves a backend that computes nothing and counts: what comes of it is no proof. Of
// a device it learns what the circuit alone tells, as if every check held.
func Rehearse(ctx context.Context, c *circuit.Circuit, be backend.Backend, phase Phase) error {
	k := blank(c)
	in := &Input{Statement: blankStatement(c), Private: blankPrivate(c)}
	o := Options{Backend: be, Phase: phase, lists: group.Placeholders(), witness: []witness.Option{witness.Rehearsed()}}
	o.hooks.tampered = func(ch *veil.Channel) { veil.Rehearse(ch, o.lists) } // so that no prover links what this function alone calls
	_, err := k.prove(ctx, &k.members[0], in, o, nil)
	k.sessions.close()
	return err
}

// blank is a key whose weights, rows and blinders are zero.
func blank(c *circuit.Circuit) *Key {
	most := 0
	for _, t := range c.Weights() {
		most = max(most, circuit.Size(t.Shape))
	}
	zeros, weights := make([]int16, most), loaded{}
	for _, t := range c.Weights() {
		weights[t.ID] = integer.Tensor{Shape: t.Shape, Short: zeros[:circuit.Size(t.Shape)]}
	}
	rows := protocol.WeightLayout(c).Rows
	k := &Key{f: circuit.Single(c), points: make([]group.Affine, rows)}
	k.commit(weights, make([]field.Element, rows))
	return k
}

// blankStatement is one about the circuit, of numbers that are as near to zero as they may.
func blankStatement(c *circuit.Circuit) statement.Statement {
	if g := c.Generation; g != nil {
		st := &generation.Statement{Tokens: make([]int64, g.Length), Prompt: g.Length, Next: generation.Unclaimed}
		if g.Reveal == circuit.Argmax {
			st.Next = 0
		} else {
			st.Logits = make([]int64, g.Vocab)
		}
		return st.Hide(c)
	}
	st := &function.Statement{Ports: make([][]int64, len(c.Ports))}
	for i := range c.Ports {
		p := &c.Ports[i]
		switch {
		case p.Reveal == circuit.Argmax:
			st.Ports[i] = make([]int64, p.Rows())
		case p.Public():
			st.Ports[i] = blankElements(p)
		}
	}
	return st
}

// blankPrivate are the elements of private inputs.
func blankPrivate(c *circuit.Circuit) witness.PrivateInput {
	if g := c.Generation; g != nil {
		return generation.PrivateInput(c, make([]int64, g.Length))
	}
	private := witness.PrivateInput{}
	for i := range c.Ports {
		if p := &c.Ports[i]; !p.Out && !p.Public() {
			private[i] = blankElements(p)
		}
	}
	return private
}

// blankElements are those of a port.
func blankElements(p *circuit.Port) []int64 {
	out := make([]int64, circuit.Size(p.Shape))
	for i := range out {
		out[i] = min(max(0, p.Lo), p.Hi)
	}
	return out
}
