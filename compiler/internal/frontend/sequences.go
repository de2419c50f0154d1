package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Sequences are lists of tensors that the compiler knows: what is done with them is done while the model is lowered.

// sequences are the operators that make or take one.
var sequences = map[string]handler{}

func init() {
	register(sequences, map[string]handler{
		"SplitToSequence": splitToSequence, "SequenceConstruct": sequenceConstruct, "SequenceEmpty": sequenceConstruct, "SequenceAt": sequenceAt,
		"SequenceLength": sequenceLength, "SequenceInsert": sequenceInsert, "SequenceErase": sequenceErase, "ConcatFromSequence": concatFromSequence,
	})
}

// onSequences is the handler of a node that makes a sequence or takes one, nil if it does neither. Of all other operators Identity takes one.
func (c *call) onSequences() handler {
	if h := sequences[c.key()]; h != nil || graphs[c.key()] != nil {
		return h
	}
	for _, v := range c.in {
		switch {
		case v == nil || v.list == nil:
		case c.key() == "Identity":
			return passThrough
		default:
			return func(c *call) ([]*val, error) { return nil, c.unsupported("input %q is a sequence", v.name) }
		}
	}
	return nil
}

// sequence wraps tensors.
func sequence(list []*val) []*val { return []*val{{id: none, dtype: -1, list: &list}} }

// list is input 0, a sequence.
func (c *call) list() ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if x.list == nil {
		return nil, fmt.Errorf("input %q is no sequence", x.name)
	}
	return *x.list, nil
}

func sequenceConstruct(c *call) ([]*val, error) {
	if err := c.args(len(c.in)); err != nil {
		return nil, err
	}
	return sequence(slices.Clone(c.in)), nil
}

// place is the index that input i names among n, def if it is absent.
func (c *call) place(i, n, def int) (int, error) {
	at, err := c.constInts(i, "a place in a sequence", []int64{int64(def)})
	if err != nil {
		return 0, err
	}
	if len(at) != 1 {
		return 0, fmt.Errorf("places %v", at)
	}
	return axis(at[0], n)
}

func sequenceAt(c *call) ([]*val, error) {
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	at, err := c.place(1, len(list), 0)
	if err != nil {
		return nil, err
	}
	y := *list[at]
	return []*val{&y}, nil
}

func sequenceLength(c *call) ([]*val, error) {
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	return []*val{constant("", ints([]int{}, int64(len(list))))}, nil
}

func sequenceInsert(c *call) ([]*val, error) {
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	x, err := c.arg(1)
	if err != nil {
		return nil, err
	}
	at, err := c.place(2, len(list)+1, len(list))
	if err != nil {
		return nil, err
	}
	return sequence(slices.Insert(slices.Clone(list), at, x)), nil
}

func sequenceErase(c *call) ([]*val, error) {
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	at, err := c.place(1, len(list), len(list)-1)
	if err != nil {
		return nil, err
	}
	return sequence(slices.Delete(slices.Clone(list), at, at+1)), nil
}

// splitToSequence cuts an axis into parts: of the given extents, of one, the last perhaps shorter, or of one index each, whose axis
// keepdims may take away.
func splitToSequence(c *call) ([]*val, error) {
	x, a, err := c.alongAxis(0)
	if err != nil {
		return nil, err
	}
	sizes, err := c.constInts(1, "split", []int64{1})
	if err != nil {
		return nil, err
	}
	n := int64(x.shape[a])
	if !c.has(1) || len(c.in[1].shape) == 0 {
		if len(sizes) != 1 || sizes[0] < 1 || n/sizes[0] > maxTokens {
			return nil, fmt.Errorf("parts of %v indices of %d", sizes, n)
		}
		each := sizes[0]
		for sizes = nil; n > 0; n -= each {
			sizes = append(sizes, min(each, n))
		}
	}
	s := c.speller("x")
	var outs []string
	at := 0
	for _, d := range sizes {
		if d < 0 || d > int64(x.shape[a]-at) {
			return nil, fmt.Errorf("parts %v of an axis of %d", sizes, x.shape[a])
		}
		y := s.slice("x", a, at, at+int(d), 1)
		if !c.has(1) && c.attrInt("keepdims", 1) == 0 {
			y = s.add("Squeeze", y, s.ints(int64(a)))
		}
		outs, at = append(outs, y), at+int(d)
	}
	if at != x.shape[a] {
		return nil, fmt.Errorf("parts %v of an axis of %d", sizes, x.shape[a])
	}
	list, err := c.spellOut(s, outs...)
	if err != nil {
		return nil, err
	}
	return sequence(list), nil
}

// spellOut lowers the call as a function.
func (c *call) spellOut(s *speller, outs ...string) ([]*val, error) {
	f, err := s.function(outs...)
	if err != nil {
		return nil, err
	}
	return c.inline(f)
}

// concatFromSequence joins a sequence along an axis, a new one perhaps.
func concatFromSequence(c *call) ([]*val, error) {
	list, err := c.list()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("a sequence of nothing")
	}
	names := make([]string, len(list))
	for i := range names {
		names[i] = fmt.Sprintf("part%d", i)
	}
	fresh := c.attrInt("new_axis", 0) != 0
	rank := len(list[0].shape)
	if fresh {
		rank++
	}
	a, err := axis(c.attrInt("axis", 0), rank)
	if err != nil {
		return nil, err
	}
	s := c.speller(names...)
	parts := slices.Clone(names)
	for i := range parts {
		if fresh {
			parts[i] = s.add("Unsqueeze", parts[i], s.ints(int64(a)))
		}
	}
	of := *c
	of.in = list
	return of.spellOut(s, s.with(s.add("Concat", parts...), intOf("axis", int64(a))))
}

// Operators that move cells by what their attributes say.

func init() {
	spelled["DepthToSpace"], spelled["SpaceToDepth"], spelled["ReverseSequence"] = depthToSpace, spaceToDepth, reverseSequence
}

// squares reads the block size of an operator on [batch, channels, height, width].
func (c *call) squares() (shape []int, block int, err error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, 0, err
	}
	block = int(min(c.attrInt("blocksize", 0), maxWindow))
	if len(x.shape) != 4 || block < 1 {
		return nil, 0, fmt.Errorf("blocks of %d of shape %v", block, x.shape)
	}
	return x.shape, block, nil
}

func depthToSpace(c *call) (*onnx.Function, error) {
	x, b, err := c.squares()
	if err != nil {
		return nil, err
	}
	if x[1]%(b*b) != 0 {
		return nil, fmt.Errorf("blocks of %d of shape %v", b, x)
	}
	s := c.speller("x")
	parts, perm := []int{x[0], b, b, x[1] / (b * b), x[2], x[3]}, []int64{0, 3, 4, 1, 5, 2}
	switch mode := c.attrString("mode", "DCR"); mode {
	case "DCR":
	case "CRD":
		parts, perm = []int{x[0], x[1] / (b * b), b, b, x[2], x[3]}, []int64{0, 1, 4, 2, 5, 3}
	default:
		return nil, fmt.Errorf("unknown mode %q", mode)
	}
	y := s.with(s.add("Transpose", s.add("Reshape", "x", s.shape(parts))), intsOf("perm", perm...))
	return s.function(s.add("Reshape", y, s.shape([]int{x[0], x[1] / (b * b), x[2] * b, x[3] * b})))
}

func spaceToDepth(c *call) (*onnx.Function, error) {
	x, b, err := c.squares()
	if err != nil {
		return nil, err
	}
	if x[2]%b != 0 || x[3]%b != 0 {
		return nil, fmt.Errorf("blocks of %d of shape %v", b, x)
	}
	perm := []int64{0, 3, 5, 1, 2, 4}
	switch mode := c.attrString("mode", "DCR"); mode {
	case "DCR":
	case "CRD":
		perm = []int64{0, 1, 3, 5, 2, 4}
	default:
		return nil, fmt.Errorf("unknown mode %q", mode)
	}
	s := c.speller("x")
	y := s.add("Reshape", "x", s.shape([]int{x[0], x[1], x[2] / b, b, x[3] / b, b}))
	y = s.with(s.add("Transpose", y), intsOf("perm", perm...))
	return s.function(s.add("Reshape", y, s.shape([]int{x[0], x[1] * b * b, x[2] / b, x[3] / b})))
}

// reverseSequence turns the first so many indices of the time axis around, for every index of the batch axis.
func reverseSequence(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x := c.in[0].shape
	lengths, err := c.constInts(1, "sequence_lens", nil)
	if err != nil {
		return nil, err
	}
	batch, time := int(c.attrInt("batch_axis", 1)), int(c.attrInt("time_axis", 0))
	if len(x) < 2 || batch+time != 1 || batch*time != 0 || len(lengths) != x[batch] {
		return nil, fmt.Errorf("%d lengths for axes %d and %d of shape %v", len(lengths), batch, time, x)
	}
	if err := c.charge(1, x[:2]...); err != nil {
		return nil, err
	}
	rows := make([]int64, x[0]*x[1])
	for i := range rows {
		at := [2]int{i / x[1], i % x[1]}
		if n := int(lengths[at[batch]]); n < 0 || n > x[time] {
			return nil, fmt.Errorf("a length of %d of %d", n, x[time])
		} else if at[time] < n {
			at[time] = n - 1 - at[time]
		}
		rows[i] = int64(at[0]*x[1] + at[1])
	}
	s := c.speller("x", "lengths")
	flat := s.add("Reshape", "x", s.shape([]int{x[0] * x[1], ir.Size(x[2:])}))
	return s.function(s.add("Reshape", s.with(s.add("Gather", flat, s.ints(rows...)), intOf("axis", 0)), s.shape(x)))
}
