package proverapp

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/runtime/asked"
	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/prover"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// question is what a command asks of the model: flags of run, prove and statement.
type question struct {
	prompt, answer           string
	tokens, answerTokens     string
	vocab                    string
	max                      int
	cmd                      *cobra.Command
	tokenizer                tokens.Tokenizer
	private                  bool    // the prompt is not printed: what a prover prints ends up in logs
	promptTokens, wantTokens []int64 // wantTokens: the answer that was given, or nil
}

// flags adds the flags of the prompt.
func (q *question) flags(c *cobra.Command) {
	q.cmd = c
	f := c.Flags()
	f.StringVar(&q.prompt, "prompt", "", "the prompt as `TEXT`")
	f.StringVar(&q.tokens, "tokens", "", "the prompt as token `IDS`, such as 1,2,3")
	f.StringVar(&q.vocab, "vocab", "", "vocabulary `FILE`, instead of the compiled one")
	c.MarkFlagsMutuallyExclusive("prompt", "tokens")
	c.MarkFlagsOneRequired("prompt", "tokens")
}

// answerFlags adds the flags of an answer that is given.
func (q *question) answerFlags(c *cobra.Command, text string) {
	f := c.Flags()
	f.StringVar(&q.answer, "answer", "", text)
	f.StringVar(&q.answerTokens, "answer-tokens", "", "the answer as token `IDS`")
	c.MarkFlagsMutuallyExclusive("answer", "answer-tokens")
}

func (q *question) maxFlag(c *cobra.Command) {
	c.Flags().IntVar(&q.max, "max", 0, "at most `N` tokens of answer; 0: until an end token or the circuit's length")
}

// read turns the flags into tokens.
func (q *question) read(a *app) error {
	var err error
	if q.tokenizer, err = a.vocabulary(q.vocab); err != nil {
		return err
	}
	if q.max < 0 {
		return usage("--max %d is negative", q.max)
	}
	c := a.m.Circuit
	q.private = c.PrivateInput
	if q.promptTokens, err = q.ids(c, "prompt", q.prompt, "tokens", q.tokens, asked.Prompt); err != nil {
		return err
	}
	if q.wantTokens, err = q.ids(c, "answer", q.answer, "answer-tokens", q.answerTokens, asked.Answer); err != nil {
		return err
	}
	return q.fits(c)
}

// ids returns the tokens of a text flag or of a list flag; nil if neither is set.
func (q *question) ids(c *circuit.Circuit, textFlag, text, listFlag, list string,
	encode func(*circuit.Circuit, tokens.Tokenizer, string) ([]int64, error)) ([]int64, error) {
	var ids []int64
	var err error
	name := textFlag
	switch set := q.cmd.Flags().Changed; {
	case set(listFlag):
		name = listFlag
		ids, err = asked.IDs(c, list)
	case !set(textFlag):
		return nil, nil
	case q.tokenizer == nil:
		return nil, usage("--%s needs a vocabulary, and none was compiled in: give --vocab FILE, or token ids with --%s", textFlag, listFlag)
	default:
		ids, err = encode(c, q.tokenizer, text)
	}
	if err == nil && len(ids) == 0 { // an answer of an end token alone is given by its id
		err = asked.ErrEmpty
	}
	switch {
	case errors.Is(err, asked.ErrEmpty):
		return nil, usage("--%s: %w", name, err)
	case err != nil && c.PrivateInput && textFlag == "prompt":
		return nil, usage("--%s: it holds what is no token of the model; it is private and not shown", name)
	case err != nil:
		return nil, usage("--%s: %w", name, err)
	}
	return ids, nil
}

// fits checks the lengths against the circuit. The token after the last position is a prediction too.
func (q *question) fits(c *circuit.Circuit) error {
	p := len(q.promptTokens)
	switch {
	case p > c.Length:
		return usage("the prompt has %d tokens, the circuit takes at most %d", p, c.Length)
	case !c.Causal && p != c.Length:
		return usage("the prompt has %d tokens, this circuit takes exactly %d: its outputs depend on all positions", p, c.Length)
	case p+len(q.wantTokens) > c.Length+1:
		return usage("prompt and answer have %d tokens, the circuit takes at most %d", p+len(q.wantTokens), c.Length+1)
	}
	return nil
}

// claim returns the statement that the model answers a prompt so, without logits. A token that finds no position is claimed as the
// next one; where logits are revealed they say it themselves.
func claim(c *circuit.Circuit, prompt, answer []int64) *statement.Statement {
	all := append(append([]int64(nil), prompt...), answer...)
	st := &statement.Statement{Tokens: all, Prompt: len(prompt), Next: statement.Unclaimed}
	if len(all) > c.Length {
		if c.Reveal == circuit.RevealArgmax {
			st.Next = all[c.Length]
		}
		st.Tokens = all[:c.Length]
	}
	return st
}

// report is what is said of an answer.
func (q *question) report(k *prover.Key, answer []int64) report {
	r := report{ModelID: fmt.Sprintf("%x", k.ModelID()), Answer: answer, Text: q.text(answer), Spelled: q.spelled(answer), Finished: q.finished(answer)}
	if q.private {
		r.PrivatePrompt = len(q.promptTokens)
	} else {
		r.Prompt = q.promptTokens
	}
	return r
}

// finished says whether an answer ends with the vocabulary's end token; nil where none is known.
func (q *question) finished(answer []int64) *bool {
	end, ok := q.end()
	if !ok {
		return nil
	}
	f := len(answer) > 0 && answer[len(answer)-1] == end
	return &f
}

// end returns the token that ends answers, if one is known.
func (q *question) end() (id int64, ok bool) {
	if q.tokenizer == nil {
		return 0, false
	}
	return q.tokenizer.End()
}

// text is the answer for a report: nil without a vocabulary.
func (q *question) text(answer []int64) *string {
	if q.tokenizer == nil {
		return nil
	}
	s := q.tokenizer.Decode(answer)
	return &s
}
