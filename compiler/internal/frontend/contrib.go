package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// onnxruntime's operators of attention (domain com.microsoft), spelled out as its kernels for the processor compute them.

func init() {
	for op, f := range map[string]spelling{
		"Attention": mergedAttention, "MultiHeadAttention": multiHead, "GroupQueryAttention": groupQuery, "RotaryEmbedding": contribRotary,
	} {
		spelled["com.microsoft."+op] = f
	}
}

// fused is one of them on its way to a function.
type fused struct {
	*attention
	c     *call
	batch int
	width int // of a head of queries and keys
}

// newFused begins one: queries, keys and values of a batch of rows, keys and values with those that came before.
func (c *call) newFused(batch, queries, keys, heads, shared int, inputs ...string) (*fused, error) {
	f := &fused{attention: &attention{speller: c.speller(inputs...), heads: heads, shared: shared, queries: queries, keys: keys}, c: c, batch: batch}
	if heads <= 0 || shared <= 0 || heads%shared != 0 {
		return nil, fmt.Errorf("%d heads of queries and %d of keys", heads, shared)
	}
	return f, nil
}

// after says how many keys came before.
func (f *fused) after(before int) {
	f.before = before
	f.keys += before
}

// heads3 makes [batch, heads, rows, width] of [batch, rows, heads·width].
func (f *fused) heads3(x string, heads int) string {
	return f.with(f.add("Transpose", f.add("Reshape", x, f.ints(0, 0, int64(heads), -1))), intsOf("perm", 0, 2, 1, 3))
}

// rows3 is the other way.
func (f *fused) rows3(x string) string {
	return f.add("Reshape", f.with(f.add("Transpose", x), intsOf("perm", 0, 2, 1, 3)), f.ints(0, 0, -1))
}

// attend returns the rows of values that scores of queries and keys weigh. Masks are added to scores, each the name of a tensor; sink is one
// more score of every row, for nothing, [batch, heads, rows, 1], or none.
func (f *fused) attend(q, k, v string, cap float64, sink string, masks ...string) (string, error) {
	scores := f.products(q, f.repeated(k), f.c.scale(f.width))
	scores, err := f.capped(scores, cap)
	if err != nil {
		return "", err
	}
	for _, m := range masks {
		if m != "" {
			scores = f.add("Add", scores, m)
		}
	}
	if sink != "" {
		scores = f.with(f.add("Concat", scores, sink), intOf("axis", 3))
	}
	weights := f.with(f.add("Softmax", scores), intOf("axis", -1))
	if sink != "" {
		weights = f.slice(weights, 3, 0, f.keys, 1)
	}
	return f.rows3(f.add("MatMul", weights, f.repeated(v))), nil
}

// scale is the node's, or that of a head's width; 0 stands for the latter.
func (c *call) scale(width int) float64 {
	if s := c.attrFloat("scale", 0); s != 0 {
		return s
	}
	return 1 / math.Sqrt(float64(width))
}

// hides is a mask of keys, input i called name, as what is added to scores: of [batch, keys] or [batch, queries, keys] integers, where 0
// masks, or of how many keys count, [batch], and behind these from which on, [2·batch].
func (f *fused) hides(i int, name string) (string, error) {
	c := f.c
	if !c.has(i) {
		return "", nil
	}
	v := c.in[i]
	var kept string
	switch s := v.shape; {
	case len(s) == 2 && s[0] == f.batch && s[1] == f.keys:
		kept = f.add("Unsqueeze", f.nonzero(v, name), f.ints(1, 2))
	case len(s) == 3 && s[0] == f.batch && s[1] == f.queries && s[2] == f.keys:
		kept = f.add("Unsqueeze", f.nonzero(v, name), f.ints(1))
	case len(s) == 1 && (s[0] == f.batch || s[0] == 2*f.batch):
		if v.dtype != onnx.Int32 {
			return "", fmt.Errorf("a mask of type %s", v.dtype)
		}
		at := f.constant(numbered([]int{1, f.keys}, 0))
		before := func(from int) string {
			ends := f.add("Unsqueeze", f.with(f.add("Cast", f.slice(name, 0, from, from+f.batch, 1)), intOf("to", int64(onnx.Int64))), f.ints(1))
			return f.add("Less", at, ends)
		}
		if kept = before(0); s[0] == 2*f.batch {
			kept = f.add("And", kept, f.add("Not", before(f.batch)))
		}
		kept = f.add("Unsqueeze", kept, f.ints(1, 2))
	default:
		return "", c.unsupported("a mask of shape %v for %d rows of queries and %d of keys; export the model with one for all keys", s, f.queries, f.keys)
	}
	return f.add("Where", kept, f.floats(0), f.floats(c.attrFloat("mask_filter_value", -10000))), nil
}

// nonzero is a mask of integers as booleans. Those of an input are 0 and 1.
func (f *fused) nonzero(v *val, name string) string {
	if v.inputFree() {
		return f.add("Greater", name, f.constant(&onnx.Tensor{DType: v.dtype, I: []int64{0}}))
	}
	return f.with(f.add("Cast", name), intOf("to", int64(onnx.Bool)))
}

// causalIf is the mask of later keys, if the node says so.
func (f *fused) causalIf(attr string) string {
	if f.c.attrInt(attr, 0) == 0 || f.queries == 1 {
		return ""
	}
	return f.causal()
}

// named is the name of input i, if it is there.
func (c *call) named(i int, name string) string {
	if c.has(i) {
		return name
	}
	return ""
}

// mergedAttention is com.microsoft.Attention, whose queries, keys and values are products of one input.
func mergedAttention(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, w := c.in[0].shape, c.in[1].shape
	if len(x) != 3 || len(w) != 2 {
		return nil, fmt.Errorf("an input of shape %v and weights of shape %v", x, w)
	}
	if c.attrInt("do_rotary", 0) != 0 || c.attrInt("past_present_share_buffer", 0) != 0 || c.has(6) {
		return nil, c.unsupported("do_rotary, or keys and values in a buffer; export the model without these fusions")
	}
	heads := int(c.attrInt("num_heads", 0))
	f, err := c.newFused(x[0], x[1], x[1], heads, heads, "x", "weights", "bias", "mask", "past", "more")
	if err != nil {
		return nil, err
	}
	parts := []int64{int64(w[1] / 3), int64(w[1] / 3), int64(w[1] / 3)}
	if a := c.attr("qkv_hidden_sizes"); a != nil {
		parts = a.Ints
	}
	if len(parts) != 3 || parts[0] != parts[1] || parts[0]+parts[1]+parts[2] != int64(w[1]) || parts[0]%int64(heads) != 0 || parts[2]%int64(heads) != 0 {
		return nil, fmt.Errorf("parts %v of %d cells for %d heads", parts, w[1], heads)
	}
	f.width = int(parts[0]) / heads
	all := f.add("MatMul", "x", "weights")
	if c.has(2) {
		all = f.add("Add", all, "bias")
	}
	q, k := int(parts[0]), int(parts[0]+parts[1])
	query := f.heads3(f.slice(all, 2, 0, q, 1), heads)
	key, value := f.heads3(f.slice(all, 2, q, k, 1), heads), f.heads3(f.slice(all, 2, k, w[1], 1), heads)
	if c.has(4) {
		if len(c.in[4].shape) != 5 {
			return nil, fmt.Errorf("keys and values of shape %v that came before", c.in[4].shape)
		}
		f.after(c.in[4].shape[3])
		past := func(i int) string { return f.add("Squeeze", f.slice("past", 0, i, i+1, 1), f.ints(0)) }
		key, value = f.joined(past(0), key), f.joined(past(1), value)
	}
	mask, err := f.hides(3, "mask")
	if err != nil {
		return nil, err
	}
	y, err := f.attend(query, key, value, 0, "", c.named(5, "more"), mask, f.causalIf("unidirectional"))
	if err != nil {
		return nil, err
	}
	if len(c.n.Outputs) < 2 || c.n.Outputs[1] == "" || parts[0] != parts[2] {
		return f.function(y)
	}
	return f.function(y, f.with(f.add("Concat", f.add("Unsqueeze", key, f.ints(0)), f.add("Unsqueeze", value, f.ints(0))), intOf("axis", 0)))
}

// multiHead is com.microsoft.MultiHeadAttention.
func multiHead(c *call) (*onnx.Function, error) {
	q, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if c.has(8) || c.has(9) {
		return nil, c.unsupported("keys and values in a buffer; export the model without this fusion")
	}
	heads := int(c.attrInt("num_heads", 0))
	if heads <= 0 || len(q.shape) < 3 {
		return nil, fmt.Errorf("%d heads of an input of shape %v", heads, q.shape)
	}
	f, err := c.newFused(q.shape[0], q.shape[1], q.shape[1], heads, heads, "q", "k", "v", "bias", "mask", "more", "pastK", "pastV")
	if err != nil {
		return nil, err
	}
	query, key, value, err := f.separate()
	if err != nil {
		return nil, err
	}
	if c.has(6) != c.has(7) {
		return nil, fmt.Errorf("it takes keys and values that came before, or neither")
	}
	if c.has(6) {
		if len(c.in[6].shape) != 4 {
			return nil, fmt.Errorf("keys of shape %v that came before", c.in[6].shape)
		}
		f.after(c.in[6].shape[2])
		key, value = f.joined("pastK", key), f.joined("pastV", value)
	}
	mask, err := f.hides(4, "mask")
	if err != nil {
		return nil, err
	}
	y, err := f.attend(query, key, value, 0, "", c.named(5, "more"), mask, f.causalIf("unidirectional"))
	if err != nil {
		return nil, err
	}
	return f.function(y, key, value)
}

// separate takes queries, keys and values of a MultiHeadAttention out of what they are packed in, and adds the bias to them.
func (f *fused) separate() (q, k, v string, err error) {
	c := f.c
	shape := c.in[0].shape
	part := func(x string, i int) string { // of [batch, rows, heads, parts, width]
		return f.with(f.add("Transpose", f.add("Squeeze", f.slice(x, 3, i, i+1, 1), f.ints(3))), intsOf("perm", 0, 2, 1, 3))
	}
	biased := func(x string, heads, from, to int) string { // of [batch, rows, heads·width]
		if c.has(3) {
			x = f.add("Add", x, f.slice("bias", 0, from, to, 1))
		}
		return f.heads3(x, heads)
	}
	key := &val{}
	if c.has(1) {
		key = c.in[1]
	}
	switch {
	case len(shape) == 5 && shape[2] == f.heads && shape[3] == 3 && !c.has(1) && !c.has(2) && !c.has(3):
		f.width = shape[4]
		return part("q", 0), part("q", 1), part("q", 2), nil
	case len(shape) != 3 || shape[2]%f.heads != 0 || !c.has(1):
		return "", "", "", c.unsupported("queries of shape %v without keys, or with a bias", shape)
	case len(key.shape) == 5 && key.shape[2] == f.heads && key.shape[3] == 2 && !c.has(2) && !c.has(3):
		f.width, f.keys = shape[2]/f.heads, key.shape[1]
		return f.heads3("q", f.heads), part("k", 0), part("k", 1), nil
	case len(key.shape) == 4 && c.has(2) && len(c.in[2].shape) == 4: // keys and values are prepared, and have their bias
		f.width, f.keys = shape[2]/f.heads, key.shape[2]
		return biased("q", f.heads, 0, shape[2]), "k", "v", nil
	case len(key.shape) == 3 && c.has(2) && len(c.in[2].shape) == 3 && key.shape[2] == shape[2] && c.in[2].shape[2]%f.heads == 0:
		f.width, f.keys = shape[2]/f.heads, key.shape[1]
		d, end := shape[2], 2*shape[2]+c.in[2].shape[2]
		return biased("q", f.heads, 0, d), biased("k", f.heads, d, 2*d), biased("v", f.heads, 2*d, end), nil
	}
	return "", "", "", c.unsupported("keys of shape %v for queries of shape %v", key.shape, shape)
}

// contribRotary is com.microsoft.RotaryEmbedding, which is the standard's with operands in another order and positions always.
func contribRotary(c *call) (*onnx.Function, error) {
	if err := c.args(4); err != nil {
		return nil, err
	}
	if c.attrInt("is_packed_batching", 0) != 0 || c.attrFloat("scale", 1) != 1 {
		return nil, c.unsupported("rows that are packed, or a scale; export the model without")
	}
	s := c.speller("x", "positions", "cos", "sin")
	shape, cos := c.in[0].shape, c.in[2].shape
	if len(cos) != 2 || len(c.in[3].shape) != 2 || cos[1] != c.in[3].shape[1] {
		return nil, fmt.Errorf("tables of shapes %v and %v", cos, c.in[3].shape)
	}
	heads, turned, x := int(c.attrInt("num_heads", 0)), int(c.attrInt("rotary_embedding_dim", 0)), "x"
	var rows, width int
	switch {
	case len(shape) == 4:
		x = s.with(s.add("Transpose", x), intsOf("perm", 0, 2, 1, 3))
		rows, width = shape[2], shape[3]
	case len(shape) == 3 && heads == 0 && turned == 0 && shape[2]%(2*cos[1]) == 0:
		heads = shape[2] / (2 * cos[1])
		fallthrough
	case len(shape) == 3 && heads > 0 && shape[2]%heads == 0:
		x = s.add("Reshape", x, s.ints(0, 0, int64(heads), -1))
		rows, width = shape[1], shape[2]/heads
	default:
		return nil, fmt.Errorf("an input of shape %v with %d heads", shape, heads)
	}
	if turned == 0 {
		turned = width
	}
	if turned != 2*cos[1] || turned > width {
		return nil, fmt.Errorf("a table of shape %v for %d of %d cells", cos, turned, width)
	}
	at, err := s.rowsAt(c, c.in[1], "positions", rows)
	if err != nil {
		return nil, err
	}
	x = s.turned(x, width, turned, at, c.attrInt("interleaved", 0) != 0)
	if len(shape) == 4 {
		return s.function(s.with(s.add("Transpose", x), intsOf("perm", 0, 2, 1, 3)))
	}
	return s.function(s.add("Reshape", x, s.ints(0, 0, -1)))
}

// rowsAt takes the rows of a table at positions, one for each row, or the first of them alone, of shape [1].
func (s *speller) rowsAt(c *call, v *val, name string, rows int) (func(table string) string, error) {
	switch {
	case len(v.shape) == 2 && v.shape[1] == rows:
	case len(v.shape) == 1 && v.shape[0] == 1 && (rows == 1 || v.inputFree()):
		if rows > 1 {
			name = s.add("Add", s.constant(numbered([]int{1, rows}, 0)), name)
		} else {
			name = s.add("Unsqueeze", name, s.ints(0))
		}
	default:
		return nil, c.unsupported("positions of shape %v for %d rows; they must be constants, or one for each row", v.shape, rows)
	}
	return func(table string) string {
		return s.add("Unsqueeze", s.with(s.add("Gather", table, name), intOf("axis", 0)), s.ints(2))
	}, nil
}
