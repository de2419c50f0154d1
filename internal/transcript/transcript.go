// Package transcript is the Fiat–Shamir transcript: SHAKE256 of the standard library over length-prefixed, labelled items, its
// state chained after every squeeze.
//
// # Byte layout
//
// u64(n) is n as eight big-endian bytes; str(s) is u64(len(s)) followed by the bytes of s. The hash instance starts empty.
//
//	New(protocol)        hash ← 0x00 str(protocol)
//	Absorb(label, data)  hash ← 0x01 str(label) str(data)
//	squeeze(kind, label, n):
//	                     hash ← kind str(label) u64(n)
//	                     read 64 + n bytes from the hash: state (64), output (n)
//	                     start an empty hash; hash ← 0x05 state
//
// The kinds are 0x02 for Challenge (n = 64; the output read as a big-endian integer is reduced modulo p), 0x03 for Short (n = 16;
// the low 125 bits x of the output read big-endian give x·2^-128 mod p) and 0x04 for ChallengeBytes.
//
// Scalars are absorbed as the concatenation of their 32-byte encodings, points likewise: AbsorbScalars and AbsorbPoints equal
// Absorb of these bytes.
package transcript

import (
	"crypto/sha3"
	"encoding/binary"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// Domain bytes; see the package comment.
const (
	kindInit   byte = 0
	kindAbsorb byte = 1
	kindFull   byte = 2
	kindShort  byte = 3
	kindBytes  byte = 4
	kindChain  byte = 5
)

const (
	stateBytes = 64
	fullBytes  = 64
	shortBytes = 16
)

// Source is what protocol code asks of a transcript. Real provers and verifiers use *Transcript; a test may supply another
// source, for instance one whose challenges are frozen, to show that the attack it enables fails on the real one.
type Source interface {
	// Absorb binds labelled bytes.
	Absorb(label string, data []byte)
	// AbsorbScalars binds labelled field elements.
	AbsorbScalars(label string, es []field.Element)
	// AbsorbPoints binds labelled group elements.
	AbsorbPoints(label string, ps []group.Affine)
	// Challenge draws a challenge of full size.
	Challenge(label string) field.Element
	// Short draws a challenge of 125 bits; see field.ShortChallenge.
	Short(label string) field.Element
	// ChallengeBytes draws n bytes.
	ChallengeBytes(label string, n int) []byte
}

// Transcript is a SHAKE256 transcript. It is not safe for concurrent use.
type Transcript struct {
	hash   *sha3.SHAKE
	record func(kind, label string, n int)
	buf    []byte
}

var _ Source = (*Transcript)(nil)

// New starts a transcript for a protocol, named with its version.
func New(protocol string) *Transcript {
	t := &Transcript{hash: sha3.NewSHAKE256()}
	t.item(kindInit, protocol)
	t.flush()
	return t
}

// Record calls f after every operation with its kind ("absorb", "challenge", "short", "bytes"), its label and the number of bytes
// absorbed or squeezed. Tests compare the calls with a stored schedule.
func (t *Transcript) Record(f func(kind, label string, n int)) { t.record = f }

// Absorb binds labelled bytes.
func (t *Transcript) Absorb(label string, data []byte) {
	t.open(label, len(data))
	t.flush()
	t.write(data)
	t.note("absorb", label, len(data))
}

// AbsorbScalars binds labelled field elements.
func (t *Transcript) AbsorbScalars(label string, es []field.Element) {
	t.open(label, len(es)*field.Bytes)
	for i := range es {
		t.buf = field.Encode(t.buf, &es[i])
		t.flushLarge()
	}
	t.flush()
	t.note("absorb", label, len(es)*field.Bytes)
}

// AbsorbPoints binds labelled group elements.
func (t *Transcript) AbsorbPoints(label string, ps []group.Affine) {
	t.open(label, len(ps)*group.Bytes)
	for i := range ps {
		t.buf = group.Encode(t.buf, &ps[i])
		t.flushLarge()
	}
	t.flush()
	t.note("absorb", label, len(ps)*group.Bytes)
}

// Challenge draws a challenge of full size: 512 bits reduced modulo p.
func (t *Transcript) Challenge(label string) field.Element {
	var out [fullBytes]byte
	t.squeeze(kindFull, label, out[:])
	t.note("challenge", label, fullBytes)
	return field.Uniform(out[:])
}

// Short draws a challenge of 125 bits; see field.ShortChallenge.
func (t *Transcript) Short(label string) field.Element {
	var out [shortBytes]byte
	t.squeeze(kindShort, label, out[:])
	t.note("short", label, shortBytes)
	return field.ShortChallenge(out)
}

// ChallengeBytes draws n bytes.
func (t *Transcript) ChallengeBytes(label string, n int) []byte {
	out := make([]byte, n)
	t.squeeze(kindBytes, label, out)
	t.note("bytes", label, n)
	return out
}

// squeeze fills out and chains the state.
func (t *Transcript) squeeze(kind byte, label string, out []byte) {
	t.item(kind, label)
	t.buf = binary.BigEndian.AppendUint64(t.buf, uint64(len(out)))
	t.flush()
	var state [stateBytes]byte
	t.read(state[:])
	t.read(out)
	t.hash.Reset()
	t.buf = append(t.buf, kindChain)
	t.buf = append(t.buf, state[:]...)
	t.flush()
}

// open starts an absorbed item of n bytes.
func (t *Transcript) open(label string, n int) {
	t.item(kindAbsorb, label)
	t.buf = binary.BigEndian.AppendUint64(t.buf, uint64(n))
}

// item buffers a domain byte and a label.
func (t *Transcript) item(kind byte, label string) {
	t.buf = append(t.buf, kind)
	t.buf = binary.BigEndian.AppendUint64(t.buf, uint64(len(label)))
	t.buf = append(t.buf, label...)
}

func (t *Transcript) flush() {
	t.write(t.buf)
	t.buf = t.buf[:0]
}

// flushLarge keeps the buffer small while a long item is written.
func (t *Transcript) flushLarge() {
	if len(t.buf) >= 1<<12 {
		t.flush()
	}
}

// write and read drop the errors of the hash's interfaces: SHAKE never returns one.
func (t *Transcript) write(b []byte) { _, _ = t.hash.Write(b) }
func (t *Transcript) read(b []byte)  { _, _ = t.hash.Read(b) }

func (t *Transcript) note(kind, label string, n int) {
	if t.record != nil {
		t.record(kind, label, n)
	}
}
