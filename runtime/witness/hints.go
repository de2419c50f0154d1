package witness

import (
	"fmt"
	"maps"

	attention "github.com/zkllmc/zkllmc/runtime/attention/hint"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	gadget "github.com/zkllmc/zkllmc/runtime/gadget/hint"
	"github.com/zkllmc/zkllmc/runtime/witness/rule"
)

// rules are the rules of all hints but that of private tokens, which come from outside: they stand beside the gadgets that need them.
var rules = func() map[circuit.HintKind]rule.Rule {
	all := gadget.Rules()
	maps.Copy(all, attention.Rules())
	return all
}()

// run is the generator as rules see it.
type run struct{ *generator }

func (r run) Emit(id circuit.ID, v []int64) []int64 { return r.emit(id, v) }
func (r run) Cells(id circuit.ID) []int64           { return r.vals[id].V }
func (r run) Circuit() *circuit.Circuit             { return r.c }
func (r run) Checked() bool                         { return !r.unchecked }

// hint runs the rule of a hint.
func (g *generator) hint(h *circuit.Hint) error {
	if h.Kind == circuit.HintTokens {
		return g.tokens(h.Out[0])
	}
	f, ok := rules[h.Kind]
	if !ok {
		return fmt.Errorf("unknown hint %d", h.Kind)
	}
	in := make([][]int64, len(h.In))
	for i, id := range h.In {
		if id < 0 {
			continue
		}
		t, err := g.get(id)
		if err != nil {
			return err
		}
		in[i] = t.V
	}
	return f(run{g}, h, in)
}

// tokens emits the one-hot rows of the private ids, pads behind them.
func (g *generator) tokens(out circuit.ID) error {
	if g.private == nil {
		return ErrPrivate
	}
	if len(g.private.Tokens) > g.c.Length {
		return fmt.Errorf("%d private tokens, the circuit has %d positions", len(g.private.Tokens), g.c.Length)
	}
	v := make([]int64, g.c.Length*g.c.Vocab)
	for t := range g.c.Length {
		id := g.c.Pad
		if t < len(g.private.Tokens) {
			id = g.private.Tokens[t]
		}
		if id < 0 || id >= int64(g.c.Vocab) {
			return fmt.Errorf("private token %d is %d, outside the vocabulary of %d", t, id, g.c.Vocab)
		}
		v[t*g.c.Vocab+int(id)] = 1
	}
	g.emit(out, v)
	return nil
}
