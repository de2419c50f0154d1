package verifier

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// messages bounds everything in a proof but the commitments to rows, generously: it grows with the circuit's depth and the
// logarithm of its size only.
const messages = 64 << 20

// maxID bounds a file with a model ID.
const maxID = 1 << 10

func keyLimit(f *circuit.Family) int64 {
	return messages + group.Bytes*int64(protocol.WeightLayout(f.Shortest()).Rows)
}

func proofLimit(f *circuit.Family) int64 {
	rows := 0
	for _, c := range f.Members() {
		rows = max(rows, commit.NewLayout(c, circuit.Witness, c.WitnessBits).Rows)
	}
	return messages + group.Bytes*int64(rows)
}

// statementLimit allows 8 bytes for every element of every port.
func statementLimit(f *circuit.Family) int64 {
	limit := int64(1 << 10)
	for _, p := range f.Longest().Ports {
		limit += 16 + 8*int64(circuit.Size(p.Shape))
	}
	return limit
}

// read reads a file of a kind, of at most limit bytes, or the standard input.
func (a *app) read(what, name, magic string, limit int64) ([]byte, error) {
	data, err := console.ReadArtefactFrom(name, a.stdin, magic, limit)
	if err != nil {
		return nil, &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("%s: %w", what, err)}
	}
	return data, nil
}

// keyFile reads the verifying key of a file, the model's own where none is named, and returns what messages call it.
func (a *app) keyFile(name string) (string, []byte, error) {
	if name == "" && a.m.Key != nil {
		return "the key of the bundle", a.m.Key, nil
	}
	data, err := a.read("verifying key", name, format.MagicVerifyingKey, keyLimit(a.f))
	return console.Shown(name, "input"), data, err
}

// named refuses a key that is not of the model that its sender names.
func (a *app) named(id [32]byte) error {
	if a.m.ID == "" || a.m.ID == fmt.Sprintf("%x", id) {
		return nil
	}
	return &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("the key of the bundle is of the model %x, its card says %s", id, a.m.ID)}
}

// foreign says that a file is not of the kind, version and circuit of this verifier.
func foreign(err error) bool {
	return errors.Is(err, format.ErrMagic) || errors.Is(err, format.ErrVersion) || errors.Is(err, format.ErrCircuit)
}

// malformed says that a file is no canonical encoding of what it should be.
func malformed(err error) bool {
	return errors.Is(err, format.ErrTruncated) || errors.Is(err, format.ErrTrailing) || errors.Is(err, format.ErrEncoding)
}

// errEmpty says that a file holds nothing, which is the commonest way to be damaged.
var errEmpty = errors.New("the file is empty")

// about puts the file's name before an error about what is in it.
func about(name string, data []byte, err error) error {
	if len(data) == 0 {
		err = errEmpty
	}
	return fmt.Errorf("%s: %w", name, err)
}

// keyFailure says what an error about a verifying key means.
func keyFailure(name string, data []byte, err error) error {
	f := &console.Failure{Code: console.Internal, Err: about(name, data, err)}
	switch {
	case foreign(err):
		f.Code = console.Unreadable
		f.Err = fmt.Errorf("%w; take the model.vk that belongs to this verifier, or build the verifier again from the same model", f.Err)
	case malformed(err):
		f.Code = console.Unreadable
		f.Err = fmt.Errorf("%w; the file is damaged, get it again", f.Err)
	case errors.Is(err, verifier.ErrPinned):
		f.Code, f.Class = console.Rejected, "model mismatch"
	case errors.Is(err, veil.ErrRejected), errors.Is(err, veil.ErrForbidden):
		f.Code, f.Class = console.Rejected, "final argument"
		f.Err = fmt.Errorf("%s does not show that the weights lie in their declared ranges; get it again from whoever set up the model, and do not use this one", name)
	}
	return f
}

// statementFailure says what an error about a statement means.
func statementFailure(name string, data []byte, err error) error {
	f := &console.Failure{Code: console.Rejected, Class: "statement", Err: about(name, data, err)}
	if foreign(err) {
		f.Code = console.Unreadable
		f.Err = fmt.Errorf("%w; the statement must come from the prover that was generated with this verifier", f.Err)
	}
	return f
}

// proofModel is where a proof holds its model's ID: behind the header.
const proofModel = format.HeaderSize

// proofFailure says what an error about a proof of a statement about a circuit means. Whatever is not recognised is a rejection too.
func (a *app) proofFailure(o verifyOptions, key [32]byte, c *circuit.Circuit, proof []byte, err error) error {
	f := &console.Failure{Code: console.Rejected, Class: "protocol", Err: about(o.proof, proof, err)}
	_, member, _ := format.NewMemberReader(proof, format.MagicProof, a.f)
	switch {
	case foreign(err) && member != nil: // though not of c
		f.Class = "circuit mismatch"
		f.Err = fmt.Errorf("the statement %s is about %s, the proof %s about %s: the two do not belong together; get both again", o.statement, c.Extent(), o.proof, member.Extent())
	case foreign(err):
		f.Code = console.Unreadable
		f.Err = fmt.Errorf("%w; the proof must come from the prover that was generated with this verifier", f.Err)
	case errors.Is(err, format.ErrModel):
		f.Class = "model mismatch"
		about := [32]byte(proof[proofModel:])
		f.Err = fmt.Errorf("%s is a proof about another model: about %s, the verifying key %s is of %s", o.proof, format.Brief(about, key), o.vk, format.Brief(key, about))
	case malformed(err):
		f.Class = "decoding"
	case errors.Is(err, veil.ErrRejected), errors.Is(err, veil.ErrForbidden):
		f.Class = "final argument"
		f.Err = fmt.Errorf("%s does not show the statement %s for this model; see that the two belong together, and get both again", o.proof, o.statement)
	}
	return f
}

// pinned returns the model ID that the caller trusts.
func (a *app) pinned(id, file string) ([32]byte, error) {
	from := "--id"
	if file != "" {
		data, err := console.ReadFile(file, a.stdin, maxID)
		file = console.Shown(file, "input")
		switch {
		case err == nil && len(data) == 0:
			err = fmt.Errorf("%s: %w", file, errEmpty)
		case errors.Is(err, atomicfile.ErrSize):
			err = fmt.Errorf("%w; a model ID has 64 hexadecimal digits", err)
		}
		if err != nil {
			return [32]byte{}, &console.Failure{Code: console.Unreadable, Err: fmt.Errorf("model ID: %w", err)}
		}
		id, from = string(data), file
	}
	parsed, err := verifier.ParseModelID(id)
	if err != nil {
		code := console.Usage
		if file != "" {
			code = console.Unreadable
		}
		return [32]byte{}, &console.Failure{Code: code, Err: fmt.Errorf("%s: %w", from, err)}
	}
	return parsed, nil
}

// vocabulary returns what texts are shown with: the given file, else what was compiled in, else nil.
func (a *app) vocabulary(file string) (tokens.Tokenizer, error) {
	if a.c.Generation == nil {
		if file != "" {
			return nil, console.Usagef("verify: --vocab is for models that continue prompts")
		}
		return nil, nil
	}
	t, err := reading.Vocabulary(a.c.Generation.Vocab, file, a.m.Vocab)
	if err != nil {
		return nil, &console.Failure{Code: console.Unreadable, Err: err}
	}
	return t, nil
}
