// Package cost says what the proofs about a circuit cost before one is made: what there is to do, counted, and how long that takes and how
// much memory it needs at the rates of the CPU backend. A backend, and a machine, with other rates keeps the counts.
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

// Work is what a proof about a circuit does. Its numbers depend on the circuit only.
type Work struct {
	Weights  int64 `json:"weights"`  // cells
	Witness  int64 `json:"witness"`  // committed cells, multiplicities of tables among them
	Virtual  int64 `json:"virtual"`  // cells that are sums of products, those of wide tensors twice
	Products int64 `json:"products"` // of integers in these sums
	Lookups  int64 `json:"lookups"`  // cells that are looked up, and lines of tables
	Leaves   int64 `json:"leaves"`   // of the fraction tree that are computed: these, and padding among them, without what clamps leave over if nothing is clamped
	Padded   int64 `json:"padded"`   // leaves with all padding
	Columns  int64 `json:"columns"`  // cells that are looked up, counted once for every column
	Points   int64 `json:"points"`   // columns of rows: the generators of openings
	Summed   int64 `json:"summed"`   // elements of the factors, with padding, of the wave that has most
}

// Of counts the work of a proof about a circuit.
func Of(c *circuit.Circuit) Work {
	w := Parts(c, 1, func(*circuit.Tensor) int { return 0 })[0]
	w.Summed = summed(c)
	if w.Points = 1 << c.WitnessBits; c.WeightBits != c.WitnessBits { // rows of one width share their columns
		w.Points += 1 << c.WeightBits
	}
	return w
}

// Parts counts the same apart for each of n parts of a circuit, of which part says which one a tensor belongs to: a lookup goes with its first
// tensor, a table with its multiplicities. Points and what sums over a wave belong to no part.
func Parts(c *circuit.Circuit, n int, part func(*circuit.Tensor) int) []Work {
	parts := make([]Work, n)
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

// summed is how many elements the factors of a wave's sumcheck have at the most: one for every value of the variables of a term that a factor
// has. A tensor whose labels are all variables is one vector, of whatever terms it is a factor.
func summed(c *circuit.Circuit) int64 {
	waves, whole := make([]int64, c.Waves()+1), map[[2]int]bool{}
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
					waves[wave] += 1 << bits
					whole[key] = whole[key] || !folded
				}
			}
		}
	}
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

// Phase is a part of a proof, by the name that progress shows, with the seconds that it takes one core.
type Phase struct {
	Name    string
	Seconds float64
}

// Share is a part of the memory that is needed at the peak.
type Share struct {
	Name  string
	Bytes float64
}

// Rates of the CPU backend. Seconds are of one core, of two that share a processor with AVX-512, as `make figures` and `make smollm2` find
// them, and `make minilm` and `make ocr`; bytes are at the peak of memory.
const (
	perProduct   = 0.09e-9 // witness: of integers of 16 bits
	perValue     = 9e-9    // witness: of a committed or virtual cell
	perCommitted = 38e-9   // many cells are zero
	perLeaf      = 105e-9  // fraction tree
	perColumn    = 2e-9    // evaluation
	perSummed    = 11e-9   // sumchecks of products
	perWeight    = 1.5e-9  // partial evaluation
	perOpened    = 11e-9   // of a cell of the witness
	perFolded    = 0.7e-9  // openings: of a weight
	perPoint     = 13.5e-6 // final argument

	once = 0.04 // of every phase: messages, and what is small

	weightBytes     = 2
	valueBytes      = 4    // of a committed or virtual cell: two or four, and what computing them leaves behind
	leafBytes       = 29.5 // in layers of chunks
	frugalLeafBytes = 4.5
	paddedBytes     = 4.2  // in the layers above
	summedBytes     = 24   // of an element of a factor: half as many elements, and a quarter, which are left after the first challenges
	processBytes    = 82e6 // code, generators, garbage

	perWeightRead   = 0.24e-9 // decoding, a position by itself: of a weight
	perValueDecoded = 36e-9   // of a committed cell, what virtual ones take in proportion
	perStep         = 2.8e-6  // of a tensor

	setupSeconds         = 0.45
	setupSecondsPerCell  = 0.37e-6
	setupPiece           = 1 << 24 // weights of a piece of the range proof
	setupBytes           = 85e6
	setupBytesPerWeight  = 2 // of all
	setupBytesOfThePiece = 12
)

// per is n times a rate.
func per(n int64, rate float64) float64 { return float64(float64(n) * rate) }

// Proof lists the phases of a proof.
func (w *Work) Proof() []Phase { return w.phases(once) }

// Part lists the phases with what a part of a proof adds to them.
func (w *Work) Part() []Phase { return w.phases(0) }

// phases lists them with so many seconds for each besides those of the work.
func (w *Work) phases(each float64) []Phase {
	return []Phase{
		{"witness", each + per(w.Products, perProduct) + per(w.Witness+w.Virtual, perValue)},
		{"commit witness", each + per(w.Witness, perCommitted)},
		{"lookups", each + per(w.Leaves, perLeaf) + per(w.Columns, perColumn)},
		{"einsum waves", each + per(w.Witness+w.Virtual, perSummed) + per(w.Weights, perWeight)},
		{"openings", each + per(w.Witness, perOpened) + per(w.Weights, perFolded)},
		{"final argument", each + per(w.Points, perPoint)},
	}
}

// Seconds is how long a proof takes one core.
func (w *Work) Seconds() (sum float64) {
	for _, p := range w.Proof() {
		sum += p.Seconds
	}
	return sum
}

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

// Decoding predicts how many seconds of one core a position of a text takes that is computed by itself: of a circuit with so many cells of
// weights, and at so many positions so many committed cells, multiplicities left out, in so many tensors, those not committed among them.
func Decoding(weights, witness int64, tensors, positions int) float64 {
	return per(weights, perWeightRead) + per(witness, perValueDecoded)/float64(positions) + per(int64(tensors), perStep)
}

// Setup predicts a setup: seconds of one core and bytes of memory. Above one piece of the range proof its memory grows with the weights
// alone.
func Setup(weights int64) (seconds, bytes float64) {
	seconds = setupSeconds + per(weights, setupSecondsPerCell)
	return seconds, setupBytes + per(weights, setupBytesPerWeight) + per(min(weights, setupPiece), setupBytesOfThePiece)
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
