package runtime_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/zkllmc/zkllmc/"

// listed is what the go command says about a package.
type listed struct {
	ImportPath string
	Standard   bool
	GoFiles    []string
	CgoFiles   []string
	SFiles     []string
	Imports    []string
}

// closure lists packages and all that they import, for the default platform and without cgo's own substitutions.
func closure(t *testing.T, patterns ...string) map[string]listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Standard,GoFiles,CgoFiles,SFiles,Imports"}, patterns...)...).Output()
	require.NoError(t, err)
	all := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all[p.ImportPath] = p
	}
	require.NotEmpty(t, all)
	return all
}

// within says whether a path is a package or lies below it.
func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// The runtime is what generated programs link, and what it and the compiler share stands beneath both: they know nothing of the compiler,
// nor of a backend that needs a GPU.
func TestRuntimeImportsNoCompiler(t *testing.T) {
	for path, p := range closure(t, "-tags=cuda", module+"runtime/...", module+"internal/...") {
		if within(path, module+"internal/test") || !within(path, module+"runtime") && !within(path, module+"internal") {
			continue
		}
		for _, imported := range p.Imports {
			ours := within(imported, strings.TrimSuffix(module, "/"))
			require.True(t, !ours || within(imported, module+"runtime") || within(imported, module+"internal"), "%s imports %s", path, imported)
		}
	}
}

// mapped returns the rows of ARCHITECTURE.md's tables of packages, each with the paths in its first cell.
func mapped(t *testing.T) (rows [][]string) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "\n## Packages\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		var row []string
		for i, quoted := range strings.Split(cells[1], "`") {
			if i%2 == 0 {
				continue
			}
			parent, names, _ := strings.Cut(strings.TrimSuffix(quoted, "}"), "{")
			for _, name := range strings.Split(names, ",") {
				row = append(row, parent+name)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// ARCHITECTURE.md lists every package and folder there is and no other, in the order of the layers: no package imports one of a later row.
func TestArchitectureIsTheMap(t *testing.T) {
	place := map[string]int{}
	for i, row := range mapped(t) {
		for _, path := range row {
			require.NotContains(t, place, path, "listed twice")
			_, err := os.Stat(filepath.Join("..", filepath.FromSlash(path)))
			require.NoError(t, err)
			place[path] = i + 1
		}
	}
	checked := 0
	for path, p := range closure(t, module+"...") {
		path, ours := strings.CutPrefix(path, module)
		if !ours || within(path, "generated") || len(p.GoFiles) == 0 {
			continue
		}
		require.Positive(t, place[path], "ARCHITECTURE.md does not list %s", path)
		for _, imported := range p.Imports {
			if imported, ours := strings.CutPrefix(imported, module); ours {
				require.LessOrEqual(t, place[imported], place[path], "%s imports %s, which stands below it in ARCHITECTURE.md", path, imported)
				checked++
			}
		}
	}
	require.Greater(t, checked, 100, "the control: packages import each other")
}

// forTests says whether a package serves tests alone.
func forTests(path string) bool {
	return within(path, module+"internal/test") || within(path, module+"cuda/internal/test") || within(path, module+"cuda/emulated") || within(path, module+"cuda/internal/kernels")
}

// What serves tests alone is linked by no program and no library.
func TestOnlyTestsImportTestPackages(t *testing.T) {
	for path, p := range closure(t, module+"...") {
		if forTests(path) {
			continue
		}
		for _, imported := range p.Imports {
			require.False(t, forTests(imported), "%s imports %s", path, imported)
		}
	}
}

// verifiers are the packages that other services link.
var verifiers = []string{module + "runtime/verifier", module + "runtime/app/verifier", module + "runtime/texts"}

// huggingface is linked where a model was compiled with a tokenizer.json.
const huggingface = module + "runtime/tokens/huggingface"

// generated are the verifiers of the example, as the compiler writes them.
var generated = []string{module + "generated/sums/verifier", module + "generated/sums/cmd/verifier"}

// The verifier links the standard library, this runtime without its prover, and gnark-crypto with its two dependencies. Whoever
// audits a verifier reads what is listed here.
func TestVerifierClosure(t *testing.T) {
	allowed := []string{ // gadget, tables and portable say what a range and a table hold, for the range proof of the weights
		"runtime/app/verifier", "runtime/asked", "runtime/circuit", "runtime/gadget", "runtime/statement", "runtime/statement/function",
		"runtime/statement/generation", "runtime/texts", "runtime/tokens", "runtime/verifier", "runtime/version",
		"internal/atomicfile", "internal/backend", "internal/circuit", "internal/commit", "internal/console", "internal/conversation", "internal/dialogue",
		"internal/einsum", "internal/field", "internal/format", "internal/format/constants", "internal/format/ints",
		"internal/format/stated", "internal/group", "internal/integer", "internal/interval", "internal/lookup", "internal/machine",
		"internal/parallel", "internal/passage", "internal/poly", "internal/portable", "internal/portfile", "internal/protocol", "internal/reading", "internal/strictjson", "internal/sumcheck",
		"internal/tables", "internal/transcript", "internal/veil",
	}
	require.NotContains(t, closure(t, module+"runtime/texts"), module+"runtime/statement/generation", "of a model that continues nothing")
	alone := closure(t, verifiers...)
	for path, p := range closure(t, append(generated, verifiers...)...) {
		_, plain := alone[path]
		switch {
		case path == module+"runtime/gadget/attention" && !plain: // writes the description of a generated circuit
		case p.Standard, slices.Contains(generated, path), path == module+"generated/sums/circuit", path == module+"generated/sums/vocab":
		case within(path, module+"runtime"), within(path, module+"internal"):
			require.Contains(t, allowed, strings.TrimPrefix(path, module), "the verifier links it")
		case within(path, "github.com/consensys/gnark-crypto"), within(path, "github.com/bits-and-blooms/bitset"), within(path, "golang.org/x/sys"):
		default:
			require.Fail(t, "the verifier links "+path)
		}
	}
}

// prebuilt is the verifier of any model.
const prebuilt = module + "cmd/zkllmc-verifier"

// The prebuilt verifier links what generated ones do, and what reads circuit files and any tokenizer.
func TestPrebuiltClosure(t *testing.T) {
	linked := closure(t, append(generated, append(verifiers, huggingface)...)...)
	for path, p := range closure(t, prebuilt, module+"internal/checker") {
		if _, also := linked[path]; also || p.Standard {
			continue
		}
		require.Contains(t, []string{prebuilt, module + "internal/bundle", module + "internal/checker", module + "internal/format/circuits", module + "internal/vocab"}, path, "the prebuilt verifier links it")
	}
}

// What a verifier links in addition where its model was compiled with a tokenizer.json: the package that reads it, what a conversation is, and the normal forms of
// golang.org/x/text. No other verifier does.
func TestTokenizerClosure(t *testing.T) {
	norm := false
	for path, p := range closure(t, huggingface) {
		switch {
		case p.Standard, path == huggingface, path == module+"runtime/tokens", path == module+"internal/conversation", path == module+"internal/strictjson":
		case path == "golang.org/x/text/unicode/norm":
			norm = true
		case path == "golang.org/x/text/transform":
		default:
			require.Fail(t, "the tokenizer links "+path)
		}
	}
	require.True(t, norm, "the control")
	require.NotContains(t, closure(t, append(generated, verifiers...)...), huggingface)
}

// No prover code, no cgo, and in our own packages neither unsafe nor reflect nor assembly.
func TestVerifierIsPlainGo(t *testing.T) {
	for path, p := range closure(t, slices.Concat(generated, verifiers, []string{huggingface, prebuilt, module + "internal/checker"})...) {
		if p.Standard {
			continue
		}
		require.Empty(t, p.CgoFiles, path)
		require.NotContains(t, p.Imports, "C", path)
		if !within(path, strings.TrimSuffix(module, "/")) {
			continue
		}
		for _, banned := range []string{
			"runtime/prover", "runtime/app/prover", "internal/engine", "internal/backend/cpu", "internal/backend/reference", "internal/tensor",
			"internal/witness", "internal/test",
		} {
			require.False(t, within(path, module+banned), "the verifier links %s", path)
		}
		require.Empty(t, p.SFiles, path)
		for _, banned := range []string{"unsafe", "reflect", "os/exec", "net", "net/http", "plugin", "math/rand", "math/rand/v2"} {
			require.NotContains(t, p.Imports, banned, path)
		}
	}
}

// A generated prover links the GPU backend with the tag cuda, and then alone; its verifier never does.
func TestTagLinksTheDevice(t *testing.T) {
	tagged, plain := closure(t, "-tags=cuda", module+"generated/sums/cmd/prover"), closure(t, module+"generated/sums/cmd/prover")
	for _, device := range []string{module + "cuda", module + "cuda/internal/driver", module + "cuda/internal/fatbin", "gorgonia.org/cu"} {
		require.Contains(t, tagged, device)
		require.NotContains(t, plain, device)
		require.NotContains(t, closure(t, "-tags=cuda", module+"generated/sums/cmd/verifier"), device)
	}
}

// What serves is linked by zkllmc, and by nothing that is generated.
func TestGeneratedProgramsServeNothing(t *testing.T) {
	serves := func(paths map[string]listed) (found bool) {
		for path := range paths {
			found = found || within(path, "github.com/nats-io") || within(path, "github.com/prometheus") || within(path, module+"server")
		}
		return found
	}
	require.False(t, serves(closure(t, module+"generated/sums/cmd/prover", module+"generated/sums/cmd/verifier", prebuilt)))
	require.True(t, serves(closure(t, strings.TrimSuffix(module, "/"))), "the control")
}

// What gorgonia.org/cu calls as it is initialised is defined by a package that comes before it: of packages whose dependencies are initialised, Go initialises the one
// whose path is the first.
func TestPreflightComesFirst(t *testing.T) {
	const preflight, cu = module + "cuda/internal/driver/preflight", "gorgonia.org/cu"
	all, below := closure(t, "-tags=cuda", module+"cuda"), closure(t, cu)
	require.Contains(t, all, preflight)
	require.Contains(t, all, cu)
	require.Less(t, preflight, cu)
	for _, imported := range all[preflight].Imports {
		if imported == "C" { // no package of its own: what cgo imports for it is cu's as well
			require.Contains(t, all[cu].Imports, imported)
			continue
		}
		require.Contains(t, below, imported, "is initialised before cu")
	}
}

// A backend never imports the one that defines its results: compared with itself, that would always agree.
func TestBackendsStandAlone(t *testing.T) {
	for _, backend := range []string{"internal/backend/cpu", "cuda"} {
		all := closure(t, module+backend)
		require.Contains(t, all, module+backend)
		require.NotContains(t, all, module+"internal/backend/reference")
	}
}

// The checks above look at something: the prover's closure has what the verifier's must not have.
func TestProverClosureIsTheControl(t *testing.T) {
	all := closure(t, module+"runtime/prover")
	require.Contains(t, closure(t, module+"generated/sums/cmd/prover"), "filippo.io/age")
	for _, linked := range []string{
		"internal/witness", "runtime/gadget/hint", "runtime/gadget/attention/hint", "internal/tensor", "internal/backend/cpu", "internal/engine",
	} {
		_, ok := all[module+linked]
		require.True(t, ok, "the prover does not link %s", linked)
	}
}
