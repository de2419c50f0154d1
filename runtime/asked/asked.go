// Package asked verifies proofs of texts: that a model answered what somebody asked with what he was told. Generated verifiers of models
// with a vocabulary use it; the errors are for those who call them.
package asked

import "github.com/zkllmc/zkllmc/internal/dialogue"

// Why a question makes no sense, or a proof that holds is not accepted.
var (
	ErrEmpty      = dialogue.ErrEmpty
	ErrToken      = dialogue.ErrToken
	ErrHidden     = dialogue.ErrHidden
	ErrPrompt     = dialogue.ErrPrompt
	ErrAnswer     = dialogue.ErrAnswer
	ErrUnfinished = dialogue.ErrUnfinished
)
