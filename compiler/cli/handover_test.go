package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// readmeBlock is the block of commands of README that follows a sentence.
func readmeBlock(t *testing.T, after string) string {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(readme), after)
	require.True(t, ok, "README does not say %q", after)
	_, text, ok = strings.Cut(text, "\n\n")
	require.True(t, ok)
	text, _, _ = strings.Cut(text, "\n\n")
	var out []string
	for _, line := range strings.Split(text, "\n") {
		command, ok := strings.CutPrefix(line, "    ")
		require.True(t, ok, line)
		out = append(out, command)
	}
	return strings.Join(out, "\n")
}

// sh runs commands in a folder and returns all that they print.
func sh(t *testing.T, dir, commands string, env ...string) string {
	c := exec.Command("/bin/sh", "-ec", commands)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s\n%s", commands, out)
	return string(out)
}

func needShell(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("needs the Go toolchain and a POSIX shell")
	}
}

// TestReadme runs README's commands: those of the provider and those about a model of numbers in a folder that has the models of this source
// tree and names it as the clone, and those of the customer in an empty folder, when nothing is left of the provider but what he handed over,
// whose go.mod names a clone that is not there. All build from the one tree, so that the go command compiles it once.
func TestReadme(t *testing.T) {
	needShell(t)
	top, env := t.TempDir(), []string{"GOFLAGS=-ldflags=-w -buildvcs=false", "GOPROXY=off"}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	providers, empty := filepath.Join(top, "provider", "zkllmc"), filepath.Join(top, "customer", "empty")
	require.NoError(t, os.MkdirAll(providers, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(root, "models"), filepath.Join(providers, "models")))
	commands, ok := strings.CutPrefix(readmeBlock(t, "The provider, in a clone"), "go build -o build/zkllmc .\n")
	require.True(t, ok, "README's first command is another one")
	sh(t, root, "go build -o "+shellWord(filepath.Join(providers, "build"))+"/zkllmc .", env...)
	said := sh(t, providers, fromClone(t, commands, root), env...)
	require.Contains(t, said, "which holds here alone", "a development build says what it is")
	require.Contains(t, said, "with a clone of the commit that this compiler was built from, which it does not know")
	t.Run("of numbers", func(t *testing.T) { readmeOfNumbers(t, root, providers, env) })

	require.NoError(t, os.MkdirAll(empty, 0o755))
	require.NoError(t, os.Rename(filepath.Join(top, "provider", "sums", "handover.tgz"), filepath.Join(empty, "handover.tgz")))
	require.NoError(t, os.RemoveAll(filepath.Join(top, "provider")))
	commands, ok = strings.CutPrefix(readmeBlock(t, "The customer, in an empty folder"), "tar xzf handover.tgz\n")
	require.True(t, ok, "README's first command is another one")
	sh(t, empty, "tar xzf handover.tgz")
	handed := files(t, empty)
	for name, content := range handed {
		require.NotContains(t, name, "weights")
		require.NotContains(t, name, "prover")
		require.Equal(t, name == "go.mod", strings.Contains(content, "=> "+root), name)
	}
	elsewhere := strings.Replace(handed["go.mod"], "=> "+root, "=> "+filepath.Join(top, "provider", "zkllmc"), 1)
	require.NoError(t, os.WriteFile(filepath.Join(empty, "go.mod"), []byte(elsewhere), 0o644))
	said = sh(t, empty, strings.ReplaceAll(commands, "PATH/OF/A/CLONE", shellWord(root)), env...)
	require.Contains(t, said, `"327+458=", as asked`)
	require.Contains(t, said, `"785;"`)
}

// fromClone are commands that README gives for a clone, for a folder beside it.
func fromClone(t *testing.T, commands, clone string) string {
	const flag = "--runtime-path . "
	require.Equal(t, 1, strings.Count(commands, flag))
	return strings.Replace(commands, flag, "--runtime-path "+shellWord(clone)+" ", 1)
}

// The version of which the test of a release pretends to be.
const release = "v0.9.0"

// TestReleaseNeedsNoPath lets a release compile outside of a module, and builds the verifier in an empty folder: the module comes from a
// proxy and has the hash that go.sum says. What is built tells the version.
func TestReleaseNeedsNoPath(t *testing.T) {
	needShell(t)
	m := module(t)
	proxy := t.TempDir()
	sum := publish(t, proxy, m.GoMod)
	m.Build = &debug.BuildInfo{Main: debug.Module{Path: ourModule, Version: release, Sum: sum}}
	dir := filepath.Join(t.TempDir(), "sums")
	var stdout, stderr bytes.Buffer
	args := []string{"compile", needSums(t), "-o", dir, "--reveal", "argmax", "--tokenizer", filepath.Join(sums, "vocab.json"), "--calibrate", sums}
	require.Equal(t, console.OK, start(context.Background(), m, args, &stdout, &stderr), &stderr)
	require.NotContains(t, stderr.String(), "which holds here alone")
	gomod := files(t, dir)["go.mod"]
	require.Contains(t, gomod, "require "+ourModule+" "+release+"\n")
	require.NotContains(t, gomod, "replace")

	empty := t.TempDir()
	for _, name := range []string{"circuit", "vocab", "verifier", "cmd/verifier"} {
		require.NoError(t, os.CopyFS(filepath.Join(empty, name), os.DirFS(filepath.Join(dir, name))))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		require.NoError(t, os.WriteFile(filepath.Join(empty, name), []byte(files(t, dir)[name]), 0o644))
	}
	cache := strings.TrimSpace(goTool(t, ".", "env", "GOMODCACHE"))
	env := []string{"GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw -ldflags=-w", "GOSUMDB=off", "GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache", "download")}
	sh(t, empty, "go build -o bin/ ./cmd/verifier ./verifier", env...)
	require.Contains(t, sh(t, empty, "bin/verifier --version"), "version   "+release+"\ncommit    that of the tag "+release+"\n")
}

// publish writes the module's files for a version as a module proxy serves them, and returns its hash.
func publish(t *testing.T, proxy string, gomod []byte) string {
	dir := filepath.Join(proxy, filepath.FromSlash(ourModule), "@v")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	content := map[string][]byte{"go.mod": gomod}
	for _, folder := range []string{"runtime", "internal"} {
		_ = filepath.WalkDir(filepath.Join("../..", folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() && e.Name() == "testdata" {
				return fs.SkipDir // the root need not be there
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); e.IsDir() && err == nil {
				return fs.SkipDir // another module
			}
			if !e.IsDir() && !strings.HasSuffix(path, "_test.go") {
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				rel, err := filepath.Rel("../..", path)
				require.NoError(t, err)
				content[filepath.ToSlash(rel)] = data
			}
			return nil
		})
	}
	var names []string
	for name := range content {
		names = append(names, name)
	}
	slices.Sort(names)
	var archive bytes.Buffer
	list := sha256.New()
	z := zip.NewWriter(&archive)
	for _, name := range names {
		full := ourModule + "@" + release + "/" + name
		w, err := z.Create(full)
		require.NoError(t, err)
		_, err = w.Write(content[name])
		require.NoError(t, err)
		fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(content[name]), full)
	}
	require.NoError(t, z.Close())
	for name, data := range map[string][]byte{
		release + ".zip": archive.Bytes(), release + ".mod": gomod, release + ".info": []byte(`{"Version":"` + release + `"}`), "list": []byte(release + "\n"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return "h1:" + base64.StdEncoding.EncodeToString(list.Sum(nil))
}

// scorer writes the MLP that README compiles: 4 reals to 2.
func scorer(t *testing.T, file string) {
	tensor := func(name string, v []float32, dims ...int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 1, Dims: dims, FloatData: v}
	}
	shape := &pb.TensorShapeProto{}
	for _, d := range []int64{1, 4} {
		shape.Dim = append(shape.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	m := &pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
		Node: []*pb.NodeProto{
			{OpType: "MatMul", Input: []string{"x", "W"}, Output: []string{"h"}}, {OpType: "Relu", Input: []string{"h"}, Output: []string{"r"}},
			{OpType: "Gemm", Input: []string{"r", "V", "b"}, Output: []string{"y"}}},
		Input:       []*pb.ValueInfoProto{{Name: "x", Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: 1, Shape: shape}}}}},
		Output:      []*pb.ValueInfoProto{{Name: "y"}},
		Initializer: []*pb.TensorProto{tensor("W", []float32{1, -1, 0.5, 0.25, 0.125, -0.5, 1, 1, -1, 0, 2, -2}, 4, 3), tensor("V", []float32{1, 2, 0.5, -1, 0.25, 1}, 3, 2), tensor("b", []float32{0.5, -3}, 2)},
	}}
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

// readmeOfNumbers runs README's commands about an MLP in a folder where the compiler was built: the generated prover shows the real output,
// the generated verifier accepts it and refuses another input, another output and an input that is out of range.
func readmeOfNumbers(t *testing.T, clone, here string, env []string) {
	scorer(t, filepath.Join(here, "scorer.onnx"))
	said := sh(t, here, fromClone(t, readmeBlock(t, "An MLP with the input"), clone), env...)
	// x·W = (3.1875, 2.34375, −2.125), and so y = (3.1875 + 2.34375/2 + 0.5, 2·3.1875 − 2.34375 − 3), exactly
	require.Contains(t, said, "y\t[[4.859375,1.03125]]\n")
	require.Contains(t, said, "the proof shows that the model gives these outputs for these inputs\n")

	dir := filepath.Join(filepath.Dir(here), "scorer")
	verify := "bin/verifier verify --vk keys/model.vk --pin model.id --statement statement.bin --proof proof.bin"
	report := sh(t, dir, verify+" --json")
	require.Contains(t, report, `"name": "x"`)
	for lie, file := range map[string]string{"x": "[[0.5, -1.25, 3, 0.25]]", "y": "[[4.875, 1.03125]]"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "lie.json"), []byte(file), 0o600))
		flag := "--input"
		if lie == "y" {
			flag = "--output"
		}
		out, code := shFails(t, dir, verify+" "+flag+" "+lie+"=lie.json")
		require.Equal(t, int(console.Rejected), code, out)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "far.json"), []byte("[[0.5, -1.25, 5, 0]]"), 0o600))
	out, code := shFails(t, dir, "bin/prover run --key keys/prover.key --input x=far.json")
	require.Equal(t, int(console.Unreadable), code, out)
	require.Contains(t, out, "outside the port's range of -4 to 4")
}

// shFails runs commands in a folder, of which the last fails, and returns what they print and its exit code.
func shFails(t *testing.T, dir, commands string) (string, int) {
	c := exec.Command("/bin/sh", "-ec", commands)
	c.Dir = dir
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s: %s", commands, out)
	return string(out), exit.ExitCode()
}

// A development build says of which commit the clone has to be that generated code is built with, to whoever compiles and in go.mod; and
// go.sum vouches for the go.mod files of all modules, so that the go command can list them.
func TestDevelopmentBuild(t *testing.T) {
	m := module(t)
	for want, settings := range map[string][]debug.BuildSetting{
		"with a clone of commit 0123abcd;":                       {{Key: "vcs.revision", Value: "0123abcd"}},
		"the compiler was built from commit 0123abcd, which was": {{Key: "vcs.revision", Value: "0123abcd"}, {Key: "vcs.modified", Value: "true"}},
		"which it does not know;":                                nil,
	} {
		m.Build = &debug.BuildInfo{Main: debug.Module{Path: ourModule, Version: "(devel)"}, Settings: settings}
		p, err := m.place(&output{dir: filepath.Join(t.TempDir(), "code"), runtimePath: "../.."})
		require.NoError(t, err)
		require.Contains(t, p.note, want)
		require.Contains(t, string(p.files[0].Data), want)
		sums := string(p.files[1].Data)
		for line := range strings.Lines(string(m.GoSum)) {
			if strings.Contains(line, "/go.mod ") {
				require.Contains(t, sums, line)
			}
		}
		require.NotRegexp(t, `testify [^/ ]+ h1:`, sums, "what generated code does not link")
	}
}
