package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// foldLowered computes an operator on constants as its handler lowers it: in a graph of its own, which is run.
func foldLowered(h handler) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		b := c.b.apart()
		own := *c
		own.b, own.in = b, make([]*val, len(in))
		for i, t := range in {
			if t != nil {
				own.in[i] = constant(c.in[i].name, t)
			}
		}
		outs, err := h(&own)
		if err != nil {
			return nil, err
		}
		for i, o := range outs {
			if o == nil {
				continue
			}
			id, err := own.use(o)
			if err != nil {
				return nil, err
			}
			b.g.AddOutput(fmt.Sprint(i), id, o.shape)
		}
		if _, err := eval.Demand(b.left.Budget, b.g, 1); err != nil {
			return nil, err
		}
		cells := map[ir.ValueID][]float64{}
		keep := func(_ int, v *ir.Value, x []float64) error { cells[v.ID] = x; return nil }
		if err := eval.EachFloat(b.left.Budget, b.g, [][][]float64{{}}, keep); err != nil {
			return nil, err
		}
		ts := make([]*onnx.Tensor, len(outs))
		for i, o := range outs {
			if o == nil {
				continue
			}
			if ts[i], err = c.constantOf(o, cells[o.id], c.resultType(i)); err != nil {
				return nil, err
			}
		}
		return ts, nil
	}
}

// apart is a builder with a graph of its own and the same purse.
func (b *builder) apart() *builder {
	own := *b
	own.g, own.inputs, own.masks, own.found, own.mosts, own.greats = &ir.Graph{Name: b.g.Name, Stage: ir.StagePrim}, nil, nil, nil, nil, nil
	own.weightOf, own.weightMark, own.restMark = map[*onnx.Tensor]ir.ValueID{}, map[ir.ValueID]*mark{}, map[ir.ValueID]*mark{}
	own.intervals, own.singles, own.names = map[ir.ValueID]*interval.Interval{}, map[ir.ValueID]interval.Single{}, map[string]int{}
	return &own
}

// resultType is the type of what an operator computes: that of its first operand, but for indices.
func (c *call) resultType(i int) onnx.DType {
	if op := c.n.Op; op == "ArgMax" || op == "ArgMin" || i == 1 && op == "TopK" {
		return onnx.Int64
	}
	return c.in[0].dtype
}

// constantOf is a tensor of computed cells, which are numbers of its type.
func (c *call) constantOf(o *val, cells []float64, to onnx.DType) (*onnx.Tensor, error) {
	if slices.ContainsFunc(cells, math.IsNaN) {
		return nil, c.unsupported("on these constants it is no number")
	}
	t := &onnx.Tensor{DType: to, Shape: o.shape}
	if to.IsFloat() {
		t.F = slices.Clone(cells)
		return t, nil
	}
	t.I = make([]int64, len(cells))
	for i, x := range cells {
		v, ok := portable.Int64(x)
		if !ok || float64(v) != x {
			return nil, c.unsupported("on these constants it is no integer")
		}
		t.I[i] = v
	}
	return t, nil
}
