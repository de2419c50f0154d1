package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
)

// Texts as data: a .txt file has a prompt per line, a .jsonl file an object per line.
const (
	maxTexts  = 64 << 20 // bytes of a file
	textLines = ".txt"
	textJSON  = ".jsonl"
)

// isTexts says that a file holds texts, by its name.
func isTexts(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == textLines || ext == textJSON
}

// readInputs is readData that also reads texts, through the tokenizer. Texts that the model cannot take whole are cut to its length.
func (m *modelFlags) readInputs(path string) ([]compiler.Input, error) {
	if !isTexts(path) {
		return readData(path)
	}
	if m.words == nil {
		return nil, console.Usagef("%s holds texts: give the model's --tokenizer", path)
	}
	data, err := atomicfile.Read(path, maxTexts)
	if err != nil {
		return nil, console.Unusable(err)
	}
	var out []compiler.Input
	for i, line := range bytes.Split(data, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\r")); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		ids, err := m.encodeLine(line, strings.ToLower(filepath.Ext(path)) == textJSON)
		if err != nil {
			return nil, console.Unusable(fmt.Errorf("%s, line %d: %w", path, i+1, err))
		}
		in := compiler.Tokens(ids...)
		in.Text, in.From = true, fmt.Sprintf("%s, line %d", path, i+1)
		out = append(out, in)
	}
	if len(out) == 0 {
		return nil, console.Unusable(fmt.Errorf("%s: it holds no text", path))
	}
	return out, nil
}

// encodeLine makes tokens of a line, which is a prompt or an object. Prompts go through the template of a chat, texts do not.
func (m *modelFlags) encodeLine(line []byte, object bool) ([]int64, error) {
	if !object {
		return m.words.Encode(string(line))
	}
	var x struct{ Text, Prompt, Answer *string }
	if err := json.Unmarshal(line, &x); err != nil {
		return nil, errLine
	}
	switch {
	case x.Text != nil && x.Prompt == nil && x.Answer == nil:
		return m.plain.Encode(*x.Text)
	case x.Text != nil || x.Prompt == nil:
		return nil, errLine
	}
	ids, err := m.words.Encode(*x.Prompt)
	if err != nil || x.Answer == nil {
		return ids, err
	}
	more, err := m.words.Continue(*x.Answer)
	return append(ids, more...), err
}

var errLine = errors.New(`not an object like {"text": "…"} or {"prompt": "…", "answer": "…"}`)

// texts refuses a template that leaves no room for a prompt of a compiled model. It says on stderr what room there is, and how many texts
// among inputs are cut.
func (m *modelFlags) texts(stderr io.Writer, r *compiler.Result, inputs []compiler.Input) error {
	if m.words == nil {
		return nil
	}
	var lengths []int
	for _, member := range r.Members() {
		lengths = append(lengths, member.Positions())
	}
	if err := m.room(lengths); err != nil {
		return err
	}
	if m.chat != "" {
		fmt.Fprintf(stderr, "zkllmc: the template of --chat takes %d tokens, and leaves %s\n", m.around(), left(m.around(), lengths))
	}
	texts, cut, most := 0, 0, lengths[len(lengths)-1]
	for _, in := range inputs {
		if in.Text {
			texts++
			if len(in.Elements[0].Values) > most {
				cut++
			}
		}
	}
	if cut > 0 {
		fmt.Fprintf(stderr, "zkllmc: %d of %d texts have more than %d tokens; what is beyond is cut off\n", cut, texts, most)
	}
	return nil
}

// around is how many tokens a prompt has besides those of its text.
func (m *modelFlags) around() int {
	ids, err := m.words.Encode("")
	if err != nil {
		return 0
	}
	return len(ids)
}

// room refuses lengths, ascending, of which none holds a prompt.
func (m *modelFlags) room(lengths []int) error {
	if n := len(lengths); n > 0 && m.words != nil && m.around() >= lengths[n-1] {
		return console.Usagef("a prompt has %d tokens besides those of its text, of --tokenizer and --chat, and the model takes %d: no prompt would fit; compile for more, --length N or --dim NAME=N",
			m.around(), lengths[n-1])
	}
	return nil
}

// left says how many tokens lengths leave for a text.
func left(around int, lengths []int) string {
	var out []string
	for _, n := range lengths {
		free := "none"
		if n > around {
			free = fmt.Sprint(n - around)
		}
		out = append(out, fmt.Sprintf("%s of %d", free, n))
	}
	return strings.Join(out, ", ") + " for a prompt and its answer"
}
