package engine

import (
	"bytes"
	"fmt"
	"io"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// Encode returns the key as the bytes of a prover key file. They are secret.
func (k *Key) Encode() []byte {
	m := &Keys{f: k.f, weights: loaded(k.members[0].data), secret: k.secret, id: k.id, points: k.points, blinds: k.blinds}
	var out bytes.Buffer
	out.Grow(KeySize(k.f))
	if err := m.WriteProverKey(&out); err != nil {
		panic("engine: " + err.Error()) // all is in memory
	}
	return out.Bytes()
}

// ReadKey decodes a prover key of a family.
func ReadKey(f *circuit.Family, data []byte) (*Key, error) {
	return OpenKey(f, bytes.NewReader(data), int64(len(data)))
}

// OpenKey reads a prover key of a family from a file of the given size, once: what it is made of is what the checksum is of.
func OpenKey(f *circuit.Family, file io.ReaderAt, size int64) (*Key, error) {
	k, err := readKey(f, file, size)
	if err != nil {
		return nil, fmt.Errorf("prover key: %w", err)
	}
	return k, nil
}

// KeySize is the number of bytes of the prover key of a family: header, model ID, secret, two bytes per weight, a commitment with its
// blinder per row, and a checksum.
func KeySize(f *circuit.Family) int {
	c := f.Shortest()
	n := format.HeaderSize + 32 + 32 + 64*protocol.WeightLayout(c).Rows + format.SumSize
	for _, t := range c.Weights() {
		n += 2 * circuit.Size(t.Shape)
	}
	return n
}

func readKey(f *circuit.Family, file io.ReaderAt, size int64) (*Key, error) {
	head := make([]byte, min(size, format.HeaderSize))
	if n, err := file.ReadAt(head, 0); n < len(head) {
		return nil, err
	}
	if _, err := format.NewReader(head, format.MagicProverKey, f.Digest()); err != nil {
		return nil, err
	}
	if err := format.Exactly(size, int64(KeySize(f))); err != nil {
		return nil, err
	}
	in, k := format.ReadSummed(file, size), &Key{f: f}
	return k, in.Finish(k.decode(in))
}

// decode reads a key that is as long as it should be, up to its checksum.
func (k *Key) decode(in io.Reader) error {
	var head [format.HeaderSize]byte
	for _, part := range [][]byte{head[:], k.id[:], k.secret[:]} {
		if _, err := io.ReadFull(in, part); err != nil {
			return err
		}
	}
	weights := map[circuit.ID]integer.Tensor{}
	for _, t := range k.f.Shortest().Weights() {
		v, err := format.ReadCells(in, t)
		if err != nil {
			return fmt.Errorf("weight %s: %w", t.Name, err)
		}
		weights[t.ID] = v
	}
	rows, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return k.readRows(format.Elements(rows), weights)
}

// readRows reads the commitments to the rows and their blinders.
func (k *Key) readRows(r *format.Reader, weights loaded) (err error) {
	var points []byte
	blinds := make([]field.Element, protocol.WeightLayout(k.f.Shortest()).Rows)
	k.points = make([]group.Affine, len(blinds))
	for i := range blinds {
		points = append(points, r.Raw(group.Bytes)...)
		if blinds[i], err = r.Scalar(); err != nil {
			return fmt.Errorf("blinder %d: %w", i, err)
		}
	}
	if err := format.Elements(points).Points(k.points); err != nil {
		return fmt.Errorf("commitments to rows: %w", err)
	}
	k.commit(weights, blinds)
	if protocol.ModelID(k.f, k.points) != k.id {
		return fmt.Errorf("%w: its row commitments do not give its model ID", format.ErrModel)
	}
	return r.Close()
}
