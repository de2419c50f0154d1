package codegen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// parameters lists the names of the parameters of a function as its source has them.
func parameters(t *testing.T, dir, name string, method bool) []string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range src.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != name || (fn.Recv != nil) != method {
				continue
			}
			var out []string
			for _, f := range fn.Type.Params.List {
				for _, n := range f.Names {
					out = append(out, n.Name)
				}
			}
			if !method {
				out = out[1:] // the builder
			}
			return out
		}
	}
	require.Fail(t, "there is no function "+name+" in "+dir)
	return nil
}

// TestCallTable holds every entry of the table of calls against its function: the builder comes first, every argument has the type of
// its parameter, operands and arguments have its name, records have all fields, and results are tensors.
func TestCallTable(t *testing.T) {
	id := reflect.TypeOf(circuit.ID(0))
	for op, c := range calls {
		fn := c.signature()
		require.Equal(t, reflect.TypeOf(&circuit.Builder{}), fn.In(0), op)
		require.Equal(t, len(c.args)+1, fn.NumIn(), op)
		if len(c.results) > 0 {
			require.Len(t, c.results, c.resultCount(), op)
		}
		require.True(t, len(c.results) > 0 || c.resultCount() < 2, "%s: several results need names", op)
		for o := range fn.NumOut() {
			require.Equal(t, id, fn.Out(o), op)
		}
		importPath, name := c.qualified()
		dir := filepath.Join("..", filepath.FromSlash(strings.TrimPrefix(importPath, "github.com/zkllmc/zkllmc/")))
		if importPath == "" {
			dir = filepath.Join("..", "internal", "circuit")
		}
		params := parameters(t, dir, name, importPath == "")
		require.Len(t, params, len(c.args), op)
		for i, a := range c.args {
			what := fmt.Sprintf("%s: %s", op, params[i])
			got := fn.In(i + 1)
			switch a.from {
			case fromOperand, fromOption:
				require.Equal(t, params[i], a.name, what)
				require.Equal(t, id, got, what)
			case fromArg, fromLimit:
				require.Equal(t, params[i], a.name, what)
				require.Contains(t, []reflect.Kind{reflect.Int, reflect.Int64, reflect.Float64, reflect.String}, got.Kind(), what)
				require.False(t, a.from == fromLimit && a.name != "lo" && a.name != "hi", what)
			case fromRecord:
				require.Equal(t, reflect.TypeOf(a.value), got, what)
				require.Len(t, a.names, got.NumField(), what)
				for k, n := range a.names {
					require.Equal(t, n, got.Field(k).Name, what)
				}
			case fromPort:
				require.Equal(t, reflect.TypeOf(circuit.Port{}), got, what)
			case fromName:
				require.Equal(t, reflect.String, got.Kind(), what)
			case fromCells:
				require.Equal(t, reflect.TypeOf([]int64{}), got, what)
			case fromShape, fromExtents:
				require.Equal(t, reflect.TypeOf([]int{}), got, what)
				require.Equal(t, a.from == fromExtents, fn.IsVariadic() && i == len(c.args)-1, what)
			case fromTerms:
				require.Equal(t, reflect.TypeOf([]circuit.Term{}), got, what)
				require.True(t, fn.IsVariadic() && i == len(c.args)-1, what)
			default:
				require.Fail(t, what+" comes from nowhere")
			}
		}
	}
}

// TestWrongArguments refuses steps whose operands or arguments are not those that the table of calls names, in both ways to a circuit.
func TestWrongArguments(t *testing.T) {
	x := []plan.Ref{{Place: plan.InPrologue}}
	good := []plan.Arg{plan.Size("shift", 1), plan.Integer("lo", -2), plan.Integer("hi", 1)}
	for want, s := range map[string]plan.Step{
		"0 operands of Rescale, want 1 to 1": {Op: plan.Rescale, Args: good},
		"2 operands of Rescale, want 1 to 1": {Op: plan.Rescale, Args: good, In: append(x, x...)},
		"Rescale has no argument hi":         {Op: plan.Rescale, In: x, Args: good[:2]},
		"Rescale takes no argument why":      {Op: plan.Rescale, In: x, Args: append(append([]plan.Arg{}, good...), plan.Text("why", "so"))},
		"Rescale has an argument twice":      {Op: plan.Rescale, In: x, Args: append(append([]plan.Arg{}, good...), good[0])},
		"0 operands of Attn, want 1 to 2":    {Op: plan.Attn},
		"r: unknown call Rescal":             {Op: "Rescal", In: x, Args: good},
		"0 operands of Output, want 1 to 1":  {Op: plan.Output},
		"Output has no port 1":               {Op: plan.Output, In: x, Data: 1},
	} {
		s.Name = "r"
		p := &plan.Plan{Config: plan.Config{Name: "bad", WeightBits: 11, WitnessBits: 11}, Ports: []plan.Port{{Name: "ids", Kind: plan.IDs, Shape: []int{2}, Hi: 1, Reveal: plan.Values}}}
		p.Prologue = []plan.Step{{Op: plan.Input, Name: "tokens", Shape: []int{2, 2}}, s}
		_, err := BuildCircuit(t.Context(), p)
		require.ErrorContains(t, err, want)
		_, err = printed(p)
		require.ErrorContains(t, err, want)
	}
}

// TestKindsFit says that a step's arguments have the kinds of their parameters, or are refused.
func TestKindsFit(t *testing.T) {
	p := &plan.Plan{Config: plan.Config{Name: "bad", WeightBits: 11, WitnessBits: 11}, Ports: []plan.Port{{Name: "ids", Kind: plan.IDs, Shape: []int{2}, Hi: 1, Reveal: plan.Values}}}
	p.Prologue = []plan.Step{{Op: plan.Input, Name: "tokens", Shape: []int{2, 2}},
		{Op: plan.Rescale, Name: "r", In: []plan.Ref{{Place: plan.InPrologue}}, Args: []plan.Arg{plan.Float("shift", 1), plan.Integer("lo", -2), plan.Integer("hi", 1)}}}
	_, err := BuildCircuit(t.Context(), p)
	require.ErrorContains(t, err, "argument shift of Rescale is a float, want a size")
	require.True(t, strings.HasPrefix(err.Error(), "plan bad: r: "), err)
}

// Causality is read off a circuit that is made of gadgets (SPEC.md 16.7): generated code declares no constraint and no witness itself.
func TestGeneratedCodeCallsGadgets(t *testing.T) {
	own := []string{"Lookup", "Zero", "Hint", "Witness", "TableOf", "View", "Carry", "Input", "Output"} // of gadgets alone
	for op, c := range calls {
		if path, name := c.qualified(); path == "" {
			require.NotContains(t, own, name, op)
		}
	}
	file := filepath.Join("..", "generated", "sums", "circuit", "circuit.go")
	src, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	called := 0
	ast.Inspect(src, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "b" {
				require.NotContains(t, own, s.Sel.Name)
				called++
			}
		}
		return true
	})
	require.Greater(t, called, 20)
}
