package prover

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// question is what a command asks of the model: flags of run, prove and statement.
type question struct {
	given                    console.Given // made by read
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
	f.String("prompt", "", "the prompt as `TEXT`; other users of the machine may see it: --prompt-file hides it")
	f.String("prompt-file", "", "`FILE` with the prompt, - for the standard input; one line end behind it is no part of it")
	f.String(console.MessagesFlag, "", "instead of a prompt `FILE` with a conversation: a JSON list of messages, of which the last is the user's")
	f.String("tokens", "", "the prompt as token `IDS`, such as 1,2,3")
	f.String("tokens-file", "", "`FILE` with the prompt as token ids, - for the standard input")
	f.StringVar(&q.vocab, "vocab", "", "vocabulary `FILE`, instead of the compiled one")
	required(c, "prompt prompt-file messages tokens tokens-file")
}

// answerFlags adds the flags of an answer that is given.
func (q *question) answerFlags(c *cobra.Command, text string) {
	f := c.Flags()
	f.String("answer", "", text)
	f.String("answer-file", "", "`FILE` with the answer, as --prompt-file")
	f.String("answer-tokens", "", "the answer as token `IDS`")
	f.String("answer-tokens-file", "", "`FILE` with the answer as token ids")
}

func (q *question) maxFlag(c *cobra.Command) {
	c.Flags().IntVar(&q.max, "max", 0, "at most `N` tokens of answer; 0: until an end token or the longest circuit's length")
}

// set returns the flags that were given. Two that say the same are refused.
func (q *question) set() (console.Given, error) {
	given := console.Given{}
	for _, name := range console.TextFlags() {
		if f := q.cmd.Flags().Lookup(name); f != nil && f.Changed {
			given[name] = f.Value.String()
		}
	}
	if err := given.Check(); err != nil {
		return nil, console.Usagef("%w", err)
	}
	return given, nil
}

// inputs are the files that the flags name.
func (q *question) inputs() []path {
	out := []path{{"--vocab", q.vocab}}
	given, _ := q.set() // read returns the error
	for _, name := range given.Files() {
		if given[name] != "-" {
			out = append(out, path{"--" + name, given[name]})
		}
	}
	return out
}

// read turns the flags into tokens. The standard input is read for them or for those that open the key.
func (q *question) read(ctx context.Context, a *app, open *sealed.OpenFlags) error {
	given, err := q.set()
	if err != nil {
		return err
	}
	if err := console.ReadOnce(append(open.Standard(), given.Standard()...)...); err != nil {
		return console.Usagef("%w", err)
	}
	if q.max < 0 {
		return console.Usagef("--max %d is negative", q.max)
	}
	if q.tokenizer, err = a.vocabulary(q.vocab); err != nil {
		return err
	}
	// What is left behind where the context ends goes on reading, into a map that nobody else has then.
	if q.given, err = console.Interruptible(ctx, func() (console.Given, error) { return given, given.Read(a.stdin) }); err != nil {
		return console.Unusable(err)
	}
	c := a.c
	q.private = c.Generation.Private
	text, encode := "prompt", dialogue.Prompt
	if _, ok := q.given[console.MessagesFlag]; ok {
		text, encode = console.MessagesFlag, dialogue.Messages
	}
	if q.promptTokens, err = q.ids(c, text, "tokens", encode); err != nil {
		return err
	}
	if q.wantTokens, err = q.ids(c, "answer", "answer-tokens", dialogue.Answer); err != nil {
		return err
	}
	return q.fits(a.f)
}

// ids returns the tokens of a text flag (or of that of a conversation) or of a list flag; nil if neither is set.
func (q *question) ids(c *circuit.Circuit, textFlag, listFlag string, encode func(*circuit.Circuit, tokens.Tokenizer, string) ([]int64, error)) ([]int64, error) {
	var ids []int64
	var err error
	text, isText := q.given[textFlag]
	list, isList := q.given[listFlag]
	name := q.given.Flag(textFlag)
	switch {
	case isList:
		name = q.given.Flag(listFlag)
		ids, err = dialogue.IDs(c, list)
	case !isText:
		return nil, nil
	case q.tokenizer == nil:
		return nil, console.Usagef("--%s needs a vocabulary, and none was compiled in: give --vocab FILE, or token ids with --%s", name, listFlag)
	default:
		ids, err = encode(c, q.tokenizer, text)
	}
	if err == nil && len(ids) == 0 { // an answer of an end token alone is given by its id
		err = dialogue.ErrEmpty
	}
	switch {
	case errors.Is(err, dialogue.ErrEmpty):
		return nil, console.Askedf("--%s: %w", name, err)
	case err != nil && c.Generation.Private && listFlag == "tokens" && errors.Is(err, conversation.ErrNone):
		return nil, console.Unusable(fmt.Errorf("--%s: it is no conversation; it is private and not shown", name))
	case errors.Is(err, conversation.ErrNone):
		return nil, console.Unusable(fmt.Errorf("--%s: %w", name, err))
	case err != nil && c.Generation.Private && listFlag == "tokens":
		return nil, console.Askedf("--%s: it holds what is no token of the model; it is private and not shown", name)
	case err != nil:
		return nil, console.Askedf("--%s: %w", name, err)
	}
	return ids, nil
}

// positions is how many positions prompt and given answer take at least. The token after the last position is a prediction too.
func (q *question) positions() int { return len(q.promptTokens) + max(0, len(q.wantTokens)-1) }

// fits checks the lengths against the longest circuit.
func (q *question) fits(f *circuit.Family) error {
	p, most := len(q.promptTokens), f.Longest().Generation.Length
	circuits := ""
	if len(f.Members()) > 1 {
		circuits = fmt.Sprintf("; this prover has circuits of %s positions", f.Positions())
	}
	switch {
	case p > most:
		return console.Askedf("the prompt has %d tokens%s, the circuit takes at most %d%s", p, q.around(), most, circuits)
	case p+len(q.wantTokens) > most+1:
		return console.Askedf("prompt and answer have %d tokens%s, the circuit takes at most %d%s", p+len(q.wantTokens), q.around(), most+1, circuits)
	}
	return nil
}

// around says how many tokens of a prompt that is a text are none of the text's, if any are.
func (q *question) around() string {
	if _, isText := q.given["prompt"]; !isText {
		return ""
	}
	ids, err := q.tokenizer.Encode("")
	if err != nil || len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of them are around its text: the tokenizer's and its template's)", len(ids))
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
