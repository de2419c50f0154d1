// Package second runs the second verifier, spec/verify.py, in tests of other packages. Where there is no Python that is new enough, what
// asks for it is skipped.
package second

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// python is an interpreter that is new enough, or why there is none.
var python = sync.OnceValues(func() (string, error) {
	path, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("there is no python3")
	}
	if err := exec.Command(path, "-c", "import sys; sys.exit(sys.version_info < (3, 9))").Run(); err != nil {
		return "", errors.New("python3 is older than 3.9")
	}
	return path, nil
})

// Python finds an interpreter that is new enough, or skips the test.
func Python(t testing.TB) string {
	t.Helper()
	path, err := python()
	if err != nil {
		t.Skip(err.Error() + ": the second verifier is not run")
	}
	return path
}

// Main is what Python runs as the second verifier: as a module, of which it keeps the compiled form.
const Main = "import sys, verify; sys.exit(verify.main(sys.argv[1:]))"

// Run runs Python in the folder of the second verifier and returns its exit code and what it printed.
func Run(t testing.TB, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, Python(t), append([]string{"-S"}, args...)...) // the standard library is all it uses
	c.Dir, c.Env = filepath.Join(root(t), "spec"), append(os.Environ(), "PYTHONDONTWRITEBYTECODE=")
	_, err := os.Stat(filepath.Join(c.Dir, "verify.py")) // the go command remembers a test's result until a file changes that the test looked at
	require.NoError(t, err)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	require.NoError(t, err)
	return 0, string(out)
}

// root is the folder of the module whose package is tested.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, dir, filepath.Dir(dir), "no folder above has a go.mod")
		dir = filepath.Dir(dir)
	}
}

// Scope is how much of a circuit the second verifier audits.
type Scope string

// All of SPEC.md 16, or, of circuits that are damaged otherwise too, causality alone.
const (
	Circuit   Scope = "circuit"
	Causality Scope = "causality"
)

// Verdicts collects what the first verifier says of circuits, and compares it with what the second says. The zero value is empty.
type Verdicts struct {
	circuits map[string][]byte // canonical encodings
	refused  map[string]error
}

// Add notes a circuit, under a name of its own, and why the first verifier refuses it, if it does.
func (v *Verdicts) Add(name string, circuit []byte, refused error) {
	if v.circuits == nil {
		v.circuits, v.refused = map[string][]byte{}, map[string]error{}
	}
	v.circuits[name], v.refused[name] = circuit, refused
}

const audit = `
import sys, verify
for name in sys.argv[2:]:
    try:
        with open(name, 'rb') as f:
            data = f.read()
        if sys.argv[1] == 'circuit':
            verify.read_circuit(data)
        else:
            c = verify.Decoder(data).circuit()
            verify.analyse(c)
            verify.check_ports(c)
            verify.check_causal(c, verify.proven_intervals(c))
        print()
    except verify.Unreadable as err:
        print(err)
`

// Audit returns what the second verifier has against circuits, given by their canonical encodings; "" against those that it takes.
func Audit(t testing.TB, scope Scope, circuits map[string][]byte) map[string]string {
	t.Helper()
	names, args := slices.Sorted(maps.Keys(circuits)), []string{"-c", audit, string(scope)}
	require.NotEmpty(t, names)
	dir := t.TempDir()
	for i, name := range names {
		file := filepath.Join(dir, fmt.Sprint(i))
		require.NoError(t, os.WriteFile(file, circuits[name], 0o600))
		args = append(args, file)
	}
	code, out := Run(t, args...)
	require.Zero(t, code, out)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	require.Len(t, lines, len(names), out)
	reasons := map[string]string{}
	for i, name := range names {
		reasons[name] = lines[i]
	}
	return reasons
}

const families = `
import sys, verify
at = 1
while at < len(sys.argv):
    n = int(sys.argv[at])
    try:
        verify.read_family([open(name, 'rb').read() for name in sys.argv[at + 1:at + 1 + n]])
        print()
    except verify.Unreadable as err:
        print(err)
    at += 1 + n
`

// CompareFamilies fails where the two verifiers disagree about families: given by what encodes their circuits, and why the first verifier
// refuses them.
func CompareFamilies(t *testing.T, circuits [][]Encoder, refused []error) {
	t.Helper()
	Python(t)
	dir, args := t.TempDir(), []string{"-c", families}
	for i, members := range circuits {
		args = append(args, fmt.Sprint(len(members)))
		for k, c := range members {
			var data bytes.Buffer
			c.Encode(&data)
			file := filepath.Join(dir, fmt.Sprintf("%d-%d", i, k))
			require.NoError(t, os.WriteFile(file, data.Bytes(), 0o600))
			args = append(args, file)
		}
	}
	code, out := Run(t, args...)
	require.Zero(t, code, out)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	require.Len(t, lines, len(circuits), out)
	for i, reason := range lines {
		if (reason == "") != (refused[i] == nil) || reason != "" && !strings.HasPrefix(reason, "not a family: ") {
			t.Errorf("the second verifier says %q, the first one %v", reason, refused[i])
		}
	}
}

// Encoder is a circuit, as far as the second verifier needs one.
type Encoder interface{ Encode(w io.Writer) }

// Compare fails where the two verifiers disagree about a circuit.
func (v *Verdicts) Compare(t *testing.T, scope Scope) {
	t.Helper()
	t.Run("second verifier", func(t *testing.T) {
		Python(t)
		for name, reason := range Audit(t, scope, v.circuits) {
			if (reason == "") != (v.refused[name] == nil) {
				t.Errorf("%s: the second verifier says %q, the first one %v", name, reason, v.refused[name])
			}
		}
	})
}
