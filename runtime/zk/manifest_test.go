package zk

import (
	"go/ast"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/protocol"
)

// reason says why an element of a proof tells nothing.
type reason string

const (
	hiding  reason = "a commitment with a blinder of its own"
	vectors reason = "a commitment with a blinder of its own, to a vector"
	padding reason = "a scalar plus a uniform pad that is used once"
	mask    reason = "follows from uniform values and public ones by the final equation"
	uniform reason = "uniform by construction, independent of the witness"
	folded  reason = "computed from the masked vector and public values"
)

// hides lists every message of the protocol with its reason. Numbers in labels are written as #. Whoever adds a message must say here why
// it hides, and extend the simulator (package veil, export_test.go).
var hides = map[string]reason{
	"pads":                hiding,
	"witness rows":        hiding,
	"lookup root":         padding,
	"lookup layer first":  padding,
	"lookup layer round":  padding,
	"lookup layer claims": padding,
	"leaf evaluations":    vectors,
	"wave #":              padding,
	"wave # evaluations":  vectors,
	"columns":             padding,
	"product block":       vectors,
	"f(c), g(c)":          uniform, // f(0), g(0) are uniform and enter with factors that are not zero
	"D":                   mask,
	"t_D":                 mask,
	"phi":                 uniform, // e·ρ_P + ρ_D
	"L, R":                folded,
	"rest":                folded, // z = e·u + d is uniform
}

var number = regexp.MustCompile(`\d+`)

func kindOf(label string) string { return number.ReplaceAllString(label, "#") }

// Every element of real proofs, the range proof of a verifying key among them, belongs to a listed message and is of the kind that
// its reason speaks of. All listed messages occur.
func TestEveryElementHasAReason(t *testing.T) {
	seen := map[string]bool{}
	for i := range shared {
		u := shared[i](t)
		in := u.ask(t, 4, 1)
		checkReasons(t, u.dissect(t, &in.Statement, u.prove(t, in, nil), nil), u.public(t, &in.Statement), seen)
		elements, p := u.dissectKey(t)
		checkReasons(t, elements, p, seen)
	}
	require.Len(t, seen, len(hides))
}

func checkReasons(t *testing.T, elements []element, p *protocol.Proof, seen map[string]bool) {
	t.Helper()
	counts, err := p.Count()
	require.NoError(t, err)
	n := map[reason]int{}
	points := 0
	for _, e := range elements {
		kind := kindOf(e.label)
		r, ok := hides[kind]
		require.True(t, ok, "message %q is not listed", e.label)
		isPoint := r == hiding || r == vectors || kind == "D" || kind == "L, R"
		require.Equal(t, isPoint, e.isPoint, e.label)
		seen[kind] = true
		n[r]++
		if e.isPoint {
			points++
		}
	}
	require.Equal(t, counts.Pads, n[padding], "a pad for each padded scalar")
	require.Equal(t, len(counts.Vectors), n[vectors])
	require.Equal(t, 1+commit.NewLayout(p.Circuit, circuit.Witness, p.Circuit.WitnessBits).Rows, n[hiding])
	require.Equal(t, counts.Points, points)
	require.Len(t, elements, counts.Points+counts.Scalars)
}

// Every place in the sources that sends something is listed: with Scalars what is sent is padded, with Vector it is committed to, the
// others send it as it is. The channel alone writes elements of a proof, and setup the model's commitment.
func TestEverySenderIsListed(t *testing.T) {
	senders := map[string]bool{"Scalars": true, "Vector": true, "Points": true, "clear": true, "send": true}
	got := calls(t, func(_ string, call *ast.CallExpr) string {
		if name, label := method(call, 3); senders[name] {
			return name + " " + label
		}
		if name, what := method(call, 1); name == "Point" || name == "Scalar" {
			return name + " " + what
		}
		return ""
	})
	require.Equal(t, []string{
		`einsum: Vector label`,
		`lookup: Scalars "lookup layer claims"`,
		`lookup: Scalars "lookup layer first"`,
		`lookup: Scalars "lookup layer round"`,
		`lookup: Scalars "lookup root"`,
		`protocol: Points "witness rows"`,
		`prover: Point *it.point`,            // a finished proof into its file
		`prover: Point k.set.Points[i]`,      // the verifying key
		`prover: Point k.set.Points[i]`,      // the prover's own key file
		`prover: Scalar it.scalar`,           // a finished proof
		`prover: Scalar k.set.Rows[i].Blind`, // the prover's own key file
		`sumcheck: Scalars label`,
		`veil: Point points[i]`, // Points
		`veil: Points "D"`,
		`veil: Points "L, R"`,
		`veil: Points label`,     // a vector's commitment
		`veil: Scalar values[i]`, // send
		`veil: Vector "product block"`,
		`veil: clear "f(c), g(c)"`,
		`veil: clear "phi"`,
		`veil: clear "rest"`,
		`veil: clear "t_D"`,
		`veil: send label`, // clear
		`veil: send label`, // Scalars
	}, got)
}
