package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Provenance: which tensors of the model file the cells of an input-free value come from. A constant of the circuit ships with
// the verifier, so no operator may turn weights into one: every value that is computed from a private tensor is private,
// whatever its type. Integers and Constant nodes are mostly shapes, indices and masks but may be weights too (quantised ones,
// say), and only their use tells. They start undecided: public, with a mark. When arithmetic on activations takes a value with a
// mark, the tensors behind it are weights, and the model is lowered again with them private from the start, so that nothing else
// that is made of them stays public either.

// mark is one such tensor, or the union of several. Unions are shared: a long chain of operators costs one mark each.
type mark struct {
	name    string
	key     any // identifies the tensor across runs; nil for a union
	forced  bool
	private bool // a leaf whose cells are private in this run
	from    []*mark
	weight  bool // noted as a weight of the graph
	rest    bool // noted as a weight that is left of a parted tensor
	pattern bool // noted as what a mask is made of
	parted  bool // noted as parted
}

// visit calls f for the tensors of a mark. flag chooses the note that visits leave, so that no mark is visited twice.
func (m *mark) visit(flag func(*mark) *bool, f func(leaf *mark)) {
	stack := []*mark{m}
	for len(stack) > 0 {
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if x == nil || *flag(x) {
			continue
		}
		*flag(x) = true
		if x.key != nil {
			f(x)
		}
		stack = append(stack, x.from...)
	}
}

func weightNote(m *mark) *bool  { return &m.weight }
func restNote(m *mark) *bool    { return &m.rest }
func patternNote(m *mark) *bool { return &m.pattern }
func partedNote(m *mark) *bool  { return &m.parted }

// leaf names one tensor behind a mark.
func (m *mark) leaf() string {
	for m.key == nil {
		m = m.from[0]
	}
	return m.name
}

// leaves names all tensors behind a mark, sorted.
func (m *mark) leaves() (names []string) {
	seen := map[*mark]bool{}
	stack := []*mark{m}
	for len(stack) > 0 {
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if x == nil || seen[x] {
			continue
		}
		seen[x] = true
		if x.key != nil {
			names = append(names, x.name)
		}
		stack = append(stack, x.from...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// given enters a tensor of the model file: an initializer, or the value of a Constant node.
func (b *builder) given(name string, t *onnx.Tensor, key any, weight bool) (*val, error) {
	forced := b.class.forced[name]
	public := t.Len() <= 1 || b.class.public[name] || counts(t) || repeats(t)
	if !forced && !public {
		var err error
		if public, err = rotaryTable(t); err == nil && !public {
			public, err = onlyInfinity(t)
		}
		if err != nil {
			return nil, err
		}
	}
	if !forced && public {
		return loaded(name, t)
	}
	v := constant(name, t)
	v.moved = true
	v.mark = &mark{name: name, key: key, forced: forced}
	if forced || weight || b.hidden[key] {
		v.c, v.private, v.w, v.mark.private = nil, true, t, true
	}
	return v, nil
}

// onlyInfinity says whether all cells of a tensor are −∞, which no weight is: it masks, and tells nothing.
func onlyInfinity(t *onnx.Tensor) (bool, error) {
	if !t.DType.IsFloat() || t.Len() == 0 {
		return false, nil
	}
	if t.Stored != nil {
		first := make([]float64, 1)
		if err := t.Stored.Read(first, 0); err != nil || !infinite(first[0]) {
			return false, err
		}
	}
	t, err := t.Loaded()
	return err == nil && !slices.ContainsFunc(t.F, func(x float64) bool { return !infinite(x) }), err
}

// counts says whether a tensor holds the positions 0, 1, 2, … along one axis, or those of all cells of a tensor in order, as [batch, token],
// and nothing else. Masks and rotary tables are computed from the same ones, and that they count is all that their cells tell beside
// their number, which is public as every shape is. No weight is one by chance: weights that are stored as integers have 32 bits or fewer,
// and of those of 32, biases of quantised layers, none are 0, 1, 2, 3 and so on. What owners of a permutation, say, do not want known,
// --private hides.
func counts(t *onnx.Tensor) bool {
	if t.DType != onnx.Int64 && t.DType != onnx.Int32 || len(t.Shape) == 0 || t.Stored != nil {
		return false
	}
	last, begin := t.Shape[len(t.Shape)-1], 4 // positions that tell most other tensors
	if t.DType == onnx.Int64 && len(t.Shape) > 1 && last == 1 {
		begin = 2 // the numbers of a batch
	}
	return slices.Contains(t.Shape, t.Len()) && enumerates(t.I, 1, begin) || t.DType == onnx.Int64 && enumerates(t.I, last, begin)
}

// repeats says that a tensor of integers of 64 bits or of booleans, of which no weights are, tells one number, as a scalar does: the zeros of token
// types, say, or the ones that a triangle is cut from.
func repeats(t *onnx.Tensor) bool {
	return (t.DType == onnx.Int64 || t.DType == onnx.Bool) && t.Stored == nil && !slices.ContainsFunc(t.I, func(x int64) bool { return x != t.I[0] })
}

// enumerates says whether rows of so many cells are the positions of all cells of a tensor of that rank, the last axis's fastest, begin or more
// of them.
func enumerates(cells []int64, rank, begin int) bool {
	if rank < 1 || len(cells) < begin*rank {
		return false
	}
	n, rows := int64(len(cells)/rank), int64(1)
	last, steps := cells[len(cells)-rank:], make([]int64, rank)
	for a := rank - 1; a >= 0; a-- {
		steps[a] = rows
		if last[a] < 0 || last[a] >= n/rows {
			return false
		}
		rows *= last[a] + 1
	}
	for i, x := range cells {
		if a := i % rank; x != int64(i/rank)/steps[a]%(last[a]+1) {
			return false
		}
	}
	return rows == n
}

// commit notes that the graph computes with a value: if it is undecided, the tensors behind it are weights.
func (b *builder) commit(v *val) {
	if v.c != nil && v.mark != nil {
		v.mark.visit(weightNote, func(leaf *mark) { b.found = append(b.found, leaf.key) })
	}
}

// shapeOperands gives the first operand from which on an operator's operands are shapes, axes and the like. They must be public,
// and what is computed does not carry their marks.
var shapeOperands = map[string]int{"Reshape": 1, "Expand": 1, "Squeeze": 1, "Unsqueeze": 1, "Slice": 1, "Split": 1, "Tile": 1,
	"Trilu": 1, "CumSum": 1, "ConstantOfShape": 0, "ReduceSum": 1, "ReduceMean": 1, "ReduceMax": 1, "ReduceMin": 1, "ReduceProd": 1,
	"ReduceAll": 1, "ReduceAny": 1, "ReduceSumSquare": 1, "ReduceL2": 1}

// cells returns the inputs whose cells the result is made of, and the inputs that give its shape.
func (c *call) cells() (data, shape []*val) {
	k, ok := shapeOperands[c.key()]
	if !ok {
		k = len(c.in)
	}
	k = min(k, len(c.in))
	return c.in[:k], c.in[k:]
}

// trace gives the results of an operator on input-free values the marks of its inputs.
func (c *call) trace(outs []*val, private bool) {
	switch c.key() {
	case "Shape", "Size", "Constant":
		return // shapes are public; a Constant has its own mark
	case "Cos", "Sin":
		if !private {
			return // rotary tables
		}
	}
	data, _ := c.cells()
	u := &mark{}
	for i, v := range data {
		if v == nil || v.mark == nil {
			continue
		}
		u.from, u.forced = append(u.from, v.mark), u.forced || v.mark.forced
		// What is computed together with weights is one. Rows that are picked from weights only index them.
		if index := i == 1 && len(c.n.Op) >= 6 && c.n.Op[:6] == "Gather"; private && !index {
			c.b.commit(v)
		}
	}
	switch {
	case len(u.from) == 0:
		return
	case len(u.from) == 1:
		u = u.from[0]
	}
	moved := c.moves(data)
	for _, o := range outs {
		if o != nil {
			o.mark, o.moved = u, moved
		}
	}
}

// moving are the operators whose results are cells of their first input, wherever they are put.
var moving = map[string]bool{"Identity": true, "Cast": true, "Transpose": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true,
	"Flatten": true, "Expand": true, "Slice": true, "Split": true, "Gather": true, "Tile": true}

// moves says whether the node's results are cells of one tensor of the file as it holds them, chosen by nothing private.
func (c *call) moves(data []*val) bool {
	if !moving[c.key()] || len(data) == 0 || data[0] == nil || !data[0].moved {
		return false
	}
	for _, v := range data[1:] {
		if v != nil && v.private {
			return false
		}
	}
	if c.key() == "Cast" {
		to, err := c.castTo()
		return err == nil && widens(data[0].dtype, to)
	}
	return true
}

// discrete says whether a private value is not a real number before or after the node, or one of fewer bits after it: only the
// interpreter computes those. The infinite cells of a mask are no real numbers either.
func (c *call) discrete() (bool, error) {
	if c.n.Op == "Cast" || c.n.Op == "CastLike" {
		x, err := c.arg(0)
		to, e := c.castTo()
		if err == nil && e == nil && !widens(x.dtype, to) {
			return true, nil
		}
	}
	for _, v := range c.in {
		if v == nil || !v.private {
			continue
		}
		if !v.dtype.IsFloat() {
			return true, nil
		}
		if v.w == nil {
			continue
		}
		if finite, err := c.b.allFinite(v.w); !finite || err != nil {
			return true, err
		}
	}
	return false, nil
}

// widens says whether a type holds all numbers of a floating-point type.
func widens(from, to onnx.DType) bool {
	return from.IsFloat() && (to == from || to == onnx.Float64 || to == onnx.Float32 && from != onnx.Float64)
}

// publicShape refuses operators whose result's shape would tell private cells.
func (c *call) publicShape() error {
	_, shape := c.cells()
	if c.n.Op == "NonZero" || c.n.Op == "Range" {
		shape = c.in
	}
	for _, v := range shape {
		if v != nil && v.private {
			return c.secret(v, "a shape or an axis")
		}
	}
	return nil
}

// secret refuses a private value where the circuit needs a public one.
func (c *call) secret(v *val, what string) error {
	source := v.name
	if v.mark != nil {
		source = v.mark.leaf()
	}
	return c.unsupported("input %q is private, since it is computed from the weight %q, but serves as %s, which is part of the circuit; if that tensor is no secret, make it public: --public %s",
		v.called(), source, what, source)
}

// hiddenIntegers refuses private integers and booleans: nothing says what they may be.
func (c *call) hiddenIntegers(v *val) error {
	source := v.name
	if v.mark != nil {
		source = v.mark.leaf()
	}
	return c.unsupported("computes with the %s %q, which are private; make them public: --public %s", map[bool]string{true: "booleans", false: "integers"}[v.dtype == onnx.Bool], v.called(), source)
}

// pattern is a private tensor of which a public mask is made, and the node that takes the mask. A parted tensor holds the mask itself.
type pattern struct {
	leaf   *mark
	node   *onnx.Node
	parted bool
}

// pattern notes that cells which become public as a mask of the node are computed from the tensors of a mark, or are its masks. Undecided
// ones that stay so are public by their use: positions, say, that also index an embedding.
func (c *call) pattern(m *mark, parted bool) {
	note := patternNote
	if parted {
		note = partedNote
	}
	m.visit(note, func(leaf *mark) {
		if leaf.private {
			c.b.masks = append(c.b.masks, pattern{leaf, c.n, parted})
		}
	})
}

// patterns refuses tensors that are weights of the graph and also what masks are made of, which are public. Tensors are compared by
// their keys: a Constant node of a function has a mark in every call. Of what is left of a parted tensor its own masks tell nothing.
func (b *builder) patterns() error {
	if len(b.masks) == 0 {
		return nil
	}
	live, weights, rests := make([]bool, len(b.g.Values)), map[any]bool{}, map[any]bool{}
	var stack []ir.ValueID
	for _, p := range b.g.Outputs {
		stack = append(stack, p.Value)
	}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if live[id] {
			continue
		}
		live[id] = true
		b.weightMark[id].visit(weightNote, func(leaf *mark) { weights[leaf.key] = true })
		b.restMark[id].visit(restNote, func(leaf *mark) { rests[leaf.key] = true })
		stack = append(stack, b.g.Value(id).Def.In...)
	}
	for _, p := range b.masks {
		if weights[p.leaf.key] || !p.parted && rests[p.leaf.key] {
			return ir.Refuse(p.node.Name, p.node.Op, "the mask is computed from %q, which is a private weight too, and masks are part of the circuit; if that tensor is no secret, make it public: --public %s",
				p.leaf.name, p.leaf.name)
		}
	}
	return nil
}
