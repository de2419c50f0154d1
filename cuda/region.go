package cuda

import (
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// What kernels read of a box of a tensor's cells, as region.cuh has it.
type (
	walk   struct{ extent, stride uint64 }
	region struct {
		tensor                       device.Tensor
		high, from, firstWalk, walks uint64
	}
)

// shapeOf is the shape of a part.
func shapeOf(p backend.Part) []int {
	if p.Box == nil {
		return p.T.(*tensor).shape
	}
	shape := make([]int, len(p.Box))
	for a, r := range p.Box {
		shape[a] = r.Hi - r.Lo
	}
	return shape
}

// boxes tells the device of parts, whose tensors have memory. A part without a tensor is an empty box.
func (p *program) boxes(s *device.Scratch, parts ...backend.Part) (regions, walks uint64) {
	var all []walk
	list := make([]region, len(parts))
	for i, part := range parts {
		if part.T == nil {
			continue
		}
		t := part.T.(*tensor)
		r := region{tensor: device.Tensor{At: t.at, Size: t.size}, high: uint64(t.high), firstWalk: uint64(len(all))}
		stride := uint64(1)
		for a := len(t.shape) - 1; a >= 0; a-- {
			cut := backend.Range{Hi: t.shape[a]}
			if part.Box != nil {
				cut = part.Box[a]
			}
			n := uint64(cut.Hi - cut.Lo)
			r.from += uint64(cut.Lo) * stride
			switch last := len(all) - 1; {
			case n == 1:
			case last >= int(r.firstWalk) && all[last].extent*all[last].stride == stride:
				all[last].extent *= n
			default:
				all = append(all, walk{n, stride})
			}
			stride *= uint64(t.shape[a])
		}
		r.walks = uint64(len(all)) - r.firstWalk
		list[i] = r
	}
	var k pack
	at, steps := put(&k, list), put(&k, all)
	base := k.send(s)
	return base + at, base + steps
}
