// Package conversation reads conversations of several turns, as clients of language models send them: a list of messages with roles. A template
// of a chat makes tokens of them, which is what a proof is about.
package conversation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/strictjson"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// The roles of messages.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
)

// Message is what somebody said, or the model answered.
type Message struct {
	Role    string `json:"role"`    // system, user or assistant
	Content string `json:"content"` // what was said, without white space that the template takes off
}

// Tokenizer is a tokens.Tokenizer with a chat's template.
type Tokenizer interface {
	// EncodeMessages returns the ids of a conversation that Check lets pass, up to where the model answers its last message.
	EncodeMessages(messages []Message) ([]int64, error)
	// Messages returns the conversation that EncodeMessages makes these ids of; nil if there is none, or none that is found.
	Messages(ids []int64) []Message
}

// ErrNone says that something is no conversation.
var ErrNone = errors.New("no conversation")

// Parse reads a JSON list of messages, as OpenAI's interface has them: {"role": "user", "content": "…"}, where a content may be a list of
// texts, too. Whatever else a message or a part has is refused, unless it is a message's and null: the model would not read it. So are two members of
// one name: a person may be shown the one and the model read the other.
func Parse(data []byte) ([]Message, error) {
	var list []map[string]json.RawMessage
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrNone)
	}
	err := strictjson.Unmarshal(data, &list)
	switch {
	case errors.Is(err, strictjson.ErrTwice):
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	case err != nil || len(list) == 0:
		return nil, fmt.Errorf("%w: want a list of messages in JSON, each with a role and a content", ErrNone)
	}
	out := make([]Message, len(list))
	for i, m := range list {
		if err := out[i].read(m); err != nil {
			return nil, fmt.Errorf("%w: message %d: %w", ErrNone, i+1, err)
		}
	}
	return out, Check(out)
}

// read takes the members of a message.
func (m *Message) read(members map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		switch {
		case name == "role":
			if json.Unmarshal(value, &m.Role) != nil {
				return errors.New("its role is no text")
			}
		case name == "content":
			var err error
			if m.Content, err = content(value); err != nil {
				return err
			}
		case string(value) != "null":
			return fmt.Errorf("it has %q, of which the model reads nothing", name)
		}
	}
	if _, ok := members["content"]; !ok {
		return errors.New("it has no content")
	}
	return nil
}

// content reads a text, or a list of the parts of one.
func content(value json.RawMessage) (text string, err error) {
	if string(value) != "null" && json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	var parts []map[string]any
	if json.Unmarshal(value, &parts) != nil || parts == nil {
		return "", errors.New("its content is no text")
	}
	for _, part := range parts {
		said, ok := part["text"].(string)
		if !ok || part["type"] != "text" || len(part) != 2 {
			return "", errors.New("its content is not text alone, which is all that the model reads: parts have a type and a text")
		}
		text += said
	}
	return text, nil
}

// Check refuses messages that are no conversation with a turn of the model's next: a message of the system may come first; then user and
// assistant take turns, the user first and last.
func Check(messages []Message) error {
	turn := User
	for i, m := range messages {
		switch {
		case !slices.Contains([]string{System, User, Assistant}, m.Role):
			return fmt.Errorf("%w: message %d has the role %q; there are system, user and assistant", ErrNone, i+1, m.Role)
		case m.Role == System && i == 0:
			continue
		case m.Role == System:
			return fmt.Errorf("%w: message %d is the system's, which comes first", ErrNone, i+1)
		case m.Role != turn:
			return fmt.Errorf("%w: message %d is the %s's, where the %s's turn is", ErrNone, i+1, m.Role, turn)
		}
		turn = map[string]string{User: Assistant, Assistant: User}[turn]
	}
	if turn == User { // also of no messages
		return fmt.Errorf("%w: the last message is not the user's, which the model would answer", ErrNone)
	}
	return nil
}

// Encode returns the ids of a conversation. One message of the user is a prompt, which every tokenizer encodes; more need a template that
// says how they are spelled.
func Encode(t tokens.Tokenizer, messages []Message) ([]int64, error) {
	if err := Check(messages); err != nil {
		return nil, err
	}
	if len(messages) == 1 {
		return t.Encode(messages[0].Content)
	}
	chat, ok := t.(Tokenizer)
	if !ok {
		return nil, fmt.Errorf("%w: there is no template of a chat, so that there are prompts and no conversations; compile --chat gives the model one", tokens.ErrText)
	}
	return chat.EncodeMessages(messages)
}

// Of returns the conversation of several messages that Encode makes these ids of; nil if there is none, or none that is found.
func Of(t tokens.Tokenizer, ids []int64) []Message {
	chat, ok := t.(Tokenizer)
	if !ok {
		return nil
	}
	messages := chat.Messages(ids)
	if len(messages) < 2 || slices.ContainsFunc(messages, func(m Message) bool { return !utf8.ValidString(m.Content) }) {
		return nil
	}
	if again, err := Encode(t, messages); err != nil || !slices.Equal(again, ids) {
		return nil
	}
	return messages
}

// Line shows messages within a line, quoted.
func Line(messages []Message) string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = m.Role + " " + strconv.Quote(m.Content)
	}
	return strings.Join(out, ", ")
}
