package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding of softmaxes and normalisations: of a decoder whose prompt is fixed, say, or of scores that depend on positions alone.

func init() {
	folders["Softmax"] = foldSoftmax
	folders["LayerNormalization"] = foldNorm(true)
	folders["RMSNormalization"], folders["SimplifiedLayerNormalization"] = foldNorm(false), foldNorm(false)
	folders["com.microsoft.SimplifiedLayerNormalization"] = foldNorm(false)
}

// foldSoftmax normalises along one axis; before opset 13, over all axes from it on. A row of which all cells are −∞ has no numbers.
func foldSoftmax(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := needReals(in, 1); err != nil {
		return nil, err
	}
	x := in[0]
	a, n, err := c.softmaxAxis(x.Shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, x.Shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: x.DType, Shape: x.Shape, F: make([]float64, len(x.F))}
	if len(x.F) == 0 {
		return single(r, nil)
	}
	step := ir.Size(x.Shape[a:]) / n
	for i := range x.F {
		if i/step%n != 0 { // no first cell of a row
			continue
		}
		c.poll(i)
		most, total := math.Inf(-1), 0.0
		for k := range n {
			most = math.Max(most, x.F[i+k*step])
		}
		for k := range n {
			e := portable.Exp(x.F[i+k*step] - most)
			r.F[i+k*step] = e
			total += e
		}
		for k := range n {
			r.F[i+k*step] /= total
		}
	}
	return single(r, nil)
}

// softmaxAxis is the axis from which on a Softmax joins axes to rows, and how many cells of each row there are.
func (c *call) softmaxAxis(shape []int) (a, n int, err error) {
	def := int64(-1)
	if c.opset < 13 {
		def = 1
	}
	if a, err = axis(c.attrInt("axis", def), len(shape)); err != nil {
		return 0, 0, err
	}
	if c.opset < 13 {
		return a, ir.Size(shape[a:]), nil
	}
	return a, shape[a], nil
}

// foldNorm normalises over the axes from one on, by the standard deviation or by the root of the mean square.
func foldNorm(center bool) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := needReals(in, 1); err != nil {
			return nil, err
		}
		x := in[0]
		a, err := axis(c.attrInt("axis", -1), len(x.Shape))
		if err != nil {
			return nil, err
		}
		if err := c.charge(3, x.Shape...); err != nil {
			return nil, err
		}
		cells, n := append([]float64(nil), x.F...), max(1, ir.Size(x.Shape[a:]))
		for i := 0; i < len(cells); i += n {
			c.poll(i)
			normalise(cells[i:i+n], center, c.attrFloat("epsilon", 1e-5))
		}
		for k, f := range []func(x, y float64) float64{func(x, y float64) float64 { return float64(x * y) }, func(x, y float64) float64 { return x + y }} {
			if k+1 >= len(in) || in[k+1] == nil {
				continue
			}
			if shape, err := broadcast(in[k+1].Shape, x.Shape); err != nil || ir.Size(shape) != len(cells) {
				return nil, fmt.Errorf("scale or bias of shape %v for shape %v", in[k+1].Shape, x.Shape)
			}
			for i, y := range spread(c, floats(in[k+1]), in[k+1].Shape, x.Shape) {
				cells[i] = f(cells[i], y)
			}
		}
		return single(&onnx.Tensor{DType: x.DType, Shape: x.Shape, F: cells}, nil)
	}
}

// normalise divides cells by the root of their mean square, of their distances from their mean if that is taken off.
func normalise(cells []float64, center bool, eps float64) {
	mean, square := 0.0, 0.0
	if center {
		for _, x := range cells {
			mean += x / float64(len(cells))
		}
	}
	for i, x := range cells {
		cells[i] = x - mean
		square += float64(cells[i] * cells[i])
	}
	root := math.Sqrt(square/float64(len(cells)) + eps)
	for i := range cells {
		cells[i] /= root
	}
}

// needReals is need of inputs, the first of which must be real numbers.
func needReals(in []*onnx.Tensor, k int) error {
	if err := need(in, k); err != nil {
		return err
	}
	if !in[0].DType.IsFloat() {
		return fmt.Errorf("an operand of type %s; the operator takes real numbers", in[0].DType)
	}
	return nil
}
