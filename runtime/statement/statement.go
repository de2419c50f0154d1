// Package statement is what proofs are about. A statement says of the public ports of a circuit what they hold. There are two kinds, each a
// package of its own, so that a verifier links those alone that it needs:
//
//   - function: these inputs gave these outputs
//   - generation: the model continues this prompt with this answer
//
// The circuit says which kind its statements are of; a statement of the other kind is refused.
package statement

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/kernel"
)

// Statement is the public part of a proof.
type Statement interface {
	// Check says whether the statement is one about the circuit. The other methods require that it returned nil.
	Check(c *circuit.Circuit) error
	// CheckInput is Check but for what is claimed of the outputs, which a prover learns from the model. Public requires no more.
	CheckInput(c *circuit.Circuit) error
	// CheckClaim says whether the statement claims something of the model that follows from what a proof shows.
	CheckClaim(c *circuit.Circuit) error
	// Bytes is the canonical encoding, which proofs absorb and which follows the header in a file: first the kind's number.
	Bytes() []byte
	// Public returns the cells of a public tensor, for the prover.
	Public(c *circuit.Circuit, id circuit.ID) *kernel.Tensor
	// Eval evaluates the MLE of a public tensor, for the verifier.
	Eval(c *circuit.Circuit, id circuit.ID, point []field.Element) field.Element
}

// Kind is a kind of statements, as a verifier is given it.
type Kind struct {
	Name   string // circuit.StatementKind of the circuits it is for
	Decode func(c *circuit.Circuit, data []byte) (Statement, error)
	Errors []error // the kinds of errors (errors.Is) of Decode, Check and CheckClaim
}

// Why a statement is refused, whatever its kind.
var (
	ErrFormat = errors.New("statement: malformed file")
	ErrKind   = errors.New("statement: it is of another kind than the circuit's")
)

// Encode returns the file of a statement: the header of every artefact, then Bytes. It refuses a statement that is none about the circuit.
func Encode(c *circuit.Circuit, s Statement) ([]byte, error) {
	if err := s.Check(c); err != nil {
		return nil, err
	}
	w := format.NewWriter(format.MagicStatement, c.Digest())
	w.Raw(s.Bytes())
	return w.Bytes(), nil
}

// CheckKind refuses a statement of a kind that is not the circuit's.
func CheckKind(c *circuit.Circuit, kind string) error {
	if want := c.StatementKind(); want != kind {
		return fmt.Errorf("%w: a %s, where the circuit's statements are %ss", ErrKind, kind, want)
	}
	return nil
}

// Argmax returns the first index of the maximum of a row of logits.
func Argmax(row []int64) int64 {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return int64(best)
}

// Width is the least of 1, 2, 4 and 8 bytes that hold every value.
func Width(values []int64) int {
	w := 1
	for _, v := range values {
		for w < 8 && (v < math.MinInt64>>(64-8*w) || v > math.MaxInt64>>(64-8*w)) {
			w *= 2
		}
	}
	return w
}

// AppendInts appends integers of 1, 2, 4 or 8 bytes, big-endian, in two's complement.
func AppendInts(out []byte, width int, values ...int64) []byte {
	for _, v := range values {
		for i := width - 1; i >= 0; i-- {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return out
}

// AppendList appends a list of integers in as few bytes as they take: width:1 count:8 values:width·count.
func AppendList(out []byte, values []int64) []byte {
	w := Width(values)
	out = append(out, byte(w))
	out = binary.BigEndian.AppendUint64(out, uint64(len(values)))
	return AppendInts(out, w, values...)
}

// Reader cuts a statement's bytes into integers. After the first read beyond its end it yields zeros.
type Reader struct {
	rest  []byte
	short bool
}

// Open reads the header of a statement's file and the number of its kind.
func Open(c *circuit.Circuit, data []byte, kind string, number int64) (*Reader, error) {
	file, err := format.NewReader(data, format.MagicStatement, c.Digest())
	if err != nil {
		return nil, err
	}
	if err := CheckKind(c, kind); err != nil {
		return nil, err
	}
	r := &Reader{rest: file.Raw(file.Remaining())}
	if got := r.Int(1); r.short || got != number {
		return nil, fmt.Errorf("%w: kind %d, a %s has %d", ErrKind, got, kind, number)
	}
	return r, nil
}

// Short says whether there were fewer bytes than were asked for.
func (r *Reader) Short() bool { return r.short }

// take returns the next n bytes, nil if there are fewer.
func (r *Reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// Int reads one integer of 1, 2, 4 or 8 bytes.
func (r *Reader) Int(width int) int64 { return signed(r.take(width)) }

// Ints reads n integers. It allocates them only if the file has them.
func (r *Reader) Ints(n, width int) []int64 {
	if n < 0 || n > len(r.rest)/width {
		r.short = true
		return nil
	}
	raw := r.take(n * width)
	out := make([]int64, n)
	for i := range out {
		out[i] = signed(raw[i*width : (i+1)*width])
	}
	return out
}

// ErrCount says that a list has another number of values than the circuit wants.
var ErrCount = errors.New("statement: another number of values than the circuit has")

// List reads what AppendList wrote, of exactly n values, nil if n is 0.
func (r *Reader) List(n int) ([]int64, error) {
	w, count := r.Int(1), r.Int(8)
	switch {
	case r.short:
		return nil, fmt.Errorf("%w: truncated", ErrFormat)
	case w != 1 && w != 2 && w != 4 && w != 8:
		return nil, fmt.Errorf("%w: values of %d bytes", ErrFormat, w)
	case count != int64(n):
		return nil, fmt.Errorf("%w: %d values, want %d", ErrCount, count, n)
	case int64(len(r.rest)) < int64(n)*w:
		return nil, fmt.Errorf("%w: truncated", ErrFormat)
	}
	var out []int64
	if n > 0 {
		out = r.Ints(n, int(w))
	}
	if int64(Width(out)) != w {
		return nil, fmt.Errorf("%w: values in %d bytes that fit %d", ErrFormat, w, Width(out))
	}
	return out, nil
}

// Close refuses bytes behind the last read, and reads beyond the end.
func (r *Reader) Close() error {
	switch {
	case r.short:
		return fmt.Errorf("%w: truncated", ErrFormat)
	case len(r.rest) > 0:
		return fmt.Errorf("%w: %d trailing bytes", ErrFormat, len(r.rest))
	}
	return nil
}

// signed reads a big-endian two's-complement integer; zero of no bytes.
func signed(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	v := int64(int8(b[0]))
	for _, x := range b[1:] {
		v = v<<8 | int64(x)
	}
	return v
}
