package tokens_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// read is what a reading of ids must be.
type read struct {
	ids       []int64
	text      string
	canonical bool
	spelled   string
	endInside bool // an end token before the last
}

func checkReadings(t *testing.T, v tokens.Tokenizer, prompts, answers []read) {
	t.Helper()
	for _, c := range prompts {
		require.Equal(t, reading.Reading{Text: c.text, Canonical: c.canonical, Spelled: c.spelled}, reading.Prompt(v, c.ids), "%d", c.ids)
	}
	for _, c := range answers {
		require.Equal(t, reading.Reading{Text: c.text, Canonical: c.canonical, Spelled: c.spelled, EndInside: c.endInside}, reading.Answer(v, c.ids), "%d", c.ids)
	}
}

func TestReadingOfCharacters(t *testing.T) {
	v := load(t, "..", "..", "models", "sums", "vocab.json")
	checkReadings(t, v, []read{
		{[]int64{1, 10, 1, 11}, "1+1=", true, `"1" "+" "1" "="`, false},
		{[]int64{13, 1, 10, 1, 11}, "1+1=", false, `⟨13⟩ "1" "+" "1" "="`, false}, // pad tokens show nothing
		{[]int64{1, 10, 13, 1, 11, 13}, "1+1=", false, `"1" "+" ⟨13⟩ "1" "=" ⟨13⟩`, false},
		{[]int64{1, 14}, "1⟨14⟩", false, `"1" ⟨14⟩`, false},
		{[]int64{1, 12, 1}, "1;1", true, `"1" ⟨12⟩ "1"`, false}, // an end token that is a character is part of a prompt's text
	}, []read{
		{[]int64{2, 12}, "2;", true, `"2" ⟨12⟩`, false},
		{[]int64{2}, "2", true, `"2"`, false},
		{[]int64{2, 12, 9, 12}, "2;9;", false, `"2" ⟨12⟩ "9" ⟨12⟩`, true},
		{[]int64{12, 12}, ";;", false, `⟨12⟩ ⟨12⟩`, true},
		{[]int64{2, 13, 12}, "2;", false, `"2" ⟨13⟩ ⟨12⟩`, false},
		{nil, "", true, "", false},
	})
	v, err := tokens.Parse([]byte(`{"tokeniser":"character","vocab":{"⟨":0,"9":1,"⟩":2,"·":3},"pad_id":3}`))
	require.NoError(t, err)
	checkReadings(t, v, []read{
		{[]int64{0, 1, 2}, "⟨9⟩", true, `"⟨" "9" "⟩"`, false},
		{[]int64{9}, "⟨9⟩", false, `⟨9⟩`, false}, // looks like the three characters
		{[]int64{3}, "·", true, `⟨3⟩`, false},    // a pad token with a name
	}, []read{{[]int64{1, 1}, "99", true, `"9" "9"`, false}}) // no end token is known
}

func TestReadingOfPairs(t *testing.T) {
	v, err := tokens.Parse(sample()) // 259 "th", 260 " t", 261 "the", 262 " the", 263 " ", "t", "h", "e", "o"
	require.NoError(t, err)
	checkReadings(t, v, []read{
		{[]int64{1, 262}, "the", true, `⟨1⟩ " the"`, false},
		{[]int64{1, 263, 264, 265, 266}, "the", false, `⟨1⟩ " " "t" "h" "e"`, false}, // letter by letter
		{[]int64{1, 263, 261}, "the", false, `⟨1⟩ " " "the"`, false},
		{[]int64{1, 1, 262}, "the", false, `⟨1⟩ ⟨1⟩ " the"`, false},
		{[]int64{1, 262, 1}, "the", false, `⟨1⟩ " the" ⟨1⟩`, false},
		{[]int64{1, 260, 1, 265, 266}, "the", false, `⟨1⟩ " t" ⟨1⟩ "h" "e"`, false}, // a start token swallows itself and a space
		{[]int64{1, 260, 1, 263, 265, 266}, "the", false, `⟨1⟩ " t" ⟨1⟩ " " "h" "e"`, false},
		{[]int64{261}, "the", false, `"the"`, false},                                       // no start token
		{[]int64{1, 263, 3 + 't', 265, 266}, "the", false, `⟨1⟩ " " ⟨119⟩ "h" "e"`, false}, // a byte in place of its character
		{[]int64{1, 263, 267, 3 + '\n'}, "o\n", true, `⟨1⟩ " " "o" "\n"`, false},
		{[]int64{1, 3 + ' ', 267}, "o", false, `⟨1⟩ ⟨35⟩ "o"`, false},
		{[]int64{1}, "", true, `⟨1⟩`, false},
		{[]int64{1, 0}, "<unk>", false, `⟨1⟩ ⟨0⟩`, false},
	}, []read{
		{[]int64{262, 1}, " the", true, `" the" ⟨1⟩`, false},
		{[]int64{262}, " the", true, `" the"`, false},
		{[]int64{261, 1, 262}, "thethe", false, `"the" ⟨1⟩ " the"`, true}, // an end token inside
		{[]int64{261, 1, 1}, "the", false, `"the" ⟨1⟩ ⟨1⟩`, true},
		{[]int64{264, 265, 266, 1}, "the", false, `"t" "h" "e" ⟨1⟩`, false},
		{[]int64{3 + 195, 3 + 169}, "é", true, `⟨198⟩ ⟨172⟩`, false},
		{[]int64{3 + 195}, "\xc3", false, `⟨198⟩`, false}, // half a character
	})
}

// A vocabulary without a token for the space writes it as a byte, which Decode leaves out like the token.
func TestPairsWithoutSpace(t *testing.T) {
	v, err := tokens.Parse(pairs(word{"a", 0}))
	require.NoError(t, err)
	checkReadings(t, v, []read{{[]int64{1, 3 + ' ', 259}, "a", true, `⟨1⟩ " " "a"`, false}, {[]int64{1, 259}, "a", false, `⟨1⟩ "a"`, false}}, nil)
}

func TestIDLists(t *testing.T) {
	ids, err := reading.ParseIDs(" 1, 2,-3 ")
	require.NoError(t, err)
	require.Equal(t, []int64{1, 2, -3}, ids)
	require.Equal(t, "1,2,-3", reading.FormatIDs(ids))
	require.Empty(t, reading.FormatIDs(nil))
	for _, list := range []string{"", "1,", "a", "1 2", "9223372036854775808"} {
		_, err := reading.ParseIDs(list)
		require.Error(t, err, list)
	}
	back, err := reading.ParseIDs(reading.FormatIDs([]int64{math.MinInt64, math.MaxInt64}))
	require.NoError(t, err)
	require.Equal(t, []int64{math.MinInt64, math.MaxInt64}, back)
}
