// Package vocab reads the tokenizers that models are compiled with, and holds the templates of chats that have a name.
package vocab

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/tokens/huggingface"
)

// IsHuggingFace says whether a file is a tokenizer.json: the others have no model in them.
func IsHuggingFace(file []byte) bool {
	var f struct {
		Model json.RawMessage `json:"model"`
	}
	return json.Unmarshal(file, &f) == nil && f.Model != nil
}

// Parse reads the file of a tokenizer, of any kind. A template is for a tokenizer.json.
func Parse(file, template []byte) (tokens.Tokenizer, error) {
	if IsHuggingFace(file) {
		return huggingface.Parse(file, template)
	}
	if template != nil {
		return nil, fmt.Errorf("no template for this tokenizer: %w with special tokens, as a tokenizer.json is", tokens.ErrVocabulary)
	}
	return tokens.Parse(file)
}

//go:embed templates
var templates embed.FS

const folder = "templates"

// Names lists the templates.
func Names() []string {
	entries, err := templates.ReadDir(folder)
	if err != nil {
		panic(err) // they are part of the program
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(out)
	return out
}

// Template returns the template with a name.
func Template(name string) ([]byte, bool) {
	data, err := templates.ReadFile(path.Join(folder, name+".json"))
	return data, err == nil && slices.Contains(Names(), name)
}

// EndAlone is the template that says which token ends an answer, and leaves texts as they are.
func EndAlone(token string) []byte {
	data, err := json.Marshal(map[string]string{"end": token})
	if err != nil {
		panic(err) // strings have no other
	}
	return append(data, '\n')
}
