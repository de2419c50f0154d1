package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// Tests of the compiler as a process: killed, interrupted, without room or permission; what it prints.

// asCompiler makes the test binary the compiler: the Main that main.go calls, with the module files of the tests.
const asCompiler = "ZKLLMC_TEST_COMPILER"

func TestMain(m *testing.M) {
	if os.Getenv(asCompiler) == "" {
		os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -ldflags=-w")) // nobody debugs what tests build
		os.Exit(m.Run())
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		panic(err)
	}
	gosum, err := os.ReadFile("../../go.sum")
	if err != nil {
		panic(err)
	}
	os.Exit(Main(Module{GoMod: gomod, GoSum: gosum}, os.Args[1:]))
}

// command runs the compiler in a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), asCompiler+"=1", "GOMAXPROCS=2")
	return c
}

// kills is how many moments the tests of this file try each.
func kills(t *testing.T) int {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to speak of")
	}
	if n, err := strconv.Atoi(os.Getenv("ZKLLMC_KILLS")); err == nil {
		return n
	}
	return 3
}

// tiny writes a model of a few weights and 4 positions: an embedding, Relu, logits. seed changes the weights.
func tiny(t *testing.T, seed int) string {
	return tinyOf(t, seed, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: 4}})
}

// tinyOf is tiny of another length, which may be symbolic.
func tinyOf(t *testing.T, seed int, length *pb.TensorShapeProto_Dimension) string {
	matrix := func(name string, rows, cols int64) *pb.TensorProto {
		p := &pb.TensorProto{Name: name, DataType: 1, Dims: []int64{rows, cols}}
		for i := range rows * cols {
			p.FloatData = append(p.FloatData, float32(math.Sin(float64(seed)+7*float64(i))))
		}
		return p
	}
	shape := &pb.TensorShapeProto{Dim: []*pb.TensorShapeProto_Dimension{length}}
	m := &pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
		Node: []*pb.NodeProto{
			{OpType: "Gather", Input: []string{"emb", "ids"}, Output: []string{"x"}}, {OpType: "Relu", Input: []string{"x"}, Output: []string{"y"}},
			{OpType: "MatMul", Input: []string{"y", "head"}, Output: []string{"logits"}}},
		Input:       []*pb.ValueInfoProto{{Name: "ids", Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: 7, Shape: shape}}}}},
		Output:      []*pb.ValueInfoProto{{Name: "logits"}},
		Initializer: []*pb.TensorProto{matrix("emb", 6, 8), matrix("head", 8, 6)},
	}}
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "tiny.onnx")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// compileArgs is the command line for a model and a folder. All folders of these tests have the same last name, since that enters the
// generated code.
func compileArgs(model, dir string) []string {
	return []string{"compile", model, "-o", dir, "--runtime-path", "../.."}
}

// reference compiles a model into a fresh folder and returns the files, and the time that it took.
func reference(t *testing.T, model string) (map[string]string, time.Duration) {
	dir := filepath.Join(t.TempDir(), "out")
	begin := time.Now()
	out, err := command(t, compileArgs(model, dir)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return files(t, dir), time.Since(begin)
}

// whole checks that every file of a folder is one of the two versions, that the weights are readable by their owner only, and returns
// how many files are of the first version and the temporary files.
func whole(t *testing.T, dir string, a, b map[string]string) (first int, temporary []string) {
	if _, err := os.Stat(dir); err != nil {
		return 0, nil
	}
	for name, content := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		if strings.Contains(name, "weights.zkw") {
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
		}
		switch {
		case strings.Contains(name, ".tmp-"):
			temporary = append(temporary, name)
			require.Zero(t, info.Mode().Perm()&0o022, name)
		case content == a[name]:
			first++
		default:
			require.Equal(t, b[name], content, "%s is half a file", name)
		}
	}
	return first, temporary
}

// disturbed starts a command and sends a signal after a random part of the time that it takes.
func disturbed(t *testing.T, c *exec.Cmd, takes time.Duration, sig os.Signal) (code int, stderr string) {
	var e bytes.Buffer
	c.Stderr = &e
	require.NoError(t, c.Start())
	time.Sleep(time.Duration(rand.Int64N(int64(takes))))
	_ = c.Process.Signal(sig) // it may have ended
	_ = c.Wait()
	return c.ProcessState.ExitCode(), e.String()
}

// TestKilledCompile compiles two models in turn into one folder and is killed on the way: every file is whole. A mixture of both may be
// left; the digests in code, constants and weights tell them apart. Temporary files that a kill leaves are gone after the next compilation.
func TestKilledCompile(t *testing.T) {
	n := kills(t)
	models := []string{tiny(t, 1), tiny(t, 2)}
	a, takes := reference(t, models[0])
	b, _ := reference(t, models[1])
	dir := filepath.Join(t.TempDir(), "out")
	out, err := command(t, append(compileArgs(models[0], dir), "--force")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	mixed := 0
	var left []string
	for i := range n {
		disturbed(t, command(t, append(compileArgs(models[(i+1)%2], dir), "--force")...), takes, os.Kill)
		first, temporary := whole(t, dir, a, b)
		if same := common(a, b); first != len(a) && first != same {
			mixed++
		}
		left = temporary
	}
	require.LessOrEqual(t, len(left), n*len(a), "one for every file that a kill met on its way")
	out, err = command(t, append(compileArgs(models[0], dir), "--force")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	first, temporary := whole(t, dir, a, b)
	require.Equal(t, len(a), first)
	require.Empty(t, temporary)
	t.Logf("%d kills within %v: %d mixtures, %d temporary files left", n, takes, mixed, len(left))
}

// common counts the files that two folders have in common.
func common(a, b map[string]string) int {
	n := 0
	for name := range a {
		if a[name] == b[name] {
			n++
		}
	}
	return n
}

// TestCompileAfterAKill compiles into an empty folder, is killed, and compiles again: without --force, since nothing but zkllmc wrote
// there.
func TestCompileAfterAKill(t *testing.T) {
	n := kills(t)
	model := tiny(t, 1)
	_, takes := reference(t, model)
	for range n {
		dir := filepath.Join(t.TempDir(), "out")
		disturbed(t, command(t, compileArgs(model, dir)...), takes, os.Kill)
		out, err := command(t, compileArgs(model, dir)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	dir := filepath.Join(t.TempDir(), "out") // what a kill within the first file leaves
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "circuit"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "circuit", ".circuit.go.tmp-1"), nil, 0o600))
	out, err := command(t, compileArgs(model, dir)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestSignalledCompile interrupts at random moments.
func TestSignalledCompile(t *testing.T) {
	n := kills(t)
	model := tiny(t, 1)
	a, takes := reference(t, model)
	ends := map[string]int{}
	for range n {
		dir := filepath.Join(t.TempDir(), "out")
		code, stderr := disturbed(t, command(t, compileArgs(model, dir)...), takes, os.Interrupt)
		first, temporary := whole(t, dir, a, a)
		require.Empty(t, temporary, "an interrupted process cleans up")
		switch code {
		case console.OK:
			require.Len(t, a, first)
		case console.Internal:
			require.Contains(t, stderr, "zkllmc: interrupted")
		default:
			require.Equal(t, -1, code, stderr)
			require.Zero(t, first)
		}
		ends[fmt.Sprintf("code %d, %d files", code, first)]++
	}
	t.Logf("%d interruptions: %v", n, ends)
}

// laborious writes a model that keeps the compiler busy for minutes, if the budget allows it: tiny, whose Relu is of many copies of x, as
// often as it takes.
func laborious(t *testing.T) string {
	data, err := os.ReadFile(tiny(t, 1))
	require.NoError(t, err)
	m := &pb.ModelProto{}
	require.NoError(t, proto.Unmarshal(data, m))
	integers := func(name string, v ...int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Dims: []int64{int64(len(v))}, Int64Data: v}
	}
	g := m.Graph
	nodes := []*pb.NodeProto{g.Node[0], {OpType: "Expand", Input: []string{"x", "copies"}, Output: []string{"r0"}}}
	for i := range 30 {
		nodes = append(nodes, &pb.NodeProto{OpType: "Relu", Input: []string{fmt.Sprint("r", i)}, Output: []string{fmt.Sprint("r", i+1)}})
	}
	mean := &pb.NodeProto{OpType: "ReduceMean", Input: []string{"r30", "first"}, Output: []string{"y"}, Attribute: []*pb.AttributeProto{{Name: "keepdims", Type: 2}}}
	g.Node = append(nodes, mean, g.Node[2])
	g.Initializer = append(g.Initializer, integers("copies", 1<<17, 4, 8), integers("first", 0))
	data, err = proto.Marshal(m)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// TestSignalledWork interrupts every command while it computes: it ends before it has taken another second of the processor, however busy the
// machine is.
func TestSignalledWork(t *testing.T) {
	kills(t)
	model := laborious(t)
	for i, args := range [][]string{
		{"compile", model, "-o", filepath.Join(t.TempDir(), "out"), "--runtime-path", "../.."}, {"check", model}, {"inspect", model}, {"conformance", filepath.Dir(model)},
	} {
		c := command(t, append(args, "--budget", "64")...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		begin := time.Now()
		require.NoError(t, c.Start())
		stuck := time.AfterFunc(2*time.Minute, func() { _ = c.Process.Kill() })
		before := worked(t, c.Process, begin)
		for ; before < time.Second; before = worked(t, c.Process, begin) {
			time.Sleep(10 * time.Millisecond)
			require.Less(t, time.Since(begin), 2*time.Minute, "%s does not work", args[0])
		}
		require.NoError(t, c.Process.Signal([]os.Signal{os.Interrupt, syscall.SIGTERM}[i%2]))
		var exit *exec.ExitError
		require.ErrorAs(t, c.Wait(), &exit, "%s", args[0])
		stuck.Stop()
		require.Equal(t, console.Internal, exit.ExitCode(), "%s: %s", args[0], &stderr)
		require.Contains(t, stderr.String(), "zkllmc: interrupted")
		require.Less(t, exit.UserTime()+exit.SystemTime(), before+time.Second, "%s", args[0])
	}
}

// TestCompileWithoutRoom compiles to a full file system and to a folder without permission: code 3, the cause, no half file.
func TestCompileWithoutRoom(t *testing.T) {
	model := tiny(t, 1)
	a, _ := reference(t, model)
	full := smallDisk(t, 20<<10)
	out, err := command(t, compileArgs(model, filepath.Join(full, "out"))...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, console.Unreadable, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "no space left")
	_, temporary := whole(t, filepath.Join(full, "out"), a, a)
	require.Empty(t, temporary)

	// What is there already stays whole and of one model where there is room for one only.
	pages := 0
	for _, content := range a {
		pages += len(content)/4096 + 1
	}
	dir := filepath.Join(smallDisk(t, 4096*pages*3/2), "out")
	out, err = command(t, compileArgs(model, dir)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	before := files(t, dir)
	out, err = command(t, append(compileArgs(tiny(t, 2), dir), "--force")...).CombinedOutput()
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, console.Unreadable, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "no space left")
	require.Contains(t, string(out), "no file of "+dir+" was replaced")
	require.Equal(t, before, files(t, dir))
}

// TestCompileKeepsWeightsSecret looks for the weights in what compile prints, with every option that prints more, and in every file but
// the one that holds them, whose mode is 0600 whatever the umask.
func TestCompileKeepsWeightsSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes to speak of")
	}
	dir := filepath.Join(t.TempDir(), "out")
	c := command(t, append(compileArgs(tiny(t, 1), dir), "--json")...)
	c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", `umask 0; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
	c.Env = append(c.Env, "ZKLLMC_DUMP=all")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	all := files(t, dir)
	weights := all[compiler.WeightsFile]
	delete(all, compiler.WeightsFile)
	all["what was printed"] = string(out)
	info, err := os.Stat(filepath.Join(dir, compiler.WeightsFile))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	for i := len(weights) - 96; i+8 <= len(weights); i += 8 { // four cells of the last weight
		raw := weights[i : i+8]
		var numbers []string
		for k := 0; k < 8; k += 2 {
			numbers = append(numbers, strconv.Itoa(int(int16(uint16(raw[k])<<8|uint16(raw[k+1])))))
		}
		for name, content := range all {
			for _, s := range []string{raw, strings.Join(numbers, " "), strings.Join(numbers, ", "), strings.Join(numbers, ",")} {
				require.NotContains(t, content, s, name)
			}
		}
	}
	for _, first := range []string{"0.84147", "0.9893582", "0.6502878"} { // sin 1, sin 8, sin 15: the weights before they are quantised
		for name, content := range all {
			require.NotContains(t, content, first, name)
		}
	}
}
