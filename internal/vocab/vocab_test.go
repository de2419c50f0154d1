package vocab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
