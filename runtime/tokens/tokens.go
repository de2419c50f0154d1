// Package tokens turns text into token ids and back, for the command lines of generated provers and verifiers. The proof is about
// ids; a vocabulary only shows them to people.
//
// Package huggingface reads tokenizer.json files. Two smaller kinds of vocabulary files are read here: a JSON file of single characters,
// such as {"tokeniser": "character", "vocab": {"a": 0, ";": 1}, "pad_id": 2, "end_token": ";"}, and the binary file of byte pairs with
// scores that llama2.c uses.
package tokens

import (
	"bytes"
	"errors"
	"fmt"
)

// MaxFile is the largest vocabulary file that is read.
const MaxFile = 64 << 20

// maxTokens bounds the number of tokens of a vocabulary.
const maxTokens = 1 << 20

// ErrVocabulary says that a file is no vocabulary, ErrText that a text cannot be written with it.
var (
	ErrVocabulary = errors.New("not a vocabulary file")
	ErrText       = errors.New("the vocabulary cannot write this text")
)

// Tokenizer reads and writes the tokens of one model. It is safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of a text at the beginning of a sequence, with the start token where the model has one.
	Encode(text string) ([]int64, error)
	// Continue returns the ids of a text that follows others.
	Continue(text string) ([]int64, error)
	// Decode returns the text of ids, Encode's input for what Encode returned. An id outside the vocabulary is shown as ⟨id⟩. Other ids may
	// have the same text, so that a text does not tell which ids were proved.
	Decode(ids []int64) string
	// Size is one more than the largest id of a token.
	Size() int
	// End returns the token that ends an answer, if there is one.
	End() (id int64, ok bool)
	// Pad returns the token that fills up sequences, if there is one.
	Pad() (id int64, ok bool)
	// Sum identifies the tokenizer: the SHA-256 of its file. With another one a prover and a verifier do not speak of the same texts.
	Sum() [32]byte
}

// Parse reads the content of a vocabulary file of either kind.
func Parse(data []byte) (Tokenizer, error) {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && start[0] == '{' {
		return parseCharacters(data)
	}
	return parsePairs(data)
}

func unknown(id int64) string { return fmt.Sprintf("⟨%d⟩", id) }
