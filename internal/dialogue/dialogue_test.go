package dialogue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// letters is a vocabulary of five tokens, of which the last one ends an answer.
const letters = `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, ";": 4}, "pad_id": 5, "end_token": ";"}`

func parsed(t *testing.T, text string) tokens.Tokenizer {
	t.Helper()
	v, err := tokens.Parse([]byte(text))
	require.NoError(t, err)
	return v
}

// model is a circuit of four positions and six tokens, as far as texts are concerned.
func model(reveal circuit.Reveal) *circuit.Circuit {
	return &circuit.Circuit{Generation: &circuit.Generation{Pad: 5, Length: 4, Vocab: 6, Reveal: reveal}}
}

// saying is a statement about a prompt of one token; next is Unclaimed, or the token behind the last one.
func saying(next int64, ids ...int64) *generation.Statement {
	return &generation.Statement{Tokens: ids, Prompt: 1, Next: next}
}

// predicting adds logits to a statement of which the last ones predict a token.
func predicting(id int, st *generation.Statement) *generation.Statement {
	st.Logits = make([]int64, 6*len(st.Tokens))
	st.Logits[6*(len(st.Tokens)-1)+id] = 9
	return st
}

// A statement shows the answer that was told if its tokens read so: all of them, with the end token or without, and none behind it.
func TestComparedTexts(t *testing.T) {
	argmax, values, none := model(circuit.Argmax), model(circuit.Values), generation.Unclaimed
	for name, test := range map[string]struct {
		c              *circuit.Circuit
		st             *generation.Statement
		prompt, answer string
		want           error
	}{
		"with the end token":          {argmax, saying(4, 0, 1, 2), "a", "bc;", nil},
		"without":                     {argmax, saying(4, 0, 1, 2), "a", "bc", nil},
		"another prompt":              {argmax, saying(4, 0, 1, 2), "b", "bc", dialogue.ErrPrompt},
		"the answer's begin asked":    {argmax, saying(4, 0, 1, 2), "ab", "c", dialogue.ErrPrompt},
		"a part":                      {argmax, saying(4, 0, 1, 2), "a", "b", dialogue.ErrAnswer},
		"more":                        {argmax, saying(4, 0, 1, 2), "a", "bcd", dialogue.ErrAnswer},
		"an end that is not shown":    {argmax, saying(2, 0, 1), "a", "bc;", dialogue.ErrAnswer},
		"unfinished":                  {argmax, saying(2, 0, 1), "a", "bc", nil},
		"behind the end":              {argmax, saying(2, 0, 1, 4), "a", "b;c", dialogue.ErrAnswer},
		"up to an end inside":         {argmax, saying(2, 0, 1, 4), "a", "b", dialogue.ErrAnswer},
		"nothing but the end":         {argmax, saying(4, 0), "a", "", nil},
		"nothing claimed":             {argmax, saying(none, 0), "a", "", dialogue.ErrAnswer},
		"nothing claimed, a letter":   {argmax, saying(none, 0), "a", "b", dialogue.ErrAnswer},
		"logits, all positions":       {values, predicting(4, saying(none, 0, 1, 2, 3)), "a", "bcd;", nil},
		"logits, another prediction":  {values, predicting(1, saying(none, 0, 1, 2, 3)), "a", "bcdc", dialogue.ErrAnswer},
		"logits, as far as predicted": {values, predicting(1, saying(none, 0, 1, 2, 3)), "a", "bcdb", nil},
		"logits, a position free":     {values, predicting(3, saying(none, 0, 1, 2)), "a", "bcd", dialogue.ErrAnswer},
	} {
		v := parsed(t, letters)
		q, err := dialogue.Asked(test.c, v, test.prompt, test.answer)
		require.NoError(t, err, name)
		err = q.Compare(test.c, v, test.st)
		require.Truef(t, errors.Is(err, test.want) && (err == nil) == (test.want == nil), "%s: got %v, want %v", name, err, test.want)
	}
}

// Answers that are given as ids are these ids, an end token among them; what is not given is not compared.
func TestComparedTokens(t *testing.T) {
	c, st := model(circuit.Argmax), saying(4, 0, 1, 2)
	require.NoError(t, (&dialogue.Question{Prompt: []int64{0}, Answer: []int64{1, 2, 4}}).Compare(c, nil, st))
	require.NoError(t, (&dialogue.Question{Answer: []int64{1, 2, 4}}).Compare(c, nil, st))
	require.NoError(t, (&dialogue.Question{Prompt: []int64{0}}).Compare(c, nil, st))
	require.NoError(t, (&dialogue.Question{}).Compare(c, nil, st))
	for _, answer := range [][]int64{{1, 2}, {1, 2, 4, 4}, {2, 1, 4}, {}} {
		require.ErrorIs(t, (&dialogue.Question{Prompt: []int64{0}, Answer: answer}).Compare(c, nil, st), dialogue.ErrAnswer, "%v", answer)
	}
	require.ErrorIs(t, (&dialogue.Question{Prompt: []int64{1}, Answer: []int64{1, 2, 4}}).Compare(c, nil, st), dialogue.ErrPrompt)
}

// A question holds tokens of the model, and some.
func TestQuestionsThatMakeNoSense(t *testing.T) {
	v, c := parsed(t, letters), model(circuit.Argmax)
	for _, text := range [][2]string{{"x", "b"}, {"a", "x"}} {
		_, err := dialogue.Asked(c, v, text[0], text[1])
		require.ErrorIs(t, err, tokens.ErrText, text)
	}
	_, err := dialogue.Asked(c, v, "", "b")
	require.ErrorIs(t, err, dialogue.ErrEmpty)
	_, err = dialogue.Told(c, v, "x")
	require.ErrorIs(t, err, tokens.ErrText)
	_, err = dialogue.Told(c, parsed(t, strings.Replace(letters, `"end_token"`, `"note"`, 1)), "")
	require.ErrorIs(t, err, dialogue.ErrEmpty, "of no end token the empty text claims nothing")

	small := model(circuit.Argmax)
	small.Generation.Vocab = 3 // of a to c
	_, err = dialogue.Asked(small, v, "c", "b")
	require.NoError(t, err)
	for _, text := range [][2]string{{"d", "b"}, {"a", "d"}} {
		_, err := dialogue.Asked(small, v, text[0], text[1])
		require.ErrorIs(t, err, dialogue.ErrToken, text)
	}
	for _, list := range []string{"-1", "0,-1", "3", "0,3", "9223372036854775807"} {
		_, err := dialogue.IDs(small, list)
		require.ErrorIs(t, err, dialogue.ErrToken, list)
	}
	ids, err := dialogue.IDs(small, "2,0")
	require.NoError(t, err)
	require.Equal(t, []int64{2, 0}, ids)

	hidden := model(circuit.Argmax)
	hidden.Generation.Private = true
	_, err = dialogue.Asked(hidden, v, "a", "b")
	require.ErrorIs(t, err, dialogue.ErrHidden)
	_, err = dialogue.Told(hidden, v, "b")
	require.NoError(t, err)
}

// An answer is finished if its last token ends it; where nothing is claimed, or nothing ends an answer, that is not known.
func TestFinished(t *testing.T) {
	argmax, values, none := model(circuit.Argmax), model(circuit.Values), generation.Unclaimed
	v := parsed(t, letters)
	endless := parsed(t, strings.Replace(letters, `"end_token"`, `"note"`, 1))
	for name, test := range map[string]struct {
		c               *circuit.Circuit
		vocab           tokens.Tokenizer
		st              *generation.Statement
		finished, known bool
	}{
		"by the next token":        {argmax, v, saying(4, 0, 1), true, true},
		"by the last one":          {argmax, v, saying(none, 0, 4), true, true},
		"not":                      {argmax, v, saying(2, 0, 1), false, true},
		"not by one inside":        {argmax, v, saying(2, 0, 4), false, true},
		"nothing claimed":          {argmax, v, saying(none, 0), false, false},
		"no end token":             {argmax, endless, saying(4, 0, 1), false, false},
		"by logits at the end":     {values, v, predicting(4, saying(none, 0, 1, 2, 3)), true, true},
		"not by logits before":     {values, v, predicting(4, saying(none, 0, 1, 2)), false, true},
		"logits are not looked at": {argmax, v, predicting(4, saying(none, 0, 1, 2, 3)), false, true},
	} {
		finished, known := dialogue.Finished(test.c, test.vocab, test.st)
		require.Equal(t, [2]bool{test.finished, test.known}, [2]bool{finished, known}, name)
		require.NoError(t, (&dialogue.Question{}).Settle(test.c, test.vocab, test.st), "%s: no answer was told", name)
		err := (&dialogue.Question{Answer: dialogue.Stated(test.st)}).Settle(test.c, test.vocab, test.st)
		require.Equal(t, test.known && !test.finished, errors.Is(err, dialogue.ErrUnfinished), "%s: %v", name, err)
	}
}
