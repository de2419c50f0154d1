package export

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// How weights are drawn: normally distributed, matrices, biases and embeddings around 0, gains of norms around 1.
const (
	deviation = 0.02
	spread    = 0.1 // of gains
	epsilon   = 1e-5
)

// tensor is one whose cells are made when they are written.
type tensor struct {
	name  string
	kind  int32 // element type
	shape []int
	cells func() func() float64 // starts at the first cell, and goes on by one with each call
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func (t *tensor) bytes() int64 {
	size := 4
	if t.kind == float16Type {
		size = 2
	}
	return int64(count(t.shape)) * int64(size)
}

// encode appends the next n cells.
func (t *tensor) encode(to []byte, next func() float64, n int) []byte {
	for range n {
		if x := float32(next()); t.kind == float16Type {
			to = binary.LittleEndian.AppendUint16(to, half(x))
		} else {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(x))
		}
	}
	return to
}

// drawn gives the cells of a tensor by its name alone, in whatever order tensors are written. They are drawn in single precision: the last
// bits of what the library draws differ between platforms.
func drawn(seed uint64, name string, mean, dev float64) func() func() float64 {
	return func() func() float64 {
		h := fnv.New64a()
		io.WriteString(h, name)
		rng := rand.New(rand.NewPCG(seed, h.Sum64()))
		return func() float64 { return mean + float64(dev*float64(float32(rng.NormFloat64()))) }
	}
}

// half rounds to the nearest number of 16 bits, of two the even one, and to infinity from 65520 on.
func half(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, size := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case size > 0x7f800000: // no number
		return sign | 0x7e00
	case size >= 0x477ff000:
		return sign | 0x7c00
	case size < 0x38800000: // below the least normal number, multiples of 2^-24
		multiple, _ := portable.Int64(math.RoundToEven(math.Ldexp(float64(math.Float32frombits(size)), 24)))
		return sign | uint16(multiple)
	}
	size += 0xfff + size>>13&1
	return sign | uint16(size>>13-(127-15)<<10)
}

// chunk is how many cells are made at a time.
const chunk = 1 << 16

// Write writes the model's files into a folder, which is made if there is none. Both appear when they are complete, or neither; existing
// ones are an error unless they are to be replaced. At no time is more than a part of a tensor in memory.
func (m *Model) Write(ctx context.Context, dir string, replace bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	o := atomicfile.Options{Mode: 0o644, Replace: replace}
	data, err := atomicfile.Create(filepath.Join(dir, DataFile), o)
	if err != nil {
		return err
	}
	defer data.Discard()
	model, err := atomicfile.Create(filepath.Join(dir, ModelFile), o)
	if err != nil {
		return err
	}
	defer model.Discard()
	for _, t := range m.external {
		if err := t.write(ctx, data); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	bytes, err := m.marshal()
	if err != nil {
		return err
	}
	if _, err := model.Write(bytes); err != nil {
		return err
	}
	_, err = atomicfile.CommitAll(nil, data, model)
	return err
}

func (t *tensor) write(ctx context.Context, w io.Writer) error {
	next, buf := t.cells(), make([]byte, 0, 4*chunk)
	for rest := count(t.shape); rest > 0; rest -= chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(t.encode(buf, next, min(rest, chunk))); err != nil {
			return err
		}
	}
	return nil
}
