// Package passage makes the inputs of a model that reads a text whole, an encoder say, of that text: its token ids, which of them count, to
// which segment each belongs and where it stands, by the names that Hugging Face's exporters give these inputs. What follows the text up to
// the model's length is padding, which the model is told to leave out. Compiler, prover and verifier share this one way, so that a text
// means the same elements to all of them.
package passage

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Part is what an input tells of a text.
type Part int

// The parts of a text. Ids alone are needed; where they are a model's one input, their name may be any.
const (
	None      Part = iota // something else
	IDs                   // the tokens
	Mask                  // 1 where a token is one of the text, 0 where it is padding
	Segments              // 0: a text is its first and only segment
	Positions             // 0, 1, 2, …
)

// TokensName is the name of the input of token ids.
const TokensName = "input_ids"

// names are those that exporters give the inputs.
var names = map[string]Part{TokensName: IDs, "attention_mask": Mask, "token_type_ids": Segments, "position_ids": Positions}

// PartOf says what the input of a name tells of a text.
func PartOf(name string) Part { return names[name] }

// Range returns the elements that an input of a part may have whatever the text and the length; ok is false where that follows from its
// table.
func (p Part) Range() (lo, hi int64, ok bool) { return 0, 1, p == Mask || p == Segments }

// Elements returns the elements of the part for a text's tokens, padded to n of them.
func (p Part) Elements(ids []int64, pad int64, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		switch inside := i < len(ids); {
		case p == IDs && inside:
			out[i] = ids[i]
		case p == IDs:
			out[i] = pad
		case p == Mask && inside:
			out[i] = 1
		case p == Positions:
			out[i] = int64(i)
		}
	}
	return out
}

// Why a text cannot be a model's input, or a proof that holds is not accepted.
var (
	ErrNone   = errors.New("texts are for models with an input of token ids, called input_ids unless it is the only one, and with no other inputs than attention_mask, token_type_ids and position_ids")
	ErrLong   = errors.New("it has more tokens than the model takes")
	ErrShort  = errors.New("it has fewer tokens than the model takes, which has no input attention_mask to leave the others out by")
	ErrHidden = errors.New("the proofs of this circuit hide an input that a text is part of, which its prover chose: there is nothing to compare with a text")
	ErrText   = errors.New("the proof holds, but for another text")
)

// Parts says what each of a model's inputs tells of a text, in their order.
func Parts(inputs []string) ([]Part, error) {
	if len(inputs) == 1 && PartOf(inputs[0]) == None {
		return []Part{IDs}, nil
	}
	var parts []Part
	for _, name := range inputs {
		parts = append(parts, PartOf(name))
	}
	if slices.Contains(parts, None) || !slices.Contains(parts, IDs) {
		return nil, fmt.Errorf("%w; the inputs of this one are %q", ErrNone, inputs)
	}
	return parts, nil
}

// Single refuses an input that no text makes: of real numbers, which a scale turns into other integers, or not of an element for each of
// so many tokens, in one row, as of several texts at once.
func Single(name string, reals bool, shape []int, tokens int) error {
	switch {
	case reals:
		return fmt.Errorf("%w; %s takes real numbers", ErrNone, name)
	case len(shape) == 0 || circuit.Size(shape) != tokens || shape[len(shape)-1] != tokens:
		return fmt.Errorf("%w; %s of shape %v does not take an element for each token of one text, of %d", ErrNone, name, shape, tokens)
	}
	return nil
}

// Fits refuses a text of so many tokens for a model with these inputs, which takes n of them.
func Fits(parts []Part, count, n int) error {
	switch {
	case count > n:
		return fmt.Errorf("%w: %d of %d", ErrLong, count, n)
	case count < n && !slices.Contains(parts, Mask):
		return fmt.Errorf("%w: %d of %d", ErrShort, count, n)
	}
	return nil
}

// Reader makes texts the inputs of the circuits of a family.
type Reader struct {
	tokenizer tokens.Tokenizer
	f         *circuit.Family
	ports     map[int]Part // by their numbers
	parts     []Part
	ids       int // the number of the port with the token ids
}

// NewReader returns what reads texts for circuits, with what makes their tokenizer. Errors are ErrNone; tokens.ErrVocabulary where there is
// no tokenizer; and what is wrong with one, which may be of another model.
func NewReader(f *circuit.Family, vocab func() (tokens.Tokenizer, error)) (*Reader, error) {
	r, err := Of(f)
	if err != nil {
		return nil, err
	}
	if r.tokenizer, err = reading.Vocabulary(r.f.Shortest().Ports[r.ids].Vocab(), "", vocab); err == nil && r.tokenizer == nil {
		err = fmt.Errorf("%w: there is none", tokens.ErrVocabulary)
	}
	return r, err
}

// Of is NewReader without a tokenizer, which says of the circuits alone whether they read texts, and how.
func Of(f *circuit.Family) (*Reader, error) {
	r := &Reader{f: f, ports: map[int]Part{}}
	var inputs []string
	var numbers []int
	for i := range f.Shortest().Ports {
		if p := &f.Shortest().Ports[i]; !p.Out {
			inputs, numbers = append(inputs, p.Name), append(numbers, i)
		}
	}
	var err error
	if r.parts, err = Parts(inputs); err != nil {
		return nil, err
	}
	for k, i := range numbers {
		if r.ports[i] = r.parts[k]; r.parts[k] == IDs {
			r.ids = i
		}
	}
	for _, c := range f.Members() {
		tokens := circuit.Size(c.Ports[r.ids].Shape)
		for _, i := range numbers {
			p := &c.Ports[i]
			if err := Single(p.Name, p.Kind == circuit.Reals, p.Shape, tokens); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// Ports lists the numbers of the ports that a text is told by.
func (r *Reader) Ports() []int { return slices.Sorted(maps.Keys(r.ports)) }

// Hidden says whether a statement does not tell of all that a text is made of.
func (r *Reader) Hidden() bool {
	for i := range r.ports {
		if !r.f.Shortest().Ports[i].Public() {
			return true
		}
	}
	return false
}

// Text is a text as a model reads it.
type Text struct {
	r   *Reader
	ids []int64
}

// Read encodes a text, which none of the circuits need hold.
func (r *Reader) Read(text string) (*Text, error) {
	ids, err := r.tokenizer.Encode(text)
	if err != nil {
		return nil, err
	}
	known := r.f.Shortest().Ports[r.ids].Vocab()
	for i, id := range ids {
		if id < 0 || id >= int64(known) {
			return nil, fmt.Errorf("token %d is %d, the model knows 0 to %d", i, id, known-1)
		}
	}
	return &Text{r, ids}, nil
}

// Tokens is how many tokens the text has.
func (t *Text) Tokens() int { return len(t.ids) }

// Shortest returns the shortest circuit that holds the text.
func (t *Text) Shortest() (*circuit.Circuit, error) {
	var err error
	for _, c := range t.r.f.Members() {
		if err = t.fits(c); err == nil {
			return c, nil
		}
	}
	return nil, err // of the longest
}

// Compare returns nil if a statement of a circuit, whose ports hold these elements, is about the text, else ErrText. different gets the
// numbers of the ports that hold something else.
func (t *Text) Compare(c *circuit.Circuit, ports [][]int64) (different []int, err error) {
	elements, err := t.Elements(c)
	if err != nil {
		return nil, fmt.Errorf("%w: this one does not fit its circuit: %w", ErrText, err)
	}
	for i, want := range elements {
		if !slices.Equal(want, ports[i]) {
			different = append(different, i)
		}
	}
	if len(different) > 0 {
		err = ErrText
	}
	return different, err
}

// Ports lists the numbers of the ports that the text is told by.
func (t *Text) Ports() []int { return t.r.Ports() }

// Longest returns the longest circuit, whether it holds the text or not.
func (t *Text) Longest() *circuit.Circuit { return t.r.f.Longest() }

func (t *Text) fits(c *circuit.Circuit) error {
	return Fits(t.r.parts, len(t.ids), circuit.Size(c.Ports[t.r.ids].Shape))
}

// Elements returns the elements of a circuit's inputs, by the numbers of their ports.
func (t *Text) Elements(c *circuit.Circuit) (map[int][]int64, error) {
	if err := t.fits(c); err != nil {
		return nil, err
	}
	pad, ok := t.r.tokenizer.Pad()
	if !ok {
		pad = 0 // which token it is does not matter where a mask leaves it out
	}
	out := map[int][]int64{}
	for i, part := range t.r.ports {
		p := &c.Ports[i]
		out[i] = part.Elements(t.ids, pad, circuit.Size(p.Shape))
		for k, v := range out[i] {
			if v < p.Lo || v > p.Hi {
				return nil, fmt.Errorf("input %s: element %d is %d, not in [%d, %d]", p.Name, k, v, p.Lo, p.Hi)
			}
		}
	}
	return out, nil
}
