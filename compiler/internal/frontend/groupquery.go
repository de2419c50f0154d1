package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// groupAttention is a com.microsoft.GroupQueryAttention on its way to a function.
type groupAttention struct {
	*fused
	values int // width of a head of values
	past   int // keys of the buffer that came before, of which before count
}

// Inputs of GroupQueryAttention.
const (
	gqaPast     = 3 // keys, then values
	gqaLengths  = 5
	gqaTotal    = 6
	gqaCos      = 7
	gqaPosition = 9
	gqaBias     = 10
	gqaSink     = 11
	gqaScales   = 12 // of a quantised cache, of keys and of values
	gqaNorm     = 14 // of queries, then of keys
	gqaValid    = 16
)

// groupQuery is causal attention of which several heads of queries share one of keys and values, with rotations and a cache of its own.
func groupQuery(c *call) (*onnx.Function, error) {
	g, err := newGroupAttention(c)
	if err != nil {
		return nil, err
	}
	q, k, v := g.operands()
	if q, k, err = g.prepared(q, k); err != nil {
		return nil, err
	}
	q, k, v = g.across(q), g.across(k), g.across(v)
	if g.before > 0 {
		k, v = g.joined(g.slice("pastK", 2, 0, g.before, 1), k), g.joined(g.slice("pastV", 2, 0, g.before, 1), v)
	}
	mask := ""
	if window := int(c.attrInt("local_window_size", -1)); c.attrInt("causal", 1) != 0 && (g.queries > 1 || window > 0) {
		mask = g.window(max(window, 0))
	}
	y, err := g.attend(q, k, v, c.attrFloat("softcap", 0), g.sink(), c.named(gqaBias, "more"), mask)
	if err != nil {
		return nil, err
	}
	if g.past > g.before { // the buffer that comes out has room for more
		return g.function(y)
	}
	return g.function(y, k, v)
}

func newGroupAttention(c *call) (*groupAttention, error) {
	query, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	heads, shared, s := int(c.attrInt("num_heads", 0)), int(c.attrInt("kv_num_heads", 0)), query.shape
	switch {
	case len(s) != 3 || c.has(1) != c.has(2) || c.has(1) && (len(c.in[1].shape) != 3 || len(c.in[2].shape) != 3):
		return nil, fmt.Errorf("queries of shape %v", s)
	case c.has(gqaScales) || c.has(gqaScales+1) || c.attrInt("sliding_window_cache", 0) != 0 || c.has(gqaValid):
		return nil, c.unsupported("a cache that is quantised or slides, or rows that do not count; export the model without")
	case c.attrInt("causal", 1) == 0 && c.attrInt("local_window_size", -1) > 0:
		return nil, fmt.Errorf("a window without causality")
	}
	f, err := c.newFused(s[0], s[1], s[1], heads, shared, "q", "k", "v", "pastK", "pastV", "lengths", "total", "cos", "sin", "positions", "more", "sink", "", "", "normQ", "normK")
	if err != nil {
		return nil, err
	}
	g := &groupAttention{fused: f}
	if g.width = s[2] / heads; !c.has(1) {
		g.width = s[2] / (heads + 2*shared)
	}
	g.values = g.width
	if c.has(1) {
		g.keys, g.values = c.in[1].shape[1], c.in[2].shape[2]/shared
	}
	fits := c.has(1) && s[2] == heads*g.width && c.in[1].shape[2] == shared*g.width && c.in[2].shape[2] == shared*g.values && c.in[2].shape[1] == g.keys
	if !fits && (c.has(1) || s[2] != (heads+2*shared)*g.width) {
		return nil, fmt.Errorf("queries of shape %v for %d and %d heads", s, heads, shared)
	}
	return g, g.cache()
}

// cache settles how many keys came before. Where the rows are the first ones, none did, and how many of them count changes nothing of those:
// what a row gets depends on those up to it alone.
func (g *groupAttention) cache() error {
	c := g.c
	if c.has(gqaPast) != c.has(gqaPast+1) {
		return fmt.Errorf("it takes keys and values that came before, or neither")
	}
	if c.has(gqaPast) {
		if len(c.in[gqaPast].shape) != 4 {
			return fmt.Errorf("keys of shape %v that came before", c.in[gqaPast].shape)
		}
		g.past = c.in[gqaPast].shape[2]
	}
	total := 0
	if c.has(gqaTotal) && c.in[gqaTotal].c != nil && c.in[gqaTotal].c.Len() == 1 {
		total = int(c.in[gqaTotal].c.Cells()[0])
	}
	switch {
	case g.keys != g.queries:
		return c.unsupported("%d rows of queries and %d of keys", g.queries, g.keys)
	case c.attrInt("causal", 1) == 0 && (g.past > 0 || total != g.queries || !g.allCount(total)):
		return c.unsupported("attention that is not causal, with keys of which an input says how many count; fix the lengths: --fix NAME=FILE.pb")
	case (total == g.queries || g.past == 0 && total == 0) && g.allCount(g.queries):
		return nil
	case (total == g.queries || g.past == 0 && total == 0) && c.has(gqaLengths) && !c.in[gqaLengths].inputFree():
		c.noteRows()
		return nil
	case total > g.queries && total-g.queries <= g.past && g.allCount(total):
		g.after(total - g.queries)
		return nil
	}
	return c.unsupported("%d rows with a cache of %d, of which %d count; that must be a constant that fits: fix the lengths, --fix NAME=FILE.pb", g.queries, g.past, total)
}

// noteRows tells of the first node of which an input says how many rows count.
func (c *call) noteRows() {
	if c.b.rowsNoted {
		return
	}
	c.b.rowsNoted = true
	c.b.g.Notes = append(c.b.g.Notes, fmt.Sprintf("node %q (%s) has rows of which an input says how many count: those behind are computed as if they did, and the "+
		"operator does not say what they are; do not rely on them", c.n.Name, c.key()))
}

// allCount says that the lengths are those of so many rows in all.
func (g *groupAttention) allCount(total int) bool {
	if !g.c.has(gqaLengths) || g.c.in[gqaLengths].c == nil {
		return false
	}
	for _, n := range g.c.in[gqaLengths].c.Cells() {
		if n != int64(total-1) {
			return false
		}
	}
	return true
}

// operands are queries, keys and values, [batch, rows, heads, width], packed in one input perhaps.
func (g *groupAttention) operands() (q, k, v string) {
	q, k, v = "q", "k", "v"
	if !g.c.has(1) {
		from, to := g.heads*g.width, (g.heads+g.shared)*g.width
		q, k, v = g.slice("q", 2, 0, from, 1), g.slice("q", 2, from, to, 1), g.slice("q", 2, to, to+g.shared*g.width, 1)
	}
	apart := func(x string, heads int) string { return g.add("Reshape", x, g.ints(0, 0, int64(heads), -1)) }
	return apart(q, g.heads), apart(k, g.shared), apart(v, g.shared)
}

// across makes [batch, heads, rows, width] of [batch, rows, heads, width].
func (g *groupAttention) across(x string) string {
	return g.with(g.add("Transpose", x), intsOf("perm", 0, 2, 1, 3))
}

// prepared normalises and turns queries and keys, where the node says so.
func (g *groupAttention) prepared(q, k string) (string, string, error) {
	c := g.c
	if c.has(gqaNorm) != c.has(gqaNorm+1) {
		return "", "", fmt.Errorf("it takes factors of queries and keys, or neither")
	}
	if c.has(gqaNorm) {
		eps := c.attrFloat("qk_norm_epsilon", 1e-6)
		norm := func(x, factor, own string) string {
			y := g.add("RMSNormalization", x, factor)
			return g.with(y, &onnx.Attr{Name: "epsilon", Type: onnx.AttrFloat, F: c.attrFloat(own, eps)}, intOf("axis", -1))
		}
		q, k = norm(q, "normQ", "q_norm_epsilon"), norm(k, "normK", "k_norm_epsilon")
	}
	if c.attrInt("do_rotary", 0) == 0 {
		return q, k, nil
	}
	if !c.has(gqaCos) || !c.has(gqaCos+1) || len(c.in[gqaCos].shape) != 2 || 2*c.in[gqaCos].shape[1] > g.width {
		return "", "", fmt.Errorf("it turns %d cells by tables that it has not", g.width)
	}
	turned := 2 * c.in[gqaCos].shape[1]
	at := func(table string) string { // the rows from the first on
		rows := g.slice(table, 0, g.before, g.before+g.queries, 1)
		return g.add("Unsqueeze", rows, g.ints(0, 2))
	}
	if c.has(gqaPosition) {
		name := "positions"
		if g.before == 0 { // of the first rows the kernel takes the first position alone
			if !c.in[gqaPosition].inputFree() {
				return "", "", c.unsupported("positions that depend on an input, of which it takes the first alone; export the model without position_ids")
			}
			name = g.add("Add", g.slice(g.slice(name, 1, 0, 1, 1), 0, 0, 1, 1), g.constant(numbered([]int{1, g.queries}, 0)))
		}
		at = func(table string) string {
			return g.add("Unsqueeze", g.with(g.add("Gather", table, name), intOf("axis", 0)), g.ints(2))
		}
	}
	interleaved := c.attrInt("rotary_interleaved", 0) != 0
	return g.turned(q, g.width, turned, at, interleaved), g.turned(k, g.width, turned, at, interleaved), nil
}

// sink is a score of every row for nothing, if the node has one: that of its head, or 0.
func (g *groupAttention) sink() string {
	shape := g.shape([]int{g.batch, g.heads, g.queries, 1})
	switch {
	case g.c.has(gqaSink):
		return g.add("Expand", g.add("Reshape", "sink", g.ints(1, int64(g.heads), 1, 1)), shape)
	case g.c.attrInt("smooth_softmax", 0) != 0:
		return g.add("Expand", g.floats(0), shape)
	}
	return ""
}
