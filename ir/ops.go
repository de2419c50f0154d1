package ir

// OpInfo describes one operation of the IR.
type OpInfo struct {
	Op      Op
	Stages  []Stage
	MinIn   int // number of inputs
	MaxIn   int // -1: any number
	Outputs int
	Meaning string
	Shape   string // shape rule
	Scale   string // scale rule (StageInt)

	// Lowering is what a circuit makes of it (StageInt) and where its uniqueness is argued. The attacks on every operation stand in
	// runtime/attack (operators), which demands three for each.
	Lowering string
}

// Ops is the op table: every operation of the IR, its stages, arity, meaning and rules.
var Ops = []OpInfo{
	{OpInput, both, 0, 0, 1, "the token ids, integers in [0, Vocab)", "[T]", "0",
		"the statement's tokens, whose ranges it checks; gadget.PrivateTokens where they are private"},
	{OpWeight, both, 0, 0, 1, "a private tensor, part of the model commitment", "given", "chosen by the quantiser",
		"a committed tensor; protocol.SetupCircuit proves its range once per model"},
	{OpConst, both, 0, 0, 1, "a public tensor", "given", "chosen by the quantiser",
		"part of the circuit and its digest; the verifier evaluates it"},
	{OpOneHot, both, 1, 1, 1, "out[t,v] = 1 where ids[t] = v, else 0", "[T] -> [T, Vocab]", "0",
		"a public tensor; gadget.PrivateTokens where the ids are private"},
	{OpEinsum, both, 0, -1, 1, "a sum of products over named labels, see Term", "the terms' Out",
		"in every term: the sum of the operands' scales, plus the fraction bits of ICoef; equal for all terms",
		"a virtual tensor: no constraint of its own, claims on it become claims on its factors (einsum.Ledger); gadget.Embed where it chooses lines"},
	{OpUnary, []Stage{StageFloat}, 1, 1, 1, "an elementwise function, one of Functions", "that of x", "-", ""},
	{OpNorm, []Stage{StageFloat}, 1, 3, 1, "(x − mean)·(var + eps)^(-1/2)·gamma + beta over the last axis; without Center mean is 0 and var the mean of squares",
		"that of x; gamma and beta have the extent of its last axis", "-", ""},
	{OpSoftmax, []Stage{StageFloat}, 1, 2, 1, "softmax of Scale·x over the last axis, 0 at masked positions", "that of x; the mask has the shape of trailing axes of x", "-", ""},
	{OpRescale, []Stage{StageInt}, 1, 1, 1, "rounding division by 2^Shift, then clamping", "that of x", "that of x minus Shift",
		"gadget.Rescale; gadget.RescaleTable together with the table that follows"},
	{OpTable, []Stage{StageInt}, 1, 1, 1, "an elementwise function on 16-bit integers, by lookup", "that of x", "OutScale",
		"gadget.Table, gadget.RescaleTable"},
	{OpRsqrt, []Stage{StageInt}, 1, 1, 1, "⌊√(Num/(s+Eps))⌋, elementwise", "that of s", "such that Num has twice the scale of r plus the scale of s",
		"gadget.Rsqrt"},
	{OpZkAttn, []Stage{StageInt}, 1, 2, 2, "shifted, quantised exponentials of a row and the inverse of their sum, see ZkAttnAttr",
		"e: that of s; inv: that of s without the last axis", "e: EBits, inv: InvBits − EBits",
		"attention.ZkAttn, whose inv is gadget.Reciprocal"},
}

var both = []Stage{StageFloat, StageInt}

// Info returns the op table's entry of an operation.
func (o Op) Info() (OpInfo, bool) {
	for _, i := range Ops {
		if i.Op == o {
			return i, true
		}
	}
	return OpInfo{}, false
}

// Functions lists the elementwise functions of Unary and Table.
//
//	silu       x·σ(x)                      sigmoid   1/(1+exp(−x))
//	gelu       x/2·(1+erf(x/√2))           gelu_tanh x/2·(1+tanh(√(2/π)(x+0.044715x³)))
//	tanh       the hyperbolic tangent      relu      max(x, 0)
//	exp        the exponential function
var Functions = []string{"silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "relu", "exp"}

// IsFunction says whether fn is one of Functions.
func IsFunction(fn string) bool {
	for _, f := range Functions {
		if f == fn {
			return true
		}
	}
	return false
}
