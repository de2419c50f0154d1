package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// What no circuit is made of, since it is no function of a model's inputs or none that answers are made with; and why.

const (
	atRandom   = "draws numbers at random, so that what the model gives is no function of its inputs; export the model without it"
	ofTraining = "belongs to training; export the model for inference"
	ofTexts    = "computes with texts or pictures in files; let the model begin with numbers: tokens or pixels"
)

// reasons say more of an operator than that it is not supported.
var reasons = map[string]string{
	"RandomNormal": atRandom, "RandomNormalLike": atRandom, "RandomUniform": atRandom, "RandomUniformLike": atRandom, "Bernoulli": atRandom, "Multinomial": atRandom,
	"SoftmaxCrossEntropyLoss": ofTraining, "NegativeLogLikelihoodLoss": ofTraining, "ai.onnx.preview.training.Gradient": ofTraining,
	"ai.onnx.preview.training.Adagrad": ofTraining, "ai.onnx.preview.training.Adam": ofTraining, "ai.onnx.preview.training.Momentum": ofTraining,
	"StringNormalizer": ofTexts, "StringConcat": ofTexts, "StringSplit": ofTexts, "RegexFullMatch": ofTexts, "TfIdfVectorizer": ofTexts, "ImageDecoder": ofTexts,
}

// missing is the refusal of an operator that there is not.
func (c *call) missing() error {
	if why, ok := reasons[c.key()]; ok {
		return c.unsupported("%s", why)
	}
	return c.unsupported("the operator is not supported")
}

// guard refuses what an operator does by attributes or inputs that its lowering does not look at.
func (c *call) guard() error {
	switch c.key() {
	case "Dropout":
		return c.drops()
	case "Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less":
		return c.alongOldAxis()
	case "Pad":
		if c.attr("paddings") != nil {
			return c.unsupported("has paddings, as in opset 1; convert the model to opset 7 or later")
		}
	}
	return nil
}

// alongOldAxis refuses two operands of which the second one does not lie along the last axes of the first: before opset 7 an attribute said where.
func (c *call) alongOldAxis() error {
	if c.opset >= 7 || c.attr("axis") == nil || !c.has(0) || !c.has(1) {
		return nil
	}
	a, b := len(c.in[0].shape), len(c.in[1].shape)
	at := int(c.attrInt("axis", 0))
	if at < 0 {
		at += a
	}
	if at+b != a {
		return c.unsupported("takes its second operand of shape %v along the axes of %v from %d on, as before opset 7; convert the model to opset 7 or later", c.in[1].shape, c.in[0].shape, at)
	}
	return nil
}

// drops refuses a Dropout that drops cells: one in training, which an input says from opset 12 on, and before opset 7 an attribute that says so where it is
// missing, too.
func (c *call) drops() error {
	switch {
	case c.opset < 7 && c.attrInt("is_test", 0) == 0:
		return c.unsupported("drops cells at random, since its is_test is 0; export the model for inference, or for opset 7 or later")
	case !c.has(2):
		return nil
	}
	training := c.in[2]
	if c.has(1) && c.in[1].c != nil && len(c.in[1].c.F) == 1 && c.in[1].c.F[0] == 0 {
		return nil // of none
	}
	if training.c == nil {
		return c.unsupported("the input %q says whether it drops cells at random; make it false (--fix %s=zeros), or export the model for inference", training.called(), training.called())
	}
	if len(training.c.I) != 1 || training.c.I[0] != 0 {
		return c.unsupported("drops cells at random, since its training_mode is true; export the model for inference")
	}
	return nil
}

// least is greatest of the summand of a value that is least: what a number as great leaves least of.
func (b *builder) least(id ir.ValueID) float64 {
	def := b.g.Value(id).Def
	if def.Op != ir.OpEinsum {
		return b.greatest(id)
	}
	least, known := b.leasts[id]
	if known {
		return least
	}
	least = math.Inf(1)
	for _, t := range ir.Free(def) {
		most := math.Abs(t.Coef)
		for _, in := range t.In {
			most = max(most, b.least(ir.ValueID(in)))
		}
		least = min(least, most)
	}
	if b.leasts == nil {
		b.leasts = map[ir.ValueID]float64{}
	}
	b.leasts[id] = least
	return least
}

// great is from which magnitude on single precision loses what models compute with beside a number: some 2^-8 of a unit.
const great = 1 << 16

// swallows refuses a sum in single precision with a constant beside which nothing much is left of the others, at every cell: from 2^16 on a 128th of
// a unit, of 1e9 steps of 64. What is not everywhere so great is a mask; so is what is beyond all scores, which is treated as one; and where another
// operand is as great, as in 1e9·m − 1e9, it may bring back what this one takes, but nothing else that the operand is a sum of.
func (c *call) swallows() error {
	const near = 1 << 10
	for i, v := range c.in {
		cells, err := c.beside(v)
		if err != nil {
			return err
		}
		sign := 1.0
		if c.n.Op == "Sub" && i == 1 {
			sign = -1
		}
		least, masks := math.Inf(1), true
		for _, x := range cells {
			if least, masks = min(least, math.Abs(x)), masks && float64(sign*x) <= beyondScores; least < great {
				break
			}
		}
		if least < great || masks || math.IsInf(least, 0) {
			continue
		}
		for _, other := range c.in {
			if other != nil && other != v && !other.inputFree() && c.b.least(other.id) < least/near {
				return c.unsupported("adds %.3g to every cell, of which single precision tells steps of %.3g apart: of the other operand these are left; leave the constant out, or scale both",
					float64(sign*least), step(least))
			}
		}
	}
	return nil
}

// step is that of single precision at a magnitude.
func step(x float64) float64 {
	_, bits := math.Frexp(x)
	return math.Ldexp(1, bits-24)
}

// beside are the cells of a tensor of the file in single precision that meets what an input changes, none of another.
func (c *call) beside(v *val) ([]float64, error) {
	if v == nil || !v.inputFree() || v.dtype != onnx.Float32 || !slices.ContainsFunc(c.in, func(o *val) bool { return o != nil && !o.inputFree() }) {
		return nil, nil
	}
	t, err := v.force()
	if err != nil {
		return nil, err
	}
	return floats(t), nil
}
