package frontend

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// What lowering one model may cost: the budget of the compilation, and limits of its own on what the budget does not count.

const (
	maxNodes = 1 << 20 // nodes lowered, those of functions once per call
	maxRuns  = 64      // of the search for weights, see Build
	maxCells = 1 << 28 // of a shape that the model spells out
)

// purse is what one call of Build may still take. Its runs share it.
type purse struct {
	*budget.Budget
	nodes int // that may still be lowered
	file  int // cells of the file
	held  int // bytes of the constants that were alive when they were last counted, and of those made since
}

func newPurse(m *onnx.Model, opts Options) *purse {
	p := &purse{Budget: opts.Budget, nodes: maxNodes, file: FileCells(m)}
	if p.Budget == nil {
		p.Budget = budget.New(context.Background(), 1)
	}
	for _, t := range opts.Fix {
		p.file += t.Len()
	}
	return p
}

// FileCells is the number of cells that a model's file holds.
func FileCells(m *onnx.Model) int {
	n := graphCells(m.Graph)
	for _, f := range m.Functions {
		n += nodeCells(f.Nodes)
		for _, a := range f.Defaults {
			n += attrCells(a)
		}
	}
	return n
}

// tokens is the length of the longest input, 1 where there is none.
func (b *builder) tokens() int {
	n := 1
	for _, in := range b.inputs {
		n = max(n, in.rows())
	}
	return n
}

// maxActive bounds an activation, whose cells calibration computes. T tokens make at most T rows as wide as the weights, and maps of
// attention with T² cells a head; 2^24 leave room for what is cheap anyway.
func (b *builder) maxActive() int {
	T := b.tokens()
	usual := budget.Sum(1<<24, budget.Product(256, T, T), budget.Product(T, b.left.file))
	return min(1<<29, budget.Product(b.left.Factor(), usual))
}

// graphCells counts the cells that a graph of the file holds, in branches too.
func graphCells(g *onnx.Graph) int {
	n := nodeCells(g.Nodes)
	for _, t := range g.Initializers {
		n += t.Len()
	}
	return n
}

func nodeCells(nodes []*onnx.Node) int {
	n := 0
	for _, x := range nodes {
		for _, a := range x.Attrs {
			n += attrCells(a)
		}
	}
	return n
}

func attrCells(a *onnx.Attr) int {
	n := len(a.Floats) + len(a.Ints)
	if a.T != nil {
		n += a.T.Len()
	}
	if a.G != nil {
		n += graphCells(a.G)
	}
	return n
}

// size is the number of cells of several tensors of a shape, and whether it is a number. An extent 0 counts as 1: loops over the
// other axes run all the same.
func size(copies int, shape ...int) (int, bool) {
	n := copies
	for _, d := range shape {
		if d = max(d, 1); n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// charge pays for a number of tensors of a shape, and asks whether they fit beside what is held.
func (c *call) charge(copies int, shape ...int) error {
	n, ok := size(copies, shape...)
	if !ok {
		n = math.MaxInt
	}
	err := c.b.left.Cells(n)
	if err == nil {
		err = c.hold(n)
	}
	if err == nil || c.b.left.Poll() != nil {
		return err
	}
	return c.exceeds(fmt.Sprintf("computes a tensor of shape %v", shape), err)
}

// work pays for multiplications, as many as there are combinations of the given extents.
func (c *call) work(extents ...int) error {
	err := c.b.left.Work(budget.Product(extents...))
	if err == nil || c.b.left.Poll() != nil {
		return err
	}
	return c.exceeds("computes a product of matrices", err)
}

// exceeds refuses what the budget has no room for.
func (c *call) exceeds(what string, err error) error {
	return ir.RefuseFor(c.n.Name, c.operatorName(), fmt.Errorf("%s: %w", what, err))
}

// hold asks for memory. What is dropped is not given back one by one: constants share their cells. When all that was ever made does not
// fit, what is alive is counted, and may be half of the limit, so that counting is rare.
func (c *call) hold(n int) error {
	p := c.b.left
	bytes := budget.Product(8, n)
	if p.held = budget.Sum(p.held, bytes); p.Memory(p.held) == nil {
		return nil
	}
	p.held = budget.Sum(c.alive(), bytes)
	runtime.GC()
	return p.Kept(p.held)
}

// alive counts the bytes of all constants that a later node could name, and of the graph's own.
func (c *call) alive() int {
	seen, n := map[any]bool{}, 0
	count := func(t *onnx.Tensor) {
		switch {
		case t == nil:
		case len(t.F) > 0 && !seen[&t.F[0]]:
			seen[&t.F[0]] = true
			n += 8 * len(t.F)
		case len(t.I) > 0 && !seen[&t.I[0]]:
			seen[&t.I[0]] = true
			n += 8 * len(t.I)
		}
	}
	scopes := map[*scope]bool{}
	var visit func(s *scope)
	visit = func(s *scope) {
		if s == nil || scopes[s] {
			return
		}
		scopes[s] = true
		for _, v := range s.vals {
			count(v.c)
			count(v.w)
			count(v.single)
		}
		visit(s.parent)
		if s.caller != nil {
			visit(s.caller.s)
		}
	}
	visit(c.s)
	for _, v := range c.b.g.Values {
		count(&onnx.Tensor{F: v.Data})
	}
	return n
}

// interrupt is what loops of the interpreter of constants panic with when the compilation is cancelled.
type interrupt struct{ err error }

// pollAfter is the number of cells, some milliseconds of them, after which a loop looks at the context.
const pollAfter = 1 << 17

// poll ends a loop that has come to cell i if nobody waits for its result. safely and run catch it.
func (c *call) poll(i int) {
	if i%pollAfter == pollAfter-1 {
		if err := c.b.left.Poll(); err != nil {
			panic(interrupt{err})
		}
	}
}

// caught turns a recovered panic of poll into its error.
func caught(r any) (error, bool) {
	i, ok := r.(interrupt)
	return i.err, ok
}

// copied counts the tensors among ts whose cells floats copies.
func copied(ts ...*onnx.Tensor) int {
	n := 0
	for _, t := range ts {
		if !t.DType.IsFloat() {
			n++
		}
	}
	return n
}
