// Tests of the prover as a process: killed, interrupted, without room or permission, twice at the same time.
package prover_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/engine"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// asProver makes the test binary the prover of a model of configs, asVerifier its verifier: the same Main that a generated program calls.
const (
	asProver   = "ZKLLMC_TEST_PROVER"
	asVerifier = "ZKLLMC_TEST_VERIFIER"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(asProver); name != "" {
		c, _ := bigram(&testing.T{}, configs[name])
		os.Exit(proverapp.Main(proverapp.Model{Name: "bigram", Build: built(c), Vocab: parsed([]byte(vocab))}, os.Args[1:]))
	}
	if name := os.Getenv(asVerifier); name != "" {
		c, _ := bigram(&testing.T{}, configs[name])
		os.Exit(verifierapp.Main(verifierapp.Model{Name: "bigram", Build: built(c), Vocab: parsed([]byte(vocab))}, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// kills is how many moments the tests of this file try each: few by default, as many as ZKLLMC_KILLS says.
func kills(t *testing.T) int {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to speak of")
	}
	if n, err := strconv.Atoi(os.Getenv("ZKLLMC_KILLS")); err == nil {
		return n
	}
	return 6
}

// process is the prover of the bench's model as a command.
func (b *bench) process(config, line string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(b.t, err)
	c := exec.Command(self, b.args(line)...)
	c.Env = append(os.Environ(), asProver+"="+config, "GOMAXPROCS=2")
	return c
}

// duration runs a command to its end, which must be a good one.
func duration(t *testing.T, c *exec.Cmd) time.Duration {
	begin := time.Now()
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return time.Since(begin)
}

// temporary lists the temporary files below the bench's folder and checks that no secret one can be read by others.
func (b *bench) temporary() []string {
	var out []string
	require.NoError(b.t, filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(e.Name(), ".tmp-") {
			info, err := e.Info()
			require.NoError(b.t, err)
			if strings.Contains(e.Name(), "prover.key") {
				require.Equal(b.t, fs.FileMode(0o600), info.Mode().Perm(), path)
			}
			out = append(out, path)
		}
		return err
	}))
	return out
}

// atMostTwo says by 1 that there are temporary files. They are at most one per name, however many processes were killed: each removes
// what the one before it left.
func (b *bench) atMostTwo() int {
	left := b.temporary()
	require.LessOrEqual(b.t, len(left), 2)
	return min(1, len(left))
}

// wholeKeys reads both keys, strictly, and says whether they belong together.
func (b *bench) wholeKeys() bool {
	data, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(b.t, err)
	k, err := engine.ReadKey(circuit.Single(b.c), data)
	require.NoError(b.t, err, "half a prover key")
	info, err := os.Stat(b.file("keys/prover.key"))
	require.NoError(b.t, err)
	require.Equal(b.t, fs.FileMode(0o600), info.Mode().Perm())
	data, err = os.ReadFile(b.file("keys/model.vk"))
	require.NoError(b.t, err)
	vk, err := verifier.ReadKey(context.Background(), circuit.Single(b.c), generation.Kind, data)
	require.NoError(b.t, err, "half a verifying key")
	return k.ModelID() == vk.ModelID()
}

// wholeProof reads statement and proof and says whether the one shows the other. Each must be whole: a file of the right size that
// decodes.
func (b *bench) wholeProof(vk *verifier.Key, size int) bool {
	st, err := os.ReadFile(b.file("s.bin"))
	require.NoError(b.t, err)
	_, _, err = generation.Decode(circuit.Single(b.c), st)
	require.NoError(b.t, err, "half a statement")
	proof, err := os.ReadFile(b.file("p.bin"))
	require.NoError(b.t, err)
	require.Len(b.t, proof, size, "half a proof")
	return vk.Verify(st, proof) == nil
}

// killed starts a command and kills it after a random part of the time that it takes.
func killed(t *testing.T, c *exec.Cmd, takes time.Duration, sig os.Signal) (code int, stderr string) {
	var e bytes.Buffer
	c.Stderr = &e
	require.NoError(t, c.Start())
	time.Sleep(time.Duration(rand.Int64N(int64(takes))))
	_ = c.Process.Signal(sig) // it may have ended
	_ = c.Wait()
	return c.ProcessState.ExitCode(), e.String()
}

// TestKilledSetup replaces keys again and again and is killed on the way. Under each name is a whole file. A kill leaves at most one
// temporary file per name, of mode 0600, which holds what the file would have held: after a kill, the folder of a prover key may hold a
// second copy of the secret, until the next setup removes it. Keys of two setups are refused by prove.
func TestKilledSetup(t *testing.T) {
	n := kills(t)
	b := proved(t, configs["argmax"])
	line := "setup --force --weights @weights.zkw -o @keys"
	takes := duration(t, b.process("argmax", line))
	mixed, left := 0, 0
	for range n {
		killed(t, b.process("argmax", line), takes, os.Kill)
		left += b.atMostTwo()
		if !b.wholeKeys() {
			mixed++
			_, stderr := b.prover(console.Unreadable, "prove --force --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin")
			require.Contains(t, stderr, "are of different setups")
			duration(t, b.process("argmax", line))
		}
	}
	duration(t, b.process("argmax", line))
	require.True(t, b.wholeKeys(), "a later setup replaces both")
	require.Empty(t, b.temporary(), "and removes what a kill left")
	t.Logf("%d kills within %v: %d left a new prover key beside the old verifying key; after %d there were temporary files", n, takes, mixed, left)
}

// TestKilledProve does the same with proofs, of two prompts in turn.
func TestKilledProve(t *testing.T) {
	n := kills(t)
	b := proved(t, configs["argmax"])
	data, err := os.ReadFile(b.file("keys/model.vk"))
	require.NoError(t, err)
	vk, err := verifier.ReadKey(context.Background(), circuit.Single(b.c), generation.Kind, data)
	require.NoError(t, err)
	info, err := os.Stat(b.file("p.bin"))
	require.NoError(t, err)
	line := func(i int) string {
		return fmt.Sprintf("prove --force --key @keys/prover.key --tokens %d -o @p.bin --statement-out @s.bin", i%5)
	}
	takes := duration(t, b.process("argmax", line(0)))
	mixed, left := 0, 0
	for i := range n {
		killed(t, b.process("argmax", line(i)), takes, os.Kill)
		left += b.atMostTwo()
		if !b.wholeProof(vk, int(info.Size())) {
			mixed++
			duration(t, b.process("argmax", line(i)))
		}
	}
	duration(t, b.process("argmax", line(0)))
	require.True(t, b.wholeProof(vk, int(info.Size())))
	require.Empty(t, b.temporary())
	t.Logf("%d kills within %v: %d left a new statement beside the old proof; after %d there were temporary files", n, takes, mixed, left)
}

// TestSignalled interrupts at random moments. A process ends with its work done and code 0, or with code 4 and nothing written; the
// signal's own end comes from before Main listens.
func TestSignalled(t *testing.T) {
	n := kills(t)
	b := proved(t, configs["argmax"])
	ends := map[string]int{}
	for i := range n {
		line := fmt.Sprintf("prove --key @keys/prover.key --prompt a -o @p%d.bin --statement-out @s%d.bin", i, i)
		takes := 30 * time.Millisecond
		if i%2 == 1 {
			line = fmt.Sprintf("setup --weights @weights.zkw -o @keys%d", i)
		}
		code, stderr := killed(t, b.process("argmax", line), takes, os.Interrupt)
		ends[fmt.Sprint(code)]++
		var files []string
		for _, f := range []string{"p%d.bin", "s%d.bin", "keys%d/prover.key", "keys%d/model.vk"} {
			if name := fmt.Sprintf(f, i); exists(b.file(name)) {
				files = append(files, name)
			}
		}
		switch code {
		case console.OK:
			require.Len(t, files, 2)
		case console.Internal:
			require.Contains(t, stderr, "interrupted")
			require.Empty(t, files)
			require.NoDirExists(t, b.file(fmt.Sprintf("keys%d", i)))
		default:
			require.Equal(t, -1, code, stderr)
			require.Empty(t, files)
		}
	}
	require.Empty(t, b.temporary())
	t.Logf("%d interruptions, by exit code: %v", n, ends)
}

// TestSignalledWhileWaiting interrupts both programs while they wait for a prompt. They end at once, with the code for it.
func TestSignalledWhileWaiting(t *testing.T) {
	kills(t) // skips where there are no signals
	b := proved(t, configs["argmax"])
	prove := b.process("argmax", "run --key @keys/prover.key --prompt-file -")
	verify := b.process("argmax", verifyLine+" --prompt-file -")
	verify.Env = append(verify.Env, asProver+"=", asVerifier+"=argmax")
	for _, c := range []*exec.Cmd{prove, verify} {
		var stderr bytes.Buffer
		c.Stderr = &stderr
		stdin, err := c.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		_, err = stdin.Write(bytes.Repeat([]byte("a"), 1<<17)) // more than a pipe holds: whoever takes it all is reading
		require.NoError(t, err)
		require.NoError(t, c.Process.Signal(os.Interrupt))
		require.Error(t, c.Wait())
		require.Equal(t, console.Internal, c.ProcessState.ExitCode(), &stderr)
		require.True(t, strings.HasSuffix(stderr.String(), ": interrupted\n"), &stderr)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// TestAtTheSameTime lets two provers write to the same names. Without --force one of them wins both files and the other says so.
func TestAtTheSameTime(t *testing.T) {
	n := (kills(t) + 3) / 4
	b := proved(t, configs["argmax"])
	data, err := os.ReadFile(b.file("keys/model.vk"))
	require.NoError(t, err)
	vk, err := verifier.ReadKey(context.Background(), circuit.Single(b.c), generation.Kind, data)
	require.NoError(t, err)
	info, err := os.Stat(b.file("p.bin"))
	require.NoError(t, err)
	for range n {
		for _, f := range []string{"p.bin", "s.bin", "keys/prover.key.old", "keys2/prover.key", "keys2/model.vk"} {
			os.Remove(b.file(f))
		}
		codes := both(t, b.process("argmax", "prove --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin"),
			b.process("argmax", "prove --key @keys/prover.key --prompt ab -o @p.bin --statement-out @s.bin"))
		require.ElementsMatch(t, []int{console.OK, console.Usage}, codes)
		require.True(t, b.wholeProof(vk, int(info.Size())), "statement and proof are of one run")

		setup := "setup --weights @weights.zkw -o @keys2"
		require.ElementsMatch(t, []int{console.OK, console.Usage}, both(t, b.process("argmax", setup), b.process("argmax", setup)))
		duration(t, b.process("argmax", "prove --force --key @keys2/prover.key --prompt a -o @p2.bin --statement-out @s2.bin"))
	}
	require.Empty(t, b.temporary())
}

// both runs two commands at the same time and returns their exit codes.
func both(t *testing.T, x, y *exec.Cmd) []int {
	require.NoError(t, x.Start())
	require.NoError(t, y.Start())
	_, _ = x.Wait(), y.Wait()
	return []int{x.ProcessState.ExitCode(), y.ProcessState.ExitCode()}
}

// output runs a command and returns its exit code and all that it printed.
func output(t *testing.T, c *exec.Cmd) (int, string) {
	out, err := c.CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// TestDiskFull writes to a file system without room: code 3, the cause, and nothing under the name.
func TestDiskFull(t *testing.T) {
	b := proved(t, configs["argmax"])
	full := smallDisk(t, b.file("full"), 8<<10)
	code, out := output(t, b.process("argmax", "prove --key @keys/prover.key --prompt a -o @full/p.bin --statement-out @full/s.bin"))
	require.Equal(t, console.Unreadable, code, out)
	require.Contains(t, out, "no space left")
	require.NotContains(t, out, ".tmp-")
	require.NoFileExists(t, b.file("full/p.bin"))
	code, out = output(t, b.process("argmax", "setup --weights @weights.zkw -o @full/keys"))
	require.Equal(t, console.Unreadable, code, out)
	require.NoFileExists(t, b.file("full/keys/model.vk"))
	require.Empty(t, b.temporary())
	full()
}

// TestNoPermission runs the prover as a user who may read everything but the key, and write nothing.
func TestNoPermission(t *testing.T) {
	b := proved(t, configs["argmax"])
	asNobody := nobody(t, b.dir)
	keys, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(t, err)
	for _, line := range []string{
		"setup --weights @weights.zkw -o @keys3", "setup --force --weights @weights.zkw -o @keys", "run --key @keys/prover.key --prompt a",
		"statement --prompt a --answer b -o @x.bin", "statement --force --prompt a --answer b -o @s.bin",
	} {
		c := b.process("argmax", line)
		asNobody(c)
		code, out := output(t, c)
		require.Equal(t, console.Unreadable, code, "%s: %s", line, out)
		require.Contains(t, out, "permission denied", line)
		require.NotContains(t, out, ".tmp-", line)
	}
	require.NoFileExists(t, b.file("x.bin"))
	require.NoDirExists(t, b.file("keys3"))
	after, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(t, err)
	require.Equal(t, keys, after)
}

// TestHalfAPair writes the proof where there is no room and the statement where there is.
func TestHalfAPair(t *testing.T) {
	b := proved(t, configs["argmax"])
	full := smallDisk(t, b.file("full"), 4<<10)
	code, out := output(t, b.process("argmax", "prove --key @keys/prover.key --prompt a -o @full/p.bin --statement-out @alone.bin"))
	require.Equal(t, console.Unreadable, code, out)
	require.NoFileExists(t, b.file("alone.bin"))
	before, err := os.ReadFile(b.file("s.bin"))
	require.NoError(t, err)
	code, out = output(t, b.process("argmax", "prove --force --key @keys/prover.key --prompt ab -o @full/p.bin --statement-out @s.bin"))
	require.Equal(t, console.Unreadable, code, out)
	after, err := os.ReadFile(b.file("s.bin"))
	require.NoError(t, err)
	require.Equal(t, before, after, "the statement of the proof that is there was not replaced")
	full()
}
