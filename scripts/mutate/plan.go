package main

import "regexp"

// The plan: what is mutated and which tests judge.

// folder is where a package stands, by the last element of its path.
func folder(pkg string) string {
	switch pkg {
	case "gadget", "statement", "verifier", "asked", "texts", "tokens", "version", "web":
		return "runtime/" + pkg
	case "function", "generation":
		return "runtime/statement/" + pkg
	case "attention":
		return "runtime/gadget/" + pkg
	case "circuits", "constants", "ints", "stated":
		return "internal/format/" + pkg
	case "attack":
		return "internal/test/" + pkg
	case "prover": // both command lines together
		return "runtime/app/" + pkg
	}
	return "internal/" + pkg
}

// mutated are the packages of the verifier that check something.
var mutated = []string{
	"verifier", "protocol", "veil", "sumcheck", "lookup", "einsum", "commit", "statement", "function", "generation", "ints", "stated", "format", "transcript",
	"circuit", "interval", "gadget", "attention", "tables", "constants", "group", "field", "poly", "dialogue", "asked", "passage", "texts",
	"circuits", "bundle", "checker", "web", "conversation", "strictjson",
}

// around are the other packages of the verifier. They decide nothing about proofs: interfaces and names, values of functions,
// which tables round, what a text has to do with ids, and what stands around the verifier on a command line.
var around = []string{
	"atomicfile", "backend", "console", "integer", "machine", "parallel", "portable", "portfile", "reading", "tokens", "version", "vocab",
	"runtime/circuit", "runtime/tokens/huggingface", "runtime/app/verifier",
}

// leftOut are files and functions of these packages whose checks are not the verifier's.
var leftOut = []struct {
	name string // package/file.go or package.Function
	why  string
}{
	{"veil/final_prove.go", "the prover's half of the final argument"},
	{"veil.Channel.interpolate", "the prover's half of the product block"},
	{"veil.Channel.Value", "the prover's"},
	{"veil.Channel.tamperScalars", "tests only"},
	{"veil.NewProver", "the prover's"},
	{"veil.Channel.Proving", "the prover's: whether somebody still waits for the proof"},
	{"veil.Tampered", "tests only"},
	{"commit.Layout.Lay", "the prover's rows"},
	{"commit.Layout.LayRange", "the prover's rows"},
	{"commit.Layout.lay", "the prover's rows"},
	{"commit.Layout.place", "the prover's rows"},
	{"commit.Layout.start", "the prover's rows"},
	{"commit.Layout.box", "the prover's rows"},
	{"commit.Cells", "the prover's rows"},
	{"commit.class.blind", "the prover's"},
	{"commit.class.factors", "the prover's sumcheck"},
	{"commit.class.combinations", "the prover's sumcheck"},
	{"commit.class.regular", "the prover's sumcheck"},
	{"commit.combination.columnWeights", "the prover's sumcheck"},
	{"commit.combined", "the prover's sumcheck"},
	{"commit.columns.weights", "the prover's sumcheck"},
	{"commit.columns.key", "the prover's sumcheck"},
	{"lookup.Plan.Leaves", "the prover's leaves"},
	{"lookup.Plan.columns", "a degree for the soundness error"},
	{"einsum.Ledger.values", "the prover's"},
	{"einsum.Ledger.passedValue", "the prover's"},
	{"einsum.Ledger.value", "the prover's"},
	{"einsum.Ledger.factors", "the prover's sumcheck"},
	{"einsum.Ledger.free", "the prover's sumcheck"},
	{"einsum.take", "the prover's values"},
	{"einsum.instance.bases", "the prover's sumcheck"},
	{"einsum.instance.eqPoint", "the prover's sumcheck"},
	{"einsum.instance.labels", "the prover's sumcheck"},
	{"einsum.Ledger.partialProducts", "the prover's"},
	{"statement.Encode", "the prover's: it keeps a private prompt from being written"},
	{"function.Statement.Public", "the prover's"},
	{"function.Statement.Fill", "the prover's"},
	{"function.Element", "how a caller's number becomes an element, before there is a proof"},
	{"function.round", "the same"},
	{"generation.Statement.Encode", "the prover's"},
	{"generation.Statement.Hide", "the prover's"},
	{"generation.Statement.Reveal", "the prover's"},
	{"generation.Statement.Public", "the prover's"},
	{"generation.PrivateInput", "the prover's"},
	{"generation.row.fill", "the prover's"},
	{"ints.Append", "writing"},
	{"ints.AppendList", "writing"},
	{"dialogue/said.go", "what reports say"},
	{"dialogue.quoted", "for people"},
	{"format/sum.go", "the checksum of the prover's files"},
	{"format/weights.go", "the weights file, which setup reads"},
	{"format.Writer.", "writing"},
	{"protocol/soundness.go", "adds up the soundness error"},
	{"protocol.Proof.Count", "the dry run"},
	{"protocol.Schedule", "the dry run"},
	{"protocol.Prepare", "derives generators in advance"},
	{"protocol.Piece.Tensors", "the prover's weights"},
	{"protocol.together", "the prover's weights"},
	{"verifier.Key.Prepare", "derives generators in advance"},
	{"protocol.Proof.phase", "progress"},
	{"protocol.Proof.Subject", "the prover's randomness, tested where it is drawn (internal/engine)"},
	{"transcript.Transcript.note", "the journal of tests"},
	{"transcript.Transcript.Record", "the journal of tests"},
	{"constants.Encode", "the compiler's"},
	{"circuit.Builder.Hint", "hints are the prover's"},
	{"circuit.Circuit.Crowded", "the compiler's"},
	{"circuit.Circuit.Excess", "forecasts'"},
	{"circuit.Circuit.Extent", "for people"},
	{"circuit.Family.Positions", "for people"},
	{"circuit.Family.Lines", "for people"},
	{"circuit.Circuit.Read", "the prover's: what it keeps"},
	{"circuit.Family.Smallest", "the prover's"},
	{"circuits.Encode", "writing"},
	{"circuits.encoder.", "writing"},
	{"circuits/pool.go", "writing"},
	{"bundle.Bundle.Write", "writing"},
	{"group.Derived", "for tests"},
	{"group/affine.go", "arithmetic"},
	{"group/coordinates.go", "arithmetic"},
	{"group/fixed.go", "arithmetic"},
	{"group/fold.go", "arithmetic of the prover"},
	{"group/msm.go", "arithmetic"},
	{"group/piles.go", "arithmetic of the prover"},
	{"group/small.go", "arithmetic of the prover"},
	{"field/small.go", "arithmetic"},
	{"field/inner.go", "arithmetic"},
	{"field/vector.go", "arithmetic"},
}

// stepped are the packages, files or functions in which every statement is a mutant: what binds, batches, splits and adds up.
var stepped = []string{
	"verifier.", "protocol.", "veil.", "sumcheck.", "lookup.", "einsum.", "commit.", "transcript.", "format.Reader.",
	"statement.", "function.", "generation.", "ints.", "stated.", "gadget.", "attention.",
	"circuit.Circuit.", "circuit.Family.", "circuit.Tensor.encode", "circuit.encoder.", "circuit.Builder.",
	"circuit.Ones", "circuit.Product", "circuit.Scaled", "circuit.Spread", "circuit.SumLast",
	"group.Generators", "group.derive", "group.newSearch", "group.search.", "group.newRootTables", "group.expSteps", "group.rooter.", "group.decode",
	"group.DecodeMany",
}

// notSteps are statements that check nothing: counters of messages, the soundness error, progress, hints, names, and the emptying of the
// transcript's buffer, without which all of it is hashed again, in quadratic time.
var notSteps = regexp.MustCompile(`^(c\.count\.(Points|Scalars|Linear|Products|Errors)\b|(c|ch|l\.ch|t\.ch)\.Charge\(|t\.note\(|p\.phase\(` +
	`|b\.Hint\(|b\.prefix = |t\.buf = t\.buf\[:0\])`)

// messages are the labels of all messages that a channel absorbs, ? standing for the number of a wave. Each is a mutant.
var messages = []struct {
	label  string
	points bool
}{
	{"pads", true}, {"witness rows", true}, {"lookup root", false}, {"lookup layer first", false}, {"lookup layer round", false},
	{"lookup layer claims", false}, {"leaf evaluations", true}, {"wave ?", false}, {"wave ? evaluations", true}, {"columns", false},
	{"product block", true}, {"f(c), g(c)", false}, {"D", true}, {"t_D", false}, {"phi", false}, {"L, R", true}, {"rest", false},
}

// predicates are functions whose one boolean result is what a guard asks: their conjunctions are weakened as guards' disjunctions are.
// The value is the answer that refuses, or asks for more.
var predicates = map[string]bool{
	"generation.inVocabulary": false, "interval.Interval.In": false, "interval.sameFactor": false, "veil.isSmall": true, "gadget.clamps": true,
	"dialogue.Question.SamePrompt": false, "dialogue.Question.SameAnswer": false, "dialogue.reads": false,
}

// forbidden are functions that answer a forbidden input with the zero value, which their caller refuses.
var forbidden = map[string]bool{"veil.foldChallenge": true}

// judge is a test binary and the tests in it that are not used.
type judge struct {
	pkg  string
	skip string // tests that do not demand a rejection
	only string // the tests that are used, where most are of other things; else all
}

// control is the test of honest proofs, in the first judge. Every mutant it reaches is tried on it before anything else.
const control = "TestHonestStages"

// listed is the test that is a list of attacks, in the first judge. Each of them is a test of its own here.
const listed = "TestMustReject"

// judges are the test binaries in the order in which they are asked. All run with -short, without trained models, and try all lies.
var judges = []judge{
	// The schedule is a stored file, the list of messages the same in other words; then tests of the tests; then of hiding.
	{pkg: "attack", skip: "^(TestSchedule|TestMessages|TestFieldCellsAreHonestAround|TestEveryOperationIsAttacked|TestEveryChallengeIsAttacked" +
		"|TestNothingIsSentInClear|TestMustReject/(randomness_used_twice|setups_that_share_blinders))$"},
	{pkg: "circuit"},
	{pkg: "interval"},
	{pkg: "generation", skip: "^(TestEvalIsTheMLE|TestPublic|TestPublicLogits)$"},  // values
	{pkg: "function", skip: "^(TestEvalIsTheMLE|TestFill|TestRound|TestElement)$"}, // values
	{pkg: "ints"},
	{pkg: "transcript", skip: "^(TestLayout|TestLongItems|TestRecord|TestPinned)$"}, // bytes
	{pkg: "group", skip: "^(TestEncodeDecode|TestGeneratorsPinned|TestGeneratorsMemo|TestMSM|TestFixedBase.*|TestBuckets.*|TestFoldPoints|TestSplit" +
		"|TestCommitRows.*|TestWidths)$"},
	{pkg: "field", skip: "^(TestModulusWords|TestConstants|TestShortChallenge|TestUniform|TestBatchInvert|TestDot.*|TestManyTerms" +
		"|TestInnerProduct|TestReduceWords|TestReduceFourWords)$"},
	{pkg: "constants"},
	{pkg: "format", skip: "^(TestVectors.*|.*Weights.*)$"}, // stored files; setup's
	{pkg: "poly", skip: "^(TestLog2Ceil|TestEq|TestValid.*|TestEvalInts|TestExtrapolate|TestLagrange)$"},
	{pkg: "commit", skip: "^(TestPlaces|TestOwnedRows|TestPartsSumToTheMLE)$"},
	{pkg: "einsum"},
	{pkg: "tables", skip: "^(TestEvalAgainstFloat|TestPrecision|TestTail|TestTies|TestExp|TestPinned)$"},
	{pkg: "verifier"},
	{pkg: "veil", skip: "^(TestLambda|TestRealProofIsASimulation)$"}, // a value; bytes
	{pkg: "lookup", skip: "^(TestColumnsEvaluateAsMLEs|TestRangesHaveClosedForms|TestBelow|TestPlan|TestCounts|TestPointsShareSlices)$"},
	{pkg: "protocol"},
	{pkg: "gadget"},
	{pkg: "attention", skip: "^(TestContextBound)$"},
	{pkg: "dialogue"},
	{pkg: "passage"},
	{pkg: "circuits", skip: "^TestRoundTrip$"}, // bytes
	{pkg: "strictjson"},
	{pkg: "conversation"},
	{pkg: "bundle"},
	{pkg: "checker"},
	{pkg: "web"},
	{pkg: "prover", only: "^(TestVerify.*|TestNothingToldIsNothingProved|TestVocabularyOfService|TestTextOfFunction|TestTextFlags|TestPrivateText)$"}, // texts
}
