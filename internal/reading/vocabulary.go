package reading

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Vocabulary returns what texts are read and shown with: what is in a file, else what was compiled in, else nil. One that has more tokens
// than the model knows belongs to another model.
func Vocabulary(known int, file string, compiled func() (tokens.Tokenizer, error)) (tokens.Tokenizer, error) {
	name, parse := "the vocabulary that was compiled in", compiled
	if file != "" {
		name, parse = file, func() (tokens.Tokenizer, error) {
			data, err := atomicfile.Read(file, tokens.MaxFile)
			if err != nil {
				return nil, err
			}
			return tokens.Parse(data)
		}
	}
	if parse == nil {
		return nil, nil
	}
	t, err := parse()
	if err == nil && t.Size() > known {
		err = fmt.Errorf("the vocabulary has %d tokens, the model has %d; it belongs to another model", t.Size(), known)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}
