package onnx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// MaxModelBytes bounds the size of a model file; protobuf itself cannot hold more than 2 GiB.
const MaxModelBytes = 1<<31 - 1

// maxHeld bounds the cells of all initializers of a model that are held in memory: all but real numbers in files beside it. Nothing is read
// of a model that has more.
const maxHeld = 1 << 31

const (
	maxNodes      = 1 << 20
	maxGraphDepth = 16
)

// Model is a decoded ONNX model.
type Model struct {
	IRVersion int64
	Producer  string
	Opsets    []Opset
	Graph     *Graph
	Functions []*Function
}

// Opset is an operator set that a model imports. The domain of the standard operators is "".
type Opset struct {
	Domain  string
	Version int64
}

// Version is that of the standard's operators among opsets, 0 if they are not imported.
func Version(opsets []Opset) int64 {
	i := slices.IndexFunc(opsets, func(o Opset) bool { return o.Domain == "" })
	if i < 0 {
		return 0
	}
	return opsets[i].Version
}

// Graph is a decoded graph. Nodes of a model's main graph are in topological order; those of subgraphs in file order.
type Graph struct {
	Name         string
	Nodes        []*Node
	Inputs       []ValueInfo // as declared, initializers that are listed as inputs included
	Outputs      []ValueInfo
	Initializers []*Tensor
}

// Function is a model-local function: a graph over named attributes.
type Function struct {
	Domain, Name    string
	Overload        string // tells functions of one name apart
	Inputs, Outputs []string
	Attributes      []string // names without a default
	Defaults        []*Attr
	Nodes           []*Node
	Opsets          []Opset
}

// Node is one operator. An absent optional input or output is the empty string.
type Node struct {
	Name     string // never empty: a node without a name is called after its operator and its place in the file
	Op       string
	Domain   string
	Overload string // of the function that is called, if there are several of its name
	Inputs   []string
	Outputs  []string
	Attrs    []*Attr
}

// Attr returns the attribute with the given name, nil if the node has none.
func (n *Node) Attr(name string) *Attr {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// AttrType says which field of an Attr is set, by the numbers of the format.
type AttrType int32

// The attribute types that are decoded.
const (
	AttrFloat   AttrType = 1
	AttrInt     AttrType = 2
	AttrString  AttrType = 3
	AttrTensor  AttrType = 4
	AttrGraph   AttrType = 5
	AttrFloats  AttrType = 6
	AttrInts    AttrType = 7
	AttrStrings AttrType = 8
)

// Attr is one attribute of a node.
type Attr struct {
	Name    string
	Type    AttrType
	F       float64
	I       int64
	S       string
	T       *Tensor
	G       *Graph
	Floats  []float64
	Ints    []int64
	Strings []string
	Ref     string // inside functions: the name of the function's attribute that stands here
}

// ValueInfo declares a graph's input or output.
type ValueInfo struct {
	Name     string
	DType    DType
	HasShape bool
	Dims     []Dim
}

// Dim is a declared extent: a number, a symbol, or neither (Value -1, Param "").
type Dim struct {
	Value int64
	Param string
}

// Load reads a model file and the external data that it names, which must lie in the model's folder. It ends with the context's error when
// that is done.
func Load(ctx context.Context, path string) (*Model, error) {
	data, err := readBounded(ctx, path, MaxModelBytes)
	if err != nil {
		return nil, err
	}
	m, err := Decode(ctx, data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Decode decodes a model. External data is looked up in dir; if dir is empty it is refused.
func Decode(ctx context.Context, data []byte, dir string) (*Model, error) {
	p := &pb.ModelProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("not an ONNX model, or only a part of one (%w)", err)
	}
	if p.Graph == nil {
		return nil, errors.New("not an ONNX model: it has no graph")
	}
	d := &decoder{ctx: ctx, dir: dir}
	m := &Model{IRVersion: p.IrVersion, Producer: p.ProducerName + " " + p.ProducerVersion, Opsets: opsets(p.OpsetImport)}
	var err error
	if m.Graph, err = d.graph(p.Graph, 0); err != nil {
		return nil, err
	}
	if m.Graph.Nodes, err = sortNodes(m.Graph); err != nil {
		return nil, err
	}
	for _, f := range p.Functions {
		fn, err := d.function(f)
		if err != nil {
			return nil, fmt.Errorf("function %q: %w", f.Name, err)
		}
		m.Functions = append(m.Functions, fn)
	}
	return m, nil
}

func readBounded(ctx context.Context, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, the limit is %d; move the weights into external data files", path, st.Size(), limit)
	}
	data := make([]byte, st.Size())
	for rest := data; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(f, rest[:min(len(rest), 1<<26)])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rest = rest[n:]
	}
	return data, nil
}

// decoder carries what the decoding of one model shares.
type decoder struct {
	ctx     context.Context
	dir     string
	nodes   int
	cells   int64
	sources []*source
}

// domain is the domain's name; that of the standard has two.
func domain(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

func opsets(ps []*pb.OperatorSetIdProto) []Opset {
	var out []Opset
	for _, p := range ps {
		out = append(out, Opset{domain(p.Domain), p.Version})
	}
	return out
}

func (d *decoder) graph(p *pb.GraphProto, depth int) (*Graph, error) {
	if depth > maxGraphDepth {
		return nil, fmt.Errorf("graph %q: subgraphs are nested more than %d deep", p.Name, maxGraphDepth)
	}
	if len(p.SparseInitializer) > 0 {
		return nil, fmt.Errorf("graph %q: sparse initializers are not supported; store them dense", p.Name)
	}
	g := &Graph{Name: p.Name, Inputs: valueInfos(p.Input), Outputs: valueInfos(p.Output)}
	if err := d.count(p.Initializer); err != nil {
		return nil, err
	}
	for _, v := range append(slices.Clone(g.Inputs), g.Outputs...) {
		if err := plain(v.Name); err != nil {
			return nil, fmt.Errorf("graph %q: %w", p.Name, err)
		}
	}
	seen := make(map[string]bool, len(p.Initializer))
	for _, tp := range p.Initializer {
		if tp.Name == "" {
			return nil, fmt.Errorf("graph %q: an initializer has no name", p.Name)
		}
		if seen[tp.Name] {
			return nil, fmt.Errorf("graph %q: two initializers are called %q", p.Name, tp.Name)
		}
		seen[tp.Name] = true
		if err := plain(tp.Name); err != nil {
			return nil, fmt.Errorf("graph %q: %w", p.Name, err)
		}
		t, err := d.initializer(tp)
		if err != nil {
			return nil, fmt.Errorf("initializer %q: %w", tp.Name, err)
		}
		g.Initializers = append(g.Initializers, t)
	}
	var err error
	g.Nodes, err = d.nodeList(p.Node, depth)
	return g, err
}

// count adds initializers up by what is said of their shapes, before any is read.
func (d *decoder) count(list []*pb.TensorProto) error {
	for _, p := range list {
		n, err := new(Tensor).setShape(p.Dims)
		if err != nil {
			return fmt.Errorf("initializer %q: %w", p.Name, err)
		}
		if DType(p.DataType).IsFloat() && p.DataLocation == 1 {
			continue
		}
		if d.cells += int64(n); d.cells > maxHeld {
			return fmt.Errorf("initializer %q: with it %d cells, more than 2^31, would be held in memory; move real numbers into external data files", p.Name, d.cells)
		}
	}
	return nil
}

// OfLoop stands in every name that the compiler gives to a tensor of a loop.
const OfLoop = " (loop "

// plain refuses names of tensors that could be the compiler's.
func plain(names ...string) error {
	for _, name := range names {
		if strings.Contains(name, OfLoop) {
			return fmt.Errorf("a tensor is called %q, which is a name of the compiler's", name)
		}
	}
	return nil
}

func (d *decoder) nodeList(ps []*pb.NodeProto, depth int) ([]*Node, error) {
	if d.nodes += len(ps); d.nodes > maxNodes {
		return nil, fmt.Errorf("more than %d nodes", maxNodes)
	}
	var out []*Node
	for i, np := range ps {
		n := &Node{Name: np.Name, Op: np.OpType, Domain: domain(np.Domain), Overload: np.Overload, Inputs: np.Input, Outputs: np.Output}
		if n.Name == "" {
			n.Name = fmt.Sprintf("%s#%d", n.Op, i)
		}
		if err := plain(append(slices.Clone(np.Input), np.Output...)...); err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op, err)
		}
		for _, ap := range np.Attribute {
			a, err := d.attr(ap, depth)
			if err != nil {
				return nil, fmt.Errorf("node %q (%s): attribute %q: %w", n.Name, n.Op, ap.Name, err)
			}
			n.Attrs = append(n.Attrs, a)
		}
		out = append(out, n)
	}
	return out, nil
}

func (d *decoder) attr(p *pb.AttributeProto, depth int) (*Attr, error) {
	a := &Attr{Name: p.Name, Type: AttrType(p.Type), F: float64(p.F), I: p.I, S: string(p.S), Ints: p.Ints, Ref: p.RefAttrName}
	if a.Type == 0 {
		a.Type = guessAttrType(p)
	}
	for _, f := range p.Floats {
		a.Floats = append(a.Floats, float64(f))
	}
	for _, s := range p.Strings {
		a.Strings = append(a.Strings, string(s))
	}
	var err error
	if p.T != nil {
		if a.T, err = d.tensor(p.T); err != nil {
			return nil, err
		}
	}
	if p.G != nil {
		if a.G, err = d.graph(p.G, depth+1); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// guessAttrType serves files older than IR version 4, which may leave the type of an attribute out.
func guessAttrType(p *pb.AttributeProto) AttrType {
	switch {
	case p.T != nil:
		return AttrTensor
	case p.G != nil:
		return AttrGraph
	case len(p.Floats) > 0:
		return AttrFloats
	case len(p.Ints) > 0:
		return AttrInts
	case len(p.Strings) > 0:
		return AttrStrings
	case len(p.S) > 0:
		return AttrString
	case p.F != 0:
		return AttrFloat
	}
	return AttrInt
}

func (d *decoder) function(p *pb.FunctionProto) (*Function, error) {
	f := &Function{Domain: domain(p.Domain), Name: p.Name, Overload: p.Overload, Inputs: p.Input, Outputs: p.Output, Attributes: p.Attribute, Opsets: opsets(p.OpsetImport)}
	var err error
	if f.Nodes, err = d.nodeList(p.Node, 0); err != nil {
		return nil, err
	}
	for _, ap := range p.AttributeProto {
		a, err := d.attr(ap, 0)
		if err != nil {
			return nil, err
		}
		f.Defaults = append(f.Defaults, a)
	}
	return f, nil
}

func valueInfos(ps []*pb.ValueInfoProto) []ValueInfo {
	var out []ValueInfo
	for _, p := range ps {
		v := ValueInfo{Name: p.Name}
		if t := p.GetType().GetTensorType(); t != nil {
			v.DType = DType(t.ElemType)
			v.HasShape = t.Shape != nil
			for _, dp := range t.GetShape().GetDim() {
				dim := Dim{Value: -1}
				switch x := dp.Value.(type) {
				case *pb.TensorShapeProto_Dimension_DimValue:
					dim.Value = x.DimValue
				case *pb.TensorShapeProto_Dimension_DimParam:
					dim.Param = x.DimParam
				}
				v.Dims = append(v.Dims, dim)
			}
		}
		out = append(out, v)
	}
	return out
}
