package cli

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
)

// maxData is the largest data file that is read.
const maxData = 1 << 30

// readData reads inputs: an ONNX test folder (or a folder of such folders, test_data_set_k), an npz file, or JSON.
func readData(path string) ([]compiler.Input, error) {
	in, err := readAny(path)
	if err == nil && len(in) == 0 {
		err = fmt.Errorf("it holds no input")
	}
	var named *fs.PathError // errors of the file system name the file
	switch {
	case errors.As(err, &named):
		return nil, console.Unusable(err)
	case err != nil:
		return nil, console.Unusable(fmt.Errorf("%s: %w", path, err))
	}
	for i := range in {
		if in[i].From = path; len(in) > 1 {
			in[i].From = fmt.Sprintf("%s, input %d", path, i+1)
		}
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

// readFolder reads input_k.pb and output_k.pb; without them the folders test_data_set_k below.
func readFolder(dir string) ([]compiler.Input, error) {
	if exists(filepath.Join(dir, "input_0.pb")) {
		return readSet(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "test_data_set_") {
			sets = append(sets, filepath.Join(dir, e.Name()))
		}
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

// readSet reads one test set, whose files are numbered as the model's inputs and outputs are.
func readSet(dir string) ([]compiler.Input, error) {
	var in compiler.Input
	for side, list := range map[string]*[]compiler.Data{"input": &in.Elements, "output": &in.Expected} {
		for k := 0; ; k++ {
			name := filepath.Join(dir, fmt.Sprintf("%s_%d.pb", side, k))
			if !exists(name) {
				break
			}
			t, err := onnx.LoadTensor(name)
			if err != nil {
				return nil, err
			}
			*list = append(*list, compiler.Data{Shape: t.Shape, Values: t.Reals()})
		}
	}
	return []compiler.Input{in}, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// readJSON reads lists of numbers: one input is a list, several are a list of lists, of models that take one tensor. Inputs by name are
// {"inputs": {NAME: nested lists, …}, "outputs": {…}}, or a list of such. {"inputs": [[…], …]} is a list of lists with a name.
func readJSON(data []byte) ([]compiler.Input, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errJSON
	}
	if _, err := d.Token(); err != io.EOF { // More takes a bracket that closes nothing for the end
		return nil, errJSON
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		return jsonObject(v)
	case len(list) > 0 && isObject(list[0]):
		var out []compiler.Input
		for _, x := range list {
			in, err := jsonObject(x)
			if err != nil {
				return nil, err
			}
			out = append(out, in...)
		}
		return out, nil
	}
	return jsonRows(list)
}

var errJSON = errors.New(`neither npz nor JSON of inputs: [1,2,3], [[1,2],[3]] or {"inputs": {"NAME": [[1,2],[3,4]]}}`)

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// jsonRows reads one list of numbers, or one per input.
func jsonRows(list []any) ([]compiler.Input, error) {
	rows := []any{list}
	if len(list) > 0 {
		if _, nested := list[0].([]any); nested {
			rows = list
		}
	}
	var out []compiler.Input
	for _, row := range rows {
		d, err := nested(row)
		if err != nil {
			return nil, err
		}
		if len(d.Shape) == 1 { // the elements, in whatever shape
			d.Shape = nil
		}
		out = append(out, compiler.Input{Elements: []compiler.Data{d}})
	}
	return out, nil
}

// jsonObject reads {"inputs": …, "outputs": …}.
func jsonObject(v any) ([]compiler.Input, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errJSON
	}
	if list, ok := object["inputs"].([]any); ok && len(object) == 1 {
		return jsonRows(list)
	}
	var in compiler.Input
	for key, x := range object {
		tensors, ok := x.(map[string]any)
		if !ok || key != "inputs" && key != "outputs" {
			return nil, errJSON
		}
		for _, name := range slices.Sorted(maps.Keys(tensors)) {
			d, err := nested(tensors[name])
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", key, name, err)
			}
			d.Name = name
			list := &in.Elements
			if key == "outputs" {
				list = &in.Expected
			}
			*list = append(*list, d)
		}
	}
	if len(in.Elements) == 0 {
		return nil, errJSON
	}
	return []compiler.Input{in}, nil
}

// nested is the numbers of nested lists, with their shape.
func nested(v any) (d compiler.Data, err error) {
	d.Shape = []int{}
	for x, ok := v.([]any); ok; {
		if d.Shape = append(d.Shape, len(x)); len(x) == 0 {
			break
		}
		x, ok = x[0].([]any)
	}
	d.Values, err = flatten(v, d.Shape, nil)
	return d, err
}

// flatten appends the numbers of nested lists of a shape.
func flatten(v any, shape []int, out []float64) ([]float64, error) {
	list, ok := v.([]any)
	if ok != (len(shape) > 0) || ok && len(list) != shape[0] {
		return nil, fmt.Errorf("%w, each as long as those beside it", errJSON)
	}
	switch v := v.(type) {
	case []any:
		var err error
		for _, x := range v {
			if out, err = flatten(x, shape[1:], out); err != nil {
				return nil, err
			}
		}
		return out, nil
	case bool:
		x := 0.0
		if v {
			x = 1
		}
		return append(out, x), nil
	case json.Number:
		x, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", errJSON, v)
		}
		return append(out, x), nil
	}
	return nil, errJSON
}

// readNPZ reads a numpy archive as one input, whose arrays have the names of the model's inputs and outputs.
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
	var in compiler.Input
	for _, f := range files {
		a, err := readNPY(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if len(a.values) == 0 {
			return nil, fmt.Errorf("%s: shape %v has no elements", f.Name, a.shape)
		}
		in.Arrays = append(in.Arrays, compiler.Data{Name: strings.TrimSuffix(f.Name, ".npy"), Shape: a.shape, Values: a.values})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("an archive without arrays")
	}
	return []compiler.Input{in}, nil
}

// array is a decoded numpy array.
type array struct {
	shape  []int
	values []float64
}

var (
	npyDescr = regexp.MustCompile(`'descr': '([<|=])([iufb])([1248])'`)
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
	return decodeArray(file)
}

// readArray reads an array that an input is fixed to: of an npy file, or that of its name in an npz file.
func readArray(path, input string) (compiler.Data, error) {
	if filepath.Ext(path) == ".npz" {
		in, err := readData(path)
		if err != nil {
			return compiler.Data{}, err
		}
		for _, d := range in[0].Arrays {
			if d.Name == input {
				return d, nil
			}
		}
		return compiler.Data{}, console.Unusable(fmt.Errorf("%s: it has no array %q", path, input))
	}
	file, err := os.Open(path)
	if err != nil {
		return compiler.Data{}, console.Unusable(err)
	}
	defer file.Close()
	a, err := decodeArray(file)
	if err != nil {
		return compiler.Data{}, console.Unusable(fmt.Errorf("%s: %w", path, err))
	}
	return compiler.Data{Name: input, Shape: a.shape, Values: a.values}, nil
}

func decodeArray(file io.Reader) (*array, error) {
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
	n := uint32(binary.LittleEndian.Uint16(start[8:]))
	if start[6] > 1 {
		var more [2]byte
		if _, err := io.ReadFull(r, more[:]); err != nil {
			return "", fmt.Errorf("truncated")
		}
		n |= uint32(binary.LittleEndian.Uint16(more[:])) << 16
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
		if err != nil || n < 0 || n > len(b) || int64(size)*int64(n) > int64(len(b)) {
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
	var x float64
	switch {
	case kind == "f" && width == 4:
		x = float64(math.Float32frombits(uint32(u)))
	case kind == "f" && width == 8:
		x = math.Float64frombits(u)
	case kind == "f" && width == 2:
		return errors.New("float16 elements are not read; convert them to float32")
	case kind == "f" || kind == "b" && width != 1:
		return fmt.Errorf("elements of %d bytes of the kind %s are not read", width, kind)
	case kind == "i":
		shift := 64 - 8*width
		x = float64(int64(u<<shift) >> shift)
	default:
		x = float64(u)
	}
	a.values = append(a.values, x)
	return nil
}
