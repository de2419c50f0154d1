package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// Attention and RotaryEmbedding (opset 23), spelled out as their texts in the standard say.

func init() {
	spelled["Attention"], spelled["RotaryEmbedding"] = attentionBody, rotaryBody
}

// attention is an Attention on its way to a function. Queries, keys and values are [batch, heads, rows, width].
type attention struct {
	*speller
	heads, shared int  // of queries, and of keys and values
	packed        bool // heads are parts of the rows of [batch, rows, width]
	queries, keys int  // rows; keys with those before
	before        int  // keys that came before
}

func attentionBody(c *call) (*onnx.Function, error) {
	a := &attention{speller: c.speller("q", "k", "v", "mask", "pastK", "pastV")}
	if err := a.shapes(c); err != nil {
		return nil, err
	}
	q, pastK, pastV := a.apart("q", a.heads), "", ""
	if c.has(4) {
		pastK, pastV = "pastK", "pastV"
	}
	k, v := a.joined(pastK, a.apart("k", a.shared)), a.joined(pastV, a.apart("v", a.shared))
	scores, err := a.scores(c, q, a.repeated(k))
	if err != nil {
		return nil, err
	}
	y := a.together(a.add("MatMul", scores[3], a.repeated(v)))
	mode := c.attrInt("qk_matmul_output_mode", 0)
	if mode < 0 || int(mode) >= len(scores) {
		return nil, fmt.Errorf("qk_matmul_output_mode is %d", mode)
	}
	return a.function(y, k, v, scores[mode])
}

// shapes reads heads and rows off the inputs.
func (a *attention) shapes(c *call) error {
	if len(c.in) < 3 || c.in[0] == nil || c.in[1] == nil || c.in[2] == nil {
		return fmt.Errorf("it takes queries, keys and values")
	}
	if c.has(6) {
		return c.unsupported("keys of which an input says how many count; export the model with a mask")
	}
	if c.has(4) != c.has(5) {
		return fmt.Errorf("it takes keys and values that came before, or neither")
	}
	if c.attrInt("left_window_size", -1) != -1 || c.attrInt("right_window_size", -1) != -1 {
		return c.unsupported("windows; export the model with a mask")
	}
	q, k := c.in[0].shape, c.in[1].shape
	switch {
	case len(q) == 4 && len(k) == 4 && len(c.in[2].shape) == 4:
		a.heads, a.shared = q[1], k[1]
	case len(q) == 3 && len(k) == 3 && len(c.in[2].shape) == 3:
		a.packed = true
		a.heads, a.shared = int(c.attrInt("q_num_heads", 0)), int(c.attrInt("kv_num_heads", 0))
	default:
		return fmt.Errorf("queries, keys and values of shapes %v, %v and %v", q, k, c.in[2].shape)
	}
	if a.heads <= 0 || a.shared <= 0 || a.heads%a.shared != 0 {
		return fmt.Errorf("%d heads of queries and %d of keys", a.heads, a.shared)
	}
	a.queries, a.keys = q[len(q)-2], k[len(k)-2]
	if c.has(4) {
		if len(c.in[4].shape) != 4 {
			return fmt.Errorf("keys of shape %v that came before", c.in[4].shape)
		}
		a.before = c.in[4].shape[2]
		a.keys += a.before
	}
	if c.has(3) {
		if m := c.in[3].shape; len(m) == 0 || m[len(m)-1] != a.keys {
			return c.unsupported("a mask of shape %v for %d keys; export the model with one for all keys", m, a.keys)
		}
	}
	return nil
}

// apart takes the heads of rows apart.
func (a *attention) apart(x string, heads int) string {
	if !a.packed {
		return x
	}
	parts := a.add("Reshape", x, a.ints(0, 0, int64(heads), -1))
	return a.with(a.add("Transpose", parts), intsOf("perm", 0, 2, 1, 3))
}

// together is the other way.
func (a *attention) together(x string) string {
	if !a.packed {
		return x
	}
	rows := a.with(a.add("Transpose", x), intsOf("perm", 0, 2, 1, 3))
	return a.add("Reshape", rows, a.ints(0, 0, -1))
}

// joined puts what came before before x.
func (a *attention) joined(past, x string) string {
	if past == "" {
		return x
	}
	return a.with(a.add("Concat", past, x), intOf("axis", 2))
}

// repeated gives every head of queries the keys or values that it shares with others.
func (a *attention) repeated(x string) string {
	if a.heads == a.shared {
		return x
	}
	apart := a.add("Unsqueeze", x, a.ints(2))
	more := a.add("Expand", apart, a.ints(1, 1, int64(a.heads/a.shared), 1, 1))
	return a.add("Reshape", more, a.ints(0, int64(a.heads), int64(a.keys), -1))
}

// scores are the products of queries and keys: scaled, capped, masked, and the weights that they become.
func (a *attention) scores(c *call, q, k string) (stages [4]string, err error) {
	shape := c.in[0].shape
	width := shape[len(shape)-1]
	if a.packed {
		width /= a.heads
	}
	stages[0] = a.products(q, k, c.attrFloat("scale", 1/math.Sqrt(float64(width))))
	if stages[1], err = a.capped(stages[0], c.attrFloat("softcap", 0)); err != nil {
		return stages, err
	}
	stages[2] = stages[1]
	causal := c.attrInt("is_causal", 0) != 0
	switch {
	case causal && c.has(3) && c.in[3].dtype == onnx.Bool: // one condition, so that rows which both together leave nothing of are known
		stages[2] = a.add("Where", a.add("And", "mask", a.seen()), stages[2], a.floats(math.Inf(-1)))
	case c.has(3):
		stages[2] = a.masked(c.in[3], stages[2])
		fallthrough
	default:
		if causal {
			stages[2] = a.add("Add", stages[2], a.causal())
		}
	}
	stages[3] = a.with(a.add("Softmax", stages[2]), intOf("axis", -1))
	if c.has(3) && c.in[3].dtype == onnx.Bool { // a row of which the mask leaves nothing is zero
		stages[3] = a.add("Where", a.add("IsNaN", stages[3]), a.floats(0), stages[3])
	}
	return stages, nil
}

// products are those of queries and keys, scaled.
func (a *attention) products(q, k string, scale float64) string {
	raw := a.add("MatMul", q, a.with(a.add("Transpose", k), intsOf("perm", 0, 1, 3, 2)))
	return a.add("Mul", raw, a.floats(scale))
}

// capped brings scores below a limit, if there is one.
func (a *attention) capped(x string, limit float64) (string, error) {
	switch {
	case limit < 0:
		return "", fmt.Errorf("softcap is %g", limit)
	case limit == 0:
		return x, nil
	}
	return a.add("Mul", a.add("Tanh", a.add("Mul", x, a.floats(1/limit))), a.floats(limit)), nil
}

// masked adds a mask of numbers, or chooses by one of booleans.
func (a *attention) masked(mask *val, scores string) string {
	if mask.dtype == onnx.Bool {
		return a.add("Where", "mask", scores, a.floats(math.Inf(-1)))
	}
	return a.add("Add", scores, "mask")
}

// causal is the constant that masks the keys behind a query; those that came before stand before all.
func (a *attention) causal() string { return a.window(0) }

// seen are the keys that causal does not mask.
func (a *attention) seen() string {
	cells := make([]int64, a.queries*a.keys)
	for i := range cells {
		if i%a.keys <= i/a.keys+a.before {
			cells[i] = 1
		}
	}
	return a.constant(&onnx.Tensor{DType: onnx.Bool, Shape: []int{a.queries, a.keys}, I: cells})
}

// window masks the keys behind a query and, of those before it, all but the last so many, itself among them; 0: none.
func (a *attention) window(last int) string {
	cells := make([]float64, a.queries*a.keys)
	for i := range cells {
		if at, key := i/a.keys+a.before, i%a.keys; key > at || last > 0 && key <= at-last {
			cells[i] = math.Inf(-1)
		}
	}
	return a.constant(&onnx.Tensor{DType: onnx.Float32, Shape: []int{a.queries, a.keys}, F: cells})
}

// rotaryBody turns pairs of a row's cells by the angles of its position.
func rotaryBody(c *call) (*onnx.Function, error) {
	s := c.speller("x", "cos", "sin", "positions")
	if len(c.in) < 3 || c.in[0] == nil || c.in[1] == nil || c.in[2] == nil {
		return nil, fmt.Errorf("it takes an input and two tables")
	}
	shape, x := c.in[0].shape, "x"
	var width int
	switch heads := int(c.attrInt("num_heads", 0)); { // heads stand behind the rows
	case len(shape) == 4:
		x, width = s.with(s.add("Transpose", x), intsOf("perm", 0, 2, 1, 3)), shape[3]
	case len(shape) == 3 && heads > 0 && shape[2]%heads == 0:
		x, width = s.add("Reshape", x, s.ints(0, 0, int64(heads), -1)), shape[2]/heads
	default:
		return nil, fmt.Errorf("an input of shape %v with %d heads", shape, heads)
	}
	turned := int(c.attrInt("rotary_embedding_dim", 0))
	if turned == 0 {
		turned = width
	}
	if turned < 0 || turned > width || turned%2 != 0 {
		return nil, fmt.Errorf("rotary_embedding_dim is %d of %d", turned, width)
	}
	for _, table := range c.in[1:3] {
		if n := len(table.shape); n == 0 || table.shape[n-1] != turned/2 {
			return nil, fmt.Errorf("a table of shape %v for %d cells", table.shape, turned)
		}
	}
	angles := func(table string) string {
		if c.has(3) {
			table = s.with(s.add("Gather", table, "positions"), intOf("axis", 0))
		}
		return s.add("Unsqueeze", table, s.ints(2))
	}
	x = s.turned(x, width, turned, angles, c.attrInt("interleaved", 0) != 0)
	if len(shape) == 4 {
		return s.function(s.with(s.add("Transpose", x), intsOf("perm", 0, 2, 1, 3)))
	}
	return s.function(s.add("Reshape", x, s.ints(0, 0, -1)))
}

// turned turns the first so many cells of the last axis of [batch, rows, heads, width] by the angles whose cosines and sines a function
// makes of the inputs cos and sin, [batch or 1, rows, 1, turned/2].
func (s *speller) turned(x string, width, turned int, angles func(table string) string, interleaved bool) string {
	rest := ""
	if turned < width {
		rest = s.slice(x, 3, turned, width, 1)
		x = s.slice(x, 3, 0, turned, 1)
	}
	x = s.turn(x, turned, angles, interleaved)
	if rest != "" {
		x = s.with(s.add("Concat", x, rest), intOf("axis", 3))
	}
	return x
}

// turn turns the pairs of the last axis of [batch, rows, heads, n]: cells next to each other if interleaved, else those half of n apart.
func (s *speller) turn(x string, n int, angles func(table string) string, interleaved bool) string {
	first, second := s.slice(x, 3, 0, n/2, 1), s.slice(x, 3, n/2, n, 1)
	if interleaved {
		first, second = s.slice(x, 3, 0, n, 2), s.slice(x, 3, 1, n, 2)
	}
	cos, sin := angles("cos"), angles("sin")
	re := s.add("Sub", s.add("Mul", cos, first), s.add("Mul", sin, second))
	im := s.add("Add", s.add("Mul", sin, first), s.add("Mul", cos, second))
	if !interleaved {
		return s.with(s.add("Concat", re, im), intOf("axis", 3))
	}
	pairs := s.with(s.add("Concat", s.add("Unsqueeze", re, s.ints(4)), s.add("Unsqueeze", im, s.ints(4))), intOf("axis", 4))
	return s.add("Reshape", pairs, s.ints(0, 0, 0, int64(n)))
}
