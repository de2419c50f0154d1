// Package passes turns the primitive graph of package frontend into the IR: it recognises normalisations, activations, attention
// masks and rotary embeddings, and brings everything linear into as few Einsums as proving wants. Table lists the passes.
package passes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Pass is one step from the primitive graph to the IR.
type Pass struct {
	Name  string
	After []string // passes that must have run before, and why is in the comment of Table
	run   func(*ir.Graph, *budget.Budget) error
}

// Table lists the passes in the order in which they run. Some run twice, under two names.
var Table = []Pass{
	// Axes of extent 1 go first: afterwards a broadcast is a missing label, and patterns need not look through squeezes.
	{"squeeze", nil, free(squeeze)},
	// Views become axes of their users, so that patterns see the values and not the movement between them.
	{"views", []string{"squeeze"}, free(views)},
	// Repeated subexpressions are merged, so that patterns may compare values by identity.
	{"share", []string{"views"}, free(share)},
	// What cancels is known to do so once equal terms are one.
	{"zeros", []string{"share"}, free(zeros)},
	// A normalisation keeps parameters only; views of them have been followed by now.
	{"parameters", []string{"views", "share"}, free(parameters)},
	// 1/√x and 1/(1+exp(−x)) become one function: the patterns know rsqrt and sigmoid only.
	{"functions", []string{"share"}, free(functions)},
	// Normalisations before anything that inlines sums: x − mean(x) is linear in x, and linear would swallow it.
	{"norms", []string{"functions", "share"}, free(norms)},
	// Activations after normalisations: what is left of elementwise polynomials is theirs.
	{"activations", []string{"norms"}, free(activations)},
	// A view that alone uses a product is absorbed by it: Softmax then stands directly on the scores.
	{"absorb", []string{"activations"}, free(absorb)},
	// Masks before linear: a scaled and masked score must not be taken for a linear map.
	{"masks", []string{"absorb"}, masks},
	// What is left of functions of functions becomes one, as long as scores and normalisations have what is theirs.
	{"fuse", []string{"activations", "masks"}, free(fuse)},
	// Rotary embeddings collapse.
	{"linear", []string{"norms", "masks"}, linear},
	// Biases join their products, so that slices find the weight and the bias in one node.
	{"bias", []string{"linear"}, free(bias)},
	// Slices of products cut the weight; after linear, which needs to see the uncut halves of rotary embeddings.
	{"selections", []string{"linear", "bias"}, selections},
	// The patterns leave scalings and copies behind.
	{"views-again", []string{"norms", "activations", "masks", "linear", "selections"}, free(views)},
	{"share-again", []string{"views-again"}, free(share)},
	{"absorb-again", []string{"share-again"}, free(absorb)},
	{"bias-again", []string{"views-again"}, free(bias)},
	// Score products lose their coefficient to the Softmax when nothing else will change it.
	{"scales", []string{"views-again", "absorb-again"}, free(scales)},
	// From here on the graph is IR.
	{"finish", []string{"scales", "bias-again"}, free(finish)},
	{"causal", []string{"finish"}, free(Causal)},
}

// free is a pass that computes no constants worth paying for.
func free(run func(*ir.Graph) error) func(*ir.Graph, *budget.Budget) error {
	return func(g *ir.Graph, _ *budget.Budget) error { return run(g) }
}

func init() {
	if err := checkOrder(Table); err != nil {
		panic(err)
	}
}

// checkOrder says whether every pass comes after the passes that it needs.
func checkOrder(table []Pass) error {
	done := map[string]bool{}
	for _, p := range table {
		for _, need := range p.After {
			if !done[need] {
				return fmt.Errorf("pass %s needs %s before it", p.Name, need)
			}
		}
		if done[p.Name] {
			return fmt.Errorf("pass %s is listed twice", p.Name)
		}
		done[p.Name] = true
	}
	return nil
}

// Unsupported is the error for models outside of what the compiler handles.
type Unsupported = frontend.Unsupported

func unsupported(n *ir.Node, format string, args ...any) error { return n.Errorf(format, args...) }

// Options says how a model is lowered.
type Options struct {
	// Dims gives symbolic dimensions of the input a value, by symbol, or as "input[1]".
	Dims map[string]int
	// Public and Private name initializers, and Constant nodes by their output, whose class is overridden.
	Public, Private []string
	// Fix gives graph inputs a public value at compile time.
	Fix map[string]*onnx.Tensor
	// Fill does so without a tensor.
	Fill map[string]frontend.Fill
	// Ranges bounds the elements of inputs of integers and of real numbers, by name.
	Ranges map[string]frontend.Range
	// Outputs names the graph outputs to compile; none: all.
	Outputs []string
	// Dump, if set, gets the text form of the graph after the frontend ("frontend") and after every pass.
	Dump func(pass, text string)

	// Budget is what the compilation may cost; nil: one of its own, with the usual limits.
	Budget *budget.Budget

	watch func(pass string, g *ir.Graph)
}

// Lower returns the graph of a model, in StageFloat.
func Lower(m *onnx.Model, opts Options) (*ir.Graph, error) {
	if opts.Budget == nil {
		opts.Budget = budget.New(context.Background(), 1)
	}
	g, err := frontend.Build(m, frontend.Options{Dims: opts.Dims, Public: opts.Public, Private: opts.Private, Fix: opts.Fix, Fill: opts.Fill,
		Ranges: opts.Ranges, Outputs: opts.Outputs, Budget: opts.Budget})
	if err != nil {
		return nil, err
	}
	watch := func(pass string, g *ir.Graph) {
		if opts.Dump != nil {
			opts.Dump(pass, g.String())
		}
		if opts.watch != nil {
			opts.watch(pass, g)
		}
	}
	if err := Run(opts.Budget, g, watch); err != nil {
		return nil, err
	}
	return g, nil
}

// Run runs all passes on a primitive graph. watch, if not nil, sees the graph before the first ("frontend") and after every pass;
// what the frontend and every pass deliver is checked by ir.Verify.
func Run(left *budget.Budget, g *ir.Graph, watch func(pass string, g *ir.Graph)) error {
	if watch == nil {
		watch = func(string, *ir.Graph) {}
	}
	compact(g)
	watch("frontend", g)
	if err := finite(g); err != nil {
		return err
	}
	if err := ir.Verify(g); err != nil {
		return fmt.Errorf("the frontend made an invalid graph: %w", err)
	}
	for _, p := range Table {
		if err := left.Poll(); err != nil {
			return err
		}
		if err := p.run(g, left); err != nil {
			var u *Unsupported
			if errors.As(err, &u) {
				return err
			}
			return fmt.Errorf("pass %s: %w", p.Name, err)
		}
		compact(g)
		watch(p.Name, g)
		if err := finite(g); err != nil {
			return err
		}
		if err := ir.Verify(g); err != nil {
			return fmt.Errorf("pass %s made an invalid graph: %w", p.Name, err)
		}
	}
	return nil
}

// finite refuses a model whose constant factors, each of them a number, multiply to none.
func finite(g *ir.Graph) error {
	for _, n := range g.Nodes {
		a, is := n.Attr.(*ir.EinsumAttr)
		if !is {
			continue
		}
		for _, t := range a.Terms {
			if math.IsNaN(t.Coef) || math.IsInf(t.Coef, 0) {
				return n.Errorf("its constant factors multiply to %g; scale them so that their product is a finite number", t.Coef)
			}
		}
	}
	return nil
}

// finish checks that only IR is left, says which shapes the outputs have and moves the graph to StageFloat. One row per token, of the one
// input of ids, is [T, W] without a batch axis; all other outputs have the shape that the file gives them.
func finish(g *ir.Graph) error {
	for _, n := range g.Nodes {
		if a, ok := n.Attr.(*ir.EinsumAttr); ok && len(a.Terms) == 0 {
			return unsupported(n, "its result is zero for every input, so that there is nothing to prove of it; export the model without it, or choose other outputs, --logits NAME")
		}
		if n.Op != ir.OpConst {
			continue
		}
		for i, x := range g.Value(n.Out[0]).Data {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return unsupported(n, "cell %d of its constants is %g, which is not finite and no mask of a Softmax either; store a finite number, -1e4 for -Inf say", i, x)
			}
		}
	}
	g.Stage = ir.StageFloat
	for i := range g.Outputs {
		p := &g.Outputs[i]
		for _, o := range g.Outputs[:i] {
			if o.Value == p.Value { // that was not seen to be one before
				return ir.Refuse(p.Name, "output", "tells of the same cells as the output %q, and statements tell of each once: choose one of the two, --logits NAME", o.Name)
			}
		}
		if len(g.Inputs) == 1 && len(g.Outputs) == 1 && g.Vocab() > 0 {
			if p.Shape = rows(p.Shape, g.Inputs[0].Shape[0]); len(p.Shape) == 2 && p.Shape[0] == 1 {
				p.Value = viewed(g, p.Value, p.Shape)
			}
		}
		if len(p.Shape) == 0 { // a port has an axis
			p.Shape = []int{1}
		}
	}
	return nil
}

// rows is the shape of one row per token, [T, W], if that is what a shape is but for axes of extent 1; else the shape itself.
func rows(shape []int, T int) []int {
	left := keepAxes(shape, shape)
	switch {
	case T == 1 && len(left) == 1:
		return []int{1, left[0]}
	case len(left) == 2 && left[0] == T:
		return left
	}
	return shape
}

// viewed is a value with axes of extent 1 in another place: of the given shape.
func viewed(g *ir.Graph, id ir.ValueID, shape []int) ir.ValueID {
	v := g.Value(id)
	if slices.Equal(v.Shape, shape) {
		return id
	}
	from, extents := ir.IdentityAxes(v.Shape)
	out, _ := ir.IdentityAxes(shape)
	in, attr := ir.Bind([]ir.Term{{Coef: 1, Extents: extents, In: []int{int(id)}, Axes: [][][]int{from}, Out: out}})
	return g.Derive(v.Def, ir.OpEinsum, "logits", shape, in, attr).ID
}
