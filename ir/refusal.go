package ir

import (
	"fmt"
	"strings"
)

// Unsupported is the error for a model that is well-formed but outside of what the compiler handles.
type Unsupported struct {
	Node   string // name of the ONNX node, or of the tensor where no node is to blame; it and Op are empty where the whole model is
	Op     string // the node's operator as the model has it, or that of the graph which it became
	Reason string // what is in the way
	Remedy string // what to do about it, or what is supported instead; empty where nothing is known
	cause  error
}

// Refuse returns an Unsupported. The format is that of a sentence "reason; remedy", of which the remedy may be missing.
func Refuse(node, op, format string, args ...any) error {
	return refusal(node, op, fmt.Sprintf(strings.Replace(format, remedyMark, "\x00", 1), args...), "\x00")
}

// RefuseFor is Refuse for what an error says; the error stays in the chain.
func RefuseFor(node, op string, err error) error {
	u := refusal(node, op, err.Error(), remedyMark)
	u.cause = err
	return u
}

const remedyMark = "; "

func refusal(node, op, text, mark string) *Unsupported {
	u := &Unsupported{Node: node, Op: op}
	u.Reason, u.Remedy, _ = strings.Cut(text, mark)
	return u
}

// Error implements error.
func (e *Unsupported) Error() string {
	text := "unsupported: " + e.Reason
	if e.Node != "" || e.Op != "" {
		text = fmt.Sprintf("unsupported: node %q (%s): %s", e.Node, e.Op, e.Reason)
	}
	if e.Remedy != "" {
		text += remedyMark + e.Remedy
	}
	return text
}

// Unwrap returns the error that was refused for, if any.
func (e *Unsupported) Unwrap() error { return e.cause }

// Refusals are several, in the order of the model. The first is what errors.As finds.
type Refusals []*Unsupported

// Error implements error: a line for the first, and one for each that differs from those before it in more than its node.
func (r Refusals) Error() string {
	lines, of, more := []string{}, map[[2]string]int{}, []int{}
	for _, u := range r {
		if at, known := of[[2]string{u.Op, u.Reason}]; known {
			more[at]++
			continue
		}
		of[[2]string{u.Op, u.Reason}] = len(lines)
		lines, more = append(lines, u.Error()), append(more, 0)
	}
	for i, n := range more {
		if n > 0 {
			lines[i] += fmt.Sprintf(" (and %d more)", n)
		}
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns them.
func (r Refusals) Unwrap() []error {
	errs := make([]error, len(r))
	for i, u := range r {
		errs[i] = u
	}
	return errs
}
