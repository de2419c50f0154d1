package strictjson

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// What has one reading is read, and nothing else.
func TestUnmarshal(t *testing.T) {
	require.NoError(t, NoNull([]byte(`{"a": {"b": null}, "c": [null]}`)))
	require.ErrorContains(t, NoNull([]byte(`{"a": 1, "b": null}`)), `"b" is null`)
	require.Error(t, NoNull([]byte(`[]`)))
	type part struct {
		Text  *string
		Parts []part
		Also  map[string]part
	}
	for _, text := range []string{
		`{"text": "a"}`, `{}`, `null`, `{"parts": [{"text": "a"}, {"text": "b", "parts": []}, {}]}`, `{"text": "text", "parts": [{"parts": [{"text": "text"}]}]}`,
		`{"also": {"text": {"text": "a"}, "parts": {"parts": [{}]}}, "text": "text"}`,
		`{"text": "\ud83d\ude42 \uD83D\uDE42 🙂 \\\\ud83d \\ufffd \uffff"}`,
	} {
		var want, got part
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.NoError(t, Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{
		`{"text": "a", "text": "a"}`, `{"text": "a", "TEXT": "b"}`, `{"parts": [{}, {"text": "a", "Text": "b"}]}`, `{"part\u017f": [], "parts": []}`,
		`{"parts": [{"text": null}], "PARTS": null}`, `{"also": {"k": {}, "\u212a": {}}}`, `{"also": {"a": {"text": "a"}, "b": {"text": "a", "text": "b"}}}`,
	} {
		require.ErrorIs(t, Unmarshal([]byte(text), &part{}), ErrTwice, text)
	}
	for _, text := range []string{``, `{`, `{"text": "a"} {}`, `{"text": "a"}]`, `{"other": 1}`, `{"text": 1}`, `{"text"}`, `{1: 2}`, `[}`, `}`,
		`{"text": "\xff"}`, "{\"text\": \"a\xff\"}", "{\"text\": \"\xed\xa0\xbd\xed\xb9\x82\"}", `{"text": "\ud83d"}`, `{"text": "\ude42\ud83d"}`, `{"text": "\ud83d\ud83d\ude42"}`,
		`{"text": "\\\ud83d"}`, `{"text": "\ud83d\n\ude42"}`, `{"also": {"\ud83d": {}}}`} {
		require.Error(t, Unmarshal([]byte(text), &part{}), text)
	}
}
