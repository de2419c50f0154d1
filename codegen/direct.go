package codegen

import (
	"fmt"

	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/attention"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// BuildCircuit runs a plan: it makes the calls that the generated code makes, in the same order, so that both give circuits
// with one digest.
func BuildCircuit(p *plan.Plan) (*circuit.Circuit, error) {
	d := &direct{p: p, b: circuit.NewBuilder(configOf(p))}
	d.prologue = make([][]circuit.ID, len(p.Prologue))
	d.run(p.Prologue, d.prologue, 0)
	for _, c := range p.Carries {
		d.carries = append(d.carries, d.ref(c.Init))
	}
	for l := range p.Layers {
		d.b.Scope(layerPrefix(l))
		d.block = make([][]circuit.ID, len(p.Block))
		d.run(p.Block, d.block, l)
		next := make([]circuit.ID, len(p.Carries))
		for i, c := range p.Carries {
			next[i] = d.ref(c.Next)
		}
		d.carries = next
	}
	d.b.Scope("")
	d.epilogue = make([][]circuit.ID, len(p.Epilogue))
	d.run(p.Epilogue, d.epilogue, 0)
	if d.err != nil {
		return nil, d.err
	}
	return d.b.Finish()
}

// layerPrefix is the prefix of the names of a layer's tensors; the generated loop has the same format.
func layerPrefix(l int) string { return fmt.Sprintf(layerFormat, l) }

const layerFormat = "layer%d."

func configOf(p *plan.Plan) circuit.Config {
	c := circuit.Config{
		Name: p.Config.Name, Length: p.Config.Length, Vocab: p.Config.Vocab, Pad: p.Config.Pad, Causal: p.Config.Causal,
		Reveal: circuit.RevealLogits, PrivateInput: p.Config.PrivateInput, WeightBits: p.Config.WeightBits, WitnessBits: p.Config.WitnessBits,
	}
	if p.Config.RevealArgmax {
		c.Reveal = circuit.RevealArgmax
	}
	return c
}

// direct interprets a plan.
type direct struct {
	p                         *plan.Plan
	b                         *circuit.Builder
	prologue, block, epilogue [][]circuit.ID // results of the steps
	carries                   []circuit.ID
	err                       error
}

func (d *direct) ref(r plan.Ref) circuit.ID {
	var list [][]circuit.ID
	switch r.Place {
	case plan.InPrologue:
		list = d.prologue
	case plan.InBlock:
		list = d.block
	case plan.InEpilogue:
		list = d.epilogue
	case plan.Carried:
		if r.Index < len(d.carries) {
			return d.carries[r.Index]
		}
	}
	if r.Index >= len(list) || r.Out >= len(list[r.Index]) {
		if d.err == nil {
			d.err = fmt.Errorf("plan %s: no result %d of step %d in place %d", d.p.Config.Name, r.Out, r.Index, r.Place)
		}
		return 0
	}
	return list[r.Index][r.Out]
}

func (d *direct) run(steps []plan.Step, results [][]circuit.ID, layer int) {
	for i := range steps {
		if d.err != nil {
			return
		}
		results[i] = d.step(&steps[i], layer)
	}
}

func (d *direct) step(s *plan.Step, layer int) []circuit.ID {
	b := d.b
	in := make([]circuit.ID, len(s.In))
	for i, r := range s.In {
		in[i] = d.ref(r)
	}
	v := make([]int64, len(s.Params))
	for i, p := range s.Params {
		v[i] = d.p.Param(p, layer)
	}
	one := func(id circuit.ID) []circuit.ID { return []circuit.ID{id} }
	switch s.Op {
	case plan.Tokens:
		if d.p.Config.PrivateInput {
			return one(gadget.PrivateTokens(b))
		}
		return one(b.Public(s.Name, circuit.TokenOneHot, 0, 1))
	case plan.Weight:
		return one(b.Weight(s.Name, int(v[0]), s.Shape...))
	case plan.Const:
		return one(b.Const(s.Name, d.p.Constants[s.Data].Values, s.Shape...))
	case plan.Mask:
		return one(attention.Mask(b, s.Name, d.p.Constants[s.Data].Values, s.Shape...))
	case plan.Embed:
		return one(gadget.Embed(b, s.Name, in[0], in[1]))
	case plan.Virtual:
		return one(b.Virtual(s.Name, s.Shape, d.terms(s, in, layer)...))
	case plan.VirtualBound:
		return one(b.VirtualBound(s.Name, s.Shape, v[0], v[1], s.Why, d.terms(s, in, layer)...))
	case plan.Rescale:
		return one(gadget.Rescale(b, s.Name, in[0], int(v[0]), v[1], v[2]))
	case plan.Table:
		return one(gadget.Table(b, s.Name, in[0], s.Fn, int(v[0]), int(v[1])))
	case plan.RescaleTable:
		x, y := gadget.RescaleTable(b, s.Name, in[0], int(v[0]), v[1], v[2], s.Fn, int(v[3]), int(v[4]))
		return []circuit.ID{x, y}
	case plan.Rsqrt:
		return one(gadget.Rsqrt(b, s.Name, in[0], v[0], v[1]))
	case plan.Attn:
		return d.attn(s, in, v, layer)
	case plan.Reveal:
		d.reveal(in[0])
		return nil
	}
	d.err = fmt.Errorf("plan %s: unknown call %s", d.p.Config.Name, s.Op)
	return nil
}

func (d *direct) attn(s *plan.Step, in []circuit.ID, v []int64, layer int) []circuit.ID {
	mask := gadget.None
	if len(in) > 1 {
		mask = in[1]
	}
	e, inv := attention.ZkAttn(d.b, s.Name, in[0], mask, attention.Params{
		Shift: int(v[0]), DBits: int(v[1]), EBits: int(v[2]), InvBits: int(v[3]), Unit: d.p.Real(s.Unit, layer),
	})
	return []circuit.ID{e, inv}
}

func (d *direct) reveal(logits circuit.ID) {
	if d.p.Config.RevealArgmax {
		gadget.RevealArgmax(d.b, logits)
		return
	}
	gadget.RevealLogits(d.b, logits)
}

func (d *direct) terms(s *plan.Step, in []circuit.ID, layer int) []circuit.Term {
	var out []circuit.Term
	for _, t := range s.Terms {
		ops := make([]circuit.ID, len(t.In))
		for i, k := range t.In {
			ops[i] = in[k]
		}
		out = append(out, d.b.Times(d.p.Param(t.Coef, layer), t.Spec, ops...))
	}
	return out
}
