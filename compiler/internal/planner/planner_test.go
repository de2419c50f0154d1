package planner

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

func planOf(t *testing.T, g *ir.Graph) *plan.Plan {
	p, err := Plan(programOf(t, g), Options{Generation: true})
	require.NoError(t, err)
	return p
}

func programOf(t *testing.T, g *ir.Graph) *quant.Program {
	f, err := quant.Prepare(nil, g)
	require.NoError(t, err)
	cal, err := quant.Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	q, err := quant.Quantise(nil, f, cal)
	require.NoError(t, err)
	return q
}

// TestBoundsAgree compares the bounds of every planned value with those that the circuit has: the compiler computes
// them over the integer program to choose scales, the circuit's builder over tensors, and soundness rests on the latter.
func TestBoundsAgree(t *testing.T) {
	for name, g := range map[string]*ir.Graph{
		"llama": synthetic.Graph(2, 16, 2, 6, 20, 1), "gpt": synthetic.GPT(2, 16, 2, 6, 20, 1),
	} {
		q := programOf(t, g)
		e := newEmitter(q.Int, q.Why, Options{Generation: true})
		require.NoError(t, e.emit())
		p := &plan.Plan{Config: plan.Config{Name: name, Generation: true, WeightBits: 12, WitnessBits: 12}, Ports: e.ports, Constants: e.constants}
		// Without a block every step has a name of its own.
		p.Prologue = (&folder{p: p, steps: e.steps}).section(0, len(e.steps), map[string]int{}, func(x ref) plan.Ref {
			return plan.Ref{Place: plan.InPrologue, Index: x.step, Out: x.out}
		})
		c, err := codegen.BuildCircuit(t.Context(), p)
		require.NoError(t, err)
		tensors := map[string]*circuit.Tensor{}
		for i := range c.Tensors {
			tensors[c.Tensors[i].Name] = &c.Tensors[i]
		}
		for id, r := range e.at {
			s := &p.Prologue[r.step]
			tensor, v := s.Name, q.Int.Value(id)
			if s.Op == plan.Attn {
				tensor += [...]string{".exp", ".inv"}[r.out]
			}
			require.Contains(t, tensors, tensor, name)
			got := tensors[tensor]
			require.Equal(t, v.Shape, got.Shape, "%s: %s", name, tensor)
			require.Equal(t, [2]int64{v.Lo, v.Hi}, [2]int64{got.Lo, got.Hi}, "%s: %s (%s)", name, tensor, s.Op)
		}
	}
}

// TestFoldsLayers says that the layers of a model become a loop, whatever their number, and one layer does not.
func TestFoldsLayers(t *testing.T) {
	for _, layers := range []int{1, 2, 5, 9} {
		for name, g := range map[string]*ir.Graph{
			"llama": synthetic.Graph(layers, 16, 2, 6, 20, 1), "gpt": synthetic.GPT(layers, 16, 2, 6, 20, 1),
		} {
			p := planOf(t, g)
			want := layers
			if layers == 1 {
				want = 0
			}
			require.Equal(t, want, p.Layers, name)
			for _, c := range p.Columns {
				require.Equal(t, layers, len(c.Ints)+len(c.Reals), "%s: column %s", name, c.Name)
			}
			names := map[string]bool{}
			for _, w := range p.Weights {
				require.False(t, names[w.Name], "weight %s twice", w.Name)
				names[w.Name] = true
			}
			if layers > 1 {
				require.True(t, names[fmt.Sprintf("layer%d.o_proj.weight", layers-1)], name)
				require.Len(t, p.Carries, 1, "only the residual stream passes from layer to layer")
			}
		}
	}
}

// rescaling are the arguments of a rescale to two bits.
func rescaling(shift int) []plan.Arg {
	_, args, _ := ir.Lower(&ir.Node{Op: ir.OpRescale, Attr: &ir.RescaleAttr{Shift: shift, Lo: -2, Hi: 1}})
	return args
}

// chain makes steps that all make the same call; refs[i] are the operands of step i.
func chain(refs ...[]ref) []lstep {
	var steps []lstep
	for _, r := range refs {
		steps = append(steps, lstep{Step: plan.Step{Op: plan.Rescale, Name: "r", Shape: []int{2}, Args: rescaling(1)}, refs: r})
	}
	return steps
}

func at(steps ...int) []ref {
	var out []ref
	for _, s := range steps {
		out = append(out, ref{step: s})
	}
	return out
}

func TestFoldChain(t *testing.T) {
	p := &plan.Plan{}
	steps := append([]lstep{{Step: plan.Step{Op: plan.Input, Name: "t", Shape: []int{2}}}}, chain(at(0), at(1), at(2), at(3))...)
	steps[3].Args = rescaling(5)
	fold(p, steps)
	require.Equal(t, 4, p.Layers)
	require.Len(t, p.Block, 1)
	require.Equal(t, []plan.Column{{Name: "r shift", Kind: plan.KindSize, Ints: []int64{1, 1, 5, 1}}}, p.Columns)
	require.Equal(t, []plan.Carry{{Name: "r", Init: plan.Ref{Place: plan.InPrologue}, Next: plan.Ref{Place: plan.InBlock}}}, p.Carries)
}

// TestDoesNotFold keeps sequences straight whose repetition a loop with carried values cannot express.
func TestDoesNotFold(t *testing.T) {
	tokens := lstep{Step: plan.Step{Op: plan.Input, Name: "t", Shape: []int{2}}}
	for name, refs := range map[string][][]ref{
		"two steps back":    {at(0, 0), at(1, 0), at(2, 0), at(3, 1)},
		"an inner result":   {at(0, 0), at(1, 1), at(1, 2)},
		"growing distances": {at(0, 0), at(0, 1), at(0, 2)},
	} {
		p := &plan.Plan{}
		f := &folder{p: p, steps: append([]lstep{tokens}, chain(refs...)...)}
		f.sign()
		r := f.search()
		for i := r.start; r.n > 0 && i < r.start+r.length; i++ {
			require.True(t, f.alike(r.start, r.length, r.n-1), name)
			require.True(t, f.closed(r), name)
		}
		fold(p, f.steps)
		require.Equal(t, len(f.steps), len(p.Prologue)+p.Layers*len(p.Block)+len(p.Epilogue), name)
	}
}

// TestRefusesOtherGenerations wants logits of all positions, each of what was before.
func TestRefusesOtherGenerations(t *testing.T) {
	g := &ir.Graph{Stage: ir.StageInt, Causal: true}
	in := g.AddIDs("ids", 3, 5)
	g.Return(g.Add(ir.OpOneHot, "hot", "hot", []int{3, 4}, []ir.ValueID{in.ID}, nil).ID)
	_, err := Plan(&quant.Program{Int: g}, Options{Generation: true})
	require.ErrorContains(t, err, "no causal language model")
	g.Value(g.Out()).Shape[1] = 5
	g.Causal = false
	_, err = Plan(&quant.Program{Int: g}, Options{Generation: true})
	require.ErrorContains(t, err, "no causal language model")
}
