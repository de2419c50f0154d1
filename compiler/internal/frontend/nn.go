package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Operators that the IR has as such: Softmax and the normalisations.

func init() {
	register(handlers, map[string]handler{
		"Softmax": softmax, "LayerNormalization": layerNorm, "RMSNormalization": rmsNorm, "SimplifiedLayerNormalization": rmsNorm,
		"com.microsoft.SimplifiedLayerNormalization": rmsNorm, "com.microsoft.SkipLayerNormalization": skipNorm,
		"com.microsoft.SkipSimplifiedLayerNormalization": skipNorm,
	})
}

// softmax brings the axes that are normalised to the end as one axis.
func softmax(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	rank := len(x.shape)
	def := int64(-1)
	if c.opset < 13 {
		def = 1
	}
	a, err := axis(c.attrInt("axis", def), rank)
	if err != nil {
		return nil, err
	}
	if c.opset < 13 && a < rank-1 { // these opsets flatten the axes from a on
		y, err := c.reshapeTo(x, append(append([]int{}, x.shape[:a]...), ir.Size(x.shape[a:])))
		if err != nil {
			return nil, err
		}
		if y, err = c.lastSoftmax(y); err != nil {
			return nil, err
		}
		return one(c.reshapeTo(y, x.shape))
	}
	if a == rank-1 {
		return one(c.lastSoftmax(x))
	}
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	perm[a], perm[rank-1] = rank-1, a
	y, err := c.transposeBy(x, perm)
	if err != nil {
		return nil, err
	}
	if y, err = c.lastSoftmax(y); err != nil {
		return nil, err
	}
	return one(c.transposeBy(y, perm))
}

func (c *call) lastSoftmax(x *val) (*val, error) {
	switch x.shape[len(x.shape)-1] {
	case 0:
		return nil, c.unsupported("softmax over an axis of extent 0")
	case 1: // the attention of one position to itself, say
		return c.filled(x, 1)
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	if err := c.hidesAll(id); err != nil {
		return nil, err
	}
	if id, err = c.use(c.coarsened(x)); err != nil {
		return nil, err
	}
	v := c.add(ir.OpSoftmax, "", x.shape, []ir.ValueID{id}, &ir.SoftmaxAttr{Scale: 1})
	return &val{shape: v.Shape, dtype: x.dtype, id: v.ID, nan: x.emptied}, nil
}

// filled is a constant of one number in the shape of a value.
func (c *call) filled(like *val, x float64) (*val, error) {
	if err := c.charge(1, like.shape...); err != nil {
		return nil, err
	}
	t := &onnx.Tensor{DType: like.dtype, Shape: like.shape, F: make([]float64, ir.Size(like.shape))}
	for i := range t.F {
		t.F[i] = x
	}
	return constant(c.n.Name, t), nil
}

func layerNorm(c *call) ([]*val, error) {
	return c.normOp(true, c.attrFloat("epsilon", 1e-5), true)
}

func rmsNorm(c *call) ([]*val, error) {
	return c.normOp(false, c.attrFloat("epsilon", 1e-5), false)
}

func (c *call) normOp(center bool, eps float64, beta bool) ([]*val, error) {
	x, a, err := c.alongAxis(-1)
	if err != nil {
		return nil, err
	}
	var params []*val
	for i := 1; i < 3; i++ {
		if c.has(i) && (i == 1 || beta) {
			params = append(params, c.in[i])
		} else {
			params = append(params, nil)
		}
	}
	return one(c.norm(x, a, center, eps, params[0], params[1]))
}

// norm normalises over the axes from a on.
func (c *call) norm(x *val, a int, center bool, eps float64, gamma, beta *val) (*val, error) {
	n := ir.Size(x.shape[a:])
	if n < 2 {
		return nil, c.unsupported("normalises over %d cells, of which nothing but a sign is left; export the model without the node", n)
	}
	shape := x.shape
	if !alongRows(gamma, shape[a:]) || !alongRows(beta, shape[a:]) {
		y, err := c.norm(x, a, center, eps, nil, nil)
		if err != nil {
			return nil, err
		}
		return c.scaledBy(y, gamma, beta)
	}
	var err error
	if a < len(shape)-1 {
		if x, err = c.reshapeTo(x, append(append([]int{}, shape[:a]...), n)); err != nil {
			return nil, err
		}
	}
	attr := &ir.NormAttr{Center: center, Eps: eps, HasGamma: gamma != nil, HasBeta: beta != nil}
	var in []ir.ValueID
	for _, v := range []*val{x, gamma, beta} {
		if v == nil {
			continue
		}
		if v != x && len(v.shape) != 1 {
			if v, err = c.reshapeTo(v, []int{n}); err != nil {
				return nil, err
			}
		}
		id, err := c.use(v)
		if err != nil {
			return nil, err
		}
		in = append(in, id)
	}
	v := c.add(ir.OpNorm, "", x.shape, in, attr)
	y := &val{shape: v.Shape, dtype: x.dtype, id: v.ID}
	if a < len(shape)-1 {
		return c.reshapeTo(y, shape)
	}
	return y, nil
}

// alongRows says that a scale or a bias, if there is one, has a cell for each that is normalised together, and is the same for all rows. As many cells
// may lie along other axes, too.
func alongRows(v *val, row []int) bool {
	if v == nil {
		return true
	}
	shape := v.shape
	for len(shape) > len(row) && shape[0] == 1 {
		shape = shape[1:]
	}
	return slices.Equal(shape, row) || slices.Equal(v.shape, []int{ir.Size(row)}) // flat
}

// scaledBy is x·gamma + beta, which broadcast to the shape of x and of which each may be absent.
func (c *call) scaledBy(x, gamma, beta *val) (*val, error) {
	fs := []factor{only(x)}
	var terms []ir.Term
	for _, v := range []*val{gamma, beta} {
		if v == nil {
			continue
		}
		if to, err := broadcast(x.shape, v.shape); err != nil || !slices.Equal(to, x.shape) {
			return nil, fmt.Errorf("scale or bias of shape %v for shape %v", v.shape, x.shape)
		}
		f, err := c.factor(v)
		if err != nil {
			return nil, err
		}
		if v == gamma {
			fs = append(fs, f)
		} else {
			terms = append(terms, product(x.shape, 1, f))
		}
	}
	return c.einsum(x.shape, append(terms, product(x.shape, 1, fs...))...), nil
}

// skipNorm is onnxruntime's normalisation of a sum: inputs x, skip, gamma, [beta,] [bias]; output 3 is the sum.
func skipNorm(c *call) ([]*val, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	center := c.n.Op == "SkipLayerNormalization"
	parts := []*val{c.in[0], c.in[1]}
	var beta *val
	bias := 3
	if center {
		bias = 4
		if c.has(3) {
			beta = c.in[3]
		}
	}
	if c.has(bias) {
		parts = append(parts, c.in[bias])
	}
	var ts []ir.Term
	for _, p := range parts {
		if _, err := broadcast(c.in[0].shape, p.shape); err != nil {
			return nil, err
		}
		f, err := c.factor(p)
		if err != nil {
			return nil, err
		}
		ts = append(ts, product(c.in[0].shape, 1, f))
	}
	s := c.einsum(c.in[0].shape, ts...)
	eps := c.attrFloat("epsilon", 1e-12)
	y, err := c.norm(s, len(s.shape)-1, center, eps, c.in[2], beta)
	if err != nil {
		return nil, err
	}
	return []*val{y, nil, nil, s}, nil
}
