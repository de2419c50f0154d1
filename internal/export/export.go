// Package export writes transformers as ONNX files in the spelling of PyTorch's exporter: the same operators in the same order with the
// same attributes, tensors with names like its own, weights in a file beside the model. Their values are drawn, of the magnitudes that
// training starts from: a model of any size is there without a download, and can be measured. It has learned nothing.
package export

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// The files of a model.
const (
	ModelFile = "model.onnx"
	DataFile  = ModelFile + ".data"
)

// Element types, by the numbers of the format.
const (
	float32Type = 1
	int64Type   = 7
	float16Type = 10
)

// What the exporter does by size: tensors of up to so many bytes stand in the model's file, and tensors of up to so many cells that are
// equal are one.
const (
	maxInlineBytes = 256
	maxSharedCells = 1024
)

// Model is a transformer that can be written.
type Model struct {
	proto    *pb.ModelProto
	external []*tensor // in the order of the data file
	bytes    int64     // of the data file
	weights  int64
}

// Weights is the number of drawn cells.
func (m *Model) Weights() int64 { return m.weights }

// Bytes is the size of the data file.
func (m *Model) Bytes() int64 { return m.bytes }

// builder makes a graph node by node.
type builder struct {
	Config
	m         *Model
	g         *pb.GraphProto
	float     int32             // element type of weights and activations
	names     map[string]int    // how often a name was given
	constants map[string]string // names of constants, by content
	values    int               // tensors that are called by a number
}

func newBuilder(c Config) *builder {
	g := &pb.GraphProto{Name: "main_graph"}
	m := &Model{proto: &pb.ModelProto{
		IrVersion: 10, ProducerName: "zkllmc", ProducerVersion: "scripts/model", Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: 20}},
	}}
	b := &builder{Config: c, m: m, g: g, float: float32Type, names: map[string]int{}, constants: map[string]string{}}
	if c.Half {
		b.float = float16Type
	}
	return b
}

// named makes a node that stands for a function of PyTorch, whose output bears its name: "view", "view_1" …
func (b *builder) named(op, name string, in []string, attrs ...*pb.AttributeProto) string {
	out := name
	if n := b.names[name]; n > 0 {
		out += "_" + strconv.Itoa(n)
	}
	b.names[name]++
	b.node(op, "node_"+out, in, []string{out}, attrs)
	return out
}

// plain makes a node that the exporter took a function of PyTorch apart into, whose output has a number.
func (b *builder) plain(op string, in []string, attrs ...*pb.AttributeProto) string {
	out := b.numbered()
	b.node(op, fmt.Sprintf("node_%s_%d", op, b.values), in, []string{out}, attrs)
	return out
}

func (b *builder) node(op, name string, in, out []string, attrs []*pb.AttributeProto) {
	b.g.Node = append(b.g.Node, &pb.NodeProto{Name: name, OpType: op, Input: in, Output: out, Attribute: attrs})
}

func (b *builder) numbered() string {
	b.values++
	return "val_" + strconv.Itoa(b.values)
}

// input and output declare the graph's ports; output renames what the last node made.
func (b *builder) input(name string, kind int32, shape ...int) string {
	b.g.Input = append(b.g.Input, port(name, kind, shape))
	return name
}

func (b *builder) output(name string, shape ...int) {
	b.g.Node[len(b.g.Node)-1].Output[0] = name
	b.g.Output = append(b.g.Output, port(name, b.float, shape))
}

func port(name string, kind int32, shape []int) *pb.ValueInfoProto {
	s := &pb.TensorShapeProto{}
	for _, d := range shape {
		s.Dim = append(s.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	t := &pb.TypeProto_Tensor{ElemType: kind, Shape: s}
	return &pb.ValueInfoProto{Name: name, Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: t}}}
}

// ints is a constant list of integers.
func (b *builder) ints(v ...int) string {
	list := make([]int64, len(v))
	for i, x := range v {
		list[i] = int64(x)
	}
	return b.list(list...)
}

func (b *builder) list(v ...int64) string {
	key := fmt.Sprint(v)
	name, ok := b.constants[key]
	if !ok {
		name = b.numbered()
		b.g.Initializer = append(b.g.Initializer, &pb.TensorProto{Name: name, DataType: int64Type, Dims: []int64{int64(len(v))}, Int64Data: v})
		b.constants[key] = name
	}
	return name
}

// real is a constant without axes of the given type.
func (b *builder) real(kind int32, x float64) string {
	key := fmt.Sprint(kind, x)
	name, ok := b.constants[key]
	if !ok {
		name = b.numbered()
		b.add(&tensor{name: name, kind: kind, cells: func() func() float64 { return func() float64 { return x } }})
		b.constants[key] = name
	}
	return name
}

// table is a constant tensor of computed cells: one of that name if it is small or shared, else another one at each use.
func (b *builder) table(name string, shape []int, cell func(i int) float64) string {
	n := count(shape)
	if known, ok := b.constants[name]; ok && (n <= maxSharedCells || b.Shared) {
		return known
	}
	t := &tensor{name: b.numbered(), kind: b.float, shape: shape, cells: func() func() float64 {
		i := -1
		return func() float64 {
			i++
			return cell(i)
		}
	}}
	b.add(t)
	b.constants[name] = t.name
	return t.name
}

// weight is a drawn tensor. Without a name it gets a number, as matrices do that the exporter transposed.
func (b *builder) weight(name string, mean, deviation float64, shape ...int) string {
	if name == "" {
		name = b.numbered()
	}
	b.add(&tensor{name: name, kind: b.float, shape: shape, cells: drawn(b.Seed, name, mean, deviation)})
	b.m.weights += int64(count(shape))
	return name
}

// add makes an initializer of a tensor, and gives large ones their place in the data file.
func (b *builder) add(t *tensor) {
	p := &pb.TensorProto{Name: t.name, DataType: t.kind}
	for _, d := range t.shape {
		p.Dims = append(p.Dims, int64(d))
	}
	if size := t.bytes(); size <= maxInlineBytes {
		p.RawData = t.encode(make([]byte, 0, size), t.cells(), count(t.shape))
	} else {
		p.DataLocation = 1
		for _, e := range [][2]string{{"location", DataFile}, {"offset", strconv.FormatInt(b.m.bytes, 10)}, {"length", strconv.FormatInt(size, 10)}} {
			p.ExternalData = append(p.ExternalData, &pb.StringStringEntryProto{Key: e[0], Value: e[1]})
		}
		b.m.external = append(b.m.external, t)
		b.m.bytes += size
	}
	b.g.Initializer = append(b.g.Initializer, p)
}

func integer(name string, v int) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 2, I: int64(v)}
}

func number(name string, v float64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 1, F: float32(v)}
}

func integers(name string, v ...int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 7, Ints: v}
}

// view is PyTorch's view, reshape one that the exporter adds or merges.
func (b *builder) view(x string, shape ...int) string {
	return b.named("Reshape", "view", []string{x, b.ints(shape...)}, integer("allowzero", 1))
}

func (b *builder) reshape(x string, shape ...int) string {
	return b.plain("Reshape", []string{x, b.ints(shape...)}, integer("allowzero", 0))
}

func (b *builder) merged(x string, shape ...int) string {
	return b.plain("Reshape", []string{x, b.ints(shape...)})
}

// heads swaps the axes of positions and heads.
func (b *builder) heads(x string) string {
	return b.named("Transpose", "transpose", []string{x}, integers("perm", 0, 2, 1, 3))
}

func (b *builder) binary(op, name, x, y string) string { return b.named(op, name, []string{x, y}) }

// attention is scaled dot product attention under a causal mask: the query and the transposed key are both scaled, by the fourth root of
// the width of a head. q and v have the shape [1, Heads, Length, width], k the shape [1, Heads, width, Length].
func (b *builder) attention(q, k, v string) string {
	root := b.real(b.float, math.Sqrt(1/math.Sqrt(float64(b.head()))))
	q, k = b.plain("Mul", []string{q, root}), b.plain("Mul", []string{k, root})
	scores := b.plain("MatMul", []string{q, k})
	mask := b.table("mask", []int{1, 1, b.Length, b.Length}, func(i int) float64 {
		if i%b.Length > i/b.Length {
			return math.Inf(-1)
		}
		return 0
	})
	p := b.plain("Softmax", []string{b.plain("Add", []string{scores, mask})}, integer("axis", -1))
	p = b.plain("Where", []string{b.plain("IsNaN", []string{p}), b.real(b.float, 0), p})
	return b.heads(b.binary("MatMul", "scaled_dot_product_attention", p, v))
}

// turned brings keys of a number of heads into the shape that attention takes.
func (b *builder) turned(k string) string {
	k = b.plain("Transpose", []string{k}, integers("perm", 0, 2, 1))
	return b.reshape(k, 1, b.Heads, b.head(), b.Length)
}

func (m *Model) marshal() ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m.proto)
}
