package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Operators that are other operators' work, spelled out.

func init() {
	for op, f := range map[string]spelling{
		"com.microsoft.FusedMatMul": fusedMatMul, "com.microsoft.TransposeMatMul": fusedMatMul, "GroupNormalization": groupNorm, "InstanceNormalization": groupNorm, "Elu": elu, "Celu": elu, "Selu": elu,
		"Mish": mish, "LogSoftmax": logSoftmax, "ReduceL1": reduceL1, "ReduceLogSumExp": reducePairwise,
	} {
		spelled[op] = f
	}
	handlers["Abs"] = abs.handle // constants are folded as a whole
	for _, op := range []string{"ReduceMax", "ReduceMin", "ReduceProd"} {
		handlers[op] = spelling(reducePairwise).handle
	}
}

// abs is max(x, −x).
var abs spelling = func(c *call) (*onnx.Function, error) {
	s := c.speller("x")
	return s.function(s.add("Max", "x", s.add("Neg", "x")))
}

// elu is γ·(max(x, 0) + α·(exp(−max(−x, 0)/β) − 1)) with what the exponential linear units of the standard have for α, β and γ.
func elu(c *call) (*onnx.Function, error) {
	alpha, beta, gamma := c.attrFloat("alpha", 1), 1.0, 1.0
	switch c.n.Op {
	case "Celu":
		beta = alpha
	case "Selu":
		alpha, gamma = c.attrFloat("alpha", 1.67326319217681884765625), c.attrFloat("gamma", 1.05070102214813232421875)
	}
	if beta <= 0 {
		return nil, fmt.Errorf("alpha is %g", alpha)
	}
	s := c.speller("x")
	below := s.add("Exp", s.add("Mul", s.add("Relu", s.add("Neg", "x")), s.floats(-1/beta)))
	y := s.add("Add", s.add("Relu", "x"), s.add("Mul", s.add("Sub", below, s.floats(1)), s.floats(alpha)))
	return s.function(s.add("Mul", y, s.floats(gamma)))
}

// mish is x·tanh(softplus(x)).
func mish(c *call) (*onnx.Function, error) {
	s := c.speller("x")
	return s.function(s.add("Mul", "x", s.add("Tanh", s.add("Softplus", "x"))))
}

// fusedMatMul is alpha·A·B with either transposed.
func fusedMatMul(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	s := c.speller("a", "b")
	operand := func(i int, x, side string) string {
		rank := len(c.in[i].shape)
		batches, matrix := c.attrInt("transBatch"+side, 0) != 0 && rank > 2, c.attrInt("trans"+side, 0) != 0 && rank > 1
		if !batches && !matrix {
			return x
		}
		perm := make([]int64, rank)
		for k := range perm {
			perm[k] = int64(k)
		}
		if batches { // the rows of matrices stand before all other axes
			perm = append(perm[1:rank-1:rank-1], 0, int64(rank-1))
		}
		if matrix {
			perm[rank-1], perm[rank-2] = perm[rank-2], perm[rank-1]
		}
		return s.with(s.add("Transpose", x), intsOf("perm", perm...))
	}
	y := s.add("MatMul", operand(0, "a", "A"), operand(1, "b", "B"))
	if alpha := c.attrFloat("alpha", 1); alpha != 1 {
		y = s.add("Mul", y, s.floats(alpha))
	}
	return s.function(y)
}

// groupNorm normalises every group of channels, of one channel each where the operator is InstanceNormalization. A factor and a bias are
// those of a channel, below opset 21 those of a group.
func groupNorm(c *call) (*onnx.Function, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	x := c.in[0].shape
	if len(x) < 3 {
		return nil, fmt.Errorf("an input of shape %v", x)
	}
	groups, each := x[1], x[1]
	if c.n.Op == "GroupNormalization" {
		if groups = int(c.attrInt("num_groups", 0)); c.opset < 21 {
			each = groups
		}
	}
	if groups <= 0 || x[1]%groups != 0 || len(c.in[1].shape) != 1 || c.in[1].shape[0] != each {
		return nil, fmt.Errorf("%d groups of %d channels, and factors of shape %v", groups, x[1], c.in[1].shape)
	}
	width := 1
	for _, d := range x[1:] {
		width *= d
	}
	width /= groups
	s := c.speller("x", "scale", "bias")
	parts := s.add("Reshape", "x", s.ints(int64(x[0]), int64(groups), int64(width)))
	off := s.add("Sub", parts, s.add("ReduceMean", parts, s.ints(-1)))
	variance := s.add("ReduceMean", s.add("Mul", off, off), s.ints(-1))
	normal := s.add("Div", off, s.add("Sqrt", s.add("Add", variance, s.floats(c.attrFloat("epsilon", 1e-5)))))
	whole := s.shape(x)
	if each == groups && groups != x[1] { // factors of groups
		y := s.add("Add", s.add("Mul", normal, s.add("Unsqueeze", "scale", s.ints(1))), s.add("Unsqueeze", "bias", s.ints(1)))
		return s.function(s.add("Reshape", y, whole))
	}
	axes := s.behindChannels(len(x))
	y := s.add("Mul", s.add("Reshape", normal, whole), s.add("Unsqueeze", "scale", axes))
	return s.function(s.add("Add", y, s.add("Unsqueeze", "bias", axes)))
}

// pairwise are the reductions that join an axis pair by pair, and how.
var pairwise = map[string]func(s *speller, x, y string) string{
	"ReduceMax":       func(s *speller, x, y string) string { return s.add("Max", x, y) },
	"ReduceMin":       func(s *speller, x, y string) string { return s.add("Min", x, y) },
	"ReduceProd":      func(s *speller, x, y string) string { return s.add("Mul", x, y) },
	"ReduceLogSumExp": logAdd,
}

// logAdd is log(exp(x) + exp(y)) = y + log(1 + exp(x − y)).
func logAdd(s *speller, x, y string) string {
	return s.add("Add", y, s.add("Softplus", s.add("Sub", x, y)))
}

// logAddFar is logAdd of numbers that may lie so far apart that y + (x − y) is 0: the greater of both plus log(1 + exp(−|x − y|)).
func logAddFar(s *speller, x, y string) string {
	return s.add("Add", s.add("Max", x, y), s.add("Softplus", s.add("Neg", s.add("Abs", s.add("Sub", x, y)))))
}

// beyondLogs is from which magnitude on a number leaves too few digits of what is added to it.
const beyondLogs = 1e12

// logAddOf is how logarithms of sums of exponentials of a value are joined. Of what no input changes no proof is longer for it.
func (c *call) logAddOf(x *val) func(s *speller, x, y string) string {
	if x.inputFree() || c.b.greatest(x.id) > beyondLogs {
		return logAddFar
	}
	return logAdd
}

// joined joins the halves of an axis of n indices until it has one index, an odd one with the result.
func (s *speller) joined(x string, axis, n int, join func(s *speller, x, y string) string) string {
	for ; n > 1; n = (n + 1) / 2 {
		half := n / 2
		y := join(s, s.slice(x, axis, 0, half, 1), s.slice(x, axis, half, 2*half, 1))
		if n%2 == 1 {
			y = s.with(s.add("Concat", y, s.slice(x, axis, 2*half, n, 1)), intOf("axis", int64(axis)))
		}
		x = y
	}
	return x
}

func reducePairwise(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	set, shape, _, err := c.reduction(x.shape)
	if err != nil {
		return nil, err
	}
	s, y, join := c.speller("x"), "x", pairwise[c.n.Op]
	if c.n.Op == "ReduceLogSumExp" {
		if m := x.masked; m != nil && m.onlyMasks() {
			return c.maskedLogSum(m, set, shape)
		}
		join = c.logAddOf(x)
	}
	for a, reduced := range set {
		if reduced {
			y = s.joined(y, a, x.shape[a], join)
		}
	}
	return s.function(s.add("Reshape", y, s.shape(shape)))
}

// onlyMasks says that the constant masks cells or leaves them as they are, and that scores are left without it.
func (m *maskedSum) onlyMasks() bool {
	return len(m.rest) > 0 && !slices.ContainsFunc(m.cells, func(x float64) bool { return x != 0 && !(x <= masks) })
}

// maskedLogSum is the logarithm of the sum of exponentials over axes of scores of which a constant masks some: of two halves that of which nothing is
// masked, where one is, so that nothing computes with what masks. shape is the result's.
func (c *call) maskedLogSum(m *maskedSum, over []bool, shape []int) (*onnx.Function, error) {
	dims := slices.Repeat([]int{1}, len(m.shape))
	copy(dims[len(dims)-len(m.dims):], m.dims)
	for a, reduced := range over {
		if reduced {
			dims[a] = m.shape[a]
		}
	}
	if err := c.charge(1, dims...); err != nil {
		return nil, err
	}
	bits, open := &onnx.Tensor{DType: onnx.Bool, Shape: dims, I: make([]int64, ir.Size(dims))}, make([]bool, ir.Size(dims))
	rows := 1
	c.walk(dims, func(i int, pos []int) {
		row := 0
		for a, p := range pos {
			if !over[a] {
				row = row*dims[a] + p
			}
		}
		bits.I[i] = bit(m.at(pos, -1, 0) != 0)
		open[row], rows = open[row] || bits.I[i] == 0, max(rows, row+1)
	})
	if row := slices.Index(open[:rows], false); row >= 0 {
		return nil, c.unsupported("row %d is all masked; every row needs a position that it may attend to", row)
	}
	c.in[0] = m.c.einsum(m.shape, m.rest...)
	s := c.speller("x")
	y, hidden := "x", s.constant(bits)
	for a, reduced := range over {
		for n := m.shape[a]; reduced && n > 1; n = (n + 1) / 2 {
			y, hidden = s.maskedHalves(y, hidden, a, n)
		}
	}
	return s.function(s.add("Reshape", y, s.shape(shape)))
}

// maskedHalves joins the halves of an axis of n indices, and their masks; an odd index stands behind.
func (s *speller) maskedHalves(x, hidden string, axis, n int) (y, both string) {
	half := n / 2
	a, b := s.slice(x, axis, 0, half, 1), s.slice(x, axis, half, 2*half, 1)
	ma, mb := s.slice(hidden, axis, 0, half, 1), s.slice(hidden, axis, half, 2*half, 1)
	y, both = s.add("Where", ma, b, s.add("Where", mb, a, logAdd(s, a, b))), s.add("And", ma, mb)
	if n%2 == 1 {
		y = s.with(s.add("Concat", y, s.slice(x, axis, 2*half, n, 1)), intOf("axis", int64(axis)))
		both = s.with(s.add("Concat", both, s.slice(hidden, axis, 2*half, n, 1)), intOf("axis", int64(axis)))
	}
	return y, both
}

// logSoftmax is x less the logarithm of the sum of exponentials along an axis.
func logSoftmax(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	usual := int64(-1)
	if c.opset < 13 {
		usual = 1
	}
	a, err := axis(c.attrInt("axis", usual), len(x.shape))
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	if c.opset < 13 && a < len(x.shape)-1 { // these opsets flatten the axes from a on
		n := ir.Size(x.shape[a:])
		rows := s.add("Reshape", "x", s.shape(append(slices.Clone(x.shape[:a]), n)))
		return s.function(s.add("Reshape", s.lessLogSum(c, x, rows, a, n), s.shape(x.shape)))
	}
	return s.function(s.lessLogSum(c, x, "x", a, x.shape[a]))
}

// lessLogSum is what is called y of x, less the logarithm of the sum of exponentials along an axis of n. Of numbers that may be huge the greatest
// is taken off first: beside it nothing is left of the logarithm of how many there are.
func (s *speller) lessLogSum(c *call, x *val, y string, axis, n int) string {
	if x.inputFree() || c.b.greatest(x.id) > beyondLogs {
		y = s.add("Sub", y, s.joined(y, axis, n, pairwise["ReduceMax"]))
	}
	return s.add("Sub", y, s.joined(y, axis, n, c.logAddOf(x)))
}

// reduceL1 is the sum of magnitudes.
func reduceL1(c *call) (*onnx.Function, error) {
	s := c.speller("x")
	y, err := s.summed(c, s.add("Abs", "x"))
	if err != nil {
		return nil, err
	}
	return s.function(y)
}
