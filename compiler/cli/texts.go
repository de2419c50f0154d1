package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
		in.Cut, in.From = true, fmt.Sprintf("%s, line %d", path, i+1)
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
