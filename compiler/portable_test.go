package compiler

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exact are the functions of package math that are the same everywhere: they round once, as IEEE 754 says, or not at all.
var exact = map[string]bool{
	"Abs": true, "Ceil": true, "Copysign": true, "FMA": true, "Float32bits": true, "Float32frombits": true, "Float64bits": true, "Float64frombits": true,
	"Floor": true, "Frexp": true, "Inf": true, "IsInf": true, "IsNaN": true, "Ldexp": true, "Max": true, "Min": true, "Mod": true, "NaN": true,
	"Round": true, "RoundToEven": true, "Signbit": true, "Sqrt": true, "Trunc": true,
}

// drawn says of packages that draw what tests need; nothing that they compute is compared between platforms.
var drawn = []string{"internal/test", "scripts"}

// TestArithmeticIsPortable looks at all floating-point arithmetic that may lead to a circuit. The same model must give the same circuit on
// every platform, so there is no product that a compiler may fuse with a sum, no function of package math that is assembly somewhere, and
// no conversion to an integer that may be out of range; package portable says why, and has what takes their place.
func TestArithmeticIsPortable(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the Go toolchain")
	}
	checked := 0
	for _, p := range portablePackages(t) {
		checked++
		for _, f := range p.faults {
			t.Error(f)
		}
	}
	require.Greater(t, checked, 30)
}

// The check finds each of what it looks for, and lets pass what is alike everywhere.
func TestPortableFindsFaults(t *testing.T) {
	const head = "package p\nimport (\n\"math\"\n\"math/rand/v2\"\n)\nfunc f(x, y, z float64, v []float64, n int, g [2]float32) (r float64, i int64) {\n_, _, _ = math.Pi, rand.Int, n\n"
	for code, want := range map[string]string{
		"r = x*y + z":                              "product",
		"r = z - (x * y)":                          "product",
		"r = x * y":                                "product", // the sum may come later
		"r += v[0] * y":                            "product",
		"r = -(x * y) + z":                         "product",
		"v[0] *= y":                                "product",
		"r = math.Sqrt(x * y)":                     "product",
		"r = float64(g[0]*g[1]) + 1":               "product", // rounded to 32 bits or not
		"r = float64(n)*0.5 + 1":                   "product",
		"r = math.Exp(x)":                          "math.Exp",
		"h := math.Pow; r = h(x, y)":               "math.Pow",
		"i = int64(x)":                             "conversion",
		"i = int64(uint32(math.Abs(x)))":           "conversion",
		"r = rand.NormFloat64()":                   "NormFloat64",
		"r = float64(float32(rand.NormFloat64()))": "",
		"c := complex(x, y); r = real(c)":          "complex",
		"r = float64(x*y) + z":                     "",
		"r = x*y/z + 1":                            "",
		"r = float64(x*y*z) + 1":                   "",
		"r = x / y; r += z":                        "",
		"r = float64(n * 3); i = int64(n*n + 1)":   "",
		"r = 2 * math.Pi; i = int64(1e3)":          "",
		"r = float64(float32(g[0]*g[1]))":          "",
		"if x*y < z { r = 1 }":                     "",
		"r = math.Sqrt(float64(x * y))":            "",
	} {
		faults := portableFaults(t, "p", importer.Default(), map[string]string{"p.go": head + code + "\nreturn\n}\n"})
		if want == "" {
			require.Empty(t, faults, code)
			continue
		}
		require.Len(t, faults, 1, code)
		require.Contains(t, faults[0], want, code)
	}
	generic := "package p\nfunc f[T int64 | float64](x, y, z T) T { return x*y + z }\nfunc g[T int64 | float64](x, y, z T) T { return T(x*y) + z }\n"
	require.Len(t, portableFaults(t, "p", importer.Default(), map[string]string{"p.go": generic}), 1)
}

type portablePackage struct {
	path   string
	faults []string
}

// portablePackages checks all packages of this module that a compiler, a prover or a verifier links.
func portablePackages(t *testing.T) []portablePackage {
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,Standard", "./...")
	list.Dir = ".."
	out, err := list.Output()
	require.NoError(t, err)
	export := map[string]string{}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(export[path]) }
	imports := importer.ForCompiler(token.NewFileSet(), "gc", lookup)
	var all []portablePackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
			Standard                bool
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		export[p.ImportPath] = p.Export
		name, ours := strings.CutPrefix(p.ImportPath, "github.com/zkllmc/zkllmc/")
		for _, d := range drawn {
			ours = ours && name != d && !strings.HasPrefix(name, d+"/")
		}
		if !ours {
			continue
		}
		files := map[string]string{}
		for _, f := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, f))
			require.NoError(t, err)
			files[filepath.Join("..", name, f)] = string(text)
		}
		all = append(all, portablePackage{name, portableFaults(t, p.ImportPath, imports, files)})
	}
}

// portableFaults type-checks a package and lists what is not portable in it.
func portableFaults(t *testing.T, path string, imports types.Importer, files map[string]string) []string {
	c := &portableCheck{fset: token.NewFileSet(), info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}}
	var syntax []*ast.File
	for name, text := range files {
		f, err := parser.ParseFile(c.fset, name, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		syntax = append(syntax, f)
	}
	conf := types.Config{Importer: imports}
	_, err := conf.Check(path, c.fset, syntax, c.info)
	require.NoError(t, err)
	c.own = path == "github.com/zkllmc/zkllmc/internal/portable"
	for _, f := range syntax {
		ast.Inspect(f, c.visit)
	}
	return c.faults
}

type portableCheck struct {
	fset   *token.FileSet
	info   *types.Info
	own    bool // the package that has what takes the place of the others
	stack  []ast.Node
	faults []string
}

func (c *portableCheck) fault(n ast.Node, what string) {
	c.faults = append(c.faults, c.fset.Position(n.Pos()).String()+": "+what)
}

func (c *portableCheck) visit(n ast.Node) bool {
	if n == nil {
		c.stack = c.stack[:len(c.stack)-1]
		return true
	}
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.MUL && c.real64(n) && !c.rounded() {
			c.fault(n, "a product that may be fused with a sum; write float64(x*y)")
		}
	case *ast.AssignStmt:
		if n.Tok == token.MUL_ASSIGN && c.real64(n.Lhs[0]) {
			c.fault(n, "a product that may be fused with a sum; write x = float64(x*y)")
		}
	case *ast.Ident:
		if o := c.info.Uses[n]; o != nil && o.Pkg() != nil && !c.own {
			_, function := o.(*types.Func)
			switch path := o.Pkg().Path(); {
			case path == "math" && function && !exact[o.Name()]:
				c.fault(n, "math."+o.Name()+" differs between platforms; see package internal/portable")
			case strings.HasPrefix(path, "math/rand") && (o.Name() == "NormFloat64" || o.Name() == "ExpFloat64") && !c.single():
				c.fault(n, o.Name()+" differs between platforms in its last bits; write float32(…)")
			}
		}
	case *ast.CallExpr:
		c.call(n)
	}
	c.stack = append(c.stack, n)
	return true
}

// single says that what the function that the stack ends above draws is rounded to single precision.
func (c *portableCheck) single() bool {
	if len(c.stack) < 3 {
		return false
	}
	outer, ok := c.stack[len(c.stack)-3].(*ast.CallExpr)
	return ok && c.info.Types[outer.Fun].IsType() && types.Identical(c.info.Types[outer.Fun].Type, types.Typ[types.Float32])
}

// call looks at conversions of real numbers to integers and at complex numbers.
func (c *portableCheck) call(n *ast.CallExpr) {
	if basic(c.info.Types[n].Type, types.IsComplex) {
		c.fault(n, "complex arithmetic has products and sums of its own")
	}
	if to := c.info.Types[n.Fun]; !c.own && to.IsType() && len(n.Args) == 1 && c.info.Types[n].Value == nil &&
		basic(to.Type, types.IsInteger) && !basic(to.Type, types.IsFloat) && c.real64(n.Args[0]) {
		c.fault(n, "the conversion of a real number that may not fit; see portable.Int64")
	}
}

// real64 says of an expression that it is no constant and may be of a floating-point type.
func (c *portableCheck) real64(e ast.Expr) bool {
	tv := c.info.Types[e]
	return tv.Value == nil && basic(tv.Type, types.IsFloat)
}

// basic says that a type, or one of those that a type parameter stands for, is of a kind.
func basic(t types.Type, kind types.BasicInfo) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&kind != 0
	case *types.Interface:
		if _, parameter := types.Unalias(t).(*types.TypeParam); !parameter {
			return false
		}
		for i := range u.NumEmbeddeds() {
			if union, ok := u.EmbeddedType(i).(*types.Union); ok {
				for j := range union.Len() {
					if basic(union.Term(j).Type(), kind) {
						return true
					}
				}
			} else if basic(u.EmbeddedType(i), kind) {
				return true
			}
		}
	}
	return false
}

// rounded says that the innermost product, which the stack ends above, is rounded or compared before anything else happens to it: it stands
// in a conversion to its own type, in a comparison, in a quotient, or in another product, which is looked at on its own.
func (c *portableCheck) rounded() bool {
	for i := len(c.stack) - 1; i >= 0; i-- {
		switch p := c.stack[i].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.CallExpr:
			to := c.info.Types[p.Fun]
			return to.IsType() && basic(to.Type, types.IsFloat) && types.Identical(to.Type, c.info.Types[p.Args[0]].Type)
		case *ast.BinaryExpr:
			switch p.Op {
			case token.MUL, token.QUO, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
				return true
			}
		}
		return false
	}
	return false
}
