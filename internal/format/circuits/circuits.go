// Package circuits reads and writes circuit files: the circuits of a model, from which a verifier that was not generated for it checks
// proofs about it. SPEC.md describes the bytes.
//
// A file is believed in nothing. Its circuits are declared to a circuit.Builder, call by call, as generated code declares them, so that
// Finish refuses what it would refuse there; and their digests have to give the digest of the header, which is part of every model ID.
package circuits

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
)

// Encode writes the circuits of a family.
func Encode(f *circuit.Family) ([]byte, error) {
	e := &encoder{}
	e.family(f.Members())
	w := format.NewWriter(format.MagicCircuit, f.Digest())
	w.Uint32(uint32(len(f.Members())))
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(e.b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	w.Raw(packed.Bytes())
	return w.Bytes(), nil
}

// maxMembers bounds the circuits of a file.
const maxMembers = 64

// Decode reads a circuit file, and checks its circuits as Builder.Finish does. The context is looked at between circuits and between
// their tensors. Errors are those of package format, of the builder and of circuit.NewFamily.
func Decode(ctx context.Context, data []byte) (*circuit.Family, error) {
	r, digest, err := format.NewCircuitReader(data)
	if err != nil {
		return nil, err
	}
	n := r.Uint32()
	if r.Err() != nil {
		return nil, r.Err()
	}
	if n < 1 || n > maxMembers {
		return nil, fmt.Errorf("%w: %d circuits, want 1 to %d", format.ErrEncoding, n, maxMembers)
	}
	packed := bytes.NewReader(r.Raw(r.Remaining()))
	d := &decoder{ctx: ctx, in: newReader(flate.NewReader(packed))}
	members, err := d.family(int(n))
	if err == nil {
		err = d.end(packed)
	}
	if err != nil {
		return nil, err
	}
	f, err := circuit.NewFamily(members...)
	if err != nil {
		return nil, err
	}
	if f.Digest() != digest {
		return nil, fmt.Errorf("%w: its circuits have digest %x, its header says %x", format.ErrEncoding, f.Digest(), digest)
	}
	return f, nil
}

// end refuses bytes behind the last circuit, packed or not.
func (d *decoder) end(packed *bytes.Reader) error {
	if _, err := d.in.ReadByte(); err != io.EOF {
		if err != nil {
			return broken(err)
		}
		return format.ErrTrailing
	}
	return format.Exactly(int64(packed.Len()), 0)
}

// encoder writes integers as varints (zigzag), and every list and text behind its length.
type encoder struct{ b []byte }

func (e *encoder) int(v int64) { e.b = binary.AppendVarint(e.b, v) }

func (e *encoder) text(s string) {
	e.int(int64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) shape(v []int) {
	e.int(int64(len(v)))
	for _, x := range v {
		e.int(int64(x))
	}
}

func (e *encoder) axes(v [][]int) {
	e.int(int64(len(v)))
	for _, a := range v {
		e.shape(a)
	}
}

func (e *encoder) ids(v []circuit.ID) {
	e.int(int64(len(v)))
	for _, x := range v {
		e.int(int64(x))
	}
}

// cells writes a list as differences of neighbours, which are small where functions are smooth.
func (e *encoder) cells(v []int64) {
	e.int(int64(len(v)))
	last := int64(0)
	for _, x := range v {
		e.int(x - last) // wraps around as it does back
		last = x
	}
}

// family writes the tables that occur in any circuit, each once, then the circuits.
func (e *encoder) family(members []*circuit.Circuit) {
	pool := newPool()
	for _, c := range members {
		for i := range c.Tables {
			pool.add(&c.Tables[i])
		}
	}
	e.int(int64(len(pool.tables)))
	for _, t := range pool.tables {
		e.text(t.Name)
		e.int(int64(len(t.Cols)))
		for _, col := range t.Cols {
			e.cells(col)
		}
	}
	for _, c := range members {
		e.circuit(c, pool)
	}
}

func (e *encoder) circuit(c *circuit.Circuit, pool *pool) {
	e.text(c.Name)
	e.int(int64(c.WeightBits))
	e.int(int64(c.WitnessBits))
	pad := int64(-1) // of a function
	if c.Generation != nil {
		pad = c.Generation.Pad
	}
	e.int(pad)
	e.int(int64(len(c.Ports)))
	for i := range c.Ports {
		e.port(&c.Ports[i])
	}
	e.int(int64(len(c.Tables)))
	for i := range c.Tables {
		e.int(int64(pool.index(&c.Tables[i])))
	}
	e.int(int64(len(c.Tensors)))
	for i := range c.Tensors {
		e.tensor(&c.Tensors[i])
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
		e.cells(h.Params)
		e.int(int64(h.Table))
	}
}

// port writes what a port is declared with; an output's shape and bounds are those of its tensor.
func (e *encoder) port(p *circuit.Port) {
	e.text(p.Name)
	out := int64(0)
	if p.Out {
		out = 1
	}
	for _, v := range []int64{out, int64(p.Kind), int64(p.Scale), int64(p.Reveal), int64(p.T)} {
		e.int(v)
	}
	if !p.Out {
		e.shape(p.Shape)
		e.int(p.Lo)
		e.int(p.Hi)
	}
}

// tensor writes what a tensor is declared with. Multiplicities are those of the circuit's tables in their order.
func (e *encoder) tensor(t *circuit.Tensor) {
	if t.Mult {
		e.int(multiplicities)
		return
	}
	e.int(int64(t.Kind))
	e.text(t.Name)
	switch t.Kind {
	case circuit.Weight, circuit.Witness:
		e.shape(t.Shape)
		e.int(t.Lo)
		e.int(t.Hi)
	case circuit.Public:
		e.int(int64(t.View))
		e.int(int64(t.Port))
	case circuit.Const, circuit.Affine:
		e.shape(t.Shape)
		e.cells(t.Values)
	case circuit.Virtual:
		e.virtual(t)
	}
}

func (e *encoder) virtual(t *circuit.Tensor) {
	e.shape(t.Shape)
	e.text(t.Why)
	if t.Why != "" {
		e.int(t.Lo)
		e.int(t.Hi)
	}
	e.int(int64(len(t.Def)))
	for _, term := range t.Def {
		e.int(term.Coef)
		e.shape(term.Extents)
		e.axes(term.Out)
		e.int(int64(len(term.Factors)))
		for _, f := range term.Factors {
			e.int(int64(f.T))
			e.axes(f.Axes)
		}
	}
}

// multiplicities stands where a tensor's kind does, for those of the next table.
const multiplicities = 0
