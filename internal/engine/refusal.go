package engine

import (
	"context"
	"errors"

	"github.com/zkllmc/zkllmc/internal/witness"
)

// Why a prover refuses an input. Nothing else of the reason is in the error's text.
var (
	ErrFalse     = errors.New("the statement is not what the model answers; nothing is proved")
	ErrUndefined = errors.New("the model's program is not defined for this input")
)

// Refusal is the error of an input that was refused after the model saw it. Its text is the same for every input: whoever may ask for
// proofs and sees the text of a refusal would else learn cells of the model's tensors, and from enough refusals the logits.
type Refusal struct{ reason, detail error }

func (r *Refusal) Error() string { return r.reason.Error() }

// Unwrap returns ErrFalse or ErrUndefined.
func (r *Refusal) Unwrap() error { return r.reason }

// Detail names the tensor, cell and value for which the input was refused. It is for the prover's own eyes.
func (r *Refusal) Detail() error { return r.detail }

// refuse hides the error of a witness generator, unless it tells nothing of the model.
func refuse(reason, err error) error {
	for _, plain := range []error{context.Canceled, context.DeadlineExceeded, witness.ErrPrivate, witness.ErrBackend} {
		if errors.Is(err, plain) {
			return err
		}
	}
	return &Refusal{reason: reason, detail: err}
}
