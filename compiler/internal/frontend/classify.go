package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// classes says which tensors of the file are private before their use is known. A floating-point initializer of more than one
// cell is, except where it reaches the output only through Cos or Sin of an input-free value (rotary frequencies); constant masks
// are told from weights by their cells, where they are used. Scales of a Resize are extents, and one number that is scattered into is a scalar. Exporters also store the cosines and sines themselves: a table whose
// rows are cosines or sines of multiples of the angles in its row 1 is public like the frequencies that it is made of. Integers
// and Constant nodes of more than one cell are undecided: private.go.
type classes struct {
	public, forced map[string]bool       // by the user
	trig           map[*onnx.Tensor]bool // public by all their uses
}

func classify(m *onnx.Model, opts Options, fs map[functionName]*onnx.Function) (*classes, error) {
	g := m.Graph
	c := &classes{public: map[string]bool{}, forced: map[string]bool{}, trig: map[*onnx.Tensor]bool{}}
	known := map[string]int{}
	declared(known, g.Initializers, g.Nodes)
	for _, f := range m.Functions {
		declared(known, nil, f.Nodes)
	}
	for _, name := range append(append([]string(nil), opts.Public...), opts.Private...) {
		switch known[name] {
		case 0:
			return nil, fmt.Errorf("%w: the model has no initializer or Constant node %q; inspect lists those that weights are made of, beside the circuit's names", ErrName, name)
		case 1:
		default: // one name must not open another tensor than the one that the user has in mind
			return nil, fmt.Errorf("the model has %d initializers and Constant nodes %q, in functions or branches; the name must be unique", known[name], name)
		}
	}
	w := &trig{g: g, users: map[string][]*onnx.Node{}, functions: fs, memo: map[string]bool{}}
	w.dynamic = dynamicNames(g, opts, w.functions)
	for _, n := range g.Nodes {
		for _, in := range onnx.Uses(n) {
			w.users[in] = append(w.users[in], n)
		}
	}
	for _, o := range g.Outputs {
		w.dynamic[o.Name] = true
	}
	for _, t := range g.Initializers {
		c.trig[t] = t.DType.IsFloat() && len(w.users[t.Name]) > 0 && (w.only(t.Name) || w.scales(t.Name) || w.canvas(t))
	}
	for _, name := range opts.Public {
		c.public[name] = true
	}
	for _, name := range opts.Private {
		c.public[name], c.forced[name] = false, true
	}
	return c, nil
}

// declared counts the tensors that the file holds by their names, those of branches included.
func declared(count map[string]int, inits []*onnx.Tensor, nodes []*onnx.Node) {
	for _, t := range inits {
		count[t.Name]++
	}
	for _, n := range nodes {
		if n.Op == "Constant" && n.Domain == "" && len(n.Outputs) > 0 {
			count[n.Outputs[0]]++
		}
		for _, a := range n.Attrs {
			if a.G != nil {
				declared(count, a.G.Initializers, a.G.Nodes)
			}
		}
	}
}

// dynamicNames returns the tensors that depend on a graph input.
func dynamicNames(g *onnx.Graph, opts Options, functions map[functionName]*onnx.Function) map[string]bool {
	dyn := map[string]bool{}
	inits := map[string]bool{}
	for _, t := range g.Initializers {
		inits[t.Name] = true
	}
	for _, in := range g.Inputs {
		dyn[in.Name] = !inits[in.Name] && opts.Fix[in.Name] == nil
	}
	for _, n := range g.Nodes {
		d := false
		for _, in := range onnx.Uses(n) {
			d = d || dyn[in]
		}
		if (n.Op == "Shape" || n.Op == "Size") && standard(n, functions) {
			d = false // shapes are fixed at compile time
		}
		for _, o := range n.Outputs {
			dyn[o] = d
		}
	}
	return dyn
}

// trig answers whether a tensor's cells reach the output through cosines and sines only.
type trig struct {
	g         *onnx.Graph
	users     map[string][]*onnx.Node
	functions map[functionName]*onnx.Function
	dynamic   map[string]bool
	memo      map[string]bool
}

func (w *trig) only(name string) bool {
	if w.dynamic[name] {
		return false
	}
	if r, ok := w.memo[name]; ok {
		return r
	}
	r := true
	for _, n := range w.users[name] {
		switch n.Op {
		case "Cos", "Sin", "Shape", "Size":
			if standard(n, w.functions) {
				continue
			}
		}
		for _, o := range n.Outputs {
			if o != "" && !w.only(o) {
				r = false
			}
		}
	}
	w.memo[name] = r
	return r
}

// scales says whether a tensor is what Resize multiplies extents by, and nothing else: extents are public.
func (w *trig) scales(name string) bool {
	for _, n := range w.users[name] {
		if n.Op != "Resize" && n.Op != "Upsample" || !standard(n, w.functions) || n.Inputs[0] == name {
			return false
		}
	}
	return !w.dynamic[name]
}

// canvas says whether a tensor holds one number in all its cells, and is nothing but what a Scatter writes into: as which experts are chosen, or
// which blocks are seen, begins. It tells one number, as a scalar does.
func (w *trig) canvas(t *onnx.Tensor) bool {
	if t.Stored != nil || t.Len() == 0 || w.dynamic[t.Name] || slices.ContainsFunc(t.F, func(x float64) bool { return x != t.F[0] }) {
		return false
	}
	for _, n := range w.users[t.Name] {
		scatters := n.Op == "ScatterElements" || n.Op == "ScatterND" || n.Op == "Scatter"
		if !scatters || !standard(n, w.functions) || slices.Contains(n.Inputs[1:], t.Name) {
			return false
		}
	}
	return true
}

// rotaryTable says whether a tensor [.., T, n] holds cos(t·θ_i) or sin(t·θ_i): its row 0 is ones or zeros, and rows follow the
// recurrence x(t+1) = 2·cos θ·x(t) − x(t−1) with one angle per column. At least one angle is not zero.
func rotaryTable(t *onnx.Tensor) (bool, error) {
	const begin = 4 // rows that tell most other tensors
	k := len(t.Shape)
	if !t.DType.IsFloat() || k < 2 || t.Shape[k-2] < begin || t.Len() != t.Shape[k-2]*t.Shape[k-1] {
		return false, nil
	}
	rows, n := t.Shape[k-2], t.Shape[k-1]
	if t.Stored != nil {
		cells := make([]float64, begin*n)
		if err := t.Stored.Read(cells, 0); err != nil || !rotates(cells, begin, n) {
			return false, err
		}
	}
	t, err := t.Loaded()
	return err == nil && rotates(t.F, rows, n), err
}

// rotates is rotaryTable of rows of n cells.
func rotates(cells []float64, rows, n int) bool {
	turns := false
	for i := 0; i < n; i++ {
		at := func(r int) float64 { return cells[r*n+i] }
		theta, f := portable.Acos(at(1)), portable.Cos
		if math.Abs(at(0)) < 1e-6 {
			// Two rows tell the angle of a sine: sin 2θ = 2 sin θ cos θ.
			theta, f = portable.Atan2(at(1), at(2)/(2*at(1))), portable.Sin
		} else if math.Abs(at(0)-1) > 1e-6 {
			return false
		}
		for r := 1; r < rows; r++ {
			// Single precision: an error of the angle grows with the row.
			if d := math.Abs(f(float64(float64(r)*theta)) - at(r)); !(d <= 1e-3+float64(1e-5*float64(r))) {
				return false
			}
		}
		turns = turns || math.Abs(at(1)-at(0)) > 1e-3
	}
	return turns
}
