package witness

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/host"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// hint computes the results of a hint.
func (g *generator) hint(h *circuit.Hint) error {
	if h.Kind == circuit.HintInput {
		if len(h.Params) != 1 || len(h.In) != 0 {
			return fmt.Errorf("a hint of a private input has %d parameters and %d inputs", len(h.Params), len(h.In))
		}
		return g.input(int(h.Params[0]))
	}
	for _, id := range h.In {
		if id < 0 {
			continue
		}
		if _, err := g.get(id); err != nil {
			return err
		}
	}
	for _, id := range h.Out {
		t := g.c.Tensor(id)
		g.vals[id] = g.at.Program.Zeros(t.Shape, t.Wide())
	}
	return g.apply(h, g.whole)
}

// apply computes the results of a hint, parts of tensors that are there, from parts. What a backend does not know, or a hint is not defined
// for, is computed here: there is an error that says where.
func (g *generator) apply(h *circuit.Hint, part func(circuit.ID) backend.Part) error {
	if g.override == nil {
		asked := &backend.Hint{Kind: h.Kind.String(), Params: h.Params}
		if h.Reads() {
			asked.Table = g.table(h.Table)
		}
		for _, id := range h.In {
			var p backend.Part
			if id >= 0 {
				p = part(id)
			}
			asked.In = append(asked.In, p)
		}
		for _, id := range h.Out {
			asked.Out = append(asked.Out, part(id))
		}
		if known, defined := g.at.Program.Hint(asked); known && defined {
			return nil
		}
	}
	f, ok := host.Rule(h.Kind)
	if !ok {
		return fmt.Errorf("unknown hint %d", h.Kind)
	}
	r := run{g, part}
	in := make([][]int64, len(h.In))
	for i, id := range h.In {
		if id >= 0 {
			in[i] = r.Cells(id)
		}
	}
	return f(r, h, in)
}

// run is the generator as rules see it, of parts of tensors.
type run struct {
	*generator
	part func(circuit.ID) backend.Part
}

func (r run) Make(n int) []int64 { return make([]int64, n) }

// Emit overrides whole tensors only: who lies decodes nothing.
func (r run) Emit(id circuit.ID, v []int64) []int64 {
	t := &integer.Tensor{Shape: r.Shape(id), V: v}
	if r.override != nil {
		r.override(id, t)
	}
	r.at.Program.Put(r.part(id), t)
	return t.V
}

// Cells of a wide tensor are its lower words, and then the upper ones.
func (r run) Cells(id circuit.ID) []int64 {
	t := r.at.Program.Cells(r.part(id))
	if t.High != nil {
		return slices.Concat(t.V, t.High)
	}
	return t.All()
}

func (r run) Shape(id circuit.ID) []int {
	if box := r.part(id).Box; box != nil {
		return extents(box)
	}
	return r.c.Tensor(id).Shape
}

func (r run) Cell(id circuit.ID, i int) []int { return cellOf(r.c.Tensor(id), r.part(id).Box, i) }
func (r run) Wide(id circuit.ID) bool         { return r.c.Tensor(id).Wide() }
func (r run) Name(id circuit.ID) string       { return r.c.Tensor(id).Name }
func (r run) Checked() bool                   { return !r.unchecked }
func (r run) Pool() *parallel.Pool            { return parallel.Of(r.ctx) }

func (r run) Table(h *circuit.Hint) (name string, cols [][]int64) {
	t := &r.c.Tables[h.Table]
	return t.Name, t.Cols
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
