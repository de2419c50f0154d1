// Package dialogue says whether a proof is about what somebody asked and was told. A statement is about token ids, which its prover chose
// and wrote down; who knows the texts compares. The command line of a verifier and services share this one way.
//
// A prompt is encoded as the prover encodes it (Tokenizer.Encode), and the ids must be these: other ids of the same text may get another
// answer. An answer is compared as what it is to who was told it: given as ids it must be these ids; given as text, the proved ids must
// read so. The model forces them, one by one, so that nobody can choose among the ids of a text, and they need not be the usual ones. An
// end token behind the answer is let pass, as texts seldom have a way to write it; one inside is not, for the answer ends there.
package dialogue

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Why a question makes no sense, or a proof that holds is not accepted.
var (
	ErrEmpty      = errors.New("it is empty")
	ErrToken      = errors.New("no token of the model")
	ErrHidden     = errors.New("the proofs of this circuit hide the prompt, which its prover chose: there is nothing to compare with a prompt")
	ErrPrompt     = errors.New("the proof holds, but for another prompt")
	ErrAnswer     = errors.New("the proof holds, but for another answer")
	ErrUnfinished = errors.New("the proof holds, but the answer is unfinished: it has no end token")
)

// Question is what somebody asked and was told; nil is what he does not say, which is not compared.
type Question struct {
	Prompt []int64
	Answer []int64
	Text   *string // the answer as text, where it was given so; Answer are its usual tokens then
}

// Prompt encodes a prompt for a circuit.
func Prompt(c *circuit.Circuit, vocab tokens.Tokenizer, text string) ([]int64, error) {
	ids, err := vocab.Encode(text)
	return checked(c, ids, err)
}

// Messages encodes a conversation, which is a prompt: the JSON list that conversation.Parse reads.
func Messages(c *circuit.Circuit, vocab tokens.Tokenizer, list string) ([]int64, error) {
	messages, err := conversation.Parse([]byte(list))
	if err != nil {
		return nil, err
	}
	ids, err := conversation.Encode(vocab, messages)
	return checked(c, ids, err)
}

// Answer encodes what follows a prompt. Of a vocabulary with an end token the empty text is an answer too.
func Answer(c *circuit.Circuit, vocab tokens.Tokenizer, text string) ([]int64, error) {
	if _, ends := vocab.End(); ends && text == "" {
		return []int64{}, nil
	}
	ids, err := vocab.Continue(text)
	return checked(c, ids, err)
}

// IDs reads a list of tokens such as "1,2,3".
func IDs(c *circuit.Circuit, list string) ([]int64, error) {
	ids, err := reading.ParseIDs(list)
	return checked(c, ids, err)
}

// checked refuses no tokens and such as the model does not know.
func checked(c *circuit.Circuit, ids []int64, err error) ([]int64, error) {
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0:
		return nil, ErrEmpty
	}
	for i, id := range ids {
		if id < 0 || id >= int64(c.Generation.Vocab) {
			return nil, fmt.Errorf("%w: token %d is %d, the model knows 0 to %d", ErrToken, i, id, c.Generation.Vocab-1)
		}
	}
	return ids, nil
}

// Asked is the question of a prompt and its answer, both as text.
func Asked(c *circuit.Circuit, vocab tokens.Tokenizer, prompt, answer string) (*Question, error) {
	return both(c, vocab, Prompt, prompt, answer)
}

// Conversed is the question of a conversation, as Messages reads it, and the answer to its last message.
func Conversed(c *circuit.Circuit, vocab tokens.Tokenizer, messages, answer string) (*Question, error) {
	return both(c, vocab, Messages, messages, answer)
}

func both(c *circuit.Circuit, vocab tokens.Tokenizer, encode func(*circuit.Circuit, tokens.Tokenizer, string) ([]int64, error), prompt, answer string) (*Question, error) {
	q, err := Told(c, vocab, answer)
	if err != nil {
		return nil, err
	}
	if c.Generation.Private {
		return nil, ErrHidden
	}
	if q.Prompt, err = encode(c, vocab, prompt); err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	return q, nil
}

// Told is the question of an answer alone.
func Told(c *circuit.Circuit, vocab tokens.Tokenizer, answer string) (*Question, error) {
	ids, err := Answer(c, vocab, answer)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return &Question{Answer: ids, Text: &answer}, nil
}

// Stated returns the tokens that a statement says the model gave: those behind the prompt, and the next one if it is claimed.
func Stated(st *generation.Statement) []int64 {
	out := append([]int64(nil), st.Tokens[st.Prompt:]...)
	if st.Next != generation.Unclaimed {
		out = append(out, st.Next)
	}
	return out
}

// Predicted returns the token that revealed logits predict behind the last one; ok says that there are such logits.
func Predicted(c *circuit.Circuit, st *generation.Statement) (id int64, ok bool) {
	if c.Generation.Reveal != circuit.Values {
		return 0, false
	}
	return statement.Argmax(st.Logits[len(st.Logits)-c.Generation.Vocab:]), true
}

// answers are the answers that a statement shows: Stated, and where that fills all positions also with the predicted token, which finds
// no position there and belongs to the answer, as in the prover.
func answers(c *circuit.Circuit, st *generation.Statement) [][]int64 {
	stated := Stated(st)
	out := [][]int64{stated}
	if next, ok := Predicted(c, st); ok && len(st.Tokens) == c.Generation.Length {
		out = append(out, append(slices.Clone(stated), next))
	}
	return out
}

// Finished says whether a statement's answer ends with the vocabulary's end token; known is false where there is no answer or no such
// token.
func Finished(c *circuit.Circuit, vocab tokens.Tokenizer, st *generation.Statement) (finished, known bool) {
	end, ok := vocab.End()
	if !ok || len(Stated(st)) == 0 {
		return false, false
	}
	return slices.ContainsFunc(answers(c, st), func(ids []int64) bool { return ids[len(ids)-1] == end }), true
}

// SamePrompt says whether a statement is about the prompt that was asked.
func (q *Question) SamePrompt(st *generation.Statement) bool {
	return slices.Equal(q.Prompt, st.Tokens[:st.Prompt])
}

// SameAnswer says whether a statement shows the answer that was told. The vocabulary is needed for answers that were given as text.
func (q *Question) SameAnswer(c *circuit.Circuit, vocab tokens.Tokenizer, st *generation.Statement) bool {
	return slices.ContainsFunc(answers(c, st), func(ids []int64) bool {
		switch {
		case len(ids) == 0: // nothing is claimed
			return false
		case q.Text != nil:
			return reads(vocab, ids, *q.Text)
		}
		return slices.Equal(q.Answer, ids)
	})
}

// reads says whether an answer reads as a text, with the end token or without.
func reads(vocab tokens.Tokenizer, ids []int64, text string) bool {
	r := reading.Answer(vocab, ids)
	if r.EndInside {
		return false
	}
	if end, ends := vocab.End(); ends && ids[len(ids)-1] == end {
		return text == r.Text || text == vocab.Decode(ids[:len(ids)-1])
	}
	return text == r.Text
}

// Compare returns nil if a statement is about what was asked and told, else an error that is ErrPrompt or ErrAnswer and shows both. The
// vocabulary may be nil where no texts were given; tokens are shown as ids then.
func (q *Question) Compare(c *circuit.Circuit, vocab tokens.Tokenizer, st *generation.Statement) error {
	if q.Prompt != nil && !q.SamePrompt(st) {
		return mismatch(ErrPrompt, vocab, q.Prompt, st.Tokens[:st.Prompt], reading.Prompt)
	}
	if q.Answer != nil && !q.SameAnswer(c, vocab, st) {
		return mismatch(ErrAnswer, vocab, q.Answer, Stated(st), reading.Answer)
	}
	return nil
}

// Settle is Compare for whoever was told a whole answer, if there was one: a statement of its tokens without the end token behind them is
// ErrUnfinished, which all else holds of.
func (q *Question) Settle(c *circuit.Circuit, vocab tokens.Tokenizer, st *generation.Statement) error {
	if err := q.Compare(c, vocab, st); err != nil {
		return err
	}
	if finished, known := Finished(c, vocab, st); (q.Answer != nil || q.Text != nil) && known && !finished {
		return ErrUnfinished
	}
	return nil
}

func mismatch(kind error, vocab tokens.Tokenizer, expected, proved []int64, read func(tokens.Tokenizer, []int64) reading.Reading) error {
	return fmt.Errorf("%w: expected %s, proved %s", kind, quoted(vocab, expected, read), quoted(vocab, proved, read))
}

// quoted shows tokens within a line: as text where that says all, spelled where not, and as ids.
func quoted(vocab tokens.Tokenizer, ids []int64, read func(tokens.Tokenizer, []int64) reading.Reading) string {
	list := "tokens " + reading.FormatIDs(ids)
	if len(ids) == 0 {
		list = "none"
	}
	if vocab == nil || len(ids) == 0 {
		return list
	}
	return fmt.Sprintf("%s (%s)", read(vocab, ids).Visible(), list)
}
