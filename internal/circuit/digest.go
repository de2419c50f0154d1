package circuit

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// encoder writes the canonical encoding: every integer as 8 bytes big-endian, every list and string behind its length.
type encoder struct{ h io.Writer }

func (e encoder) int(v int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	e.h.Write(b[:])
}

func (e encoder) bool(v bool) {
	if v {
		e.int(1)
	} else {
		e.int(0)
	}
}

func (e encoder) string(s string) {
	e.int(int64(len(s)))
	e.h.Write([]byte(s))
}

func (e encoder) ints(v []int) {
	e.int(int64(len(v)))
	for _, x := range v {
		e.int(int64(x))
	}
}

func (e encoder) int64s(v []int64) {
	e.int(int64(len(v)))
	buf := make([]byte, 0, 4096)
	for _, x := range v {
		buf = binary.BigEndian.AppendUint64(buf, uint64(x))
		if len(buf) == cap(buf) {
			e.h.Write(buf)
			buf = buf[:0]
		}
	}
	e.h.Write(buf)
}

func (e encoder) ids(v []ID) {
	e.int(int64(len(v)))
	for _, x := range v {
		e.int(int64(x))
	}
}

func (e encoder) axes(v [][]int) {
	e.int(int64(len(v)))
	for _, a := range v {
		e.ints(a)
	}
}

// encodingVersion changes whenever the encoding or the meaning of anything in it changes.
const encodingVersion = 2

func (c *Circuit) computeDigest() [32]byte {
	h := sha256.New()
	c.Encode(h)
	return [32]byte(h.Sum(nil))
}

// Encode writes the canonical encoding, whose SHA-256 is the digest, to a writer that does not fail. SPEC.md describes it; a
// second implementation of the verifier can read circuits from it.
func (c *Circuit) Encode(w io.Writer) {
	e := encoder{w}
	e.string("zkllmc circuit")
	e.int(encodingVersion)
	e.string(c.Name)
	e.int(int64(c.WeightBits))
	e.int(int64(c.WitnessBits))
	e.int(int64(len(c.Ports)))
	for i := range c.Ports {
		e.h.Write(c.Ports[i].Bytes())
		e.int(int64(c.Ports[i].T))
	}
	e.bool(c.Generation != nil)
	if c.Generation != nil {
		e.int(c.Generation.Pad)
	}
	e.int(int64(len(c.Tensors)))
	for i := range c.Tensors {
		c.Tensors[i].encode(e)
	}
	e.int(int64(len(c.Tables)))
	for _, t := range c.Tables {
		e.string(t.Name)
		e.int(int64(t.Mult))
		e.int(int64(len(t.Cols)))
		for _, col := range t.Cols {
			e.int64s(col)
		}
	}
	e.int(int64(len(c.Lookups)))
	for _, l := range c.Lookups {
		e.int(int64(l.Table))
		e.ids(l.Cols)
	}
	e.ids(c.Zeros)
	e.int(int64(len(c.Hints)))
	for _, h := range c.Hints {
		e.int(int64(h.Kind))
		e.ids(h.In)
		e.ids(h.Out)
		e.int64s(h.Params)
		e.int(int64(h.Table))
	}
}

func (t *Tensor) encode(e encoder) {
	e.string(t.Name)
	e.int(int64(t.Kind))
	e.ints(t.Shape)
	e.int(t.Lo)
	e.int(t.Hi)
	e.int(int64(t.View))
	e.int(int64(t.Port))
	e.int64s(t.Values)
	e.bool(t.Mult)
	e.string(t.Why)
	e.int(int64(len(t.Def)))
	for _, d := range t.Def {
		e.int(d.Coef)
		e.ints(d.Extents)
		e.axes(d.Out)
		e.int(int64(len(d.Factors)))
		for _, f := range d.Factors {
			e.int(int64(f.T))
			e.axes(f.Axes)
		}
	}
}
