package verifierapp

import (
	"flag"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/runtime/console"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// The flags that say what was asked; names and rules are those of the prover.
var askedFlags = [...]string{"prompt", "tokens", "answer", "answer-tokens"}

// asked is what the caller asked, and the answer that he was told. A proof of anything else is rejected: which text a statement is about
// is then not read off the statement, which its prover wrote.
type asked struct {
	Prompt        []int64 `json:"prompt_tokens,omitempty"`
	PromptMatches *bool   `json:"prompt_matches,omitempty"` // missing where no proof was accepted to compare with
	Answer        []int64 `json:"answer_tokens,omitempty"`
	AnswerMatches *bool   `json:"answer_matches,omitempty"`
	asText        bool    // the answer was given as text, which may have no way to write the end token
}

// setFlags returns those of the flags that were given, of which the empty text is one too.
func setFlags(fs *flag.FlagSet) (map[string]string, error) {
	given := map[string]string{}
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(askedFlags[:], f.Name) {
			given[f.Name] = f.Value.String()
		}
	})
	for i := 0; i < len(askedFlags); i += 2 {
		_, text := given[askedFlags[i]]
		_, list := given[askedFlags[i+1]]
		if text && list {
			return nil, usage("verify: give only one of --%s and --%s", askedFlags[i], askedFlags[i+1])
		}
	}
	return given, nil
}

// question encodes what was asked; nil if nothing was.
func (a *app) question(given map[string]string, vocab tokens.Tokenizer) (*asked, error) {
	if len(given) == 0 {
		return nil, nil
	}
	var q asked
	var err error
	start := func(text string) ([]int64, error) { return vocab.Encode(text) }
	if q.Prompt, err = a.ids(given, "prompt", "tokens", vocab, start); err != nil {
		return nil, err
	}
	if q.Prompt != nil && a.m.Circuit.PrivateInput {
		return nil, usage("verify: the proofs of this circuit hide the prompt, which its prover chose: there is nothing to compare with --prompt")
	}
	more := func(text string) ([]int64, error) { return vocab.Continue(text) }
	q.Answer, err = a.ids(given, "answer", "answer-tokens", vocab, more)
	_, q.asText = given["answer"]
	return &q, err
}

// ids returns the tokens of a text flag or of a list flag; nil if neither was given.
func (a *app) ids(given map[string]string, textFlag, listFlag string, vocab tokens.Tokenizer, encode func(string) ([]int64, error)) ([]int64, error) {
	text, isText := given[textFlag]
	list, isList := given[listFlag]
	name := textFlag
	var ids []int64
	var err error
	switch {
	case isList:
		name = listFlag
		ids, err = tokens.ParseIDs(list)
	case !isText:
		return nil, nil
	case vocab == nil:
		return nil, usage("verify: --%s needs a vocabulary, and none was compiled in: give --vocab FILE, or token ids with --%s", textFlag, listFlag)
	default:
		ids, err = encode(text)
	}
	for i, id := range ids {
		if n := a.m.Circuit.Vocab; err == nil && (id < 0 || id >= int64(n)) {
			err = fmt.Errorf("token %d is %d, the model knows 0 to %d", i, id, n-1)
		}
	}
	switch {
	case err != nil:
		return nil, usage("verify: --%s: %w", name, err)
	case len(ids) == 0:
		return nil, usage("verify: --%s is empty", name)
	}
	return ids, nil
}

// compare rejects a proof, though it holds, of something else than was asked.
func (a *app) compare(r *verifyReport, vocab tokens.Tokenizer) error {
	q := r.Asked
	if q == nil {
		return nil
	}
	var err error
	if q.Answer != nil {
		matches := slices.Equal(q.Answer, a.comparable(r, vocab))
		q.AnswerMatches = &matches
		if !matches {
			err = mismatch("answer", quoted(vocab, q.Answer, tokens.ReadAnswer), quoted(vocab, r.Answer, tokens.ReadAnswer))
		}
	}
	if q.Prompt != nil {
		matches := slices.Equal(q.Prompt, r.Prompt)
		q.PromptMatches = &matches
		if !matches {
			err = mismatch("prompt", quoted(vocab, q.Prompt, tokens.ReadPrompt), quoted(vocab, r.Prompt, tokens.ReadPrompt))
		}
	}
	return err
}

// comparable returns the answer of the statement as far as the answer that was asked for may differ from it. The token that revealed
// logits predict behind the last position belongs to it, as in the prover. An end token that the text does not write is let pass.
func (a *app) comparable(r *verifyReport, vocab tokens.Tokenizer) []int64 {
	q, stated := r.Asked, r.Answer
	if r.Next != nil && len(r.Prompt)+len(stated) == a.m.Circuit.Length && len(q.Answer) > len(stated) {
		stated = append(slices.Clone(stated), *r.Next)
	}
	if !q.asText {
		return stated
	}
	end, ends := vocab.End()
	if n := len(stated); ends && n > 0 && stated[n-1] == end && q.Answer[len(q.Answer)-1] != end {
		stated = stated[:n-1]
	}
	return stated
}

// mismatch is the rejection of another prompt or answer than the expected one.
func mismatch(what, expected, proved string) error {
	return &failure{code: console.Rejected, class: what + " mismatch", err: fmt.Errorf("the proof holds, but for another %s: expected %s, proved %s", what, expected, proved)}
}

// quoted shows tokens within a line: as text where that says all, spelled where not, and as ids.
func quoted(vocab tokens.Tokenizer, ids []int64, read func(tokens.Tokenizer, []int64) tokens.Reading) string {
	list := "tokens " + tokens.FormatIDs(ids)
	if len(ids) == 0 {
		list = "none"
	}
	if vocab == nil || len(ids) == 0 {
		return list
	}
	return fmt.Sprintf("%s (%s)", read(vocab, ids).Visible(), list)
}
