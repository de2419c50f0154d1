package passage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

const letters = `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2}, "pad_id": 3}`

func reader(t *testing.T, vocab string, x witnesstest.Whole, lengths ...int) *passage.Reader {
	f, _ := x.Family(t, lengths...)
	r, err := passage.NewReader(f, func() (tokens.Tokenizer, error) { return tokens.Parse([]byte(vocab)) })
	require.NoError(t, err)
	return r
}

// A text is the elements of all inputs of the shortest circuit that holds it, padded.
func TestElements(t *testing.T) {
	r := reader(t, letters, witnesstest.Whole{}, 2, 4)
	require.Equal(t, []int{0, 1, 2, 3}, r.Ports())
	for _, c := range []struct {
		text string
		n    int
		want map[int][]int64
	}{
		{"ab", 2, map[int][]int64{0: {0, 1}, 1: {1, 1}, 2: {0, 0}, 3: {0, 1}}},
		{"c", 2, map[int][]int64{0: {2, 3}, 1: {1, 0}, 2: {0, 0}, 3: {0, 1}}},
		{"cab", 4, map[int][]int64{0: {2, 0, 1, 3}, 1: {1, 1, 1, 0}, 2: {0, 0, 0, 0}, 3: {0, 1, 2, 3}}},
	} {
		text, err := r.Read(c.text)
		require.NoError(t, err)
		shortest, err := text.Shortest()
		require.NoError(t, err)
		require.Equal(t, []int{c.n}, shortest.Ports[0].Shape, c.text)
		got, err := text.Elements(shortest)
		require.NoError(t, err)
		require.Equal(t, c.want, got, c.text)
	}
	text, err := r.Read("abcab")
	require.NoError(t, err)
	_, err = text.Shortest()
	require.ErrorIs(t, err, passage.ErrLong)
	_, err = text.Elements(text.Longest())
	require.ErrorIs(t, err, passage.ErrLong)
	_, err = r.Read("abx")
	require.ErrorIs(t, err, tokens.ErrText)
}

// Without a mask no text is padded, and without a pad token the mask suffices.
func TestPadding(t *testing.T) {
	r := reader(t, letters, witnesstest.Whole{Bare: true}, 2, 4)
	text, err := r.Read("ab")
	require.NoError(t, err)
	c, err := text.Shortest()
	require.NoError(t, err)
	got, err := text.Elements(c)
	require.NoError(t, err)
	require.Equal(t, map[int][]int64{0: {0, 1}}, got)
	text, err = r.Read("abc")
	require.NoError(t, err)
	_, err = text.Shortest()
	require.ErrorIs(t, err, passage.ErrShort)

	r = reader(t, `{"tokeniser": "character", "vocab": {"a": 0, "b": 1}}`, witnesstest.Whole{}, 3)
	text, err = r.Read("b")
	require.NoError(t, err)
	got, err = text.Elements(text.Longest())
	require.NoError(t, err)
	require.Equal(t, []int64{1, 0, 0}, got[0])
	require.Equal(t, []int64{1, 0, 0}, got[1])
}

// What is hidden of a text says so; a vocabulary's ids that the model does not know are refused.
func TestHiddenAndUnknown(t *testing.T) {
	require.False(t, reader(t, letters, witnesstest.Whole{}, 3).Hidden())
	require.True(t, reader(t, letters, witnesstest.Whole{Private: "input_ids"}, 3).Hidden())
	require.True(t, reader(t, letters, witnesstest.Whole{Private: "attention_mask"}, 3).Hidden())
	f, _ := witnesstest.Whole{}.Family(t, 3)
	_, err := passage.NewReader(f, func() (tokens.Tokenizer, error) {
		return tokens.Parse([]byte(`{"tokeniser": "character", "vocab": {"a": 4}}`))
	})
	require.ErrorContains(t, err, "the vocabulary has 5 tokens, the model has 4; it belongs to another model")
	_, err = passage.NewReader(f, nil)
	require.ErrorIs(t, err, tokens.ErrVocabulary)
	text, err := reader(t, `{"tokeniser": "character", "vocab": {"a": 0}, "pad_id": 4}`, witnesstest.Whole{}, 3).Read("a")
	require.NoError(t, err)
	_, err = text.Elements(text.Longest())
	require.ErrorContains(t, err, "input input_ids: element 1 is 4, not in [0, 3]")
	text, err = reader(t, letters, witnesstest.Whole{First: 1}, 3).Read("a")
	require.NoError(t, err)
	_, err = text.Elements(text.Longest())
	require.ErrorContains(t, err, "input position_ids: element 0 is 0, not in [1, 8]")
	f, _ = witnesstest.Whole{Real: "token_type_ids"}.Family(t, 3)
	_, err = passage.Of(f)
	require.ErrorContains(t, err, "token_type_ids takes real numbers")
}

// said is a tokenizer that says the same ids of every text.
type said struct {
	tokens.Tokenizer
	ids []int64
}

func (s said) Encode(string) ([]int64, error) { return s.ids, nil }

// A tokenizer that says what it has no letters for is not believed.
func TestForeignIDs(t *testing.T) {
	f, _ := witnesstest.Whole{}.Family(t, 3)
	for _, c := range []struct {
		ids  []int64
		want string
	}{{[]int64{0, 3}, ""}, {[]int64{0, -1}, "token 1 is -1, the model knows 0 to 3"}, {[]int64{4, 0}, "token 0 is 4, the model knows 0 to 3"}} {
		r, err := passage.NewReader(f, func() (tokens.Tokenizer, error) {
			z, err := tokens.Parse([]byte(letters))
			return said{z, c.ids}, err
		})
		require.NoError(t, err)
		if _, err = r.Read("a"); c.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
}

func TestParts(t *testing.T) {
	for want, names := range map[passage.Part][]string{passage.IDs: {"x"}, passage.Mask: {"attention_mask", "input_ids"}, passage.Segments: {"token_type_ids", "input_ids"}} {
		parts, err := passage.Parts(names)
		require.NoError(t, err)
		require.Equal(t, want, parts[0])
		require.Len(t, parts, len(names))
	}
	for _, names := range [][]string{{}, {"attention_mask"}, {"input_ids", "pixel_values"}, {"ids", "mask"}} {
		_, err := passage.Parts(names)
		require.ErrorIs(t, err, passage.ErrNone, "%q", names)
	}
	require.NoError(t, passage.Single("x", false, []int{1, 4}, 4))
	for _, shape := range [][]int{{2, 4}, {2, 2}, {4, 1}, {5}, {1, 4, 4}, nil} {
		require.ErrorContains(t, passage.Single("x", false, shape, 4), "does not take an element for each token of one text, of 4")
	}
	require.ErrorContains(t, passage.Single("x", false, nil, 1), "does not take an element for each token of one text, of 1")
	require.ErrorContains(t, passage.Single("x", true, []int{4}, 4), "x takes real numbers")
}
