package randgraph

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Function draws a float graph of one to three inputs of any kind and one or two outputs, of at most steps steps between them; 0 for as
// many as the seed wants. Every output depends on every input.
func Function(seed uint64, steps int) *ir.Graph {
	rng := stream(seed, streamShape)
	d := &grapher{seed: seed, rng: rng, used: map[ir.ValueID]bool{}, T: 1 + rng.IntN(5), V: 2 + rng.IntN(6)}
	d.g = &ir.Graph{Name: fmt.Sprintf("function%d", seed), Stage: ir.StageFloat}
	var inputs []ir.ValueID
	for k := range 1 + rng.IntN(3) {
		inputs = append(inputs, d.input(k))
	}
	if d.hot == 0 && d.ids == 0 { // what asks for them gets another activation
		d.ids, d.hot = inputs[0], inputs[0]
	}
	n := 1 + rng.IntN(MaxSteps/2)
	if steps > 0 {
		n = min(n, steps)
	}
	for i := range n {
		d.rng = stream(seed, streamStep+i)
		d.step(i)
	}
	d.rng = stream(seed, streamHead)
	for k := range 1 + d.rng.IntN(2) {
		d.output(k, inputs)
	}
	return d.g
}

// portShape draws a shape, of which axes of extent 1 are part.
func (d *grapher) portShape() []int {
	shape := make([]int, 1+d.rng.IntN(3))
	for a := range shape {
		shape[a] = []int{1, 2, 3, d.T, d.V}[d.rng.IntN(5)]
	}
	return shape
}

// squeezed is a shape without axes of extent 1, as values have it.
func squeezed(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}

// input adds an input and returns an activation that is made of it: of ids their embedding.
func (d *grapher) input(k int) ir.ValueID {
	name := fmt.Sprintf("in%d", k)
	p := ir.Port{Name: name, Shape: d.portShape()}
	if len(squeezed(p.Shape)) == 0 {
		p.Shape[0] = 2 // a normalisation needs an axis
	}
	switch d.rng.IntN(5) {
	case 0:
		if d.hot == 0 {
			ids := d.g.AddIDs(name, d.T, d.V)
			hot := d.g.Add(ir.OpOneHot, name, name+" onehot", []int{d.T, d.V}, []ir.ValueID{ids.ID}, nil)
			d.ids, d.hot = ids.ID, hot.ID
			d.embed(1 + d.rng.IntN(4))
			return d.pool[len(d.pool)-1]
		}
		fallthrough
	case 1:
		p.Kind, p.Hi = plan.Booleans, 1
	case 2:
		p.Kind, p.Lo = plan.Integers, float64(-d.rng.IntN(20))
		p.Hi = p.Lo + 1 + float64(d.rng.IntN(40))
	default:
		p.Kind, p.Hi = plan.Reals, []float64{0.01, 1, 1, 3, 1000}[d.rng.IntN(5)]
		p.Lo = -p.Hi * float64(d.rng.IntN(2))
	}
	v := d.g.AddInput(p)
	v.Shape = squeezed(v.Shape)
	d.pool = append(d.pool, v.ID)
	return v.ID
}

// output adds an output: a sum over the last activation and all inputs.
func (d *grapher) output(k int, inputs []ir.ValueID) {
	shape := d.portShape()
	inner := squeezed(shape)
	terms := []ir.Term{d.term(inner, int(d.pool[len(d.pool)-1])).Term}
	for _, id := range inputs {
		terms = append(terms, d.term(inner, int(id)).Term)
	}
	name := fmt.Sprintf("out%d", k)
	d.g.AddOutput(name, d.einsumTerms(name, inner, terms), shape)
}
