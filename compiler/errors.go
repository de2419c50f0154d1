package compiler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// ErrUnsupported marks a model that is refused: what it asks for is not provable by this release, or it cannot be read.
var ErrUnsupported = errors.New("unsupported")

// Unsupported says for which node, of what operator, a model is refused, why, and what to do about it. errors.As finds it in every error
// that is ErrUnsupported and neither ErrUnreadable nor ErrName.
type Unsupported = ir.Unsupported

// ErrUnreadable marks a refused model whose file, or that of a fixed input, cannot be read or is none.
var ErrUnreadable = errors.New("unreadable")

// ErrName marks a Config that names what the model lacks.
var ErrName = frontend.ErrName

// ErrNothingHidden marks a refused model of which a proof would hide neither a weight nor an input.
var ErrNothingHidden = errors.New("a proof would hide nothing")

// Constant is the refusal of an output that does not depend on an input.
type Constant = frontend.Constant

// refusal is an error that is ErrUnsupported, and of a kind: that or one of the others. Some errors of the passes name their kind
// themselves; the text says it once.
type refusal struct{ err, kind error }

func refuse(err error) error {
	if errors.Is(err, ErrName) {
		return refusal{err, ErrName}
	}
	var u *Unsupported
	if !errors.As(err, &u) {
		err = ir.RefuseFor("", "", err)
	}
	return refusal{err, ErrUnsupported}
}

func unreadable(err error) error { return refusal{err, ErrUnreadable} }

func (r refusal) Error() string {
	prefix := r.kind.Error() + ": "
	return prefix + strings.TrimPrefix(r.err.Error(), prefix)
}

func (r refusal) Unwrap() error        { return r.err }
func (r refusal) Is(target error) bool { return target == ErrUnsupported || target == r.kind }

// checkNames refuses values for dimensions and inputs that the model does not have: a misspelt name would otherwise be as good as
// none, and where a default exists nobody would notice.
func checkNames(m *onnx.Model, cfg Config) error {
	dims, inputs := names(m)
	for _, name := range slices.Sorted(maps.Keys(cfg.Dims)) {
		if !slices.Contains(dims, name) {
			return fmt.Errorf("%w: dimension %q; the model has %s", ErrName, name, listed(dims))
		}
	}
	for _, name := range append(slices.Sorted(maps.Keys(cfg.Fix)), slices.Sorted(maps.Keys(cfg.Fixed))...) {
		if !slices.Contains(inputs, name) {
			return fmt.Errorf("%w: input %q; the model has %s", ErrName, name, listed(inputs))
		}
	}
	return nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// names lists what Config.Dims and Config.Fix may name: symbolic dimensions of a model's inputs, by symbol and as input[axis], and
// its inputs without those that are initializers.
func names(m *onnx.Model) (dims, inputs []string) {
	initial := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		initial[t.Name] = true
	}
	for _, v := range m.Graph.Inputs {
		if initial[v.Name] {
			continue
		}
		inputs = append(inputs, v.Name)
		for i, d := range v.Dims {
			if d.Param != "" && !slices.Contains(dims, d.Param) {
				dims = append(dims, d.Param)
			}
			if d.Value <= 0 {
				dims = append(dims, fmt.Sprintf("%s[%d]", v.Name, i))
			}
		}
	}
	return dims, inputs
}
