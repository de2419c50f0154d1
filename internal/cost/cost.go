// Package cost says what the proofs about a circuit cost before one is made: what there is to do, counted, and how long that takes and how
// much memory it needs with the CPU backend. Seconds are those of a machine: of the reference, or of one that was measured (Rates). What a circuit is
// made of never depends on that.
package cost

import (
	"cmp"
	"maps"
	"regexp"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/witness"
)

// Part is what a part of a circuit adds to the work of a proof. Its numbers depend on the circuit only.
type Part struct {
	Weights  int64 `json:"weights"`  // cells of weights
	Witness  int64 `json:"witness"`  // committed cells, multiplicities of tables among them
	Virtual  int64 `json:"virtual"`  // cells that are sums of products, those of wide tensors twice
	Products int64 `json:"products"` // products of integers in these sums
	Lookups  int64 `json:"lookups"`  // cells that are looked up, and lines of tables
	// leaves of the fraction tree that are computed: these, and padding among them, without what clamps leave over if nothing is clamped
	Leaves  int64 `json:"leaves"`
	Padded  int64 `json:"padded"`  // leaves of the fraction tree with all padding
	Columns int64 `json:"columns"` // cells that are looked up, counted once for every column
	Factors int64 `json:"factors"` // elements of the factors of sumchecks of products, with padding
}

// Work is what a proof about a circuit does: that of its parts, and what belongs to none.
type Work struct {
	Part
	Points int64 `json:"points"` // columns of rows of committed cells
	Summed int64 `json:"summed"` // elements of the factors, with padding, of the einsum wave that has most
}

// Of counts the work of a proof about a circuit.
func Of(c *circuit.Circuit) Work {
	w := Work{Part: Parts(c, 1, func(*circuit.Tensor) int { return 0 })[0], Summed: summed(c)}
	if w.Points = 1 << c.WitnessBits; c.WeightBits != c.WitnessBits { // rows of one width share their columns
		w.Points += 1 << c.WeightBits
	}
	return w
}

// Parts counts the same apart for each of n parts of a circuit, of which part says which one a tensor belongs to: a lookup goes with its first
// tensor, a table with its multiplicities.
func Parts(c *circuit.Circuit, n int, part func(*circuit.Tensor) int) []Part {
	parts := make([]Part, n)
	for i := range c.Tensors {
		t := &c.Tensors[i]
		w := &parts[part(t)]
		cells := int64(circuit.Size(t.Shape))
		switch t.Kind {
		case circuit.Weight:
			w.Weights += cells
		case circuit.Witness:
			w.Witness += cells
		case circuit.Virtual:
			if w.Virtual += cells; t.Wide() {
				w.Virtual += cells // of two words
			}
			w.Products += backend.Products(witness.Terms(t.Def, func(circuit.ID) backend.Tensor { return nil }), nil)
		}
	}
	factors(c, func(of *circuit.Tensor, _ int, elements int64) { parts[part(of)].Factors += elements })
	for i, n := range computed(c) {
		l := &c.Lookups[i]
		first := c.Tensor(l.Cols[0])
		cells := int64(circuit.Size(first.Shape))
		w := &parts[part(first)]
		w.Leaves += n
		w.Lookups += cells
		w.Padded += 1 << circuit.ShapeBits(first.Shape)
		w.Columns += cells * int64(len(l.Cols))
	}
	for _, t := range c.Tables {
		w := &parts[part(c.Tensor(t.Mult))]
		w.Lookups += int64(len(t.Cols[0]))
		all, _ := leaves([]int{len(t.Cols[0])})
		w.Leaves += all
		w.Padded += 1 << circuit.Bits(len(t.Cols[0]))
	}
	return parts
}

// factors lists those of the sumcheck of the wave that proves tensors: one element for every value of the variables of a term that a factor has.
// A tensor whose labels are all variables is one vector, of whatever terms of a wave it is a factor.
func factors(c *circuit.Circuit, each func(of *circuit.Tensor, wave int, elements int64)) {
	whole := map[[2]int]bool{}
	for i := range c.Tensors {
		t := &c.Tensors[i]
		wave := c.Wave(t.ID)
		for k := range t.Def {
			if wave == 0 || c.PassesThrough(&t.Def[k]) {
				continue
			}
			term := &t.Def[k]
			shared := c.Classify(term).Shared
			for _, f := range term.Factors {
				bits, folded := 0, false
				for _, label := range slices.Concat(f.Axes...) {
					if slices.Contains(shared, label) {
						bits += circuit.Bits(term.Extents[label])
					} else {
						folded = true
					}
				}
				if key := [2]int{wave, int(f.T)}; folded || !whole[key] {
					each(t, wave, 1<<bits)
					whole[key] = whole[key] || !folded
				}
			}
		}
	}
}

// summed is how many elements the factors of a wave's sumcheck have at the most.
func summed(c *circuit.Circuit) int64 {
	waves := make([]int64, c.Waves()+1)
	factors(c, func(_ *circuit.Tensor, wave int, elements int64) { waves[wave] += elements })
	return slices.Max(waves)
}

// computed is how many leaves of every lookup are computed, if no value is clamped: what is left over is zero then.
func computed(c *circuit.Circuit) []int64 {
	n := make([]int64, len(c.Lookups))
	for i, excess := range c.Excess() {
		all, whole := leaves(c.Tensor(c.Lookups[i].Cols[0]).Shape)
		if n[i] = all; excess {
			n[i] -= whole
		}
	}
	return n
}

// chunkBits says how many leaves of the fraction tree the CPU backend computes together: those of 64 that hold a cell, of a box whose every
// axis is padded to a power of two. Smaller boxes stand side by side. Whole chunks of equal cells are one entry.
const chunkBits = 6

// leaves are those of a box, and those of its chunks without padding.
func leaves(shape []int) (all, whole int64) {
	bits := 0 // the logarithm of the padded size of the axes so far
	all = 1
	for _, d := range slices.Backward(shape) {
		switch next := bits + circuit.Bits(d); {
		case bits >= chunkBits:
			all, whole = all*int64(d), whole*int64(d)
		case next < chunkBits:
			if all < 1<<bits {
				all = 0 // there is padding
			}
			all *= int64(d)
		default:
			beside := 1 << (chunkBits - bits) // rows of a chunk
			if all == 1<<bits {
				whole = int64(d/beside) << chunkBits
			}
			all = int64((d+beside-1)/beside) << chunkBits
		}
		bits += circuit.Bits(d)
	}
	if bits < chunkBits {
		all = 1 << bits
	}
	return all, whole
}

// Share is a part of the memory that is needed at the peak.
type Share struct {
	Name  string
	Bytes float64
}

// Bytes of the CPU backend at the peak of memory.
const (
	weightBytes     = 2
	valueBytes      = 4    // of a committed or virtual cell: two or four, and what computing them leaves behind
	leafBytes       = 29.5 // in layers of chunks
	frugalLeafBytes = 4.5
	paddedBytes     = 4.2  // in the layers above
	summedBytes     = 24   // of an element of a factor: half as many elements, and a quarter, which are left after the first challenges
	processBytes    = 82e6 // code, generators, garbage

	setupPiece           = 1 << 24 // weights of a piece of the range proof
	setupBytes           = 85e6
	setupBytesPerWeight  = 2 // of all
	setupBytesOfThePiece = 12
)

// per is n times a rate.
func per(n int64, rate float64) float64 { return float64(float64(n) * rate) }

// Memory lists what a proof keeps in memory at the peak, which is that of the lookups or of the einsum waves.
func (w *Work) Memory(frugal bool) []Share {
	rate := float64(leafBytes)
	if frugal {
		rate = frugalLeafBytes
	}
	peak := Share{"lookups", per(w.Leaves, rate) + per(w.Padded, paddedBytes)}
	if waves := per(w.Summed, summedBytes); waves > peak.Bytes {
		peak = Share{"einsum waves", waves}
	}
	return []Share{
		{"weights", per(w.Weights, weightBytes)},
		{"values", per(w.Witness+w.Virtual, valueBytes)},
		peak,
		{"the program", processBytes},
	}
}

// Bytes is the peak of memory of a proof.
func (w *Work) Bytes() float64 { return total(w.Memory(false)) }

// FrugalBytes is that of a proof which takes less memory and more time.
func (w *Work) FrugalBytes() float64 { return total(w.Memory(true)) }

// Fits says whether a proof fits into a budget of memory, 0 for any, and whether only a frugal one does.
func (w *Work) Fits(budget uint64) (fits, frugal bool) {
	switch {
	case budget == 0 || w.Bytes() <= float64(budget):
		return true, false
	case w.FrugalBytes() > float64(budget):
		return false, true
	}
	return true, true
}

func total(shares []Share) (sum float64) {
	for _, s := range shares {
		sum += s.Bytes
	}
	return sum
}

// SetupBytes predicts the peak of memory of a setup. Above one piece of the range proof it grows with the weights alone.
func SetupBytes(weights int64) float64 {
	return setupBytes + per(weights, setupBytesPerWeight) + per(min(weights, setupPiece), setupBytesOfThePiece)
}

var digits = regexp.MustCompile(`[0-9]+`)

// Largest names the n tensors, or families of tensors whose names differ in numbers alone, that take most of a proof's memory: their
// values, and the lookups of which they are the first column.
func Largest(c *circuit.Circuit, n int) []Share {
	bytes := map[string]float64{}
	for i := range c.Tensors {
		t := &c.Tensors[i]
		switch t.Kind {
		case circuit.Weight:
			bytes[family(t)] += per(int64(circuit.Size(t.Shape)), weightBytes)
		case circuit.Witness, circuit.Virtual:
			bytes[family(t)] += per(int64(circuit.Size(t.Shape)), valueBytes)
		}
	}
	for i, n := range computed(c) {
		first := c.Tensor(c.Lookups[i].Cols[0])
		bytes[family(first)] += per(n, leafBytes) + per(1<<circuit.ShapeBits(first.Shape), paddedBytes)
	}
	var out []Share
	for _, name := range slices.Sorted(maps.Keys(bytes)) {
		out = append(out, Share{name, bytes[name]})
	}
	slices.SortStableFunc(out, func(a, b Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out[:min(n, len(out))]
}

// family is a tensor's name with a star for every number.
func family(t *circuit.Tensor) string { return digits.ReplaceAllString(t.Name, "*") }
