package cuda

import (
	"math"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
)

// hints are the kinds that the device knows, by their names: what computes each, if the parameters are right.
var hints = map[string]func(*hinted, *circuit.Hint) bool{
	circuit.HintRescale.String(): (*hinted).rescale,
	circuit.HintClamp.String():   (*hinted).clamp,
	circuit.HintWide.String():    (*hinted).wide,
	circuit.HintLimbs.String():   (*hinted).limbs,
	circuit.HintTable.String():   (*hinted).table,
	circuit.HintRsqrt.String():   (*hinted).rsqrt,
	circuit.HintRecip.String():   (*hinted).recip,
	circuit.HintAttn.String():    (*hinted).attention,
}

// hinted is a hint as it is computed.
type hinted struct {
	*backend.Hint
	p *program
	s *device.Scratch
	n int // cells
}

// Hint computes what a hint yields. A wide input is only for those that round it.
func (p *program) Hint(h *backend.Hint) (known, defined bool) {
	compute, ok := hints[h.Kind]
	if !ok {
		return false, false
	}
	p.enter()
	defer p.leave()
	rounds := h.Kind == circuit.HintRescale.String() || h.Kind == circuit.HintClamp.String() || h.Kind == circuit.HintWide.String()
	for _, part := range h.In {
		if part.T != nil && p.filled(part.T).wide && !rounds {
			return false, false
		}
	}
	for _, part := range h.Out {
		p.written(part)
	}
	defined = true
	p.within(func(s *device.Scratch) {
		defined = compute(&hinted{h, p, s, cellsOf(shapeOf(h.In[0]))}, &circuit.Hint{Params: h.Params})
	})
	return true, defined
}

// run starts a kernel for all boxes, inputs first.
func (h *hinted) run(kernel string, args ...uint64) {
	boxes, walks := h.p.boxes(h.s, append(append([]backend.Part{}, h.In...), h.Out...)...)
	h.s.Takes(0, 0, 8*h.n*(len(h.In)+len(h.Out)))
	h.s.Run(kernel, blocks(h.n), device.Dim{threads}, append([]uint64{boxes, walks, uint64(h.n)}, args...)...)
}

// integers are numbers with sign as arguments of a kernel.
func integers(values ...int64) []uint64 {
	return mapped(values, func(v int64) uint64 { return uint64(v) })
}

// results is how many tensors a hint yields.
func (h *hinted) results() int64 { return int64(len(h.Out)) }

func (h *hinted) rescale(own *circuit.Hint) bool {
	p, ok := own.Rescale()
	if ok {
		h.run("rescale_hint", integers(p.Shift)...)
	}
	return ok
}

func (h *hinted) clamp(own *circuit.Hint) bool {
	p, ok := own.Clamp()
	if ok {
		h.run("clamp_hint", integers(h.results(), p.Shift, p.Lo, p.Hi, p.First, p.Radix)...)
	}
	return ok
}

func (h *hinted) wide(own *circuit.Hint) bool {
	p, ok := own.Wide()
	if ok {
		h.run("wide_hint", integers(h.results(), p.Shift, p.Lo, p.Hi, p.Digits, p.Width, p.First, p.Radix)...)
	}
	return ok
}

func (h *hinted) limbs(own *circuit.Hint) bool {
	p, ok := own.Limbs()
	if ok {
		h.run("limbs_hint", integers(h.results(), p.Radix)...)
	}
	return ok
}

func (h *hinted) rsqrt(own *circuit.Hint) bool { return h.quotient(own, 1) }

func (h *hinted) recip(own *circuit.Hint) bool { return h.quotient(own, 0) }

func (h *hinted) quotient(own *circuit.Hint, root int64) bool {
	p, ok := own.Quotient()
	if ok = ok && p.Num >= 0; ok {
		h.run("quotient_hint", integers(h.results(), p.Num, p.Radix, root)...)
	}
	return ok
}

// column is a column of the hint's table.
func (h *hinted) column(i int64) []uint64 {
	t := h.Table[i].(*tensor)
	return []uint64{uint64(t.at), uint64(t.size)}
}

// defined runs a kernel that says for which cell a hint is not defined.
func (h *hinted) defined(run func(bad uint64)) bool {
	bad := []uint64{math.MaxUint64}
	at := h.s.Put(device.Bytes(bad))
	run(uint64(at))
	h.s.Get(device.Bytes(bad), at)
	return bad[0] == math.MaxUint64
}

func (h *hinted) table(own *circuit.Hint) bool {
	p, ok := own.Lookup()
	return ok && h.defined(func(bad uint64) {
		args := append(append(h.column(0), h.column(p.Column)...), uint64(h.Table[0].Len()), uint64(p.First), bad)
		h.run("table_hint", args...)
	})
}

func (h *hinted) attention(own *circuit.Hint) bool {
	p, ok := own.Attn()
	if !ok {
		return false
	}
	shape, masked := shapeOf(h.In[0]), 0
	if h.In[1].T != nil {
		masked = cellsOf(shapeOf(h.In[1]))
	}
	n := shape[len(shape)-1]
	return h.defined(func(bad uint64) {
		const threads = 32
		boxes, walks := h.p.boxes(h.s, append(append([]backend.Part{}, h.In...), h.Out...)...)
		args := append([]uint64{boxes, walks, uint64(n), uint64(masked)}, integers(p.Limbs, p.Shift, p.DBits, p.Offset, p.Lo, p.Radix)...)
		h.s.Takes(0, 0, 8*h.n*(3+len(h.Out)))
		h.s.Run("attention_hint", device.Dim{h.n / n}, device.Dim{threads}, append(append(args, h.column(1)...), bad)...)
	})
}
