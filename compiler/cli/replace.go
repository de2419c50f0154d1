package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/zkllmc/zkllmc/codegen"
	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/sealed"
)

// loss is what a compilation would take from a folder: what that holds instead, what is replaced, and what comes of it.
type loss struct{ holds, replaces, then string }

// replaceable refuses to write over what others hold something of: the code of another circuit, which keys, statements and proofs are made
// for; another tokenizer, with which the verifiers that are out there compare texts; the weights of another model, which keys are made of.
// With --force it says what is replaced.
func (o *output) replaceable(stderr io.Writer, desc manifest, files []codegen.SourceFile) error {
	old, err := readManifest(o.dir)
	if err != nil {
		return nil
	}
	losses, err := o.losses(old, desc, files)
	if err != nil {
		return err
	}
	for _, l := range losses {
		if !o.force {
			return console.Askedf("%s holds %s; %s: choose another folder, or add --force to replace it", o.dir, l.holds, l.then)
		}
		fmt.Fprintf(stderr, "%s: replaces %s; %s\n", o.dir, l.replaces, l.then)
	}
	return nil
}

// losses lists what a folder with an older manifest would lose.
func (o *output) losses(old, desc manifest, files []codegen.SourceFile) (out []loss, err error) {
	if old.Digest != desc.Digest {
		was, is := format.BriefText(old.Digest, desc.Digest), format.BriefText(desc.Digest, old.Digest)
		return []loss{{fmt.Sprintf("another circuit, %s of %s, and this is %s of %s", was, old.Name, is, desc.Name), fmt.Sprintf("circuit %s of %s", was, old.Name), "keys, statements and proofs made for that do not fit the new code"}}, nil
	}
	if old.Tokenizer != desc.Tokenizer {
		was, is := cmp.Or(old.Tokenizer, "none"), cmp.Or(desc.Tokenizer, "none")
		out = append(out, loss{fmt.Sprintf("the same circuit with another tokenizer or template, %s, and this is %s", format.BriefText(was, is), format.BriefText(is, was)),
			"the tokenizer", "verifiers built from the old code encode texts otherwise"})
	}
	if sealed.Is(filepath.Join(o.dir, compiler.WeightsFile)) {
		return append(out, loss{"the same circuit with weights that are encrypted, and may be others, in " + compiler.WeightsFile, "the encrypted weights", "where they are others, keys that setup made of them go on proving the old model"}), nil
	}
	i := slices.IndexFunc(files, func(f codegen.SourceFile) bool { return f.Path == compiler.WeightsFile })
	other, err := otherWeights(filepath.Join(o.dir, compiler.WeightsFile), files[i].Write)
	if other {
		out = append(out, loss{"the same circuit with other weights, in " + compiler.WeightsFile, "the weights", "keys that setup made of the old ones go on proving the old model"})
	}
	return out, err
}

// otherWeights says whether a file holds other weights of the circuit than those that write writes. Weights of another circuit beside a
// manifest of this one are what a compilation that was killed left there: no setup takes them with the code.
func otherWeights(name string, write func(io.Writer) error) (bool, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() { // which is never written over
		return false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, console.Unusable(err)
	}
	defer f.Close()
	c := &comparison{with: bufio.NewReader(f)}
	b := bufio.NewWriter(c)
	if err = write(b); err == nil {
		err = b.Flush()
	}
	switch {
	case errors.Is(err, errDiffers):
		return c.at >= format.HeaderSize, nil
	case err != nil:
		return false, err
	}
	_, err = c.with.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		return false, console.Unusable(err)
	}
	return err == nil, nil
}

// errDiffers ends what is compared.
var errDiffers = errors.New("differs")

// comparison is a file that is compared with what is written to it.
type comparison struct {
	with *bufio.Reader
	at   int64 // bytes that were alike
	buf  []byte
}

func (c *comparison) Write(p []byte) (int, error) {
	c.buf = append(c.buf[:0], p...)
	n, err := io.ReadFull(c.with, c.buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, console.Unusable(err)
	}
	for i := range n {
		if c.buf[i] != p[i] {
			return 0, errDiffers
		}
		c.at++
	}
	if n < len(p) {
		return 0, errDiffers
	}
	return len(p), nil
}
