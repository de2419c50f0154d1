package witness

import (
	"fmt"
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
	attention "github.com/zkllmc/zkllmc/runtime/gadget/attention/hint"
	gadget "github.com/zkllmc/zkllmc/runtime/gadget/hint"
)

// rules are the rules of all hints but that of private inputs, which come from outside: they stand beside the gadgets that need them.
var rules = func() map[circuit.HintKind]rule.Rule {
	all := gadget.Rules()
	maps.Copy(all, attention.Rules())
	return all
}()

// run is the generator as rules see it.
type run struct{ *generator }

func (r run) Emit(id circuit.ID, v []int64) []int64 { return r.emit(id, v) }
func (r run) Cells(id circuit.ID) []int64           { return cells(r.vals[id]) }
func (r run) Shape(id circuit.ID) []int             { return r.c.Tensor(id).Shape }
func (r run) Cell(id circuit.ID, i int) []int       { return rule.Cell(r.c.Tensor(id).Shape, i) }
func (r run) Circuit() *circuit.Circuit             { return r.c }
func (r run) Checked() bool                         { return !r.unchecked }
func (r run) Pool() *parallel.Pool                  { return r.pool }

// cells are a tensor's as rules see them: those of a wide one are its lower words, and then the upper ones.
func cells(t *integer.Tensor) []int64 {
	if t.High != nil {
		return slices.Concat(t.V, t.High)
	}
	return t.All()
}

// hint runs the rule of a hint.
func (g *generator) hint(h *circuit.Hint) error {
	if h.Kind == circuit.HintInput {
		if len(h.Params) != 1 || len(h.In) != 0 {
			return fmt.Errorf("a hint of a private input has %d parameters and %d inputs", len(h.Params), len(h.In))
		}
		return g.input(int(h.Params[0]))
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
		in[i] = cells(t)
	}
	return f(run{g}, h, in)
}

// input emits the tensor of a private input port.
func (g *generator) input(port int) error {
	p := &g.c.Ports[port]
	values, ok := g.private[port]
	switch {
	case !ok:
		return fmt.Errorf("%w: port %q", ErrPrivate, p.Name)
	case len(values) != circuit.Size(p.Shape):
		return fmt.Errorf("private input %q has %d elements, want %d", p.Name, len(values), circuit.Size(p.Shape))
	}
	for i, v := range values {
		if v < p.Lo || v > p.Hi {
			return fmt.Errorf("private input %q: element %v is not in [%d, %d]", p.Name, rule.Cell(p.Shape, i), p.Lo, p.Hi)
		}
	}
	if p.Kind != circuit.IDs {
		g.emit(p.T, append([]int64(nil), values...))
		return nil
	}
	v := make([]int64, len(values)*p.Vocab())
	for i, id := range values {
		v[i*p.Vocab()+int(id)] = 1
	}
	g.emit(p.T, v)
	return nil
}
