package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// MaxText is the largest prompt, answer or list of tokens that is read, in bytes.
const MaxText = 1 << 20

// FileSuffix is what a flag that takes a text has behind its name where it takes a file with the text instead. Arguments of a command are
// seen by everybody on the machine and kept in the history of shells; files are not.
const FileSuffix = "-file"

// Stdin is what a flag takes for the standard input where it takes the name of a file.
const Stdin = "-"

// ReadFile reads a file of at most limit bytes, or stdin if the name is Stdin.
func ReadFile(name string, stdin io.Reader, limit int64) ([]byte, error) {
	if name != Stdin {
		return atomicfile.Read(name, limit)
	}
	if stdin == nil {
		return nil, errors.New("there is no standard input")
	}
	limit = min(limit, math.MaxInt64-1)
	data, err := io.ReadAll(io.LimitReader(stdin, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", atomicfile.ErrSize, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return data, nil
}

// ReadText reads a text with ReadFile. One line end behind it, which editors and echo leave, is no part of it: a text that ends with a line
// end has two. All else is taken as it is.
func ReadText(name string, stdin io.Reader) (string, error) {
	data, err := ReadFile(name, stdin, MaxText)
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
		if g[name] == Stdin {
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
