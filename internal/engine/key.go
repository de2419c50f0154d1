package engine

import (
	"bytes"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

// Encode returns the key as the bytes of a prover key file. They are secret.
func (k *Key) Encode() []byte {
	m := &Keys{c: k.c, weights: loaded(k.data), secret: k.secret, id: k.id, points: k.set.Points}
	for i := range k.set.Rows {
		m.blinds = append(m.blinds, k.set.Rows[i].Blind)
	}
	var out bytes.Buffer
	out.Grow(KeySize(k.c))
	if err := m.WriteProverKey(&out); err != nil {
		panic("engine: " + err.Error()) // all is in memory
	}
	return out.Bytes()
}

// ReadKey decodes a prover key of a circuit.
func ReadKey(c *circuit.Circuit, data []byte) (*Key, error) {
	k, err := readKey(c, data)
	if err != nil {
		return nil, fmt.Errorf("prover key: %w", err)
	}
	return k, nil
}

// KeySize is the number of bytes of the prover key of a circuit: header, model ID, secret, two bytes per weight, and a commitment with its
// blinder per row.
func KeySize(c *circuit.Circuit) int {
	n := format.HeaderSize + 32 + 32 + 64*protocol.WeightLayout(c).Rows
	for _, t := range c.Weights() {
		n += 2 * circuit.Size(t.Shape)
	}
	return n
}

func readKey(c *circuit.Circuit, data []byte) (*Key, error) {
	r, err := format.NewReader(data, format.MagicProverKey, c.Digest())
	if err != nil {
		return nil, err
	}
	if err := r.Exactly(KeySize(c) - format.HeaderSize); err != nil {
		return nil, err
	}
	k := &Key{c: c, data: map[circuit.ID]backend.Tensor{}}
	copy(k.id[:], r.Raw(32))
	copy(k.secret[:], r.Raw(32))
	for _, t := range c.Weights() {
		v, err := r.Cells(t)
		if err != nil {
			return nil, fmt.Errorf("weight %s: %w", t.Name, err)
		}
		k.data[t.ID] = backend.Tensor{Shape: t.Shape, V: v}
	}
	layout := protocol.WeightLayout(c)
	blinds := make([]field.Element, layout.Rows)
	k.set.Points = make([]group.Affine, layout.Rows)
	for i := range blinds {
		if k.set.Points[i], err = r.Point(); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		if blinds[i], err = r.Scalar(); err != nil {
			return nil, fmt.Errorf("blinder %d: %w", i, err)
		}
	}
	k.commit(layout, blinds)
	if protocol.ModelID(c, k.set.Points) != k.id {
		return nil, fmt.Errorf("%w: its row commitments do not give its model ID", format.ErrModel)
	}
	return k, r.Close()
}
