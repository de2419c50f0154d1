// Package budget holds what one compilation may cost: cells, work and memory, and whether somebody still waits for it.
//
// A node of a few bytes can ask for any amount of either, so everything whose size a model only names is paid for before it is made or
// done. One budget goes through the whole compilation, from the file to the circuit; what one step has spent, no later step can.
package budget

import (
	"context"
	"fmt"
	"math"
	"sync"
)

// The limits are what an honest model of the same file and length needs, with room. What a model computes on the way to its logits it
// computes with its weights: T tokens meet every weight once each in one run, so a run takes T products per cell of the file, whatever
// the architecture; layers that share their weights take more. The base is for what is not made of weights. TestHonestModels of package
// compiler holds the limits against GPT-2 small, SmolLM2-135M and the exports that we have; none needs half of any.
const (
	baseCells    = 1 << 26 // cells of 8 bytes that are made one after the other: masks and position tables of a few thousand tokens
	cellsPerCell = 16      // and for every cell of the file: quantised weights are copied by every operator on their way

	baseWork    = 1 << 33 // multiplications and the like: some seconds of one core
	workPerCell = 8       // per token and run: two for every weight, and three times as much for attention, functions and the integer program
	longTokens  = 1024    // with so many, attention over all pairs of positions may cost an eighth of that again,
	maxTokens   = 4096    // and no more with more

	baseMemory    = 1 << 28 // bytes held at one time
	memoryPerCell = 192     // for every cell of the file: real cells, integer cells and those of the circuit, with what is garbage meanwhile
	memoryPerPair = 1 << 10 // for every pair of positions: four maps of 32 heads, in double precision
	maxPairs      = 1 << 32 // bytes for all of them
	rowsPerToken  = 2       // for every token and cell of the file: rows as wide as the vocabulary, where a weight has 16 lines or more
)

// Limits are amounts of the three things that cost.
type Limits struct {
	Cells  int64 // made at compile time, of 8 bytes, one after the other
	Work   int64 // multiplications, or what takes as long
	Memory int64 // bytes, at one time
}

// Budget is what a compilation may still take. Methods are safe for concurrent use; a nil Budget limits nothing and is never cancelled.
type Budget struct {
	ctx context.Context
	*account
}

type account struct {
	factor int64

	mu            sync.Mutex
	cells, tokens int64 // of the file, and its input's
	limits, spent Limits
}

// New returns a budget for a model of which nothing is known yet. The limits are multiplied by factor, at least 1.
func New(ctx context.Context, factor int) *Budget {
	b := &Budget{ctx, &account{factor: int64(max(factor, 1))}}
	b.limits = Limits{times(baseCells, b.factor), times(baseWork, b.factor), times(baseMemory, b.factor)}
	return b
}

// With returns the same budget under another context.
func (b *Budget) With(ctx context.Context) *Budget { return &Budget{ctx, b.account} }

// Model adds what a file of so many cells is worth, read with so many tokens. It counts once.
func (b *Budget) Model(cells, tokens int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens > 0 {
		return
	}
	b.cells, b.tokens = int64(cells), int64(max(tokens, 1))
	memory := plus(times(memoryPerCell, b.cells), times(rowsPerToken, b.tokens, b.cells))
	memory = plus(memory, min(times(memoryPerPair, b.tokens, b.tokens), maxPairs))
	b.limits.Cells = plus(b.limits.Cells, times(cellsPerCell, b.cells, b.factor))
	b.limits.Memory = plus(b.limits.Memory, times(memory, b.factor))
}

// Runs adds the work of so many runs of the model: their number is chosen by who calls the compiler, not by the model.
func (b *Budget) Runs(n int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	run := times(workPerCell, b.cells, b.tokens)
	long := min(b.tokens, maxTokens)
	run = plus(run, times(times(b.cells, long)/longTokens, long))
	b.limits.Work = plus(b.limits.Work, times(run, int64(n), b.factor))
}

// Again adds what it may cost to read the same file at one more length, which who calls the compiler asked for.
func (b *Budget) Again() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits.Cells = plus(b.limits.Cells, times(plus(baseCells, times(cellsPerCell, b.cells)), b.factor))
	b.limits.Work = plus(b.limits.Work, times(baseWork, b.factor))
}

// Factor is what all limits are multiplied by, 1 for a nil Budget.
func (b *Budget) Factor() int {
	if b == nil {
		return 1
	}
	return int(b.factor)
}

// Limits returns the limits as they are now.
func (b *Budget) Limits() Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits
}

// Spent returns the cells and the work that were paid for, and the most memory that was asked for at one time.
func (b *Budget) Spent() Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// Cells pays for n cells, and for the work of filling them. An error is one of the context or an *Exceeded.
func (b *Budget) Cells(n int) error {
	if b == nil {
		return nil
	}
	if err := b.Poll(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return take("cells made at compile time", &b.spent.Cells, wide(n), b.limits.Cells)
}

// wide is an amount; math.MaxInt, which counts stop at where they would wrap around, is more than any limit also where an int has 32 bits.
func wide(n int) int64 {
	if n == math.MaxInt {
		return math.MaxInt64
	}
	return int64(n)
}

// Work pays for n multiplications.
func (b *Budget) Work(n int) error {
	if b == nil {
		return nil
	}
	if err := b.Poll(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return take("multiplications", &b.spent.Work, wide(n), b.limits.Work)
}

// Memory asks whether n bytes may be held at one time, all that is held already included. Nothing is spent.
func (b *Budget) Memory(n int) error { return b.memory(n, 1) }

// Kept asks whether n bytes may stay for long: half of what may be held at one time, so that there is room to work in.
func (b *Budget) Kept(n int) error { return b.memory(n, 2) }

func (b *Budget) memory(n int, share int64) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var held int64
	err := take("bytes at one time", &held, int64(n), b.limits.Memory/share)
	b.spent.Memory = max(b.spent.Memory, held)
	return err
}

// Context is the context of the compilation.
func (b *Budget) Context() context.Context { return b.ctx }

// Poll returns the error of the context, nil as long as somebody waits. Loops that may run for more than some tenths of a second call
// it on their way.
func (b *Budget) Poll() error {
	if b == nil {
		return nil
	}
	return context.Cause(b.ctx)
}

func take(what string, spent *int64, n, limit int64) error {
	if n < 0 || n > limit-*spent {
		return &Exceeded{What: what, Asked: n, Left: limit - *spent, Limit: limit}
	}
	*spent += n
	return nil
}

// Exceeded is the error for what would cost more than is left. Who returns it adds the node.
type Exceeded struct {
	What               string
	Asked, Left, Limit int64 // Asked is math.MaxInt64 or negative where it does not fit
}

func (e *Exceeded) Error() string {
	asked := fmt.Sprint(e.Asked)
	if e.Asked < 0 || e.Asked == math.MaxInt64 {
		asked = "more than 2^63"
	}
	left := ""
	if e.Left != e.Limit {
		left = fmt.Sprintf(", of which %d are left", e.Left)
	}
	return fmt.Sprintf("asks for %s %s, and the limit for a file of this size and this number of tokens is %d%s; if the model is honest, raise all limits: --budget 4",
		asked, e.What, e.Limit, left)
}

// Product multiplies numbers that are not negative; what does not fit is math.MaxInt.
func Product(xs ...int) int {
	n := 1
	for _, x := range xs {
		if x == 0 {
			return 0
		}
		if n > math.MaxInt/x {
			n = math.MaxInt
			continue
		}
		n *= x
	}
	return n
}

// Sum adds numbers that are not negative; what does not fit is math.MaxInt.
func Sum(xs ...int) int {
	n := 0
	for _, x := range xs {
		if n > math.MaxInt-x {
			return math.MaxInt
		}
		n += x
	}
	return n
}

func times(xs ...int64) int64 {
	n := int64(1)
	for _, x := range xs {
		if x > 0 && n > math.MaxInt64/x {
			return math.MaxInt64
		}
		n *= x
	}
	return n
}

func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
