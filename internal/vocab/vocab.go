// Package vocab reads the tokenizers that models are compiled with, and holds the templates of chats that have a name.
package vocab

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
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

// The files of a model's folder that texts are read with, as compile writes them.
const (
	Folder         = "vocab"
	TemplateFile   = "template.json"
	HuggingFile    = "tokenizer.json"
	VocabularyFile = "vocab.json" // of any other kind
)

// maxTemplate is the largest file of a template that is read.
const maxTemplate = 1 << 20

// ReadFolder reads tokenizer and template of a folder that compile wrote; nil if there is none.
func ReadFolder(dir string) (tokenizer, template []byte, err error) {
	for _, name := range []string{HuggingFile, VocabularyFile} {
		if tokenizer == nil && err == nil {
			tokenizer, err = atomicfile.ReadOptional(filepath.Join(dir, Folder, name), tokens.MaxFile)
		}
	}
	if err == nil {
		template, err = atomicfile.ReadOptional(filepath.Join(dir, Folder, TemplateFile), maxTemplate)
	}
	return tokenizer, template, err
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
