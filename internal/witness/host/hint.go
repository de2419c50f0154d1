package host

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// run is a hint as its rule sees it: the tensors of parts are numbered, inputs first.
type run struct {
	p       *Program
	copied  bool // what is emitted is written to parts, and not kept
	parts   []backend.Part
	table   []backend.Tensor
	emitted [][]int64 // by the number of its tensor
}

// Hint runs the rule of the kind.
func (p *Program) Hint(h *backend.Hint) (known, defined bool) {
	kind, ok := kinds[h.Kind]
	if !ok {
		return false, false
	}
	r := &run{p: p, parts: slices.Concat(h.In, h.Out), table: h.Table}
	r.copied = !slices.ContainsFunc(h.Out, func(part backend.Part) bool { return part.Box == nil })
	defer p.scratch.reset()
	r.emitted = make([][]int64, len(r.parts))
	own, in := circuit.Hint{Kind: kind.HintKind, Params: h.Params}, make([][]int64, len(h.In))
	for i, part := range r.parts {
		switch id := circuit.ID(i); {
		case i >= len(in):
			own.Out = append(own.Out, id)
		case part.T == nil:
			own.In = append(own.In, -1)
		default:
			own.In, in[i] = append(own.In, id), r.Cells(id)
		}
	}
	return true, kind.Rule(r, &own, in) == nil
}

func (r *run) Emit(id circuit.ID, v []int64) []int64 {
	r.p.Put(r.parts[id], &integer.Tensor{Shape: r.Shape(id), V: v})
	r.emitted[id] = v
	return v
}

func (r *run) Cells(id circuit.ID) []int64 {
	if v := r.emitted[id]; v != nil {
		return v
	}
	if part := r.parts[id]; r.copied && part.Box != nil {
		if t := filled(part.T); t.V == nil {
			return read(r.p.scratch.take(cellsOf(shapeOf(part))), part)
		}
	}
	words := r.p.columns(r.parts[id])
	if len(words) == 1 {
		return words[0]
	}
	return slices.Concat(words...)
}

func (r *run) Make(n int) []int64 {
	if r.copied {
		return r.p.scratch.take(n)
	}
	return make([]int64, n)
}

func (r *run) Shape(id circuit.ID) []int { return shapeOf(r.parts[id]) }

func (r *run) Cell(id circuit.ID, i int) []int { return rule.Cell(r.Shape(id), i) }

func (r *run) Wide(id circuit.ID) bool { return filled(r.parts[id].T).High != nil }

func (r *run) Name(id circuit.ID) string { return fmt.Sprintf("%d of a hint", id) }

func (r *run) Table(*circuit.Hint) (name string, cols [][]int64) {
	for _, t := range r.table {
		cols = append(cols, filled(t).All())
	}
	return "", cols
}

// Checked is true: what a hint is not defined for is somebody else's to name, or to bear.
func (r *run) Checked() bool { return true }

func (r *run) Pool() *parallel.Pool { return r.p.pool }
