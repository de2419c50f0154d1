// Package checker checks proofs about any model, of which it has a bundle, for programs that hand bytes over and show a report. It is the
// verifier of pages and services that know no model when they are built; zkllmc-verifier is the one of command lines.
package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/vocab"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// Model is a model whose proofs are checked. It is safe for concurrent use.
type Model struct {
	Card  bundle.Card
	f     *circuit.Family
	key   *verifier.Key
	kind  statement.Kind
	vocab tokens.Tokenizer // nil if the bundle has none
}

// Open reads a bundle. With the model ID that the caller trusts it compares the key with that; with nil it verifies the range proof of the
// weights, and the caller compares the ID. The card is compared with circuits and key. Errors are those of packages bundle and circuits, of
// verifier.ReadKey and verifier.ReadPinnedKey, and ErrCard.
func Open(ctx context.Context, archive []byte, id *[32]byte) (*Model, error) {
	b, err := bundle.Read(archive)
	if err != nil {
		return nil, err
	}
	m := &Model{Card: b.Card}
	if m.f, err = circuits.Decode(ctx, b.Circuit); err != nil {
		return nil, fmt.Errorf("circuits: %w", err)
	}
	if m.kind = function.Kind; m.f.Shortest().Generation != nil {
		m.kind = generation.Kind
	}
	if id != nil {
		m.key, err = verifier.ReadPinnedKey(ctx, m.f, m.kind, b.Key, *id)
	} else {
		m.key, err = verifier.ReadKey(ctx, m.f, m.kind, b.Key)
	}
	if err != nil {
		return nil, err
	}
	if err = m.Card.Agrees(m.f); err == nil && m.Card.ModelID != m.ID() {
		err = fmt.Errorf("the key is of %s, the card says %s", m.ID(), m.Card.ModelID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCard, err)
	}
	if b.Tokenizer != nil {
		if m.vocab, err = vocabulary(m.f.Shortest(), b); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	return m, nil
}

// vocabulary reads the tokenizer. Of a model that continues prompts it has to be as large as the model's.
func vocabulary(c *circuit.Circuit, b *bundle.Bundle) (tokens.Tokenizer, error) {
	parse := func() (tokens.Tokenizer, error) { return vocab.Parse(b.Tokenizer, b.Template) }
	if c.Generation == nil {
		return parse()
	}
	return reading.Vocabulary(c.Generation.Vocab, "", parse)
}

// ErrCard says that a bundle's card is of another model than its circuits and key.
var ErrCard = errors.New("the card of the bundle is of another model than its files")

// ID is the model's ID, 64 hexadecimal digits.
func (m *Model) ID() string { return fmt.Sprintf("%x", m.key.ModelID()) }

// Question is what somebody asked and was told; what is nil is not compared. A proof about the beginning of an answer, without its end token, is
// no proof of an answer that was told.
type Question struct {
	Prompt       *string         `json:"prompt,omitempty"`   // of a model that continues prompts
	Messages     json.RawMessage `json:"messages,omitempty"` // in place of a prompt the conversation that the model answered, as conversation.Parse reads it
	Answer       *string         `json:"answer,omitempty"`
	Text         *string         `json:"text,omitempty"` // of a model that reads a text whole
	NoSaturation bool            `json:"no_saturation,omitempty"`
}

// Report says whether a proof was accepted, and of what. Its members are those that 'verifier verify --json' prints under the same names.
type Report struct {
	Accepted     bool   `json:"accepted"`
	Class        string `json:"class,omitempty"`
	Error        string `json:"error,omitempty"`
	ModelID      string `json:"model_id"`
	Circuit      string `json:"circuit"`
	NoSaturation bool   `json:"no_saturation,omitempty"`
	*dialogue.Said
	Ports []portfile.Report `json:"ports,omitempty"` // of a function
}

// Errors of a question, of which the proof may hold.
var (
	errSaturation = errors.New("the proof holds, but its statement does not say that no value was clamped")
	errTokenizer  = errors.New("the bundle has no tokenizer to read texts with")
	errQuestion   = errors.New("a model that continues prompts has a prompt or messages and an answer, one that reads a text whole a text, and others none")
)

// Verify checks a proof. Whatever is wrong with it stands in the report; the error is the context's, where that ended.
func (m *Model) Verify(ctx context.Context, encoded, proof []byte, q Question) (r Report, err error) {
	r = Report{ModelID: m.ID(), Circuit: m.Card.Circuit}
	err = m.verify(ctx, encoded, proof, q, &r)
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if r.Accepted = err == nil; err != nil {
		r.Class, r.Error = class(err), err.Error()
	}
	return r, nil
}

func (m *Model) verify(ctx context.Context, encoded, proof []byte, q Question, r *Report) error {
	compare, err := m.question(q)
	if err != nil {
		return failure{"question", err}
	}
	st, c, err := m.kind.Decode(m.f, encoded)
	if err != nil {
		return failure{"statement", err}
	}
	r.Circuit = fmt.Sprintf("%x", c.Digest())
	switch st := st.(type) {
	case *generation.Statement:
		r.Said = dialogue.SaidOf(c, m.vocab, st)
	case *function.Statement:
		r.Ports = portfile.Reports(c, st)
	}
	if err := m.key.VerifyStatementContext(ctx, c, st, proof); err != nil {
		if _, member, _ := format.NewMemberReader(proof, format.MagicProof, m.f); errors.Is(err, format.ErrCircuit) && member != nil {
			return failure{"circuit mismatch", fmt.Errorf("the statement is about %s, the proof about %s", c.Extent(), member.Extent())}
		}
		return err
	}
	if r.NoSaturation = st.Unsaturated(); q.NoSaturation && !r.NoSaturation {
		return failure{"saturation", errSaturation}
	}
	return compare(c, st)
}

// question returns what compares a statement with what was asked and told.
func (m *Model) question(q Question) (func(*circuit.Circuit, statement.Statement) error, error) {
	c := m.f.Shortest()
	texts := q.Prompt != nil || q.Messages != nil || q.Answer != nil
	switch {
	case !texts && q.Text == nil:
		return func(*circuit.Circuit, statement.Statement) error { return nil }, nil
	case texts && (c.Generation == nil || q.Text != nil) || !texts && c.Generation != nil || q.Prompt != nil && q.Messages != nil:
		return nil, errQuestion
	case m.vocab == nil:
		return nil, errTokenizer
	case q.Text != nil:
		return m.passage(*q.Text)
	}
	var asked dialogue.Question
	var err error
	switch {
	case (q.Prompt != nil || q.Messages != nil) && c.Generation.Private:
		return nil, dialogue.ErrHidden
	case q.Prompt != nil:
		if asked.Prompt, err = dialogue.Prompt(c, m.vocab, *q.Prompt); err != nil {
			return nil, fmt.Errorf("prompt: %w", err)
		}
	case q.Messages != nil:
		if asked.Prompt, err = dialogue.Messages(c, m.vocab, string(q.Messages)); err != nil {
			return nil, fmt.Errorf("messages: %w", err)
		}
	}
	if q.Answer != nil {
		asked.Text = q.Answer
		if asked.Answer, err = dialogue.Answer(c, m.vocab, *q.Answer); err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
	}
	return func(c *circuit.Circuit, st statement.Statement) error {
		return asked.Settle(c, m.vocab, st.(*generation.Statement))
	}, nil
}

// passage compares the inputs of a function with those that a text makes.
func (m *Model) passage(text string) (func(*circuit.Circuit, statement.Statement) error, error) {
	reader, err := passage.NewReader(m.f, func() (tokens.Tokenizer, error) { return m.vocab, nil })
	if err != nil {
		return nil, err
	}
	if reader.Hidden() {
		return nil, passage.ErrHidden
	}
	read, err := reader.Read(text)
	if err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	return func(c *circuit.Circuit, st statement.Statement) error {
		_, err := read.Compare(c, st.(*function.Statement).Ports)
		return err
	}, nil
}

// failure is an error of a class.
type failure struct {
	class string
	err   error
}

func (f failure) Error() string { return f.err.Error() }

// class names the kind of an error, as the command line does.
func class(err error) string {
	var f failure
	switch {
	case errors.As(err, &f):
		return f.class
	case errors.Is(err, dialogue.ErrPrompt):
		return "prompt mismatch"
	case errors.Is(err, dialogue.ErrAnswer):
		return "answer mismatch"
	case errors.Is(err, dialogue.ErrUnfinished):
		return "unfinished"
	case errors.Is(err, passage.ErrText):
		return "text mismatch"
	case errors.Is(err, format.ErrModel):
		return "model mismatch"
	case errors.Is(err, generation.ErrAnswer), errors.Is(err, generation.ErrVacuous), errors.Is(err, function.ErrVacuous):
		return "statement"
	case format.Unreadable(err):
		return "decoding"
	case errors.Is(err, veil.ErrRejected), errors.Is(err, veil.ErrForbidden):
		return "final argument"
	}
	return "protocol"
}
