package conversation

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A conversation is read as OpenAI's interface has it; what the model would not read, and what leaves it no turn, is refused.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`[{"role": "user", "content": "a"}]`: `user "a"`,
		` [{"content": "s\n", "role": "system"}, {"role": "user", "content": ""}, {"role": "assistant", "content": "b", "refusal": null}, {"role": "user", "content": "\u202ec", "name":null }]`: `system "s\n", user "", assistant "b", user "\u202ec"`,
		`[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]`:                                                                                          `user "ab"`,
	} {
		messages, err := Parse([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, Line(messages))
	}
	for text, want := range map[string]string{
		``: "want a list of messages", `[`: "want a list of messages", `{}`: "want a list of messages", `null`: "want a list of messages", `[]`: "want a list of messages", `["a"]`: "want a list of messages",
		"[{\"role\": \"user\", \"content\": \"\xff\"}]": "not UTF-8", `[{"role": "user", "content": "a"}] x`: "want a list of messages",
		`[{"role": 1, "content": "a"}]`: "its role is no text", `[{"Role": "user", "content": "a"}]`: `it has "Role"`, `[null]`: "message 1: it has no content",
		`[{"role": "user", "content": "a", "tool_calls": []}]`: `it has "tool_calls"`, `[{"role": "user", "content": [{"type": "text"}]}]`: "not text alone", `[{"role": "user", "content": null}]`: "its content is no text",
		`[{"role": "user", "content": [{"type": "text", "text": "a", "TEXT": "b"}]}]`: "two members have one name", `[{"role": "user", "role": "user", "content": "a"}]`: "two members have one name",
		`[{"role": "user", "content": "a", "Content": "b"}]`: "two members have one name", `[{"role": "user", "content": [{"Type": "text", "text": "a"}]}]`: "not text alone",
		`[{"role": "user", "content": [{"type": "text", "text": "a", "image_url": "u"}]}]`: "not text alone", `[{"role": "user", "content": [{"type": "text", "text": null}]}]`: "not text alone",
		`[{"content": "a"}]`: `message 1 has the role ""`, `[{"role": "User", "content": "a"}]`: `message 1 has the role "User"`, `[{"role": "system", "content": "a"}, {"role": "assistant", "content": "a"}]`: "message 2 is the assistant's, where the user's turn is",
		`[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]`: "the last message is not the user's", `[{"role": "system", "content": "a"}]`: "the last message is not the user's",
		`[{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}]`: "message 2 is the system's, which comes first", `[{"role": "user", "content": 5}]`: "its content is no text",
	} {
		_, err := Parse([]byte(text))
		require.ErrorIs(t, err, ErrNone, text)
		require.ErrorContains(t, err, want, text)
	}
	for _, messages := range [][]Message{nil, {{Assistant, "a"}}, {{User, "a"}, {Assistant, "b"}}} {
		_, err := Encode(nil, messages)
		require.ErrorIs(t, err, ErrNone, "before any tokenizer is asked")
	}
}
