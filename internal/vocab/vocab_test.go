package vocab

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// chat is what transformers makes of a prompt; see testdata/chats.py.
type chat struct {
	Template string  `json:"template"`
	Prompt   string  `json:"prompt"`
	Text     string  `json:"text"`
	IDs      []int64 `json:"ids"`
}

// tokenizerOf is the small tokenizer that a template is tested with.
var tokenizerOf = map[string]string{"chatml": "smollm2"}

// template reads a named template with a tokenizer of CHATS, or with a small one of its kind.
func template(t *testing.T, name string) tokens.Tokenizer {
	file := name
	folder := os.Getenv("CHATS")
	if folder == "" {
		folder = filepath.Join("..", "..", "runtime", "tokens", "huggingface", "testdata")
		if other, ok := tokenizerOf[name]; ok {
			file = other
		}
	}
	data, err := os.ReadFile(filepath.Join(folder, file+".json"))
	require.NoError(t, err)
	tpl, ok := Template(name)
	require.True(t, ok, name)
	k, err := Parse(data, tpl)
	require.NoError(t, err, name)
	return k
}

// Every template that has a name gives the tokens that transformers' apply_chat_template gives, and shows the prompt as it was written, but
// for the white space that it takes off.
func TestTemplates(t *testing.T) {
	folder := "testdata"
	if chats := os.Getenv("CHATS"); chats != "" {
		folder = chats
	}
	data, err := os.ReadFile(filepath.Join(folder, "chats.json"))
	require.NoError(t, err)
	var chats []chat
	require.NoError(t, json.Unmarshal(data, &chats))
	seen := map[string]tokens.Tokenizer{}
	for _, c := range chats {
		if seen[c.Template] == nil {
			seen[c.Template] = template(t, c.Template)
		}
		k := seen[c.Template]
		ids, err := k.Encode(c.Prompt)
		require.NoError(t, err, "%s: %q", c.Template, c.Prompt)
		require.Equal(t, c.IDs, ids, "%s: %q, %q", c.Template, c.Prompt, c.Text)
		r := reading.Prompt(k, ids)
		require.True(t, r.Canonical, "%s: %q is shown as %s", c.Template, c.Prompt, r.Spelled)
		if r.Text != c.Prompt {
			require.Equal(t, strings.TrimSpace(c.Prompt), r.Text, c.Template)
		}
		_, ends := k.End()
		require.True(t, ends, c.Template)
	}
	for _, name := range Names() {
		require.NotNil(t, seen[name], "transformers was not asked about %s", name)
	}
}

// golden is what transformers makes of a conversation; see testdata/chats.py.
type golden struct {
	Template string                 `json:"template"`
	Messages []conversation.Message `json:"messages"`
	Text     string                 `json:"text"`
	IDs      []int64                `json:"ids"`
}

// Every template that has a name gives the tokens of transformers' apply_chat_template to conversations of several turns, too, and finds the
// messages in them again.
func TestConversations(t *testing.T) {
	folder := "testdata"
	if chats := os.Getenv("CHATS"); chats != "" {
		folder = chats
	}
	data, err := os.ReadFile(filepath.Join(folder, "conversations.json"))
	require.NoError(t, err)
	var all []golden
	require.NoError(t, json.Unmarshal(data, &all))
	turns, seen := map[string]int{}, map[string]tokens.Tokenizer{}
	for _, c := range all {
		if seen[c.Template] == nil {
			seen[c.Template] = template(t, c.Template)
		}
		k := seen[c.Template]
		ids, err := conversation.Encode(k, c.Messages)
		require.NoError(t, err, "%s: %q", c.Template, c.Text)
		require.Equal(t, c.IDs, ids, "%s: %q", c.Template, c.Text)
		r := reading.Prompt(k, ids)
		require.True(t, r.Canonical, "%s: %q is shown as %s", c.Template, c.Text, r.Spelled)
		require.Equal(t, trimmed(t, c.Template, c.Messages), r.Messages, c.Template)
		turns[c.Template] = max(turns[c.Template], len(c.Messages))
	}
	for _, name := range Names() {
		require.Greater(t, turns[name], 2, "transformers was not asked about conversations of %s", name)
	}
}

// trimmed are messages without the white space that a template takes off.
func trimmed(t *testing.T, name string, messages []conversation.Message) []conversation.Message {
	var f struct{ Trim bool }
	tpl, _ := Template(name)
	require.NoError(t, json.Unmarshal(tpl, &f))
	messages = slices.Clone(messages)
	for i, m := range messages {
		if f.Trim {
			messages[i].Content = strings.TrimSpace(m.Content)
		}
	}
	return messages
}

// Two conversations have the same tokens only where they differ in white space that the template takes off, or one spells the message of the
// system that the other has from the template: whatever is written in them, as far as it is not refused, the messages are found in the tokens.
func TestConversationsDiffer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range Names() {
		k := template(t, name)
		tpl, _ := Template(name)
		var f struct {
			Before, After, End string
			Answer, System     *struct{ Before, After string }
		}
		require.NoError(t, json.Unmarshal(tpl, &f))
		pieces := []string{"", "a", " ", "\n", "user", "user\n", "assistant\n", "model\n", "[/INST", "]", "[", "INST]", "<", "|", f.Before, f.After, f.End, f.Answer.After, strings.TrimSpace(f.After)}
		told := 0
		for range 120 {
			var messages []conversation.Message
			say := func(role string) {
				text := ""
				for range r.IntN(4) {
					text += pieces[r.IntN(len(pieces))]
				}
				messages = append(messages, conversation.Message{Role: role, Content: text})
			}
			if f.System != nil && r.IntN(2) == 0 {
				say(conversation.System)
			}
			say(conversation.User)
			for range r.IntN(3) {
				say(conversation.Assistant)
				say(conversation.User)
			}
			ids, err := conversation.Encode(k, messages)
			if err != nil {
				require.ErrorIs(t, err, tokens.ErrText)
				continue
			}
			told++
			want := trimmed(t, name, messages)
			if found := conversation.Of(k, ids); len(messages) > 1 {
				require.Equal(t, want, found, "%s: %q", name, messages)
			} else {
				require.Nil(t, found)
				require.Equal(t, want[0].Content, reading.Prompt(k, ids).Text, name)
			}
		}
		require.Greater(t, told, 40, name)
	}
}

// A template is read with a tokenizer that writes no letters, too.
func TestChatOfDigits(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "scripts", "serving", "tokenizer.json"))
	require.NoError(t, err)
	tpl, err := os.ReadFile(filepath.Join("..", "..", "scripts", "serving", "template.json"))
	require.NoError(t, err)
	k, err := Parse(file, tpl)
	require.NoError(t, err)
	messages := []conversation.Message{{Role: conversation.User, Content: "3+4"}, {Role: conversation.Assistant, Content: "7"}, {Role: conversation.User, Content: "5+6"}}
	ids, err := conversation.Encode(k, messages)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 10, 4, 11, 7, 12, 5, 10, 6, 11}, ids, "3+4=7;5+6=")
	require.Equal(t, messages, conversation.Of(k, ids))
	for _, text := range []string{"3+4=7", "1;", "a"} {
		messages[0].Content = text
		_, err := conversation.Encode(k, messages)
		require.ErrorIs(t, err, tokens.ErrText, text)
	}
}

// The message that a template has of its own is the system's, too.
func TestDefaultSystem(t *testing.T) {
	k := template(t, "smollm2")
	user := conversation.Message{Role: conversation.User, Content: "a"}
	bare, err := conversation.Encode(k, []conversation.Message{user})
	require.NoError(t, err)
	own := "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
	same, err := conversation.Encode(k, []conversation.Message{{Role: conversation.System, Content: own}, user})
	require.NoError(t, err)
	require.Equal(t, bare, same)
	other, err := conversation.Encode(k, []conversation.Message{{Role: conversation.System, Content: own + "."}, user})
	require.NoError(t, err)
	require.NotEqual(t, bare, other)
}

// Without members for them a template takes neither earlier turns nor a message of the system, and one that lets messages spell turns is none.
func TestTemplatesOfOneTurn(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "runtime", "tokens", "huggingface", "testdata", "smollm2.json"))
	require.NoError(t, err)
	turn := `{"before": "<|im_start|>user\n", "after": "<|im_end|>\n<|im_start|>assistant\n", "end": "<|im_end|>"`
	k, err := Parse(data, []byte(turn+"}"))
	require.NoError(t, err)
	user, system, assistant := conversation.Message{Role: "user"}, conversation.Message{Role: "system"}, conversation.Message{Role: "assistant"}
	_, err = conversation.Encode(k, []conversation.Message{user, assistant, user})
	require.ErrorContains(t, err, `says nothing of earlier answers (its member "answer")`)
	_, err = conversation.Encode(k, []conversation.Message{system, user})
	require.ErrorContains(t, err, `has no place for a message of the system (its member "system")`)
	one, err := conversation.Encode(k, []conversation.Message{user})
	require.NoError(t, err)
	same, err := k.Encode("")
	require.NoError(t, err)
	require.Equal(t, same, one)
	for more, want := range map[string]string{
		`, "answer": {"before": "", "after": "user\n"}}`:      "answer: after: it has neither a special token nor a mark",
		`, "system": {"before": "", "after": "user\n"}}`:      "system: after: it has neither a special token nor a mark",
		`, "system": {"before": "x", "after": "<|im_end|>"}}`: "as many special tokens and marks as before, which has no message of the system in them",
		`, "answer": {"before": "", "after": "<|im_end|>"}, "system": {"before": "", "after": "<|im_end|><|im_start|><|im_end|><|im_start|>"}}`: "as turns have",
		`, "answer": {"befor": ""}}`: "unknown field",
	} {
		_, err := Parse(data, []byte(turn+more))
		require.ErrorIs(t, err, tokens.ErrVocabulary)
		require.ErrorContains(t, err, want)
	}
	for template, want := range map[string]string{
		`{"before": "a", "after": "b", "answer": {"before": "", "after": "<|im_end|>"}}`: "after: it has neither a special token nor a mark",
		`{"end": "<|im_end|>", "answer": {"before": "", "after": "<|im_end|>"}}`:         "there are no turns",
	} {
		_, err := Parse(data, []byte(template))
		require.ErrorContains(t, err, want)
	}
	plain, err := Parse(data, nil)
	require.NoError(t, err)
	_, err = conversation.Encode(plain, []conversation.Message{user, assistant, user})
	require.ErrorContains(t, err, "there is no template of a chat")
}

// What a user writes makes no turns: the control tokens of the prompt are the template's, or the text is refused.
func TestUsersMakeNoTurns(t *testing.T) {
	for _, name := range Names() {
		k := template(t, name)
		honest, err := k.Encode("x")
		require.NoError(t, err)
		tpl, _ := Template(name)
		var f struct{ Before, After, End string }
		require.NoError(t, json.Unmarshal(tpl, &f))
		end, _ := k.End()
		for _, text := range []string{f.After, f.After + f.End + f.Before, f.End, f.Before, "a" + f.End, f.End + "b", f.After[:1], "<" + f.End + ">"} {
			ids, err := k.Encode(text)
			if err != nil {
				require.ErrorIs(t, err, tokens.ErrText, "%s: %q", name, text)
				continue
			}
			require.Equal(t, count(honest, end), count(ids, end), "%s: %q is %d", name, text, ids)
			require.Equal(t, count(honest, honest[0]), count(ids, honest[0]), "%s: %q is %d", name, text, ids)
			r := reading.Prompt(k, ids)
			require.True(t, r.Canonical && strings.TrimSpace(r.Text) == strings.TrimSpace(text), "%s: %q is shown as %+v", name, text, r)
		}
		more, err := k.Continue(f.End)
		require.NoError(t, err)
		require.NotContains(t, more, end, name)
	}
}

func count(ids []int64, id int64) int {
	return len(slices.DeleteFunc(slices.Clone(ids), func(x int64) bool { return x != id }))
}

// A file is read by what it is; a template is for a tokenizer.json alone.
func TestParse(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join("..", "..", "models", "sums", "vocab.json"))
	require.NoError(t, err)
	k, err := Parse(sums, nil)
	require.NoError(t, err)
	require.Equal(t, 13, k.Size())
	_, err = Parse(sums, EndAlone(";"))
	require.ErrorIs(t, err, tokens.ErrVocabulary)
	_, ok := Template("../vocab")
	require.False(t, ok)
	data, err := os.ReadFile(filepath.Join("..", "..", "runtime", "tokens", "huggingface", "testdata", "smollm2.json"))
	require.NoError(t, err)
	k, err = Parse(data, EndAlone("<|im_end|>"))
	require.NoError(t, err)
	end, ok := k.End()
	require.True(t, ok)
	ids, err := k.Encode("a<|im_end|>") // without a chat, what the library reads
	require.NoError(t, err)
	require.Equal(t, end, ids[1])
	_, err = Parse(data, EndAlone("<|nothing|>"))
	require.ErrorContains(t, err, `its end "<|nothing|>" is no token`)
}
