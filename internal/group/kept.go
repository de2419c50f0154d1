package group

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// A folder may keep generators from one run of a program to the next. Deriving one takes a square root for each try; a file has for each
// generator the number of the try that found it, and the ordinate:
//
//	magic (8 bytes) || u32(1) || u16 length of the tag || tag || u32 n || n × (try, a byte || y, 32 bytes big-endian, reduced)
//	|| SHA-256 of everything before
//
// Nothing in it is believed. The digest finds accidents. Against whoever can write the file stands that every generator is hashed again:
// its abscissa is what tag, index and try are hashed to, whose last bit says which of the two ordinates is meant, and the point must be on the
// curve. What a file could say falsely is the try, a later one that hits the curve as well: that is another hash of the same tag and index,
// to whose logarithm nobody knows more, and nobody's but those generators that honest provers use have honest proofs. So a false file makes
// a verifier reject, and never accept.
const (
	keptMagic = "zkllm-gn"
	keptEntry = 1 + fp.Bytes
	keptMost  = 1 << 20 // generators of a tag, so that a file's size is bounded before it is read
	keepMany  = 256     // fewer are derived as fast as a file is found
)

// Keeper reads and writes files of generators by their names. Write may fail without a word: what is not kept is derived again.
type Keeper struct {
	Read  func(name string, most int64) ([]byte, error)
	Write func(name string, data []byte)
}

var keeper atomic.Pointer[Keeper]

// KeepIn makes this process keep generators in files of a folder, which is made when it is needed, or in none if its name is empty. Programs
// call it as they begin, with a folder that is their user's own; where files cannot be read or written generators are derived.
func KeepIn(folder string) {
	if folder == "" {
		KeepBy(nil)
		return
	}
	KeepBy(&Keeper{
		Read: func(name string, most int64) ([]byte, error) {
			name = filepath.Join(folder, name)
			info, err := os.Stat(name)
			if err == nil && !info.Mode().IsRegular() {
				err = os.ErrInvalid // a pipe would never end
			}
			if err != nil {
				return nil, err
			}
			return atomicfile.Read(name, most)
		},
		Write: func(name string, data []byte) {
			if os.MkdirAll(folder, 0o700) == nil {
				_ = atomicfile.Write(context.Background(), filepath.Join(folder, name), data, atomicfile.Options{Replace: true})
			}
		},
	})
}

// KeepBy is KeepIn where there is no folder; nil keeps nothing.
func KeepBy(k *Keeper) { keeper.Store(k) }

// keptName is the name of the file of a tag.
func keptName(tag string) string { return strings.ReplaceAll(tag, "/", "-") }

// keptHead is what a file of so many generators begins with.
func keptHead(tag string, n int) []byte {
	b := binary.BigEndian.AppendUint32([]byte(keptMagic), 1)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(tag))), tag...)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// restore fills out from start on with generators from the file of a tag, as far as it has them. It returns where it ended: at start if
// anything is wrong with the file.
func restore(tag string, out derived, start int) (end int) {
	k := keeper.Load()
	if k == nil {
		return start
	}
	data, err := k.Read(keptName(tag), int64(len(keptHead(tag, 0))+keptEntry*keptMost+sha256.Size))
	if err != nil {
		return start
	}
	n := (len(data) - len(keptHead(tag, 0)) - sha256.Size) / keptEntry
	head := keptHead(tag, n)
	if n < 1 || len(data) != len(head)+keptEntry*n+sha256.Size || !bytes.HasPrefix(data, head) {
		return start
	}
	body := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(body):]) {
		return start
	}
	entries, wrong := body[len(head):], atomic.Bool{}
	end = max(start, min(n, len(out.points)))
	(*parallel.Pool)(nil).Chunks(end-start, rootsBatch, func(_, lo, hi int) {
		for i := start + lo; i < start+hi; i++ {
			entry := entries[keptEntry*i:][:keptEntry]
			p, ok := certified(tag, i, entry[0], entry[1:])
			if out.points[i], out.tries[i] = p, entry[0]; !ok {
				wrong.Store(true)
			}
		}
	})
	if wrong.Load() {
		return start
	}
	return end
}

// certified is the point of a try with an ordinate, if that is one of a generator's.
func certified(tag string, i int, try uint8, y []byte) (p Affine, ok bool) {
	odd := hashTo(&p.X, tag, i, int(try))
	if p.Y.SetBytesCanonical(y) != nil || isOdd(&p.Y) != odd {
		return p, false
	}
	var square coord
	square.Square(&p.Y)
	cube := cubeLess17(&p.X)
	return p, square.Equal(&cube)
}

// keep writes a tag's file.
func keep(tag string, d derived) {
	k := keeper.Load()
	if k == nil || len(d.points) > keptMost {
		return
	}
	b := keptHead(tag, len(d.points))
	for i := range d.points {
		y := d.points[i].Y.Bytes()
		b = append(append(b, d.tries[i]), y[:]...)
	}
	sum := sha256.Sum256(b)
	k.Write(keptName(tag), append(b, sum[:]...))
}
