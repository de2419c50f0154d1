// Package stated reads what files of statements begin with, whatever their kind: the header, which says which circuit of a family they are
// about, and a byte.
package stated

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/ints"
)

// ErrKind says that a statement is of another kind than those about the circuit.
var ErrKind = errors.New("statement: it is of another kind than the circuit's")

// CheckKind refuses a statement of a kind that is not the circuit's, and that no value was clamped of a circuit whose clamps are not known.
func CheckKind(c *circuit.Circuit, kind string, noSaturation bool) error {
	if want := c.StatementKind(); want != kind {
		return fmt.Errorf("%w: a %s, where the circuit's statements are %ss", ErrKind, kind, want)
	}
	if _, err := c.Classes(); err != nil && noSaturation {
		return fmt.Errorf("%w: it says that no value was clamped: %v", ErrKind, err)
	}
	return nil
}

// File is a statement's file of which header and first byte are read.
type File struct {
	*ints.Reader
	Circuit      *circuit.Circuit // which of the family the statement is about
	NoSaturation bool             // it says that no value was clamped
}

// Decode reads a statement's file: header and first byte, then what read makes of the rest. It returns the circuit of the family that the
// statement is about, too.
func Decode[S any](f *circuit.Family, data []byte, kind string, number byte, read func(*File) (*S, error)) (*S, *circuit.Circuit, error) {
	file, err := open(f, data, kind, number)
	if err != nil {
		return nil, nil, err
	}
	s, err := read(file)
	if err != nil {
		return nil, nil, err
	}
	return s, file.Circuit, nil
}

func open(f *circuit.Family, data []byte, kind string, number byte) (*File, error) {
	file, c, err := format.NewMemberReader(data, format.MagicStatement, f)
	if err != nil {
		return nil, err
	}
	if err := CheckKind(c, kind, false); err != nil {
		return nil, err
	}
	r := ints.NewReader(file.Raw(file.Remaining()))
	got := r.Int(1)
	noSaturation := got == int64(ints.First(number, true))
	if r.Short() || got != int64(ints.First(number, noSaturation)) {
		return nil, fmt.Errorf("%w: kind %d, a %s has %d", ErrKind, got, kind, number)
	}
	return &File{Reader: r, Circuit: c, NoSaturation: noSaturation}, nil
}
