package frontend

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

// drops refuses a Dropout that drops cells: one in training, which an input says from opset 12 on, and before opset 7 an attribute that says so where it is
// missing, too.
func (c *call) drops() error {
	if c.key() != "Dropout" {
		return nil
	}
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
