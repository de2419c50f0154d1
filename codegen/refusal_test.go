package codegen

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// TestRefusals says that a step which the builder refuses, when it is declared or at the end, is an error that names the ONNX node and
// its operator, what is in the way and what to do, and no tensor; in a layer, the node of that layer.
func TestRefusals(t *testing.T) {
	x := plan.Ref{Place: plan.InPrologue}
	wide := func(name string, terms ...plan.Term) plan.Step {
		return plan.Step{Op: plan.VirtualBound, Name: name, Shape: []int{2}, Terms: terms, Args: []plan.Arg{plan.Integer("lo", 0), plan.Integer("hi", 1), plan.Text("why", "so")}}
	}
	cube := plan.Term{Coef: plan.Int(1 << 61), Spec: "i,i,i->i i=2", In: []int{0, 0, 0}}
	fifth := plan.Term{Coef: plan.Int(1 << 61), Spec: "i,i,i,i,i->i i=2", In: make([]int, 5)}
	rescale := func(shift int) plan.Step {
		return plan.Step{Op: plan.Rescale, Name: "y", Args: []plan.Arg{plan.Size("shift", shift), plan.Integer("lo", -2), plan.Integer("hi", 1)}}
	}
	for name, c := range map[string]struct {
		steps []plan.Step // each takes the one before
		want  string
	}{
		"shift": {[]plan.Step{rescale(99)}, `node "onnx y" (Op y): a shift by 99 bits, want 0 to 61; scale its inputs or its weights down`},
		"table": {[]plan.Step{{Op: plan.Table, Name: "f", Args: []plan.Arg{plan.Text("fn", "silu"), plan.Size("inScale", 4), plan.Size("outScale", 99)}}},
			`node "onnx f" (Op f): tables: silu has no table with arguments in steps of 2^-4 and values in steps of 2^-99; scale`},
		"too wide for a table": {[]plan.Step{{Op: "Max", Name: "m"}}, `node "onnx m" (Op m): relu over [-65535, 65535] needs a table of more than 2^16 lines; `},
		"sum": {[]plan.Step{{Op: plan.Virtual, Name: "v", Shape: []int{2}, Terms: []plan.Term{fifth}}},
			`node "onnx v" (Op v): cells may reach [-87112285931760246646623899502532662132736, 87109627475768676814878091888412101443584], beyond 2^124; scale`},
		"axis": {[]plan.Step{{Op: plan.Virtual, Name: "v", Shape: []int{2}, Terms: []plan.Term{{Coef: plan.Int(1), Spec: "(ij)->. i=1 j=3", In: []int{0}}}}},
			`node "onnx v" (Op v): axis 0 of`},
		"scores": {[]plan.Step{{Op: plan.Attn, Name: "a", Args: []plan.Arg{plan.Size("Shift", 0), plan.Size("DBits", 3), plan.Size("EBits", 3), plan.Size("InvBits", 9), plan.Float("Unit", 1)}}},
			`node "onnx a" (Op a): scores of shape [2] have no rows; scale queries or keys down`},
		"wrap-around": {[]plan.Step{wide("u", cube), wide("w", cube), wide("z", cube), wide("zz", cube), rescale(1)},
			`node "onnx y" (Op y): it is checked, but its cells may wrap around the field whatever is declared of them: they may have `},
	} {
		p := &plan.Plan{Config: plan.Config{Name: "bad", WeightBits: 11, WitnessBits: 11}, Origins: map[string]plan.Origin{}}
		p.Prologue = []plan.Step{{Op: plan.Weight, Name: "x", Shape: []int{2}, Args: []plan.Arg{plan.Size("bits", 16)}}}
		for i, s := range c.steps {
			from := x
			from.Index = i
			s.In = []plan.Ref{from}
			if s.Op == "Max" {
				second := plan.Step{Op: plan.Weight, Name: "x2", Shape: []int{2}, Args: []plan.Arg{plan.Size("bits", 16)}}
				p.Prologue, s.In = append(p.Prologue, second), []plan.Ref{x, {Place: plan.InPrologue, Index: 1}}
			}
			p.Prologue = append(p.Prologue, s)
			p.Origins[s.Name] = plan.Origin{Node: "onnx " + s.Name, Operator: "Op " + s.Name}
		}
		_, err := BuildCircuit(t.Context(), p)
		require.ErrorContains(t, err, c.want, name)
		var r *Refusal
		require.ErrorAs(t, err, &r, name)
		require.NotEmpty(t, r.Remedy, name)
		require.NotContains(t, r.Reason, "y.rem", name)
		var inner *circuit.Error
		require.True(t, errors.As(err, &inner), name)
		require.ErrorContains(t, inner, "circuit bad: ", name)
	}
	p := readPlan(t, filepath.Join("testdata", "llama"))
	p.Origins = map[string]plan.Origin{}
	broken := ""
	for i := range p.Block {
		if s := &p.Block[i]; s.Op == plan.Rsqrt && broken == "" {
			broken = s.Name
			for k := range s.Args {
				if s.Args[k].Name == "eps" {
					s.Args[k].Param = plan.Param{Kind: plan.KindInteger, Column: len(p.Columns)}
				}
			}
			p.Columns = append(p.Columns, plan.Column{Name: "eps", Kind: plan.KindInteger, Ints: append([]int64{1, 0}, make([]int64, p.Layers)...)[:p.Layers]})
		}
	}
	p.Origins[layerPrefix(1)+broken] = plan.Origin{Node: "second", Operator: "LayerNormalization"}
	_, err := BuildCircuit(t.Context(), p)
	require.ErrorContains(t, err, `node "second" (LayerNormalization): inverse square root of`)
	require.ErrorContains(t, err, "epsilon nearer")
}
