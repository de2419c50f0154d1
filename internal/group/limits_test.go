package group

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// file builds a cache file piece by piece.
type file []byte

func (f file) text(s string) file  { return appendString(f, s) }
func (f file) count(n uint32) file { return binary.BigEndian.AppendUint32(f, n) }

func (f file) points(ps ...Affine) file {
	for i := range ps {
		raw := ps[i].RawBytes()
		f = append(f, raw[:]...)
	}
	return f
}

// sealed ends the file with its digest.
func (f file) sealed() []byte {
	d := sha256.Sum256(f)
	return append(slices.Clone(f), d[:]...)
}

func head() file { return file(slices.Clone(cacheMagic[:])).text(dst) }

// load gives a file to LoadGenerators.
func loadFile(b []byte) error { return LoadGenerators(bytes.NewReader(b)) }

// Files with the right digest that say what no cache says.
func TestCacheMalformed(t *testing.T) {
	g := Generators("test/limits", 0, 2)
	long := strings.Repeat("x", maxTagLen)
	unreduced := func(at int) []byte { // q in place of a coordinate
		f := head().count(1).text("test/limits").count(1).points(g[0])
		fp.Modulus().FillBytes(f[len(f)-2*fp.Bytes+at*fp.Bytes:][:fp.Bytes])
		return f.sealed()
	}
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"another magic":         file("zkllmcG2").text(dst).count(0).sealed(),
		"another domain":        file(slices.Clone(cacheMagic[:])).text("another").count(0).sealed(),
		"too many tags":         head().count(maxTags + 1).sealed(),
		"tags out of order":     head().count(2).text("b").count(0).text("a").count(0).sealed(),
		"a tag twice":           head().count(2).text("a").count(0).text("a").count(0).sealed(),
		"a long tag":            head().count(1).text(long + "x").count(0).sealed(),
		"too many points":       head().count(1).text("a").count(maxPerTag + 1).sealed(),
		"no tag":                head().count(1),
		"the neutral element":   head().count(1).text("test/limits").count(1).points(Affine{}).sealed(),
		"a point off the curve": head().count(1).text("test/limits").count(1).points(Affine{X: g[0].X, Y: g[1].Y}).sealed(),
		"an unreduced abscissa": unreduced(0),
		"an unreduced ordinate": unreduced(1),
	} {
		if err := loadFile(b); !errors.Is(err, ErrCache) || !errors.Is(err, errFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"no tags":        head().count(0).sealed(),
		"the longest":    head().count(1).text(long).count(0).sealed(),
		"tags in order":  head().count(2).text("a").count(0).text("b").count(0).sealed(),
		"its own points": head().count(1).text("test/limits").count(2).points(g...).sealed(),
	} {
		if err := loadFile(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that ends anywhere, without its digest or with that of what there is.
func TestCacheCut(t *testing.T) {
	f := head().count(1).text("test/limits").count(2).points(Generators("test/limits", 0, 2)...)
	for n := range f {
		if loadFile(f[:n]) == nil || loadFile(f[:n].sealed()) == nil {
			t.Errorf("%d bytes of %d are accepted", n, len(f))
		}
	}
	for n := 0; ; n++ { // a digest that ends in zero, without its end
		b := head().count(1).text("a" + strconv.Itoa(n)).count(0).sealed()
		if b[len(b)-1] == 0 {
			if loadFile(b[:len(b)-1]) == nil {
				t.Error("a digest without its last byte is accepted")
			}
			break
		}
	}
	if err := loadFile(f[:len(f)-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut in a point: %v", err)
	}
}

// A single forged point shows where generators were derived before: the random samples need not meet it.
func TestCacheAgainstDerived(t *testing.T) {
	g := slices.Clone(Generators("test/derived", 0, 400))
	g[200] = H()
	for range 3 {
		if err := loadFile(head().count(1).text("test/derived").count(400).points(g...).sealed()); !errors.Is(err, ErrCache) {
			t.Fatalf("a generator is replaced: %v", err)
		}
	}
}

// Indices of generators that do not exist.
func TestNegativeGenerators(t *testing.T) {
	for _, c := range [][2]int{{-1, 2}, {2, -1}, {-1, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("generators from %d, %d of them", c[0], c[1])
				}
			}()
			Generators("test/limits", c[0], c[1])
		}()
	}
}
