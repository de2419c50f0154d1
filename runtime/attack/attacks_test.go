package attack

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		{"logits out of bounds", logitsOutOfBounds, nil},
		{"tie broken to a higher index", nil, rejectTieBrokenToAHigherIndex},
		{"answer that the logits do not predict", nil, rejectAnswerThatTheLogitsDoNotPredict},
		{"answers that the model reads before it gives them", nil, rejectAnswersThatTheModelReads},
		{"changed public input", changedPublicInput, nil},
		{"changed private input", nil, rejectChangedPrivateInput},
		{"proof of another statement", replayed, nil},
		{"replay for another circuit, model, input or output", nil, rejectReplay},
		{"wrong weights for the commitment", wrongWeights, rejectWrongWeightsForTheCommitment},
		{"weights of another model", nil, rejectWeightsOfAnotherModel},
		{"weight out of its range", weightOutOfRange, rejectWeightOutOfRange},
		{"changed message of a range proof", nil, rejectChangedSetupMessage},
		{"verifying key that is not the pinned one", nil, rejectUnpinnedKey},
	}}, {"the program", []attack{
		{"committed tensor changed", committedTensorChanged, nil},
		{"cell out of its range", cellOutOfRange, nil},
		{"computed tensor changed", nil, rejectComputedTensorChanged},
		{"commitment to another cell than computed with", committedCellChanged, nil},
		{"rescale off by one", rescaleOffByOne, nil},
		{"quotient out of range with a valid remainder", nil, rejectQuotientOutOfRange},
		{"the other saturation branch", otherSaturationBranch, nil},
		{"limb that does not recompose", limbThatDoesNotRecompose, rejectLimbThatDoesNotRecompose},
		{"output of another line", outputOfAnotherLine, nil},
		{"pair not in the table", nil, rejectPairNotInTable},
		{"line of the neighbouring table", nil, rejectLineOfTheNeighbouringTable},
		{"wrong multiplicity", wrongMultiplicity, nil},
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
		{"sum that is right mod p only", nil, rejectFractionsInASum},
		{"looked-up column that is not what defines it", columnThatIsNotDefined, nil},
		{"garbage in gaps, tails and padding", garbage, rejectGarbageInGapsTailsAndPadding},
		{"tensor that no lookup covers", nil, rejectUncoveredTensor},
	}}, {"the protocol", []attack{
		{"changed message", changedMessage, nil},
		{"challenge chosen by the prover", chosenChallenge, nil},
		{"challenge drawn before its message", challengeBeforeItsMessage, nil},
		{"messages in another order", messagesInAnotherOrder, nil},
		{"fraction tree of zeros", hollowTrees, rejectZeroFractionTree},
		{"false root that keeps the combination", nil, rejectFalseRootThatKeepsTheCombination},
		{"false root repaired by the first layer", nil, rejectFalseRootRepairedByTheFirstLayer},
		{"false claims that are true on the line", nil, rejectFalseClaimsThatAreTrueOnTheLine},
		{"zero-check at a known point", nil, rejectZeroCheckAtAKnownPoint},
		{"claim left out of the ledger", nil, rejectClaimLeftOutOfTheLedger},
		{"wrong round polynomials", bentRounds, nil},
		{"rounds of higher degree, missing, extra, zero", nil, rejectRoundsOfOtherShape},
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
		{"folding that absorbs an error", nil, rejectFoldingThatAbsorbsAnError},
		{"pad used twice", nil, rejectPadUsedTwice},
		{"pads committed late", nil, rejectPadsCommittedLate},
		{"randomness used twice", reusedRandomness, rejectReusedRandomness},
		{"setups that share blinders", nil, rejectSetupsThatShare},
	}}, {"the files", []attack{
		{"items changed, exchanged, left out, sent twice", changedItems, rejectChangedItems},
		{"items of a verifying key, likewise", changedKeyItems, nil},
		{"points and scalars in other forms", notCanonical, nil},
		{"truncated and trailing bytes", nil, rejectTruncatedAndTrailing},
		{"changed headers", changedHeaders, rejectHeaders},
		{"well-formed nonsense", nonsense, rejectNonsense},
		{"changed statement", changedStatement, rejectChangedStatement},
	}}, known}
}

// operators says which attacks on an operation of the integer program give it a wrong output, a wrong hint or quotient, and a
// witness out of range or around the modulus.
var operators = map[ir.Op][3]string{
	ir.OpInput:   {"changed public input", "changed private input", "changed statement"},
	ir.OpWeight:  {"wrong weights for the commitment", "weights of another model", "weight out of its range"},
	ir.OpConst:   {"wrong constant, as a rotary angle", "wrong mask", "replay for another circuit, model, input or output"},
	ir.OpOneHot:  {"changed public input", "changed private input", "cell out of its range"},
	ir.OpEinsum:  {"looked-up column that is not what defines it", "term of a sum left out or negated", "sum that is right mod p only"},
	ir.OpRescale: {"rescale off by one", "the other saturation branch", "quotient out of range with a valid remainder"},
	ir.OpTable:   {"output of another line", "pair not in the table", "cell out of its range"},
	ir.OpRsqrt:   {"inverse square root off by one or negative", "limb that does not recompose", "inverse square root that is no integer"},
	ir.OpZkAttn:  {"attention to a masked position", "row maximum too large or too small", "row maximum that is no integer"},
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

// TestMustReject runs every attack of the list on every circuit that has what it lies about, prints a line for each, and compares
// what was run with the table in SECURITY.md (make attacks writes it).
func TestMustReject(t *testing.T) {
	cs := columns(t)
	table := newTable(cs)
	for _, s := range sections() {
		table.section(s.title)
		for _, a := range s.attacks {
			t.Run(a.name, func(t *testing.T) { table.row(a, a.run(t, cs)) })
		}
	}
	table.compare(t)
}

// result is how often an attack was tried.
type result struct {
	lies []int // per column
	own  bool
}

// job is one lie about one circuit.
type job struct {
	column
	named
}

func (a *attack) run(t *testing.T, cs []column) result {
	require.True(t, a.lies != nil || a.own != nil, "there is no test of this attack")
	out := result{lies: make([]int, len(cs)), own: a.own != nil}
	var jobs []job
	for i, c := range cs {
		if a.lies == nil || c.u == nil {
			continue
		}
		for _, l := range a.lies(t, c.u) {
			jobs = append(jobs, job{c, l})
			out.lies[i]++
		}
		if out.lies[i] > 0 {
			c.u.control(t)
		}
	}
	require.True(t, a.lies == nil || len(jobs) > 0, "no circuit has what this attack lies about")
	for i, err := range parallel(len(jobs), func(i int) error { return jobs[i].u.try(jobs[i].named) }) {
		assert.NoError(t, err, "%s: %s", jobs[i].column.name, jobs[i].what)
	}
	if a.own != nil {
		a.own(t)
	}
	verdict := "rejected"
	if t.Failed() {
		verdict = "FAILED"
	}
	var where []string
	if n := circuits(out.lies); n > 0 {
		where = append(where, fmt.Sprintf("%d lies about %d circuits", len(jobs), n))
	}
	if out.own {
		where = append(where, "circuits of its own")
	}
	fmt.Printf("%-52s %-50s %s\n", a.name, strings.Join(where, ", "), verdict)
	return out
}

func circuits(lies []int) (n int) {
	for _, k := range lies {
		if k > 0 {
			n++
		}
	}
	return n
}

// Every operation of the integer program has an attack of each of the three kinds, and the list has no attack twice.
func TestEveryOperationIsAttacked(t *testing.T) {
	names := map[string]bool{}
	for _, s := range sections() {
		for _, a := range s.attacks {
			require.False(t, names[a.name], "%s is listed twice", a.name)
			names[a.name] = true
		}
	}
	integer := 0
	for _, op := range ir.Ops {
		if !slices.Contains(op.Stages, ir.StageInt) {
			continue
		}
		integer++
		require.NotEmpty(t, op.Lowering, op.Op)
		require.Contains(t, operators, op.Op)
		for _, name := range operators[op.Op] {
			require.True(t, names[name], "%s: there is no attack %q", op.Op, name)
		}
	}
	require.Len(t, operators, integer)
}

// attackTable is the table of SECURITY.md.
type attackTable struct {
	columns []column
	b       strings.Builder
	rows    int
	lies    int
}

const (
	document   = "../../SECURITY.md"
	tableBegin = "<!-- make attacks writes from here -->\n"
	tableEnd   = "<!-- to here -->\n"
)

func newTable(cs []column) *attackTable {
	at := &attackTable{columns: cs}
	at.b.WriteString("\nCircuits:")
	for i, c := range cs {
		fmt.Fprintf(&at.b, " %d %s", i+1, c.name)
		at.b.WriteString(map[bool]string{true: ".", false: ","}[i == len(cs)-1])
	}
	at.b.WriteString("\n\n| attack |")
	for i := range cs {
		fmt.Fprintf(&at.b, " %d |", i+1)
	}
	at.b.WriteString(" own |\n|---|" + strings.Repeat("--:|", len(cs)+1) + "\n")
	return at
}

func (at *attackTable) section(title string) {
	fmt.Fprintf(&at.b, "| **%s** |%s\n", title, strings.Repeat(" |", len(at.columns)+1))
}

func (at *attackTable) row(a attack, r result) {
	at.rows++
	at.b.WriteString("| " + a.name)
	for _, k := range knownBreaks {
		if k.name == a.name {
			at.b.WriteString(" (" + k.source + ")")
		}
	}
	at.b.WriteString(" |")
	for _, n := range r.lies {
		at.lies += n
		at.b.WriteString(cell(n))
	}
	at.b.WriteString(map[bool]string{true: " ✓ |\n", false: " |\n"}[r.own])
}

func cell(n int) string {
	if n == 0 {
		return " |"
	}
	return fmt.Sprintf(" %d |", n)
}

// operations is the second table: which attacks lie about which operation.
func operations() string {
	var b strings.Builder
	b.WriteString("\n| operation | wrong output | wrong hint or quotient | out of range, around the modulus |\n|---|---|---|---|\n")
	for _, op := range ir.Ops {
		if names, ok := operators[op.Op]; ok {
			fmt.Fprintf(&b, "| %s | %s |\n", op.Op, strings.Join(names[:], " | "))
		}
	}
	return b.String()
}

// compare holds the table against the document, and writes it there if asked to. What a filter, -short or a missing model left out
// is not compared.
func (at *attackTable) compare(t *testing.T) {
	want := 0
	for _, s := range sections() {
		want += len(s.attacks)
	}
	whole := at.rows == want && !t.Failed() && !slices.ContainsFunc(at.columns, func(c column) bool { return c.u == nil })
	if !whole {
		t.Log("not compared with the document: not all attacks were run on all circuits")
		return
	}
	fmt.Printf("%d attacks, %d lies about %d circuits\n", at.rows, at.lies, len(at.columns))
	text := fmt.Sprintf("\n%d attacks; %d lies about the %d circuits below, and what the attacks do on circuits of their own (✓).\n%s%s\n",
		at.rows, at.lies, len(at.columns), at.b.String(), operations())
	data, err := os.ReadFile(document)
	require.NoError(t, err)
	parts := regexp.MustCompile(`(?s)^(.*` + regexp.QuoteMeta(tableBegin) + `)(.*)(` + regexp.QuoteMeta(tableEnd) + `.*)$`).FindSubmatch(data)
	require.NotNil(t, parts, "the document has no place for the table")
	if *bless {
		require.NoError(t, os.WriteFile(document, slices.Concat(parts[1], []byte(text), parts[3]), 0o644))
		return
	}
	require.Equal(t, string(parts[2]), text, "make attacks writes the table anew")
}
