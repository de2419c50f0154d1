package attack

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/emulated"
	"github.com/zkllmc/zkllmc/ir"
)

// attack is one row of the list: what a lying prover does, and where it is tried.
type attack struct {
	name string
	lies func(t testing.TB, u *subject) []named // about any circuit: none where it has nothing of the kind
	own  func(t *testing.T)                     // on circuits and runs of its own
}

// section is a part of the list.
type section struct {
	title   string
	attacks []attack
}

// sections is the list of attacks. Whatever is not in it is not run, and what is in it is run by TestMustReject.
func sections() []section {
	known := section{title: "what broke other systems, or could have"}
	for _, k := range knownBreaks {
		known.attacks = append(known.attacks, attack{name: k.name, own: k.run})
	}
	return []section{{"the statement and the model", []attack{
		{"wrong output", wrongOutput, nil},
		{"tie broken to a higher index", nil, rejectTieBrokenToAHigherIndex},
		{"answer that the logits do not predict", nil, rejectAnswerThatTheLogitsDoNotPredict},
		{"answers that the model reads before it gives them", nil, rejectAnswersThatTheModelReads},
		{"changed public input", changedPublicInput, nil},
		{"changed private input", nil, rejectChangedPrivateInput},
		{"lies about ports: a step of a real, swapped, out of range, no mask, told though private, of another kind", nil, rejectLiesAboutPorts},
		{"port that challenges do not bind", nil, rejectPortThatChallengesDoNotBind},
		{"one-hot rows that are none", nil, rejectRowsThatAreNotOneHot},
		{"replay for another circuit, model, input or output", nil, rejectReplay},
		{"wrong weights for the commitment", wrongWeights, rejectWrongWeightsForTheCommitment},
		{"weights of another model", nil, rejectWeightsOfAnotherModel},
		{"weight out of its range", weightOutOfRange, rejectWeightOutOfRange},
		{"changed message of a range proof", nil, rejectChangedSetupMessage},
		{"piece of a range proof left out, twice, in another's place, of another model", nil, rejectPiecesThatAreNotAll},
		{"piece of a range proof that is told another place or model", nil, rejectPieceThatIsToldOtherwise},
		{"weight out of its range in one piece", nil, rejectWeightOutOfRangeInOnePiece},
		{"proof of another length of the model", nil, rejectProofOfAnotherLength},
		{"key of a family with a circuit left out, exchanged, in another order, or of one alone", nil, rejectKeyOfAnotherFamily},
		{"proof of another family with the same weights, or the same commitment", nil, rejectProofOfAnotherFamily},
	}}, {"the program", []attack{
		{"committed tensor changed", committedTensorChanged, nil},
		{"cell out of its range", cellOutOfRange, nil},
		{"computed tensor changed", nil, rejectComputedTensorChanged},
		{"commitment to another cell than computed with", committedCellChanged, nil},
		{"rescale off by one", rescaleOffByOne, nil},
		{"quotient out of range with a valid remainder", nil, rejectQuotientOutOfRange},
		{"quotient of a wide tensor that is right modulo 2^64", nil, rejectQuotientModulo64},
		{"the other saturation branch", otherSaturationBranch, nil},
		{"value that was clamped, where the statement says that none was", nil, rejectClampedUnderTheFlag},
		{"limb that does not recompose", limbThatDoesNotRecompose, rejectLimbThatDoesNotRecompose},
		{"output of another line", outputOfAnotherLine, nil},
		{"pair not in the table", nil, rejectPairNotInTable},
		{"line of the neighbouring table", nil, rejectLineOfTheNeighbouringTable},
		{"argument that lies in a neighbouring piece", nil, rejectArgumentInANeighbouringPiece},
		{"value or slope of another piece, or of none", nil, rejectAnotherPiece},
		{"argument that is no integer", nil, rejectArgumentThatIsNoInteger},
		{"wrong multiplicity", wrongMultiplicity, nil},
		{"maximum that is the smaller one, or neither", nil, rejectMaximumThatIsNone},
		{"maximum that is no integer", nil, rejectMaximumThatIsNoInteger},
		{"inverse square root off by one or negative", rsqrtOffByOne, nil},
		{"inverse square root that is no integer", nil, rejectRsqrtThatIsNoInteger},
		{"reciprocal off by one", reciprocalOffByOne, nil},
		{"reciprocal that wraps around", nil, rejectReciprocalThatWrapsAround},
		{"row maximum too large or too small", wrongRowMax, rejectWrongRowMax},
		{"row maximum that is no integer", nil, rejectFractionalRowMax},
		{"attention to a masked position", attentionToAMaskedPosition, nil},
		{"wrong mask", wrongMask, nil},
		{"wrong constant, as a rotary angle", wrongConstant, nil},
		{"term of a sum left out or negated", termLeftOut, nil},
		{"wrong skip connection", nil, rejectWrongSkipConnection},
		{"window with another step, offset or padding", nil, rejectWrongWindow},
		{"slice of other cells", nil, rejectWrongSlice},
		{"axis looked at in other parts", nil, rejectWrongStorage},
		{"sum that is right mod p only", nil, rejectFractionsInASum},
		{"looked-up column that is not what defines it", columnThatIsNotDefined, nil},
		{"garbage in gaps, tails and padding", garbage, rejectGarbageInGapsTailsAndPadding},
		{"lie that one constraint alone refuses", nil, rejectWhatOneConstraintRefuses},
	}}, {"the protocol", []attack{
		{"changed message", changedMessage, nil},
		{"challenge chosen by the prover", chosenChallenge, nil},
		{"challenge drawn before its message", challengeBeforeItsMessage, nil},
		{"stages in another order", stagesInAnotherOrder, nil},
		{"fraction tree of zeros", hollowTrees, rejectZeroFractionTree},
		{"one false product of the tree", nil, rejectOneFalseProductOfTheTree},
		{"poles that cancel, at a known β", nil, rejectPolesAtAKnownBeta},
		{"false root that keeps the combination", nil, rejectFalseRootThatKeepsTheCombination},
		{"false root repaired by the first layer", nil, rejectFalseRootRepairedByTheFirstLayer},
		{"false claims that are true on the line", nil, rejectFalseClaimsThatAreTrueOnTheLine},
		{"zero-check at a known point", nil, rejectZeroCheckAtAKnownPoint},
		{"false partial product of a wave", nil, rejectFalsePartialProduct},
		{"wrong round polynomials", bentRounds, nil},
		{"rounds of higher degree, missing, extra", nil, rejectRoundsOfOtherShape},
		{"sumcheck of a false claim", nil, rejectSumcheckOfAFalseClaim},
		{"false claims that cancel in a wave", nil, rejectFalseClaimsThatCancelInAWave},
		{"opening of a false evaluation", nil, rejectOpeningOfAFalseEvaluation},
		{"false openings that cancel", nil, rejectFalseOpeningsThatCancel},
		{"opening off by a generator of another segment", openingOffByDelta, nil},
		{"borrowed generators", nil, rejectBorrowedGenerators},
		{"false product", nil, rejectFalseProduct},
		{"f(c), g(c) chosen after ν", nil, rejectClearValuesChosenAfterNu},
		{"false constraints that cancel", nil, rejectFalseConstraintsThatCancel},
		{"mask that absorbs an error", nil, rejectMaskThatAbsorbsAnError},
		{"error hidden in the base of the inner product", nil, rejectErrorInTheInnerProductsBase},
		{"folding that absorbs an error", nil, rejectFoldingThatAbsorbsAnError},
		{"item that challenges do not bind", nil, rejectItemThatChallengesDoNotBind},
		{"statement or model that challenges do not bind", nil, rejectPublicThatChallengesDoNotBind},
		{"randomness used twice", nil, rejectReusedRandomness},
		{"setups that share blinders", nil, rejectSetupsThatShare},
	}}, {"the files: damaged ones, and proofs shown with what they do not show", []attack{
		{"proof of another statement", replayed, nil},
		{"logits out of bounds", logitsOutOfBounds, nil},
		{"items changed, exchanged, left out, sent twice", changedItems, nil},
		{"messages exchanged", messagesExchanged, nil},
		{"points and scalars in other forms", notCanonical, nil},
		{"truncated and trailing bytes", cutFiles, nil},
		{"changed headers", changedHeaders, nil},
		{"well-formed nonsense", nonsense, nil},
		{"changed statement", changedStatement, nil},
		{"verifying key that is not the pinned one", nil, rejectUnpinnedKey},
	}}, {"refused before there is a proof", []attack{
		{"claim left out of the ledger", nil, rejectClaimLeftOutOfTheLedger},
		{"tensor that no lookup covers", nil, rejectUncoveredTensor},
		{"pad used twice", nil, rejectPadUsedTwice},
		{"pads committed late", nil, rejectPadsCommittedLate},
	}}, known}
}

// operation says which attacks give an operation of the integer program a wrong output, a wrong hint or quotient, and a witness
// out of range or around the modulus, and on which small circuit the generic ones of them must find something to lie about.
type operation struct {
	circuit              string
	output, hint, around []string // names of attacks, or a reason in parentheses why there is no such thing
}

var operations = map[ir.Op]operation{
	ir.OpInput:   {"reveal logits", []string{"changed public input"}, []string{"changed private input"}, []string{"one-hot rows that are none"}},
	ir.OpWeight:  {"copy", []string{"wrong weights for the commitment"}, []string{"(no hint computes it)"}, []string{"weight out of its range"}},
	ir.OpConst:   {"rotation", []string{"wrong constant, as a rotary angle"}, []string{"(no hint computes it)"}, []string{"(it is part of the circuit)"}},
	ir.OpAffine:  {"window", []string{"wrong constant, as a rotary angle", "window with another step, offset or padding", "slice of other cells", "axis looked at in other parts"}, []string{"(no hint computes it)"}, []string{"(it is part of the circuit)"}},
	ir.OpOneHot:  {"private embedding", []string{"one-hot rows that are none"}, []string{"changed private input"}, []string{"cell out of its range"}},
	ir.OpEinsum:  {"residual", []string{"looked-up column that is not what defines it"}, []string{"term of a sum left out or negated"}, []string{"sum that is right mod p only"}},
	ir.OpRescale: {"clamp", []string{"rescale off by one"}, []string{"the other saturation branch", "limb that does not recompose"}, []string{"cell out of its range", "quotient out of range with a valid remainder"}},
	ir.OpTable:   {"table", []string{"output of another line"}, []string{"rescale off by one", "pair not in the table"}, []string{"cell out of its range"}},
	ir.OpPiecewiseLinear: {"piecewise", []string{"value or slope of another piece, or of none", "output of another line"},
		[]string{"argument that lies in a neighbouring piece", "rescale off by one", "the other saturation branch"},
		[]string{"cell out of its range", "argument that is no integer"}},
	ir.OpMax:        {"max", []string{"maximum that is the smaller one, or neither"}, []string{"pair not in the table", "output of another line"}, []string{"cell out of its range", "maximum that is no integer"}},
	ir.OpRsqrt:      {"rsqrt", []string{"inverse square root off by one or negative"}, []string{"lie that one constraint alone refuses"}, []string{"cell out of its range", "inverse square root that is no integer"}},
	ir.OpReciprocal: {"reciprocal", []string{"reciprocal off by one"}, []string{"lie that one constraint alone refuses"}, []string{"cell out of its range", "reciprocal that wraps around"}},
	ir.OpZkAttn:     {"attention", []string{"output of another line", "attention to a masked position"}, []string{"row maximum too large or too small", "reciprocal off by one"}, []string{"cell out of its range", "row maximum that is no integer", "reciprocal that wraps around"}},
}

// TestMain prints the names of the attacks, as tests are named, where they are asked for: they are in no list of tests before they run. Provers
// compute on an emulated GPU where ZKLLMC_BACKEND says so.
func TestMain(m *testing.M) {
	if os.Getenv("ZKLLMC_BACKEND") == "emulated" {
		device, err := emulated.Open(1)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		processor = device
	}
	if os.Getenv("ZKLLMC_ATTACKS") == "names" {
		for _, s := range sections() {
			for _, a := range s.attacks {
				fmt.Println("TestMustReject/" + strings.ReplaceAll(a.name, " ", "_"))
			}
		}
	}
	os.Exit(m.Run())
}

// column is a circuit that attacks are tried on.
type column struct {
	name string
	u    *subject
}

// columns are the small circuits, then the trained models; those that are not at hand, or too slow for -short, have no subject.
func columns(t *testing.T) []column {
	var out []column
	for name := range stages {
		out = append(out, column{name, stage(t, name)})
	}
	slices.SortFunc(out, func(a, b column) int { return strings.Compare(a.name, b.name) })
	for _, m := range models {
		c := column{name: m.name}
		if !testing.Short() {
			c.u = realSubject(t, m)
		}
		out = append(out, c)
	}
	return out
}

// TestMustReject runs every attack of the list on every circuit that has what it lies about, prints a line for each, and compares the
// list with the tables in SECURITY.md, which make attacks writes. Of the lies that there are it tries a sample, or with make attacks all.
func TestMustReject(t *testing.T) {
	cs := columns(t)
	var done []result
	for _, s := range sections() {
		for _, a := range s.attacks {
			t.Run(a.name, func(t *testing.T) {
				r := result{attack: a, section: s.title, lies: make([]int, len(cs)), tried: make([]int, len(cs))}
				defer func() { fmt.Println(r.line(t.Failed())) }()
				r.run(t, cs)
				r.everythingIsTried(t, cs)
				done = append(done, r)
			})
		}
	}
	whole := 0
	for _, s := range sections() {
		whole += len(s.attacks)
	}
	if len(done) == whole && !t.Failed() {
		everyModelIsTried(t, done, cs)
		everyCircuitIsTried(t, done, cs)
		everyOperationIsAttacked(t, done, cs)
		everyChallengeIsAttacked(t)
		compare(t, done, cs)
		return
	}
	require.False(t, *update, "the tables are written only where all attacks were run and none failed")
}

// result is how often an attack was tried.
type result struct {
	attack
	section string
	lies    []int // per column
	liars   int   // lies of provers, as opposed to files that are damaged or shown with something else
	tried   []int // of the lies, per column
}

// sweep says that every lie is tried, as make attacks does. Otherwise, so that all tests take minutes, a part of them is: of every attack
// one proof of a liar about each of a third of the small circuits, three at least, those of the operations that it attacks among them, or
// about each as many as perCircuit where something is shown to the verifier without a new proof, which costs less; and of one attack in
// perModel a lie about one of the trained models, the first for the most part, whose proofs cost half of the other's.
var sweep = os.Getenv("ZKLLMC_ATTACKS") == "all"

const (
	perCircuit = 3
	perModel   = 3
)

// most is how many lies of an attack about a circuit a sample holds; the trained models count as one circuit.
func (r *result) most(j job) (circuit string, n int) {
	switch {
	case j.u.big && hash(r.name)%perModel != 0:
		return "trained models", 0
	case j.u.big:
		return "trained models", 1
	case j.run == nil:
		return j.column.name, 1
	}
	return j.column.name, perCircuit
}

// hash makes a choice that looks like one by chance, and is the same on every machine and in every run.
func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum64()
}

// sample chooses the lies to try. The choice follows from names alone, and shifts from attack to attack.
func (r *result) sample(jobs []job) (out []job) {
	order := func(j job) uint64 { return hash(r.name, j.column.name, j.what) }
	other := models[0].name
	if hash(r.name)%9 != 0 {
		other = models[1].name
	}
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b job) int {
		return cmp.Or(cmp.Compare(rank(a.column.name != other), rank(b.column.name != other)), cmp.Compare(order(a), order(b)))
	})
	taken, proved := map[string]int{}, r.chosen(jobs)
	for _, j := range jobs {
		if j.run == nil && !j.u.big && !proved[j.column.name] {
			continue
		}
		if circuit, n := r.most(j); taken[circuit] < n {
			taken[circuit]++
			out = append(out, j)
		}
	}
	return out
}

// chosen are the small circuits about which a sample has proofs of liars.
func (r *result) chosen(jobs []job) map[string]bool {
	var names []string
	for _, j := range jobs {
		if j.run == nil && !j.u.big && !slices.Contains(names, j.column.name) {
			names = append(names, j.column.name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(hash(r.name, a), hash(r.name, b)) })
	must, chosen := r.must(), map[string]bool{}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(must[a]), rank(must[b])) })
	for i, name := range names {
		if i < enough(len(names)) || must[name] {
			chosen[name] = true
		}
	}
	return chosen
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// must are the circuits of the operations that the attack is listed for.
func (r *result) must() map[string]bool {
	out := map[string]bool{}
	for _, o := range operations {
		if slices.Contains(slices.Concat(o.output, o.hint, o.around), r.name) {
			out[o.circuit] = true
		}
	}
	return out
}

// enough is how many of some circuits a sample has.
func enough(circuits int) int { return min(circuits, max(3, (circuits+2)/3)) }

// everythingIsTried demands of a sample what it may not lose: every attack was tried about enough of the small circuits that have what it
// lies about, and about those of the operations that it attacks.
func (r *result) everythingIsTried(t *testing.T, cs []column) {
	lies, tried := 0, 0
	for i, c := range cs {
		if r.lies[i] > 0 && !c.u.big {
			lies++
			tried += min(1, r.tried[i])
			require.True(t, r.tried[i] > 0 || !r.must()[c.name], "%q was not tried on %s", r.name, c.name)
		}
	}
	require.GreaterOrEqual(t, tried, enough(lies), "%q was tried on %d of %d small circuits", r.name, tried, lies)
}

// everyCircuitIsTried demands of all samples together that every small circuit, and with it every gadget, was lied about.
func everyCircuitIsTried(t *testing.T, done []result, cs []column) {
	for i, c := range cs {
		lies, tried := 0, 0
		for _, r := range done {
			lies, tried = lies+r.lies[i], tried+r.tried[i]
		}
		require.True(t, c.u == nil || c.u.big || lies == 0 || tried > 0, "nothing was tried on %s", c.name)
	}
}

// everyModelIsTried demands of all samples together that lies of each section were tried about a trained model, where one is at hand, and
// about each of them.
func everyModelIsTried(t *testing.T, done []result, cs []column) {
	lies, tried := map[string]int{}, map[string]int{}
	for i, c := range cs {
		if c.u == nil || !c.u.big {
			continue
		}
		for _, r := range done {
			for _, of := range []string{r.section, c.name} {
				lies[of] += r.lies[i]
				tried[of] += r.tried[i]
			}
		}
	}
	for of, n := range lies {
		require.True(t, n == 0 || tried[of] > 0, "no lie of %q was tried on a trained model", of)
	}
}

// job is one lie about one circuit.
type job struct {
	column
	named
	at int // of the column
}

func (r *result) run(t *testing.T, cs []column) {
	require.True(t, r.attack.lies != nil || r.own != nil, "there is no test of this attack")
	var jobs []job
	for i, c := range cs {
		if r.attack.lies == nil || c.u == nil {
			continue
		}
		for _, l := range r.attack.lies(t, c.u) {
			jobs = append(jobs, job{c, l, i})
			r.lies[i]++
			if l.run == nil {
				r.liars++
			}
		}
		if r.lies[i] > 0 {
			c.u.control(t)
		}
	}
	require.True(t, r.attack.lies == nil || len(jobs) > 0, "no circuit has what this attack lies about")
	if !sweep {
		jobs = r.sample(jobs)
	}
	for i, err := range parallel(len(jobs), func(i int) error { return jobs[i].u.try(jobs[i].named) }) {
		assert.NoError(t, err, "%s: %s", jobs[i].column.name, jobs[i].what)
	}
	for _, j := range jobs {
		r.tried[j.at]++
	}
	if r.own != nil {
		r.own(t)
	}
}

// line is what a user sees of an attack.
func (r *result) line(failed bool) string {
	var where []string
	if n := circuits(r.lies); n > 0 {
		where = append(where, fmt.Sprintf("%d of %d lies about %d circuits", sum(r.tried), sum(r.lies), n))
	}
	if r.own != nil {
		where = append(where, r.file())
	}
	return fmt.Sprintf("%-52s %-52s %s", r.name, strings.Join(where, ", "), map[bool]string{false: "rejected", true: "FAILED"}[failed])
}

// file is where an attack that is a test of its own stands.
func (r *result) file() string {
	path, _ := runtime.FuncForPC(reflect.ValueOf(r.own).Pointer()).FileLine(reflect.ValueOf(r.own).Pointer())
	return filepath.Base(path)
}

func sum(v []int) (n int) {
	for _, k := range v {
		n += k
	}
	return n
}

func circuits(lies []int) (n int) {
	for _, k := range lies {
		if k > 0 {
			n++
		}
	}
	return n
}

// everyOperationIsAttacked demands that every operation of the integer program has attacks of each of the three kinds, and that those
// that lie about any circuit did lie about the operation's.
func everyOperationIsAttacked(t *testing.T, done []result, cs []column) {
	results := map[string]result{}
	for _, r := range done {
		require.NotContains(t, results, r.name, "listed twice")
		results[r.name] = r
	}
	for _, op := range ir.Ops() {
		if !slices.Contains(op.Stages, ir.StageInt) {
			continue
		}
		require.NotEmpty(t, op.Unique, op.Op)
		o, ok := operations[op.Op]
		require.True(t, ok, "%s is not attacked", op.Op)
		at := slices.IndexFunc(cs, func(c column) bool { return c.name == o.circuit })
		require.GreaterOrEqual(t, at, 0, o.circuit)
		for _, names := range [][]string{o.output, o.hint, o.around} {
			require.NotEmpty(t, names, op.Op)
			for _, name := range names {
				r, ok := results[name]
				require.True(t, ok || strings.HasPrefix(name, "("), "%s: there is no attack %q", op.Op, name)
				require.True(t, !ok || r.own != nil || r.lies[at] > 0, "%q found nothing to lie about in %s", name, o.circuit)
			}
		}
	}
}

// The tables stand in a document, between two marks.
const (
	document   = "../../../SECURITY.md"
	tableBegin = "<!-- make attacks writes from here -->\n"
	tableEnd   = "<!-- to here -->\n"
)

// tables writes down what was run: the attacks that lie about any circuit by circuit, those that are tests of their own by file, and
// the operations.
func tables(done []result, cs []column) string {
	var b strings.Builder
	liars, files, own := 0, 0, 0
	for _, r := range done {
		liars, files = liars+r.liars, files+sum(r.lies)-r.liars
		if r.own != nil {
			own++
		}
	}
	fmt.Fprintf(&b, "\n%d attacks. The first table counts %d proofs of lying provers and %d files that are damaged or shown with what they do not show;\n"+
		"some lies stand in more than one row. The second lists the %d attacks that are tests of their own.\n", len(done), liars, files, own)
	b.WriteString("\nCircuits:")
	for i, c := range cs {
		fmt.Fprintf(&b, " %d %s%s", i+1, c.name, map[bool]string{true: ".", false: ","}[i == len(cs)-1])
	}
	b.WriteString("\n\n| attack |")
	for i := range cs {
		fmt.Fprintf(&b, " %d |", i+1)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(cs)) + "\n")
	for _, r := range done {
		if r.attack.lies != nil {
			fmt.Fprintf(&b, "| %s |", r.name)
			for _, n := range r.lies {
				b.WriteString(map[bool]string{true: " |", false: fmt.Sprintf(" %d |", n)}[n == 0])
			}
			b.WriteByte('\n')
		}
	}
	b.WriteString("\n| attack | a test of its own, in `internal/test/attack` |\n|---|---|\n")
	for _, r := range done {
		if r.own != nil {
			fmt.Fprintf(&b, "| %s%s | %s |\n", r.name, published(r.name), r.file())
		}
	}
	b.WriteString("\n| operation | wrong output | wrong hint or quotient | out of range, around the modulus |\n|---|---|---|---|\n")
	for _, op := range ir.Ops() {
		if o, ok := operations[op.Op]; ok {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", op.Op, strings.Join(o.output, "; "), strings.Join(o.hint, "; "), strings.Join(o.around, "; "))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// published is where a break of another system was published.
func published(name string) string {
	for _, k := range knownBreaks {
		if k.name == name {
			return " (" + k.source + ")"
		}
	}
	return ""
}

// number is a count in a table; where a circuit is not at hand, numbers are not compared.
var number = regexp.MustCompile(`[0-9]+`)

// compare holds the tables against the document, or writes them there.
func compare(t *testing.T, done []result, cs []column) {
	require.True(t, sweep || !*update, "make attacks tries all lies, and writes the tables")
	text := tables(done, cs)
	data, err := os.ReadFile(document)
	require.NoError(t, err)
	parts := regexp.MustCompile(`(?s)^(.*` + regexp.QuoteMeta(tableBegin) + `)(.*)(` + regexp.QuoteMeta(tableEnd) + `.*)$`).FindSubmatch(data)
	require.NotNil(t, parts, "the document has no place for the tables")
	want := string(parts[2])
	if missing := slices.IndexFunc(cs, func(c column) bool { return c.u == nil }); missing >= 0 {
		require.False(t, *update, "%s is not at hand, or left out by -short", cs[missing].name)
		blank := func(s string) string { return strings.ReplaceAll(number.ReplaceAllString(s, ""), " ", "") }
		want, text = blank(want), blank(text)
	}
	if *update {
		require.NoError(t, os.WriteFile(document, slices.Concat(parts[1], []byte(text), parts[3]), 0o644))
		return
	}
	require.Equal(t, want, text, "make attacks writes the tables anew")
}
