package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
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

// Shown is what messages call a file: the standard input or output has a name in words.
func Shown(name, standard string) string {
	if name == Stdin {
		return "the standard " + standard
	}
	return name
}

// Spent is a standard input that was read already, for the flag that it names.
type Spent string

// Read implements io.Reader.
func (s Spent) Read([]byte) (int, error) {
	return 0, fmt.Errorf("it was read for %s, and can be read once", string(s))
}

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

// texts are the flags that say what was asked and told, in prover and verifier alike: as text or as a list of token ids; and the text that a
// model reads whole. Each has a twin with FileSuffix that names a file.
var texts = [...]string{"prompt", "tokens", "answer", "answer-tokens", TextFlag}

// TextFlag takes the text that a model reads whole, MessagesFlag a file with a conversation, of which there is no twin.
const (
	TextFlag     = "text"
	MessagesFlag = "messages"
)

// same are flags of which one alone is given.
var same = [][]string{append(withTwins(texts[0:2]), MessagesFlag), withTwins(texts[2:4]), withTwins(texts[4:])}

// TextFlags are all flags that say what was asked and told.
func TextFlags() []string { return slices.Concat(same...) }

// Given are those of TextFlags that were given, with their values. The empty text is one too.
type Given map[string]string

// Check refuses two flags that say the same, and two files that are the standard input.
func (g Given) Check() error {
	for _, flags := range same {
		if both := g.among(flags...); len(both) > 1 {
			return fmt.Errorf("give only one of --%s and --%s", both[0], both[1])
		}
	}
	return ReadOnce(g.Standard()...)
}

// Standard lists the flags among them whose file is the standard input.
func (g Given) Standard() (out []string) {
	for _, name := range g.Files() {
		if g[name] == Stdin {
			out = append(out, "--"+name)
		}
	}
	return out
}

// ReadOnce refuses two flags that take the standard input.
func ReadOnce(standard ...string) error {
	if len(standard) > 1 {
		return fmt.Errorf("the standard input is read once, for %s or for %s", standard[0], standard[1])
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
	return slices.DeleteFunc(g.among(TextFlags()...), func(name string) bool { return name != MessagesFlag && !strings.HasSuffix(name, FileSuffix) })
}

func withTwins(flags []string) (out []string) {
	for _, f := range flags {
		out = append(out, f, f+FileSuffix)
	}
	return out
}

// Read reads the files that are named, once: a text that is in one has its own entry then, and a conversation the entry that named its file.
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
