package cli

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// measured runs f and fails if it takes longer than a minute or allocates more than limit bytes.
func measured(t testing.TB, limit uint64, f func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Fatalf("%d bytes allocated, the bound is %d", n, limit)
	}
	if d := time.Since(begin); d > time.Minute {
		t.Fatalf("took %v", d)
	}
}

// archive makes an npz file of one array, packed or not.
func archive(t testing.TB, name, content string, method uint16) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What reading a file of the command line may allocate beyond slackBytes: token ids and logits take a word for a byte or two of their file,
// and grow by doubling; JSON takes a value for two bytes. Of a packed archive the unpacked bytes count, for whose number TestPackedData is.
const (
	slackBytes      = 1 << 20
	perByte         = 256
	perManifestByte = 512 // which is read and printed twice
)

// FuzzData: data files of every kind, as bytes and as the parts of an npz archive (kind, head and cells of its one array). What is
// read is at least one sequence.
func FuzzData(f *testing.F) {
	for _, s := range []string{"[1,2,3]", "[[1,2],[3]]", `{"inputs":[[1],[2],[3]]}`, "[1e400]", "[[]]", "{}", "null", "[99999999999999999999]", "PK\x05\x06", ""} {
		f.Add(byte(2), s, []byte{})
	}
	for _, shape := range []string{"(2, 1)", "(2,)", "()", "(0,)", "(1, 0)", "(99999999999, 99999999999)", "(4294967296, 4294967296, 2)"} {
		f.Add(byte(0), "{'descr': '<i8', 'fortran_order': False, 'shape': "+shape+", }\n", make([]byte, 16))
		f.Add(byte(1), "{'descr': '|u1', 'fortran_order': False, 'shape': "+shape+", }\n", make([]byte, 2))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, kind byte, head string, cells []byte) {
		data := []byte(head)
		if kind%3 != 2 {
			n := len(head)
			data = archive(t, "input_ids.npy", "\x93NUMPY"+string([]byte{1 + kind/3%3, 0, byte(n), byte(n >> 8)})+head+string(cells), []uint16{zip.Store, zip.Deflate}[kind%3])
		}
		file := filepath.Join(dir, "data")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		measured(t, slackBytes+perByte*uint64(len(data)+len(cells)), func() {
			in, err := readData(file)
			if err == nil && len(in) == 0 {
				t.Fatal("no input and no error")
			}
		})
	})
}

// FuzzTestSet: the TensorProto files of an ONNX test folder.
func FuzzTestSet(f *testing.F) {
	encode := func(p *pb.TensorProto) []byte {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	for _, dims := range [][]int64{{1, 2}, {2}, {}, {0}, {2, 1}, {1 << 62}, {-2}, {1 << 31, 1 << 31}} {
		f.Add(encode(&pb.TensorProto{DataType: 7, Dims: dims, Int64Data: []int64{1, 2}}), encode(&pb.TensorProto{DataType: 1, Dims: dims, FloatData: []float32{1, 2}}))
	}
	f.Add(encode(&pb.TensorProto{DataType: 7, DataLocation: 1, Dims: []int64{2}, ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: "/etc/passwd"}}}), []byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in, out []byte) {
		for name, data := range map[string][]byte{"input_0.pb": in, "output_0.pb": out} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		measured(t, slackBytes+perByte*uint64(len(in)+len(out)), func() {
			inputs, err := readData(dir)
			if err == nil && len(inputs) == 0 {
				t.Fatal("no input and no error")
			}
		})
	})
}

// FuzzManifest: the zkllmc.json of a folder, which inspect reads and prints.
func FuzzManifest(f *testing.F) {
	valid, err := json.Marshal(manifest{Generator: generator, Name: "m", Public: []tensorInfo{{Name: "a", Shape: []int{1}}}, Weights: []tensorInfo{{Name: "b", Shape: []int{2}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add([]byte(`{"generator":"zkllmc","scales":{}}`))
	f.Add([]byte(`{"generator":"zkllmc","scales":{"Tensors":[null,{}]},"private_weights":[{}],"circuit":null}`))
	f.Add([]byte(`{"generator":"another"}`))
	f.Add([]byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, manifestFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		measured(t, slackBytes+perManifestByte*uint64(len(data)), func() {
			a := &app{out: console.NewOutput(io.Discard), err: io.Discard}
			_ = a.inspect(t.Context(), dir, &modelFlags{}, &deviceFlags{}, &inspectFlags{})
			_ = a.inspect(t.Context(), dir, &modelFlags{}, &deviceFlags{}, &inspectFlags{json: true})
		})
	})
}

// FuzzModule: the go.mod and go.sum of the module that an output folder lies in, or of --runtime-path. The import path that comes of them
// is one that Go takes: it is printed into generated code.
func FuzzModule(f *testing.F) {
	f.Add([]byte("module example.com/m\n\ngo 1.26\n"), []byte{})
	f.Add([]byte("module \"a`b\"\n"), []byte{})
	f.Add([]byte("module a\vb\n"), []byte{})
	f.Add([]byte("// module x\nmodule\tx // y\n"), []byte{})
	all := "module " + ourModule + "\n\ngo 1.26\n\nrequire (\n"
	for _, m := range runtimeModules {
		all += "\t" + m + " v1.0.0\n"
	}
	f.Add([]byte(all+")\n"), []byte(runtimeModules[0]+" v1.0.0 h1:x\nother v1 h1:y\n"))
	dir, elsewhere := f.TempDir(), f.TempDir()
	f.Fuzz(func(t *testing.T, gomod, gosum []byte) {
		for name, data := range map[string][]byte{"go.mod": gomod, "go.sum": gosum} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		measured(t, slackBytes+perByte*uint64(len(gomod)+len(gosum)), func() {
			if p, err := (Module{}).place(&output{dir: filepath.Join(dir, "sub")}); err == nil && !importable.MatchString(p.importPath) {
				t.Fatalf("the import path %q", p.importPath)
			}
			p, err := (Module{}).place(&output{dir: elsewhere, runtimePath: dir})
			if err == nil && (len(p.files) != 2 || !importable.MatchString(p.importPath)) {
				t.Fatalf("%d files, the import path %q", len(p.files), p.importPath)
			}
		})
	})
}

// TestImportPath chooses folders and modules whose names Go does not import.
func TestImportPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{"story": "example.com/m/story", "a b": "", "a\"b": "", "\u00e9": "", ".": "example.com/m"} {
		p, err := (Module{}).place(&output{dir: filepath.Join(dir, folder)})
		if want == "" && (err == nil || !strings.Contains(err.Error(), "choose another folder")) || want != "" && (err != nil || p.importPath != want) {
			t.Errorf("%q: %q, %v", folder, p.importPath, err)
		}
	}
}

// TestPackedData opens an archive of a few kilobytes whose one array has as many cells as a file may have bytes, divided by 64.
func TestPackedData(t *testing.T) {
	const cells = maxData / 64
	head := "{'descr': '|i1', 'fortran_order': False, 'shape': (16777216,), }\n"
	data := archive(t, "input_ids.npy", "\x93NUMPY\x01\x00"+string([]byte{byte(len(head)), 0})+head+string(make([]byte, cells)), zip.Deflate)
	file := filepath.Join(t.TempDir(), "bomb.npz")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(data))
	measured(t, 64<<20, func() { _, _ = readData(file) })
}

// TestManyArrays opens an archive of more arrays than are read.
func TestManyArrays(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for range maxArrays + 1 {
		if _, err := z.Create("a.npy"); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := readNPZ(b.Bytes()); err == nil || !strings.Contains(err.Error(), "an archive of 33 arrays") {
		t.Fatal(err)
	}
}
