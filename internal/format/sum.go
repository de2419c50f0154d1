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

// Checked reads a file with a checksum from its beginning, and hashes what is read, so that what was decoded is what the checksum is of. It
// reads and hashes a block while the one before is decoded.
type Checked struct {
	file   io.ReaderAt
	size   int64
	sum    hash.Hash
	blocks chan []byte // in order
	used   chan []byte // blocks whose memory may be written again
	block  []byte      // what is being read
	rest   []byte      // of it
	err    error       // why there are no more blocks, once they are closed
}

// A block, and how many there are.
const (
	checkedBlock  = 1 << 20
	checkedBlocks = 3
)

// ReadSummed begins to read a file of the given size, whose last bytes are the checksum. It ends with Finish, which is to be called.
func ReadSummed(file io.ReaderAt, size int64) *Checked {
	c := &Checked{file: file, size: size, sum: sha256.New(), blocks: make(chan []byte), used: make(chan []byte, checkedBlocks)}
	for range checkedBlocks {
		c.used <- nil
	}
	go c.read()
	return c
}

// read reads and hashes all blocks.
func (c *Checked) read() {
	defer close(c.blocks)
	for at, end := int64(0), c.size-SumSize; at < end; {
		block := <-c.used
		if block == nil {
			block = make([]byte, min(checkedBlock, end-at))
		}
		block = block[:min(int64(len(block)), end-at)]
		if n, err := c.file.ReadAt(block, at); n < len(block) {
			c.err = err
			if err == io.EOF {
				c.err = io.ErrUnexpectedEOF
			}
			return
		}
		c.sum.Write(block)
		at += int64(len(block))
		c.blocks <- block
	}
}

// Read implements io.Reader.
func (c *Checked) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.block != nil {
			c.used <- c.block
		}
		next, ok := <-c.blocks
		if c.block, c.rest = next, next; !ok {
			if c.err != nil {
				return 0, c.err
			}
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
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
