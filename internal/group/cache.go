package group

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/grumpkin"
	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// A cache file keeps derived generators between runs; deriving costs about 70 µs each, loading less than 1 µs.
//
//	magic (8 bytes) | u16 len(dst) dst | u32 number of tags
//	per tag, ascending:  u16 len(tag) tag | u32 n | n × (x, y), 32 bytes each, big-endian, reduced
//	SHA-256 of everything before (32 bytes)
//
// Trust. The digest in the file finds accidents, not an attacker: who can write the file can write its digest. A replaced
// generator with a known relation to another lets its author open commitments at will, so that a cache may be
// loaded only from where nobody else can write, such as the user's own cache directory with mode 0600, and is never shipped with
// keys, proofs or releases. LoadGenerators recomputes random samples, which refuses a file made by another version or forged
// at large, not one with a single forged point; LoadPinnedGenerators compares the digest with one that the caller obtained
// elsewhere, and a caller that needs certainty derives. A verifier of strangers' proofs derives what it needs.
var cacheMagic = [8]byte{'z', 'k', 'l', 'l', 'm', 'c', 'G', '1'}

// Limits of a cache file; a longer one is refused before memory is taken.
const (
	maxTags   = 1 << 12
	maxTagLen = 1 << 8
	maxPerTag = 1 << 26
)

const samplesPerTag = 4

// ErrCache is returned for a generator cache that is damaged, of another version, or holds a point that is not the generator.
var ErrCache = errors.New("group: generator cache refused")

// SaveGenerators writes all generators derived so far. The bytes depend on the set of generators only.
func SaveGenerators(w io.Writer) error {
	memo.Lock()
	points := maps.Clone(memo.byTag)
	memo.Unlock()
	tags := slices.Sorted(maps.Keys(points))

	h := sha256.New()
	buf := bufio.NewWriter(w)
	out := io.MultiWriter(buf, h)
	b := append([]byte(nil), cacheMagic[:]...)
	b = appendString(b, dst)
	b = binary.BigEndian.AppendUint32(b, uint32(len(tags)))
	for _, tag := range tags {
		b = appendString(b, tag)
		b = binary.BigEndian.AppendUint32(b, uint32(len(points[tag])))
		for i := range points[tag] {
			raw := points[tag][i].RawBytes()
			b = append(b, raw[:]...)
			if len(b) > 1<<15 {
				if _, err := out.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	if _, err := buf.Write(h.Sum(nil)); err != nil {
		return err
	}
	return buf.Flush()
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// LoadGenerators reads a cache into the memo. It checks the file's digest, that every point is on the curve, and recomputes
// random samples; see the comment on trust above. Nothing is taken from a file that fails.
func LoadGenerators(r io.Reader) error { return load(r, nil) }

// LoadPinnedGenerators is LoadGenerators for a file whose SHA-256 trailer the caller knows.
func LoadPinnedGenerators(r io.Reader, digest [sha256.Size]byte) error { return load(r, digest[:]) }

func load(r io.Reader, pinned []byte) error {
	c := &cacheReader{r: bufio.NewReader(r), h: sha256.New()}
	sets, err := c.read()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCache, err)
	}
	if pinned != nil && !bytes.Equal(pinned, c.digest) {
		return fmt.Errorf("%w: digest differs from the pinned one", ErrCache)
	}
	for _, s := range sets {
		if !s.sampled() {
			return fmt.Errorf("%w: %q: not the derived generators", ErrCache, s.tag)
		}
	}
	memo.Lock()
	defer memo.Unlock()
	for _, s := range sets {
		have := memo.byTag[s.tag]
		for i := range min(len(have), len(s.points)) {
			if !have[i].Equal(&s.points[i]) {
				return fmt.Errorf("%w: %q/%d differs from the derived generator", ErrCache, s.tag, i)
			}
		}
	}
	for _, s := range sets {
		if len(s.points) > len(memo.byTag[s.tag]) {
			memo.byTag[s.tag] = s.points
		}
	}
	return nil
}

// generatorSet is one tag of a cache file.
type generatorSet struct {
	tag    string
	points []Affine
}

// sampled recomputes a few generators at random positions.
func (s *generatorSet) sampled() bool {
	if len(s.points) == 0 {
		return true
	}
	var seed [8 * samplesPerTag]byte
	_, _ = rand.Read(seed[:]) // never fails since Go 1.24
	for k := range samplesPerTag {
		i := int(binary.BigEndian.Uint64(seed[8*k:]) % uint64(len(s.points)))
		g := generator(s.tag, i)
		if !g.Equal(&s.points[i]) {
			return false
		}
	}
	return true
}

// cacheReader reads a cache file and hashes what it reads.
type cacheReader struct {
	r      *bufio.Reader
	h      hash.Hash
	digest []byte
	buf    [grumpkin.SizeOfG1AffineUncompressed]byte
}

var errFormat = errors.New("malformed")

func (c *cacheReader) read() ([]generatorSet, error) {
	head, err := c.take(len(cacheMagic))
	if err != nil || !bytes.Equal(head, cacheMagic[:]) {
		return nil, errFormat
	}
	if s, err := c.text(); err != nil || s != dst {
		return nil, errFormat
	}
	n, err := c.count(maxTags)
	if err != nil {
		return nil, err
	}
	var sets []generatorSet
	for range n {
		tag, err := c.text()
		if err != nil || len(sets) > 0 && tag <= sets[len(sets)-1].tag {
			return nil, errFormat
		}
		points, err := c.points()
		if err != nil {
			return nil, err
		}
		sets = append(sets, generatorSet{tag, points})
	}
	return sets, c.trailer()
}

// trailer compares the digest and refuses trailing bytes.
func (c *cacheReader) trailer() error {
	c.digest = c.h.Sum(nil)
	var got [sha256.Size]byte
	if _, err := io.ReadFull(c.r, got[:]); err != nil || !bytes.Equal(got[:], c.digest) {
		return errors.New("digest differs")
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		return errFormat
	}
	return nil
}

// points reads the points of a tag; memory grows with what is read, not with the count announced.
func (c *cacheReader) points() ([]Affine, error) {
	n, err := c.count(maxPerTag)
	if err != nil {
		return nil, err
	}
	var out []Affine
	for range n {
		b, err := c.take(len(c.buf))
		if err != nil {
			return nil, err
		}
		var p Affine
		if p.X, err = fp.BigEndian.Element((*[fp.Bytes]byte)(b)); err != nil {
			return nil, errFormat
		}
		if p.Y, err = fp.BigEndian.Element((*[fp.Bytes]byte)(b[fp.Bytes:])); err != nil {
			return nil, errFormat
		}
		if p.IsInfinity() || !p.IsOnCurve() {
			return nil, errFormat
		}
		out = append(out, p)
	}
	return slices.Clip(out), nil
}

// take reads n ≤ len(buf) bytes; they are valid until the next call.
func (c *cacheReader) take(n int) ([]byte, error) {
	if _, err := io.ReadFull(c.r, c.buf[:n]); err != nil {
		return nil, err
	}
	c.h.Write(c.buf[:n])
	return c.buf[:n], nil
}

func (c *cacheReader) count(limit uint32) (int, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(b)
	if n > limit {
		return 0, errFormat
	}
	return int(n), nil
}

func (c *cacheReader) text() (string, error) {
	b, err := c.take(2)
	if err != nil {
		return "", err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > maxTagLen {
		return "", errFormat
	}
	var s []byte
	for len(s) < n {
		if b, err = c.take(min(n-len(s), len(c.buf))); err != nil {
			return "", err
		}
		s = append(s, b...)
	}
	return string(s), nil
}
