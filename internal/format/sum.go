package format

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Prover key and weights file end in the SHA-256 of all that stands before it, so that a disk's or a copy's error is told as such, and not
// as a proof that does not verify, or not at all. It is no protection from whoever can write the file.

// SumSize is the number of bytes of the checksum.
const SumSize = sha256.Size

// ErrDamaged says that a file is not as it was written.
var ErrDamaged = errors.New("the file is damaged: it does not give the checksum at its end")

// Summed passes on what is written to it, and the checksum of that at the end.
type Summed struct {
	to  io.Writer
	sum hash.Hash
}

// NewSummed begins a file with a checksum.
func NewSummed(to io.Writer) *Summed { return &Summed{to, sha256.New()} }

// Write implements io.Writer.
func (s *Summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.sum.Write(p[:n])
	return n, err
}

// Finish writes the checksum.
func (s *Summed) Finish() error {
	_, err := s.to.Write(s.sum.Sum(nil))
	return err
}

// Checked reads a file with a checksum from its beginning, and hashes what is read, so that what was decoded is what the checksum is of.
type Checked struct {
	io.Reader
	file io.ReaderAt
	size int64
	sum  hash.Hash
}

// ReadSummed begins to read a file of the given size, whose last bytes are the checksum.
func ReadSummed(file io.ReaderAt, size int64) *Checked {
	h := sha256.New()
	return &Checked{io.TeeReader(io.NewSectionReader(file, 0, size-SumSize), h), file, size, h}
}

// Finish reads what is left up to the checksum, compares that, and returns the error of whoever decoded, if the file is not to blame.
func (c *Checked) Finish(decoding error) error {
	if _, err := io.Copy(io.Discard, c); err != nil {
		return fmt.Errorf("reading up to the checksum: %w", err)
	}
	stored, err := readAt(c.file, c.size-SumSize, SumSize)
	if err != nil {
		return err
	}
	if string(stored) != string(c.sum.Sum(nil)) {
		return ErrDamaged
	}
	return decoding
}
