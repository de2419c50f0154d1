// Package portfile reads the elements of ports from files, and shows them: JSON numbers in nested lists, or an ONNX TensorProto. Numbers
// become integers by function.Element. It is total: whatever the bytes, it returns an error or elements of the port.
package portfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// Why a file holds no elements of a port.
var (
	ErrFormat = errors.New("it is neither JSON numbers in nested lists nor an ONNX TensorProto of numbers")
	ErrShape  = errors.New("it has another shape than the port")
)

// MaxSize bounds a file with the elements of a port, generously: a JSON number and its comma, or a double, of each.
func MaxSize(p *circuit.Port) int64 { return 1<<16 + 64*int64(circuit.Size(p.Shape)) }

// Read returns the elements of a port. The file must have the port's shape but for axes of extent 1.
func Read(p *circuit.Port, data []byte) ([]int64, error) {
	elements, _, err := ReadOne(data, p)
	return elements, err
}

// ReadOne is Read for one of several ports, which are one port in the circuits of a family: the first whose shape the file has, which it
// returns, too.
func ReadOne(data []byte, ports ...*circuit.Port) ([]int64, *circuit.Port, error) {
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && text[0] == '[' {
		return readJSON(ports, text)
	}
	return readProto(ports, data)
}

// Shapes lists the shapes of ports, each once, for people: "[8] or [16]".
func Shapes(ports []*circuit.Port) string {
	var out []string
	for _, p := range ports {
		if s := fmt.Sprint(p.Shape); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " or ")
}

// ofShape returns the first of ports that has a shape, but for axes of extent 1. Token ids of several axes are those of one, row by row.
func ofShape(ports []*circuit.Port, dims []uint64) (*circuit.Port, error) {
	for _, p := range ports {
		if sameShape(p.Shape, dims) || p.Kind == circuit.IDs && len(p.Shape) == 1 && holds(dims, uint64(p.Shape[0])) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %v, the port has %s", ErrShape, dims, Shapes(ports))
}

func readJSON(ports []*circuit.Port, text []byte) ([]int64, *circuit.Port, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if _, err := d.Token(); err != io.EOF { // d.More takes a bracket that closes nothing for the end
		return nil, nil, fmt.Errorf("%w: there is more behind the list", ErrFormat)
	}
	var shape []int
	var dims []uint64
	for x, ok := v.([]any); ok; {
		shape, dims = append(shape, len(x)), append(dims, uint64(len(x)))
		if len(x) == 0 {
			break
		}
		x, ok = x[0].([]any)
	}
	p, err := ofShape(ports, dims)
	if err != nil {
		return nil, nil, err
	}
	var out []int64
	if err := walk(p, v, shape, &out); err != nil {
		return nil, nil, err
	}
	return out, p, nil
}

// walk appends the elements of nested lists of the given shape.
func walk(p *circuit.Port, v any, shape []int, out *[]int64) error {
	if len(shape) == 0 {
		x, err := number(p, v)
		if err != nil {
			return fmt.Errorf("element %d: %w", len(*out), err)
		}
		*out = append(*out, x)
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) != shape[0] {
		return fmt.Errorf("%w: its lists have different lengths", ErrShape)
	}
	for _, e := range list {
		if err := walk(p, e, shape[1:], out); err != nil {
			return err
		}
	}
	return nil
}

// number is the integer of one JSON value.
func number(p *circuit.Port, v any) (int64, error) {
	switch v := v.(type) {
	case bool:
		if p.Kind != circuit.Booleans {
			return 0, fmt.Errorf("a truth value, where the port has %v", p.Kind)
		}
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		if p.Kind != circuit.Reals {
			if x, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
				return inRange(p, x)
			}
		}
		x, err := v.Float64()
		if err != nil {
			return 0, fmt.Errorf("%w: %v", ErrFormat, err)
		}
		if p.Kind != circuit.Reals && math.Abs(x) >= exact {
			return 0, fmt.Errorf("%v: %w of which all digits are known; write it without point and exponent", v, function.ErrInteger)
		}
		return function.Element(p, x)
	}
	return 0, ErrFormat
}

// exact is up to which integers, of both signs, a float64 holds all.
const exact = 1 << 53

// whole is the integer of an integer: itself, but for a port of reals.
func whole(p *circuit.Port, x int64) (int64, error) {
	if p.Kind == circuit.Reals {
		if x > exact || x < -exact {
			return 0, fmt.Errorf("%d: %w: it is no real number of double precision", x, ErrFormat)
		}
		return function.Element(p, float64(x))
	}
	return inRange(p, x)
}

func inRange(p *circuit.Port, x int64) (int64, error) {
	if x < p.Lo || x > p.Hi {
		return 0, fmt.Errorf("%d: %w of %d to %d", x, function.ErrRange, p.Lo, p.Hi)
	}
	return x, nil
}

// Text is elements as nested JSON lists, which Read takes. shape is the port's, or that of the rows of an arg-max.
func Text(p *circuit.Port, shape []int, elements []int64) string {
	var b strings.Builder
	write(&b, p, shape, elements)
	return b.String()
}

func write(b *strings.Builder, p *circuit.Port, shape []int, elements []int64) {
	if len(shape) == 0 {
		if p.Kind == circuit.Reals && p.Reveal != circuit.Argmax {
			b.WriteString(strconv.FormatFloat(function.Number(p, elements[0]), 'g', -1, 64))
		} else {
			b.WriteString(strconv.FormatInt(elements[0], 10))
		}
		return
	}
	b.WriteByte('[')
	n := len(elements) / shape[0]
	for i := range shape[0] {
		if i > 0 {
			b.WriteByte(',')
		}
		write(b, p, shape[1:], elements[i*n:(i+1)*n])
	}
	b.WriteByte(']')
}

// Told is the shape of what statements tell of a port: its own, or that of its rows.
func Told(p *circuit.Port) []int {
	if p.Reveal == circuit.Argmax {
		return p.Shape[:len(p.Shape)-1]
	}
	return p.Shape
}

// Report is what reports say of a port.
type Report struct {
	Name     string          `json:"name"`              // name of the port
	Side     string          `json:"side"`              // input or output
	Elements string          `json:"elements"`          // ids, integers, booleans or reals
	Shape    []int           `json:"shape"`             // its extents
	Reveals  string          `json:"reveals"`           // what statements tell: nothing, values or argmax
	Values   json.RawMessage `json:"values,omitempty"`  // the elements, or the indices of an arg-max; missing where private
	Matches  *bool           `json:"matches,omitempty"` // verify: whether they are the expected ones
}

// Claim is what a statement about the inputs and outputs of a function says, besides their values: with which inputs it hides, and whether
// it shows others.
func Claim(hidden []string, shows bool) string {
	switch some := "some " + strings.Join(hidden, " and some "); {
	case len(hidden) == 0:
		return "the model gives these outputs for these inputs"
	case shows:
		return "the model gives these outputs for these inputs and " + some
	default:
		return "the model gives these outputs for " + some
	}
}

// Reports lists the ports of a circuit with what a statement tells of them.
func Reports(c *circuit.Circuit, st *function.Statement) (out []Report) {
	for i := range c.Ports {
		p := &c.Ports[i]
		r := Report{Name: p.Name, Side: p.Side(), Elements: p.Kind.String(), Shape: p.Shape, Reveals: p.Reveal.String()}
		if p.Public() {
			r.Values = json.RawMessage(Text(p, Told(p), st.Ports[i]))
		}
		out = append(out, r)
	}
	return out
}
