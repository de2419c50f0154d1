package frontend

import (
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
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

// swallows refuses a sum in single precision with a constant beside which nothing much is left of the others, at every cell: from 2^20 on an eighth of
// a unit, of 1e9 steps of 64. What is not everywhere so great is a mask; so is what is beyond all scores, which is treated as one; and where another
// operand is as great, as in 1e9·m − 1e9, it may bring back what this one takes.
func (c *call) swallows() error {
	const great, near = 1 << 20, 1 << 10
	for i, v := range c.in {
		if v == nil || v.c == nil || v.private || v.dtype != onnx.Float32 || v.c.Len() == 0 {
			continue
		}
		sign := 1.0
		if c.n.Op == "Sub" && i == 1 {
			sign = -1
		}
		least, masks := math.Inf(1), true
		for _, x := range floats(v.c) {
			if least, masks = min(least, math.Abs(x)), masks && float64(sign*x) <= beyondScores; least < great {
				break
			}
		}
		if least < great || masks || math.IsInf(least, 0) {
			continue
		}
		for _, other := range c.in {
			if other != nil && other != v && !other.inputFree() && c.b.greatest(other.id) < least/near {
				_, bits := math.Frexp(least)
				step := math.Ldexp(1, bits-24)
				return c.unsupported("adds %.3g to every cell, of which single precision tells steps of %.3g apart: of the other operand these are left; leave the constant out, or scale both", float64(sign*least), step)
			}
		}
	}
	return nil
}
