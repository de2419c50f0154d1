package engine

import (
	"bytes"
	"fmt"

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
	k, err := readKey(f, data)
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

func readKey(f *circuit.Family, data []byte) (*Key, error) {
	r, err := format.NewReader(data, format.MagicProverKey, f.Digest())
	if err != nil {
		return nil, err
	}
	if err := r.Exactly(KeySize(f) - format.HeaderSize); err != nil {
		return nil, err
	}
	if err := r.Summed(data); err != nil {
		return nil, err
	}
	k := &Key{f: f}
	copy(k.id[:], r.Raw(32))
	copy(k.secret[:], r.Raw(32))
	c, weights := f.Shortest(), map[circuit.ID]integer.Tensor{}
	for _, t := range c.Weights() {
		v, err := r.Cells(t)
		if err != nil {
			return nil, fmt.Errorf("weight %s: %w", t.Name, err)
		}
		weights[t.ID] = integer.Tensor{Shape: t.Shape, Short: v}
	}
	var points []byte
	blinds := make([]field.Element, protocol.WeightLayout(c).Rows)
	k.points = make([]group.Affine, len(blinds))
	for i := range blinds {
		points = append(points, r.Raw(group.Bytes)...)
		if blinds[i], err = r.Scalar(); err != nil {
			return nil, fmt.Errorf("blinder %d: %w", i, err)
		}
	}
	if err := format.Elements(points).Points(k.points); err != nil {
		return nil, fmt.Errorf("commitments to rows: %w", err)
	}
	k.commit(weights, blinds)
	if protocol.ModelID(f, k.points) != k.id {
		return nil, fmt.Errorf("%w: its row commitments do not give its model ID", format.ErrModel)
	}
	return k, r.Close()
}
