package codegen

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
)

var update = flag.Bool("update", false, "write the golden files")

func readPlan(t *testing.T, dir string) *plan.Plan {
	plans := readPlans(t, dir)
	require.Len(t, plans, 1)
	return plans[0]
}

// readPlans reads the plans of a case: one, or one for each of several lengths.
func readPlans(t *testing.T, dir string) (plans []*plan.Plan) {
	files, err := filepath.Glob(filepath.Join(dir, "plan*.json"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		p := &plan.Plan{}
		require.NoError(t, json.Unmarshal(data, p))
		plans = append(plans, p)
	}
	slices.SortFunc(plans, func(a, b *plan.Plan) int { return a.Length - b.Length })
	return plans
}

// buildFamily runs plans, the shortest first, as BuildCircuit does, and makes the family that the printed code builds.
func buildFamily(ctx context.Context, plans []*plan.Plan) (*circuit.Family, error) {
	var members []*circuit.Circuit
	for _, p := range plans {
		c, err := BuildCircuit(ctx, p)
		if err != nil {
			return nil, err
		}
		members = append(members, c)
	}
	return circuit.NewFamily(members...)
}

// generated is the code of a case, and its digest.
func generated(t *testing.T, dir string, o Target) ([]SourceFile, string) {
	plans := readPlans(t, dir)
	f, err := buildFamily(t.Context(), plans)
	require.NoError(t, err, dir)
	files, err := Generate(plans, f, o)
	require.NoError(t, err, dir)
	digest := f.Digest()
	return files, hex.EncodeToString(digest[:])
}

// printed is the text of the circuit's file, and the first error on the way.
func printed(p *plan.Plan) (string, error) {
	c := newCircuitPackage([]*plan.Plan{p}, [32]byte{})
	g := &generator{circuitPath: "example.com/printed/circuit", name: p.Config.Name}
	c.generate(g)
	return string(g.files[0].Data), g.err
}

func cases(t *testing.T) (dirs []string) {
	entries, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, e := range entries {
		dirs = append(dirs, filepath.Join("testdata", e.Name()))
	}
	require.NotEmpty(t, dirs)
	return dirs
}

// digestLine is left out of golden files: it changes with every gadget. TestGeneratedCodeRuns compares it.
var digestLine = regexp.MustCompile(`(\tDigest = )"[0-9a-f]{64}"`)

// TestGolden compares the generated code of every case folder: plan.json is the input, the .golden files are wanted.
func TestGolden(t *testing.T) {
	for _, dir := range cases(t) {
		files, _ := generated(t, dir, Target{ImportPath: "example.com/golden", Vocab: []byte("{}\n")})
		again, _ := generated(t, dir, Target{ImportPath: "example.com/golden", Vocab: []byte("{}\n")})
		require.Equal(t, files, again, "%s: the output is deterministic", dir)
		for _, f := range files {
			if !strings.HasSuffix(f.Path, ".go") {
				continue
			}
			src, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Data, parser.ParseComments)
			require.NoError(t, err, f.Path)
			require.True(t, ast.IsGenerated(src), f.Path)
			compareGolden(t, filepath.Join(dir, filepath.FromSlash(f.Path)+".golden"), digestLine.ReplaceAll(f.Data, []byte(`$1"…"`)))
		}
	}
}

func compareGolden(t *testing.T, name string, got []byte) {
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, got, 0o644))
		return
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), name)
}

// TestGeneratedCodeRuns compiles all golden cases in one module in an empty folder and runs their Build: the circuit must have the
// digest that the direct interpreter found, which Build compares.
func TestGeneratedCodeRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the Go toolchain")
	}
	dir := t.TempDir()
	var main bytes.Buffer
	main.WriteString("package main\n\nimport (\n\t\"fmt\"\n")
	var calls strings.Builder
	var want []string
	for i, c := range cases(t) {
		name := string(rune('a' + i))
		path := "example.com/golden/" + name
		files, digest := generated(t, c, Target{ImportPath: path})
		for _, f := range files {
			file := filepath.Join(dir, name, filepath.FromSlash(f.Path))
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, f.Data, 0o644))
		}
		main.WriteString("\t" + name + " \"" + path + "/circuit\"\n")
		calls.WriteString("\tif c, err := " + name + ".Build(); err != nil {\n\t\tpanic(err)\n\t} else {\n\t\tfmt.Printf(\"%x\\n\", c.Digest())\n\t}\n")
		want = append(want, digest)
	}
	main.WriteString(")\n\nfunc main() {\n" + calls.String() + "}\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), main.Bytes(), 0o644))
	moduleFiles(t, dir)
	goTool(t, dir, "vet", "./...") // which looks at the programs too; package cli links some
	require.Equal(t, strings.Join(want, "\n")+"\n", goTool(t, dir, "run", "-ldflags=-w", "."))
}

// moduleFiles makes a module that uses this source tree.
func moduleFiles(t *testing.T, dir string) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	text := strings.Replace(string(gomod), "module github.com/zkllmc/zkllmc\n", "module example.com/golden\n", 1)
	text += "\nrequire github.com/zkllmc/zkllmc v0.0.0-00010101000000-000000000000\n\nreplace github.com/zkllmc/zkllmc => " + root + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644))
	gosum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), gosum, 0o644))
}

func goTool(t *testing.T, dir string, args ...string) string {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, stderr.String())
	return string(out)
}

func TestIdentifier(t *testing.T) {
	for in, want := range map[string]string{
		"self_attn.q_proj.weight": "selfAttnQProjWeight", "norm": "norm", "residual.2": "residual2", "type": "vType", "2nd": "nd", "…": "v",
	} {
		require.Equal(t, want, identifier(in), in)
	}
	taken := map[string]bool{}
	require.Equal(t, []string{"x", "x2", "x3"}, []string{fresh(taken, "x"), fresh(taken, "x"), fresh(taken, "x")})
}

// TestBadPlans refuses plans that refer to nothing, instead of panicking.
func TestBadPlans(t *testing.T) {
	p := &plan.Plan{Config: plan.Config{Name: "bad", WeightBits: 11, WitnessBits: 11}, Ports: []plan.Port{{Name: "ids", Kind: plan.IDs, Shape: []int{2}, Hi: 1, Reveal: plan.Values}}}
	p.Epilogue = []plan.Step{{Op: plan.Output, In: []plan.Ref{{Place: plan.InBlock, Index: 3}}}}
	_, err := BuildCircuit(t.Context(), p)
	require.ErrorContains(t, err, "no result")
	p.Epilogue = []plan.Step{{Op: "Nothing"}}
	_, err = BuildCircuit(t.Context(), p)
	require.ErrorContains(t, err, "unknown call")
	_, err = printed(p)
	require.ErrorContains(t, err, "unknown call")
}

func TestInteger(t *testing.T) {
	for v, want := range map[int64]string{
		0: "0", -5: "-5", 32768: "32768", 1 << 60: "1 << 60", -1 << 45: "-1 << 45", 32767 << 31: "32767 << 31", 1<<40 + 1: "1099511627777",
		math.MinInt64: "-1 << 63",
	} {
		require.Equal(t, want, fmt.Sprintf("%#v", integer(v)))
	}
}

// TestMaskedRows says that both ways to a circuit refuse a mask that leaves a row nothing to attend to.
func TestMaskedRows(t *testing.T) {
	p := readPlan(t, filepath.Join("testdata", "llama"))
	for i := range p.Prologue {
		if s := &p.Prologue[i]; s.Op == plan.Mask {
			for j := range s.Shape[1] {
				p.Constants[s.Data].Values[j] = 1
			}
		}
	}
	_, err := BuildCircuit(t.Context(), p)
	require.ErrorContains(t, err, "row 0 has no unmasked position")
	text, err := printed(p)
	require.NoError(t, err)
	require.Contains(t, text, "attention.Mask(b, ")
}

// The prover's command gets the ONNX nodes of tensors that may be clamped, those whose names are lines of a list; nothing where none is
// known.
func TestNodesOfClampedTensors(t *testing.T) {
	p := readPlan(t, filepath.Join("testdata", "llama"))
	f, err := buildFamily(t.Context(), []*plan.Plan{p})
	require.NoError(t, err)
	names := f.Shortest().Clamped()
	require.Greater(t, len(names), 3)
	list := func() (text string, command string) {
		files, err := Generate([]*plan.Plan{p}, f, Target{ImportPath: "example.com/golden"})
		require.NoError(t, err)
		for _, file := range files {
			switch file.Path {
			case "cmd/prover/nodes.txt":
				text = string(file.Data)
			case "cmd/prover/main.go":
				command = string(file.Data)
			}
		}
		return text, command
	}
	text, command := list()
	require.Empty(t, text)
	require.NotContains(t, command, "nodes")
	p.Origins = map[string]plan.Origin{names[2]: {Node: "/c", Operator: "MatMul"}, names[0]: {Node: "a b", Operator: "Add"}, names[1]: {Node: "b\t", Operator: "Add"}, "x": {Node: "/x", Operator: "Add"}}
	text, command = list()
	require.Equal(t, names[0]+"\ta b\tAdd\n"+names[2]+"\t/c\tMatMul\n", text)
	require.Contains(t, command, "//go:embed nodes.txt\nvar nodes string\n")
	require.Contains(t, command, "Nodes: nodes}")
	p.Origins = map[string]plan.Origin{"layer0": {Node: "/first", Operator: "Block"}}
	text, _ = list()
	require.Greater(t, strings.Count(text, "\t/first\tBlock\n"), 1, "what a gadget makes on the way is called after the tensor:\n%s", text)
}
