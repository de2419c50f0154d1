package onnx

import (
	"container/heap"
	"fmt"
	"sort"

	onnxgo "github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// indexAttr is the one attribute of a skeleton's node: its index in the file.
const indexAttr = "zkllmc.index"

// absent is the skeleton's name of an optional input or output that is left out. No tensor of a file can be called so, since
// ONNX names are identifiers; duplicates of it are harmless.
const absent = "\x00absent"

// value is onnx-go's node: one named tensor. It carries no data (it is no onnxgo.DataCarrier), so onnx-go decodes no tensor.
type value struct {
	id   int64
	name string
}

func (v *value) ID() int64        { return v.id }
func (v *value) SetName(s string) { v.name = s }
func (v *value) GetName() string  { return v.name }

// recorder is the backend that onnx-go builds the graph into. The embedded graph keeps the vertices; edges are kept here, in
// order, because an operator may use one tensor twice.
type recorder struct {
	*simple.WeightedDirectedGraph
	next  int64
	edges map[int64][]*edge // by the tensor that an operator produces
	ops   []application
}

type edge struct {
	from, to *value
	pos      int
}

func (e *edge) From() graph.Node         { return e.from }
func (e *edge) To() graph.Node           { return e.to }
func (e *edge) Weight() float64          { return float64(e.pos) }
func (e *edge) ReversedEdge() graph.Edge { return &edge{e.to, e.from, e.pos} }

// application is one operator as onnx-go reported it.
type application struct {
	index   int
	inputs  []string
	outputs []string
}

func (r *recorder) NewNode() graph.Node {
	r.next++
	return &value{id: r.next}
}

func (r *recorder) NewWeightedEdge(from, to graph.Node, w float64) graph.WeightedEdge {
	return &edge{from.(*value), to.(*value), int(portable.Clamp(w))}
}

func (r *recorder) SetWeightedEdge(e graph.WeightedEdge) {
	x := e.(*edge)
	r.edges[x.from.id] = append(r.edges[x.from.id], x)
}

// ApplyOperation records an operator: its index, and its inputs in the order of the edges' weights.
func (r *recorder) ApplyOperation(op onnxgo.Operation, outs ...graph.Node) error {
	index, ok := op.Attributes[indexAttr].(int64)
	if !ok {
		return fmt.Errorf("operator %s has no index", op.Name)
	}
	a := application{index: int(index)}
	for _, o := range outs {
		a.outputs = append(a.outputs, o.(*value).name)
	}
	// Every output has the same inputs; the edges of the first one are enough. They are removed, so that the value which
	// stands for all absent outputs does not collect the edges of several operators.
	if len(outs) > 0 {
		es := r.edges[outs[0].ID()]
		sort.SliceStable(es, func(i, j int) bool { return es[i].pos < es[j].pos })
		for _, e := range es {
			a.inputs = append(a.inputs, e.to.name)
		}
	}
	for _, o := range outs {
		delete(r.edges, o.ID())
	}
	r.ops = append(r.ops, a)
	return nil
}

// sortNodes lets onnx-go build the graph and returns the nodes in topological order with the inputs that onnx-go's edges give;
// among nodes that are ready the file's order decides.
func sortNodes(g *Graph) ([]*Node, error) {
	if len(g.Nodes) == 0 {
		return nil, fmt.Errorf("graph %q has no nodes", g.Name)
	}
	if len(g.Outputs) == 0 {
		return nil, fmt.Errorf("graph %q has no outputs", g.Name)
	}
	if err := checkEdges(g); err != nil {
		return nil, err
	}
	data, err := proto.Marshal(skeleton(g))
	if err != nil {
		return nil, fmt.Errorf("graph %q: %w", g.Name, err)
	}
	r := &recorder{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, 0), edges: map[int64][]*edge{}}
	if err := onnxgo.NewModel(r).UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("graph %q: onnx-go: %w", g.Name, err)
	}
	if len(r.ops) != len(g.Nodes) {
		return nil, fmt.Errorf("graph %q: onnx-go reports %d operators of %d", g.Name, len(r.ops), len(g.Nodes))
	}
	nodes := make([]*Node, len(g.Nodes))
	for i, a := range r.ops {
		if a.index < 0 || a.index >= len(g.Nodes) {
			return nil, fmt.Errorf("graph %q: onnx-go reports operator %d of %d", g.Name, a.index, len(g.Nodes))
		}
		n := *g.Nodes[a.index]
		n.Outputs = present(a.outputs)
		if len(n.Inputs) > 0 { // onnx-go invents an input for operators without
			n.Inputs = present(a.inputs)
		}
		nodes[i] = &n
	}
	return topological(g, nodes)
}

// Between each input and each output of an operator onnx-go makes an edge: a file of 100 KB can ask for gigabytes of them. Loops and
// branches of real models have a few hundred of both.
const (
	baseEdges    = 1 << 18
	edgesPerName = 32
)

// checkEdges refuses a graph whose edges would take memory out of proportion to the file.
func checkEdges(g *Graph) error {
	edges, names := 0, 0
	for _, n := range g.Nodes {
		names += len(n.Inputs) + len(n.Outputs)
		edges += len(n.Inputs) * len(n.Outputs)
		if edges > baseEdges+edgesPerName*names {
			return fmt.Errorf("graph %q: node %q has %d inputs and %d outputs, which is out of reach", g.Name, n.Name, len(n.Inputs), len(n.Outputs))
		}
	}
	return nil
}

// skeleton is the model that onnx-go gets to see: names and indices.
func skeleton(g *Graph) *pb.ModelProto {
	s := &pb.GraphProto{Name: g.Name}
	for _, v := range g.Inputs {
		s.Input = append(s.Input, &pb.ValueInfoProto{Name: v.Name})
	}
	for _, v := range g.Outputs {
		s.Output = append(s.Output, &pb.ValueInfoProto{Name: v.Name})
	}
	for i, n := range g.Nodes {
		s.Node = append(s.Node, &pb.NodeProto{
			Name: fmt.Sprintf("%s%d", absent, i), OpType: n.Op,
			Input: named(n.Inputs), Output: named(n.Outputs),
			Attribute: []*pb.AttributeProto{{Name: indexAttr, Type: int32(AttrInt), I: int64(i)}},
		})
	}
	return &pb.ModelProto{Graph: s}
}

func named(names []string) []string {
	out := make([]string, len(names))
	for i, s := range names {
		if out[i] = s; s == "" {
			out[i] = absent
		}
	}
	return out
}

func present(names []string) []string {
	out := make([]string, len(names))
	for i, s := range names {
		if s != absent {
			out[i] = s
		}
	}
	return out
}

// ready is a heap of node indices.
type ready []int

func (h ready) Len() int           { return len(h) }
func (h ready) Less(i, j int) bool { return h[i] < h[j] }
func (h ready) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ready) Push(x any)        { *h = append(*h, x.(int)) }
func (h *ready) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// topological sorts the nodes so that every tensor is produced before it is used. Tensors that no node produces are inputs or
// initializers; whether they exist is the frontend's question, since subgraphs also see the names around them.
func topological(g *Graph, nodes []*Node) ([]*Node, error) {
	producer := map[string]int{}
	for i, n := range nodes {
		for _, o := range n.Outputs {
			if o == "" {
				continue
			}
			if j, dup := producer[o]; dup {
				return nil, fmt.Errorf("tensor %q is produced by node %q and by node %q", o, nodes[j].Name, n.Name)
			}
			producer[o] = i
		}
	}
	waits := make([]int, len(nodes))
	users := make([][]int, len(nodes))
	var h ready
	for i, n := range nodes {
		for _, in := range append(append([]string(nil), n.Inputs...), captured(n)...) {
			if j, ok := producer[in]; ok {
				waits[i]++
				users[j] = append(users[j], i)
			}
		}
		if waits[i] == 0 {
			h = append(h, i)
		}
	}
	heap.Init(&h)
	var out []*Node
	for h.Len() > 0 {
		i := heap.Pop(&h).(int)
		out = append(out, nodes[i])
		for _, u := range users[i] {
			if waits[u]--; waits[u] == 0 {
				heap.Push(&h, u)
			}
		}
	}
	if len(out) != len(nodes) {
		return nil, fmt.Errorf("graph %q has a cycle: %d of %d nodes can be ordered", g.Name, len(out), len(nodes))
	}
	return out, nil
}

// captured lists the names that the subgraphs of a node use and may take from outside.
func captured(n *Node) []string {
	var out []string
	for _, a := range n.Attrs {
		if a.G == nil {
			continue
		}
		for _, m := range a.G.Nodes {
			out = append(out, m.Inputs...)
			out = append(out, captured(m)...)
		}
		for _, o := range a.G.Outputs {
			out = append(out, o.Name)
		}
	}
	return out
}

// Uses lists the names of all tensors that a node needs: its inputs, and what its subgraphs take from outside (names that the
// subgraphs define themselves may be among them).
func Uses(n *Node) []string {
	var out []string
	for _, in := range n.Inputs {
		if in != "" {
			out = append(out, in)
		}
	}
	return append(out, captured(n)...)
}
