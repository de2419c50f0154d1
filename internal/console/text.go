package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// MaxText is the largest prompt, answer or list of tokens that is read, in bytes.
const MaxText = 1 << 20

// FileSuffix is what a flag that takes a text has behind its name where it takes a file with the text instead. Arguments of a command are
// seen by everybody on the machine and kept in the history of shells; files are not.
const FileSuffix = "-file"

// ReadText reads a text from a file, or from stdin if the name is "-". One line end behind it, which editors and echo leave, is no part
// of it: a text that ends with a line end has two. All else is taken as it is.
func ReadText(name string, stdin io.Reader) (string, error) {
	var data []byte
	var err error
	switch {
	case name != "-":
		data, err = atomicfile.Read(name, MaxText)
	case stdin == nil:
		err = errors.New("there is no standard input")
	default:
		data, err = io.ReadAll(io.LimitReader(stdin, MaxText+1))
		if err == nil && len(data) > MaxText {
			err = fmt.Errorf("%w: more than %d bytes", atomicfile.ErrSize, MaxText)
		}
		if err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
	}
	if rest, ok := bytes.CutSuffix(data, []byte("\n")); ok {
		data = bytes.TrimSuffix(rest, []byte("\r"))
	}
	return string(data), err
}

// Texts are the flags that say what was asked and told, in prover and verifier alike: as text or as a list of token ids. Each has a twin
// with FileSuffix that names a file.
var Texts = [...]string{"prompt", "tokens", "answer", "answer-tokens"}

// Given are the flags of Texts and their twins that were given, with their values. The empty text is one too.
type Given map[string]string

// Check refuses two flags that say the same, and two files that are the standard input.
func (g Given) Check() error {
	for i := 0; i < len(Texts); i += 2 {
		if both := g.among(Texts[i], Texts[i]+FileSuffix, Texts[i+1], Texts[i+1]+FileSuffix); len(both) > 1 {
			return fmt.Errorf("give only one of --%s and --%s", both[0], both[1])
		}
	}
	var standard []string
	for _, name := range g.Files() {
		if g[name] == "-" {
			standard = append(standard, name)
		}
	}
	if len(standard) > 1 {
		return fmt.Errorf("the standard input is read once, for --%s or for --%s", standard[0], standard[1])
	}
	return nil
}

func (g Given) among(names ...string) []string {
	var out []string
	for _, name := range names {
		if _, ok := g[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

// Files lists the flags among them that name files.
func (g Given) Files() []string {
	var names []string
	for _, t := range Texts {
		names = append(names, t+FileSuffix)
	}
	return g.among(names...)
}

// Read reads the files that are named: a text that is in one has its own entry then, too.
func (g Given) Read(stdin io.Reader) error {
	for _, name := range g.Files() {
		text, err := ReadText(g[name], stdin)
		if err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
		g[strings.TrimSuffix(name, FileSuffix)] = text
	}
	return nil
}

// Flag is how the caller gave a text: the name, or that of its twin.
func (g Given) Flag(name string) string {
	if _, ok := g[name+FileSuffix]; ok {
		return name + FileSuffix
	}
	return name
}
