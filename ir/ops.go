package ir

import (
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// OpInfo is the entry of one operation in the op table: what it is, as functions. An operation with its attributes and its entry stands
// in one file (op_*.go), which registers it. How the quantiser makes integer operations of real ones is in package quant; how the call
// that lower names is made, in codegen's table of calls; why it has one result, where Unique says. The attacks on every operation stand
// in internal/test/attack (operations), which demands three for each.
type OpInfo struct {
	Op      Op
	Stages  []Stage
	MinIn   int // number of inputs
	MaxIn   int // -1: any number
	Outputs int

	// Elementwise says that every input and the result have one shape, and that a cell of the result depends on the same cell of the
	// inputs alone.
	Elementwise bool

	// TakesWide says that inputs may be wide values.
	TakesWide bool

	Meaning string
	Shape   string // shape rule, which check checks
	Scale   string // scale rule (StageInt)
	Unique  string // what a circuit makes of it (StageInt) and where its uniqueness is argued

	// Shape rule and attributes.
	check func(g *Graph, n *Node) error
	// The bounds of the results over all inputs in range; and the argument for those that a circuit's own interval
	// arithmetic does not see.
	bound func(g *Graph, n *Node, in []interval.Interval) ([]interval.Interval, error)
	why   func(g *Graph, n *Node) string
	// The meaning over the reals and over the integers, and what it costs: multiplications, and cells besides the results. Without cost
	// it is functionWork multiplications per cell.
	float   func(r *Run, n *Node, in [][]float64) ([][]float64, error)
	integer func(r *Run, n *Node, in [][]int64) ([][]int64, error) // of wide values see Value.Far
	cost    func(g *Graph, n *Node) (work, extra int)
	// The transpose of the derivative over the reals, see Pulls; nil where nothing real is computed, and of sums, whose runs have work in
	// common.
	pull func(r *Run, n *Node, in [][]float64, out, grad []float64, want []bool) ([][]float64, error)
	// The call that proves it, with its arguments by name; nil where the planner makes one of terms or cells.
	lower func(n *Node) (plan.Op, []plan.Arg)
}

var (
	everywhere = []Stage{StagePrim, StageFloat, StageInt}
	reals      = []Stage{StagePrim, StageFloat}
	integers   = []Stage{StageInt}
)

var table = map[Op]*OpInfo{}

func register(i *OpInfo) {
	if table[i.Op] != nil {
		panic("ir: the operation " + string(i.Op) + " is registered twice")
	}
	table[i.Op] = i
}

// Ops is the op table, by name.
func Ops() []*OpInfo {
	var out []*OpInfo
	for _, op := range slices.Sorted(maps.Keys(table)) {
		out = append(out, table[op])
	}
	return out
}

// Info returns the op table's entry of an operation.
func (o Op) Info() (*OpInfo, bool) {
	i, ok := table[o]
	return i, ok
}

// Is says whether an operation is one of a stage.
func (i *OpInfo) Is(s Stage) bool { return slices.Contains(i.Stages, s) }

// Bounds are the bounds of a node's results over all inputs within their bounds, and the argument for them where a circuit's own interval
// arithmetic does not see them, else "" (StageInt).
func Bounds(g *Graph, n *Node) (out []interval.Interval, why string, err error) {
	i, ok := n.Op.Info()
	if !ok || i.bound == nil {
		return nil, "", n.Errorf("has no bounds")
	}
	in := make([]interval.Interval, len(n.In))
	for k, id := range n.In {
		in[k] = g.Value(id).Bounds()
	}
	if out, err = i.bound(g, n, in); err != nil {
		return nil, "", err
	}
	if i.why != nil {
		why = i.why(g, n)
	}
	return out, why, nil
}

// Run is an evaluation of a graph: the elements of its inputs, row-major, and what it may cost.
type Run struct {
	Graph  *Graph
	Reals  [][]float64 // per input, of a graph over the reals
	Ints   [][]int64   // per input, in StageInt
	Budget *budget.Budget
}

// Float computes a node's results from its inputs, over the reals.
func (r *Run) Float(n *Node, in [][]float64) ([][]float64, error) {
	if i, ok := n.Op.Info(); ok && i.float != nil {
		in, err := operandsOf(r, n, in)
		if err != nil {
			return nil, err
		}
		return i.float(r, n, in)
	}
	return nil, n.Errorf("is not an operation of StageFloat")
}

// Int computes a node's results from its inputs, over the integers.
func (r *Run) Int(n *Node, in [][]int64) ([][]int64, error) {
	if i, ok := n.Op.Info(); ok && i.integer != nil {
		in, err := operandsOf(r, n, in)
		if err != nil {
			return nil, err
		}
		return i.integer(r, n, in)
	}
	return nil, n.Errorf("is not an operation of StageInt")
}

// Common says that runs side by side have work in common at a node: weights that are elsewhere are read and arranged once for all of them.
func Common(g *Graph, n *Node) bool {
	return n.Op == OpEinsum && slices.ContainsFunc(n.In, func(id ValueID) bool { return g.Value(id).Elsewhere() })
}

// Floats is Run.Float in several runs of a graph side by side: the results of each have the bits that it has alone.
func Floats(runs []*Run, n *Node, in [][][]float64) ([][][]float64, error) {
	if len(runs) == 1 || !Common(runs[0].Graph, n) {
		return oneByOne(runs, n, in, (*Run).Float)
	}
	return sumTerms(runs, n, in)
}

// oneByOne computes a node of one run after the other.
func oneByOne[T number](runs []*Run, n *Node, in [][][]T, f func(*Run, *Node, [][]T) ([][]T, error)) (out [][][]T, err error) {
	out = make([][][]T, len(runs))
	for i, r := range runs {
		if out[i], err = f(r, n, in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Integers is to Run.Int what Floats is to Run.Float.
func Integers(runs []*Run, n *Node, in [][][]int64) ([][][]int64, error) {
	alone := len(runs) == 1 || !Common(runs[0].Graph, n)
	for i := 0; i < len(runs) && !alone; i++ {
		alone = !runs[i].narrow(n, in[i])
	}
	if alone {
		return oneByOne(runs, n, in, (*Run).Int)
	}
	return sumTerms(runs, n, in)
}

// operandsOf are a node's inputs for its operation: sums read weights that are elsewhere themselves, all others have them in memory.
func operandsOf[T number](r *Run, n *Node, in [][]T) ([][]T, error) {
	if n.Op == OpEinsum {
		return in, nil
	}
	return here(r.Graph, n, in)
}

// functionWork is what an elementwise function costs, in multiplications.
const functionWork = 16

// Cost is what computing a node costs: multiplications, and cells besides its results.
func Cost(g *Graph, n *Node) (work, extra int) {
	if i, ok := n.Op.Info(); ok && i.cost != nil {
		return i.cost(g, n)
	}
	return budget.Product(functionWork, budget.Product(g.Value(n.Out[0]).Shape...)), 0
}

// Lower is the call that proves a node, with its arguments; false for operations that the planner makes calls of by their terms or cells.
func Lower(n *Node) (plan.Op, []plan.Arg, bool) {
	if i, ok := n.Op.Info(); ok && i.lower != nil {
		op, args := i.lower(n)
		return op, args, true
	}
	return "", nil, false
}

// noAttr says that a node has no attributes.
func noAttr(n *Node) error {
	if n.Attr != nil {
		return n.Errorf("has attributes of type %T", n.Attr)
	}
	return nil
}

// attrs is the error of a node whose attributes or inputs are not ok.
func (n *Node) attrs(g *Graph, ok bool) error {
	if !ok {
		return n.Errorf("attributes %T%+v do not fit %d inputs of shape %v", n.Attr, n.Attr, len(n.In), g.Value(n.In[0]).Shape)
	}
	return nil
}
