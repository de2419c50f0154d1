package zk

import (
	"go/ast"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/test/messages"
)

// Every element of real proofs, the range proof of a verifying key among them, belongs to a listed message and is of the kind that
// its reason speaks of. All listed messages occur.
func TestEveryElementHasAReason(t *testing.T) {
	seen := map[int]bool{}
	for i := range shared {
		u := shared[i](t)
		in := u.ask(t, 4, 1)
		checkReasons(t, u.dissect(t, in.Statement, u.prove(t, in, engine.Hooks{}), nil), u.public(t, in.Statement), seen)
		elements, p := u.dissectKey(t)
		checkReasons(t, elements, p, seen)
	}
	require.Len(t, seen, len(messages.All))
}

func checkReasons(t *testing.T, elements []element, p *protocol.Proof, seen map[int]bool) {
	t.Helper()
	counts, err := p.Count()
	require.NoError(t, err)
	n := map[messages.Reason]int{}
	points := 0
	for _, e := range elements {
		i := messages.Find(e.label)
		require.GreaterOrEqual(t, i, 0, "message %q is not listed", e.label)
		m := &messages.All[i]
		require.Equal(t, m.Points(), e.isPoint, e.label)
		seen[i] = true
		n[m.Reason]++
		if e.isPoint {
			points++
		}
	}
	require.Equal(t, counts.Pads, n[messages.Padding], "a pad for each padded scalar")
	require.Equal(t, len(counts.Vectors), n[messages.Vectors])
	require.Equal(t, 1+commit.NewLayout(p.Circuit, circuit.Witness, p.Circuit.WitnessBits).Rows, n[messages.Hiding])
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
		`engine: Point *it.point`,    // a finished proof into its file
		`engine: Point k.points[i]`,  // the verifying key
		`engine: Point k.points[i]`,  // the prover's own key file
		`engine: Point points[i]`,    // commitments into the prover's own folder of an unfinished setup
		`engine: Scalar it.scalar`,   // a finished proof
		`engine: Scalar k.blinds[i]`, // the prover's own key file
		`lookup: Scalars "lookup layer claims"`,
		`lookup: Scalars "lookup layer first"`,
		`lookup: Scalars "lookup layer round"`,
		`lookup: Scalars "lookup root"`,
		`protocol: Points "witness rows"`,
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
