// Package format parses and writes every artefact that is stored or sent; SPEC.md describes the bytes. All integers are
// big-endian. Every artefact begins with an 8-byte magic, a 4-byte version and a 32-byte digest: of a statement and of a proof that of
// their circuit, of all others that of the family. Decoding is strict: every length is compared with what the circuit asks for before
// anything is allocated, scalars must be reduced, points canonical and on the curve, and no byte may be left over.
package format

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// Version is the version of all artefacts.
const Version = 1

// HeaderSize is the number of bytes of magic, version and digest.
const HeaderSize = 8 + 4 + 32

// The magics of the artefacts.
const (
	MagicVerifyingKey = "zkllm-vk"
	MagicProverKey    = "zkllm-pk"
	MagicProof        = "zkllm-pf"
	MagicWeights      = "zkllm-wt"
	MagicStatement    = "zkllm-st"
	MagicCircuit      = "zkllm-ci"
)

// IntroSealed begins every artefact that is encrypted, as the format of age has it (age-encryption.org/v1). Package sealed opens them.
const IntroSealed = "age-encryption.org/v1\n"

var names = map[string]string{
	MagicVerifyingKey: "a verifying key", MagicProverKey: "a prover key", MagicProof: "a proof",
	MagicWeights: "a weights file", MagicStatement: "a statement", MagicCircuit: "a circuit file",
}

// Errors of decoding, wrapped with what was being read.
var (
	ErrTruncated = errors.New("the data ends early")
	ErrTrailing  = errors.New("there are bytes behind the end")
	ErrMagic     = errors.New("the data is of another kind")
	ErrVersion   = errors.New("the data is of another version")
	ErrCircuit   = errors.New("the data belongs to another circuit")
	ErrModel     = errors.New("the data belongs to another model")
	ErrEncoding  = errors.New("not a canonical encoding")
)

// Unreadable says that data is not of the kind, version and circuit that were asked for, or no canonical encoding of that.
func Unreadable(err error) bool {
	for _, e := range []error{ErrTruncated, ErrTrailing, ErrMagic, ErrVersion, ErrCircuit, ErrEncoding} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Writer builds an artefact.
type Writer struct{ b []byte }

// NewWriter starts an artefact of the given kind for the circuit, or the family, with this digest.
func NewWriter(magic string, digest [32]byte) *Writer {
	w := &Writer{}
	w.b = append(w.b, magic...)
	w.Uint32(Version)
	w.Raw(digest[:])
	return w
}

// Raw appends bytes as they are.
func (w *Writer) Raw(b []byte) { w.b = append(w.b, b...) }

// Uint32 appends an integer.
func (w *Writer) Uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

// Point appends a compressed point.
func (w *Writer) Point(p group.Affine) { w.b = group.Encode(w.b, &p) }

// Scalar appends a field element.
func (w *Writer) Scalar(s field.Element) { w.b = field.Encode(w.b, &s) }

// Bytes returns the artefact.
func (w *Writer) Bytes() []byte { return w.b }

// Reader takes an artefact apart. After an error all further reads fail.
type Reader struct {
	b   []byte
	err error
}

// NewReader checks kind, version and digest of an artefact and returns a reader of what follows.
func NewReader(data []byte, magic string, digest [32]byte) (*Reader, error) {
	r, got := header(data, magic)
	if r.err == nil && got != digest {
		return nil, fmt.Errorf("%w: digest %s, want %s", ErrCircuit, Brief(got, digest), Brief(digest, got))
	}
	return r, r.err
}

// Brief shortens a digest or an ID for a message that holds others too: to 16 hexadecimal digits, or as many as tell it from each of them.
func Brief(digest [32]byte, others ...[32]byte) string {
	var texts []string
	for _, o := range others {
		texts = append(texts, hex.EncodeToString(o[:]))
	}
	return BriefText(hex.EncodeToString(digest[:]), texts...)
}

// BriefText is Brief of what is hexadecimal already, or another short text.
func BriefText(digest string, others ...string) string {
	n := 16
	for n < len(digest) && slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(o, digest[:n]) }) {
		n++
	}
	if n >= len(digest) {
		return digest
	}
	return digest[:n] + "…"
}

// NewMemberReader is NewReader for an artefact of a member of a family, which it returns too.
func NewMemberReader(data []byte, magic string, f *circuit.Family) (*Reader, *circuit.Circuit, error) {
	r, got := header(data, magic)
	if r.err != nil {
		return nil, nil, r.err
	}
	c := f.Member(got)
	if c == nil {
		var want []string
		var digests [][32]byte
		for _, c := range f.Members() {
			digests = append(digests, c.Digest())
			want = append(want, Brief(c.Digest(), got))
		}
		return nil, nil, fmt.Errorf("%w: digest %s, want %s", ErrCircuit, Brief(got, digests...), strings.Join(want, " or "))
	}
	return r, c, nil
}

// NewProofReader is NewReader for a proof about a circuit, of the model with the given ID, which stands before the elements.
func NewProofReader(data []byte, digest, model [32]byte) (*Reader, error) {
	r, err := NewReader(data, MagicProof, digest)
	if err != nil {
		return nil, err
	}
	id := r.Raw(len(model))
	if id == nil {
		return nil, ErrTruncated
	}
	if [32]byte(id) != model {
		return nil, ErrModel
	}
	return r, nil
}

// NewCircuitReader checks kind and version of a circuit file, and returns the digest that its circuits have to give, with a reader of what
// follows.
func NewCircuitReader(data []byte) (r *Reader, digest [32]byte, err error) {
	r, digest = header(data, MagicCircuit)
	return r, digest, r.err
}

// header checks kind and version of an artefact and returns its digest.
func header(data []byte, magic string) (r *Reader, digest [32]byte) {
	r = &Reader{b: data}
	got := string(r.Raw(len(magic)))
	if kind, ok := names[got]; r.err == nil && got != magic && ok {
		r.err = fmt.Errorf("%w: it is %s, not %s", ErrMagic, kind, names[magic])
	} else if r.err == nil && got != magic {
		r.err = fmt.Errorf("%w: it is not %s", ErrMagic, names[magic])
	}
	if v := r.Uint32(); r.err == nil && v != Version {
		r.err = fmt.Errorf("%w: version %d, want %d", ErrVersion, v, Version)
	}
	copy(digest[:], r.Raw(32))
	return r, digest
}

// Elements reads points and scalars that no header stands before.
func Elements(data []byte) *Reader { return &Reader{b: data} }

// Raw returns the next n bytes, which alias the artefact.
func (r *Reader) Raw(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.b)) {
		r.err = ErrTruncated
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// Uint32 returns the next integer, 0 after an error.
func (r *Reader) Uint32() uint32 {
	if b := r.Raw(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Int16 returns the next integer, 0 after an error.
func (r *Reader) Int16() int16 {
	if b := r.Raw(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Points reads the next len(out) points, which takes much less time than one by one. After an error what out has means nothing.
func (r *Reader) Points(out []group.Affine) error {
	b := r.Raw(group.Bytes * len(out))
	if r.err != nil {
		return r.err
	}
	if err := group.DecodeMany(out, b); err != nil {
		r.err = fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return r.err
}

// Scalar returns the next field element.
func (r *Reader) Scalar() (field.Element, error) {
	b := r.Raw(32)
	if r.err != nil {
		return field.Element{}, r.err
	}
	s, err := field.Decode(b)
	if err != nil {
		r.err = fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return s, r.err
}

// Exactly says whether n bytes are left, no fewer and no more. Whoever knows the size of what follows asks before he reads it, so that
// nobody makes him work for what is refused in the end.
func (r *Reader) Exactly(n int) error {
	if r.err == nil {
		r.err = Exactly(int64(len(r.b)), int64(n))
	}
	return r.err
}

// Exactly says whether there are as many bytes as wanted, no fewer and no more.
func Exactly(got, want int64) error {
	switch {
	case got < want:
		return fmt.Errorf("%w: %d bytes are missing", ErrTruncated, want-got)
	case got > want:
		return fmt.Errorf("%w: %d bytes", ErrTrailing, got-want)
	}
	return nil
}

// Remaining is the number of bytes left.
func (r *Reader) Remaining() int { return len(r.b) }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Close returns the first error, or ErrTrailing if bytes are left.
func (r *Reader) Close() error { return r.Exactly(0) }
