package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
)

// Work is a folder in which a setup in pieces keeps what it has made, so that one that was killed goes on where it was. It holds
//
//   - seed: the fresh bytes from which, with the family and all weights, the prover's secret and the blinders of the commitments follow.
//     It is as secret as the prover's key, and encrypted where that is to be;
//   - rows-N and proof-N: commitments and range proof of piece N. They are public one day.
//
// Nothing in it is believed for being there. Each file of a piece ends in a tag under a key that follows from the seed, the family and all
// weights: what belongs to others, or is damaged, is made anew. Commitments are what they should be where the proofs about them verify. A
// proof is never made of randomness that another one had: its pads come from fresh bytes, not from the seed. A nil *Work keeps nothing.
type Work struct {
	Seal Sealer // of the seed; at first it is kept in the clear

	dir      string
	key      []byte
	unproved map[int]bool // the pieces whose rows this process wrote, without a proof about them yet
}

// Sealer encrypts what is secret before it is kept, and opens it again.
type Sealer interface {
	Seal(data []byte) ([]byte, error)
	Open(data []byte) ([]byte, error)
}

// plain keeps things as they are.
type plain struct{}

func (plain) Seal(data []byte) ([]byte, error) { return data, nil }
func (plain) Open(data []byte) ([]byte, error) { return data, nil }

// maxSeed bounds the file of the seed, which may be encrypted for many.
const maxSeed = 1 << 20

const seedFile = "seed"

func rowsFile(piece int) string { return fmt.Sprintf("rows-%d", piece) }

func proofFile(piece int) string { return fmt.Sprintf("proof-%d", piece) }

// OpenWork makes the folder, or takes the one that is there if nobody but its owner can read or write in it.
func OpenWork(dir string) (*Work, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := private(dir, fs.ModeDir); err != nil {
		return nil, err
	}
	return &Work{Seal: plain{}, dir: dir, unproved: map[int]bool{}}, nil
}

// private says whether a file or folder is one, and its owner's alone: others could else choose the blinders.
func private(name string, kind fs.FileMode) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode.Type() != kind || mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%s (%v) is not its owner's alone, as what an unfinished setup leaves is; remove it", name, mode)
	}
	return nil
}

// Remove removes the seed, then what else this package wrote into the folder, and the folder if it is empty then: what others put there
// stays.
func (w *Work) Remove() error {
	if w == nil {
		return nil
	}
	if err := os.Remove(filepath.Join(w.dir, seedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // with all the rest, so that a setup may go on
	}
	entries, err := os.ReadDir(w.dir)
	for _, e := range entries {
		name := e.Name()
		if of, temp := atomicfile.TempOf(name); temp {
			name = of
		}
		if written(name) && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(w.dir, e.Name())))
		}
	}
	_ = os.Remove(w.dir) // fails where something is in it
	return err
}

// written says whether this package writes files of a name.
func written(name string) bool {
	_, number, _ := strings.Cut(name, "-")
	piece, err := strconv.Atoi(number)
	return name == seedFile || err == nil && piece >= 0 && (name == rowsFile(piece) || name == proofFile(piece))
}

// fresh returns the bytes of the seed: those that are there, or else the given ones, which it keeps.
func (w *Work) fresh(ctx context.Context, bytes []byte) ([]byte, error) {
	if w == nil {
		return bytes, nil
	}
	name := filepath.Join(w.dir, seedFile)
	err := private(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		kept, err := w.Seal.Seal(bytes)
		if err == nil {
			err = atomicfile.Write(ctx, name, kept, atomicfile.Options{})
		}
		return bytes, err
	}
	if err != nil {
		return nil, err
	}
	stored, err := atomicfile.Read(name, maxSeed)
	if err == nil {
		stored, err = w.Seal.Open(stored)
	}
	if err == nil && len(stored) != freshSize {
		err = fmt.Errorf("%s has %d bytes and not %d: it is damaged, remove it", name, len(stored), freshSize)
	}
	return stored, err
}

// begin derives the key of the tags.
func (w *Work) begin(rnd *randomness) {
	if w != nil {
		w.key = rnd.bytes("work", 32)
	}
}

func (w *Work) tag(file string, data []byte) []byte {
	h := hmac.New(sha256.New, w.key)
	fmt.Fprintf(h, "%d %s", len(file), file)
	h.Write(data)
	return h.Sum(nil)
}

// read returns the n bytes of a file, if it is there and was written by a setup of these weights under this seed.
func (w *Work) read(file string, n int) ([]byte, bool) {
	if w == nil {
		return nil, false
	}
	data, err := atomicfile.Read(filepath.Join(w.dir, file), int64(n+sha256.Size))
	if err != nil || len(data) != n+sha256.Size {
		return nil, false
	}
	return data[:n:n], hmac.Equal(data[n:], w.tag(file, data[:n]))
}

// writeRows keeps the commitments of a piece.
func (w *Work) writeRows(ctx context.Context, piece int, points []group.Affine) error {
	if w == nil {
		return nil
	}
	w.unproved[piece] = true
	return w.write(ctx, rowsFile(piece), encodePoints(points))
}

// writeProof keeps the proof of a piece, which verifies.
func (w *Work) writeProof(ctx context.Context, piece int, proof []byte) error {
	delete(w.unproved, piece)
	return w.write(ctx, proofFile(piece), proof)
}

// disbelieve removes the commitments that a device wrote which failed later, but for those about which a proof was verified.
func (w *Work) disbelieve() (err error) {
	if w == nil {
		return nil
	}
	for piece := range w.unproved {
		if e := os.Remove(filepath.Join(w.dir, rowsFile(piece))); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	clear(w.unproved)
	return err
}

func (w *Work) write(ctx context.Context, file string, data []byte) error {
	return atomicfile.Write(ctx, filepath.Join(w.dir, file), append(data[:len(data):len(data)], w.tag(file, data)...), atomicfile.Options{Replace: true})
}

func encodePoints(points []group.Affine) []byte {
	var w format.Writer
	for i := range points {
		w.Point(points[i])
	}
	return w.Bytes()
}

func decodePoints(data []byte) ([]group.Affine, error) {
	r, points := format.Elements(data), make([]group.Affine, len(data)/group.Bytes)
	if err := r.Points(points); err != nil {
		return nil, err
	}
	return points, r.Close()
}
