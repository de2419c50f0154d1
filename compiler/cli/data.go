package cli

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// maxData is the largest data file that is read.
const maxData = 1 << 30

// readData reads inputs: an ONNX test folder (or a folder of such folders, test_data_set_k), an npz file, or JSON.
func readData(path string) ([]compiler.Input, error) {
	in, err := readAny(path)
	if err == nil && len(in) == 0 {
		err = fmt.Errorf("it holds no input")
	}
	if err != nil {
		return nil, unreadable{fmt.Errorf("%s: %w", path, err)}
	}
	return in, nil
}

func readAny(path string) ([]compiler.Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return readFolder(path)
	}
	data, err := atomicfile.Read(path, maxData)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("PK")) {
		return readNPZ(data)
	}
	return readJSON(data)
}

// readFolder reads input_0.pb and, if it is there, output_0.pb; without them the folders test_data_set_k below.
func readFolder(dir string) ([]compiler.Input, error) {
	if _, err := os.Stat(filepath.Join(dir, "input_0.pb")); err == nil {
		return readSet(dir)
	}
	sets, err := filepath.Glob(filepath.Join(dir, "test_data_set_*"))
	if err != nil {
		return nil, err
	}
	sort.Slice(sets, func(i, j int) bool {
		return len(sets[i]) < len(sets[j]) || len(sets[i]) == len(sets[j]) && sets[i] < sets[j]
	})
	var all []compiler.Input
	for _, s := range sets {
		in, err := readSet(s)
		if err != nil {
			return nil, err
		}
		all = append(all, in...)
	}
	return all, nil
}

// readSet reads one test set. A batch becomes one input per row.
func readSet(dir string) ([]compiler.Input, error) {
	in, err := onnx.LoadTensor(filepath.Join(dir, "input_0.pb"))
	if err != nil {
		return nil, err
	}
	if in.I == nil {
		return nil, fmt.Errorf("%s: input_0.pb holds no integers; token ids are expected", dir)
	}
	var logits []float64
	if name := filepath.Join(dir, "output_0.pb"); exists(name) {
		out, err := onnx.LoadTensor(name)
		if err != nil {
			return nil, err
		}
		logits = out.F
	}
	return split(in.Shape, in.I, logits)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// split cuts a batch of token ids into its rows, and logits with it.
func split(shape []int, ids []int64, logits []float64) ([]compiler.Input, error) {
	if len(shape) == 0 || len(ids) == 0 {
		return nil, fmt.Errorf("token ids of shape %v", shape)
	}
	n := shape[len(shape)-1]
	rows := len(ids) / n
	if rows*n != len(ids) || len(logits)%rows != 0 {
		return nil, fmt.Errorf("%d token ids and %d logits for rows of %d", len(ids), len(logits), n)
	}
	var out []compiler.Input
	step := len(logits) / rows
	for r := range rows {
		in := compiler.Input{IDs: ids[r*n : (r+1)*n]}
		if step > 0 {
			in.Logits = logits[r*step : (r+1)*step]
		}
		out = append(out, in)
	}
	return out, nil
}

// readJSON reads [id, …], [[id, …], …] or {"inputs": [[id, …], …]}.
func readJSON(data []byte) ([]compiler.Input, error) {
	var rows [][]int64
	var object struct {
		Inputs [][]int64 `json:"inputs"`
	}
	var row []int64
	switch {
	case json.Unmarshal(data, &rows) == nil:
	case json.Unmarshal(data, &row) == nil:
		rows = [][]int64{row}
	case json.Unmarshal(data, &object) == nil:
		rows = object.Inputs
	default:
		return nil, fmt.Errorf(`neither npz nor JSON of token ids: [1,2,3], [[1,2],[3]] or {"inputs": [[1,2],[3]]}`)
	}
	var out []compiler.Input
	for _, r := range rows {
		out = append(out, compiler.Input{IDs: r})
	}
	return out, nil
}

// readNPZ reads a numpy archive: token ids are its first integer array (input_ids if there is one), expected logits its first
// array of floats (logits if there is one).
func readNPZ(data []byte) ([]compiler.Input, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if len(z.File) > maxArrays {
		return nil, fmt.Errorf("an archive of %d arrays, at most %d are read", len(z.File), maxArrays)
	}
	files := append([]*zip.File(nil), z.File...)
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	var ids, logits *array
	for _, f := range files {
		a, err := readNPY(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if a.ints != nil && (ids == nil || f.Name == "input_ids.npy") {
			ids = a
		}
		if a.floats != nil && (logits == nil || f.Name == "logits.npy") {
			logits = a
		}
	}
	if ids == nil {
		return nil, fmt.Errorf("no array of integers")
	}
	var expected []float64
	if logits != nil {
		expected = logits.floats
	}
	return split(ids.shape, ids.ints, expected)
}

// array is a decoded numpy array.
type array struct {
	shape  []int
	ints   []int64
	floats []float64
}

var (
	npyDescr = regexp.MustCompile(`'descr': '([<|=])([iuf])([1248])'`)
	npyShape = regexp.MustCompile(`'shape': \(([0-9, ]*)\)`)
)

// Arrays in memory: token ids are few, logits may be a vocabulary wide. A packed file says little of what it unpacks to, and all arrays of
// an archive may be the same bytes of it.
const (
	maxArrays     = 32
	maxIntCells   = 1 << 20
	maxFloatCells = 1 << 24
)

// readNPY decodes one array in numpy's format, versions 1 to 3, C order. Its header is checked before its cells are unpacked.
func readNPY(f *zip.File) (*array, error) {
	file, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := bufio.NewReader(file)
	head, err := npyHead(r)
	if err != nil {
		return nil, err
	}
	limit := int64(8 * maxFloatCells)
	if d := npyDescr.FindStringSubmatch(head); d != nil && d[2] != "f" {
		limit = int64(d[3][0]-'0') * maxIntCells
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("an array of more than %d bytes: %.80s", limit, head)
	}
	return decodeNPY(head, b)
}

// npyHead reads magic, version and header.
func npyHead(r io.Reader) (string, error) {
	var start [10]byte
	if _, err := io.ReadFull(r, start[:]); err != nil || string(start[:6]) != "\x93NUMPY" {
		return "", fmt.Errorf("not a numpy array")
	}
	n := int(binary.LittleEndian.Uint16(start[8:]))
	if start[6] > 1 {
		var more [2]byte
		if _, err := io.ReadFull(r, more[:]); err != nil {
			return "", fmt.Errorf("truncated")
		}
		n |= int(binary.LittleEndian.Uint16(more[:])) << 16
	}
	if n > 1<<16 {
		return "", fmt.Errorf("a header of %d bytes", n)
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", fmt.Errorf("truncated")
	}
	return string(head), nil
}

func decodeNPY(head string, b []byte) (*array, error) {
	d, s := npyDescr.FindStringSubmatch(head), npyShape.FindStringSubmatch(head)
	if d == nil || s == nil || strings.Contains(head, "'fortran_order': True") {
		return nil, fmt.Errorf("an array of a kind that is not read: %.80s", head)
	}
	a := &array{shape: []int{}}
	size := 1
	for _, x := range strings.Split(s[1], ",") {
		if x = strings.TrimSpace(x); x == "" {
			continue
		}
		n, err := strconv.Atoi(x)
		if err != nil || n < 0 || n > len(b) || size > len(b) {
			return nil, fmt.Errorf("shape (%s) of %d bytes", s[1], len(b))
		}
		a.shape, size = append(a.shape, n), size*n
	}
	width := int(d[3][0] - '0')
	if len(b) != size*width {
		return nil, fmt.Errorf("shape (%s) of %d bytes", s[1], len(b))
	}
	for i := range size {
		var u uint64
		for k := range width {
			u |= uint64(b[i*width+k]) << (8 * k)
		}
		if err := a.add(d[2], width, u); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *array) add(kind string, width int, u uint64) error {
	switch {
	case kind == "f" && width == 4:
		a.floats = append(a.floats, float64(math.Float32frombits(uint32(u))))
	case kind == "f" && width == 8:
		a.floats = append(a.floats, math.Float64frombits(u))
	case kind == "f":
		return fmt.Errorf("floats of %d bytes are not read", width)
	case kind == "i":
		shift := 64 - 8*width
		a.ints = append(a.ints, int64(u<<shift)>>shift)
	default:
		a.ints = append(a.ints, int64(u))
	}
	return nil
}
