package cpu

import (
	"fmt"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// label is a backend.Label after neighbours were merged: a variable (shift ≥ 0) or folded.
type label struct {
	extent int
	shift  int
	fold   vec
	stride int // cells between neighbours along the label
}

// mergeLabels drops labels of one value and merges neighbours: folded ones into the product of their weights, variables if the
// lower one fills its bits and the upper one's follow. The factor collects the weights of the labels dropped.
func mergeLabels(in []backend.Label) (out []label, factor field.Element) {
	factor = one()
	stride := 1
	for i := len(in) - 1; i >= 0; i-- {
		l := label{extent: in[i].Extent, shift: in[i].Var, stride: stride}
		stride *= l.extent
		if l.shift < 0 {
			l.shift, l.fold = -1, foldVec(&in[i])
		}
		if l.extent == 1 {
			if l.fold != nil {
				factor = mul(factor, l.fold[0])
			}
			continue
		}
		if len(out) == 0 || !out[len(out)-1].absorb(&l) {
			out = append(out, l)
		}
	}
	slices.Reverse(out)
	return out, factor
}

// foldVec returns the weights of a folded label, ones if it has none.
func foldVec(w *backend.Label) vec {
	if w.Point != nil {
		return eqTable(w.Point)[:w.Extent]
	}
	ones := make(vec, w.Extent)
	fill(ones, one())
	return ones
}

// absorb takes the next upper label into l if the two are one label in effect.
func (l *label) absorb(upper *label) bool {
	switch {
	case l.fold != nil && upper.fold != nil:
		prod := make(vec, l.extent*upper.extent)
		for i := range upper.fold {
			scaleVec(prod[i*l.extent:(i+1)*l.extent], l.fold, &upper.fold[i])
		}
		l.fold = prod
	case l.fold == nil && upper.fold == nil && l.extent&(l.extent-1) == 0 && upper.shift == l.shift+log2(l.extent):
	default:
		return false
	}
	l.extent *= upper.extent
	return true
}

// offsets lists, for all values of the labels in row-major order, where their cells start, what they add to the result's index,
// and the product of their weights.
func offsets(labels []label) (cells, targets []int, coef vec) {
	cells, targets, coef = []int{0}, []int{0}, vec{one()}
	for _, l := range labels {
		n := len(cells)
		nc, nt, nw := make([]int, 0, n*l.extent), make([]int, 0, n*l.extent), make(vec, 0, n*l.extent)
		for i := range n {
			for v := range l.extent {
				nc = append(nc, cells[i]+v*l.stride)
				if l.fold == nil {
					nt, nw = append(nt, targets[i]+v<<l.shift), append(nw, coef[i])
				} else {
					nt, nw = append(nt, targets[i]), append(nw, mul(coef[i], l.fold[v]))
				}
			}
		}
		cells, targets, coef = nc, nt, nw
	}
	return cells, targets, coef
}

// divide sorts the labels into variables and folded ones.
func divide(labels []label) (vars, folds []label) {
	for _, l := range labels {
		if l.fold == nil {
			vars = append(vars, l)
		} else {
			folds = append(folds, l)
		}
	}
	return vars, folds
}

func (b *run) Partials(partials []backend.Partial) []backend.Vector {
	out, known := make([]backend.Vector, len(partials)), map[string]*cellsOf{} // of squares both factors are the same
	for i := range partials {
		p := &partials[i]
		key := fmt.Sprintf("%p %v", ints(p.T), p.Labels)
		if known[key] == nil {
			known[key] = newCells(ints(p.T), p.Labels, p.Bits)
		}
		if cells := known[key]; cells != nil {
			out[i] = &vector{from: cells}
		}
	}
	b.pool.run(len(partials), func(_, i int) {
		if out[i] == nil {
			out[i] = &vector{vec: b.partial(ints(partials[i].T), partials[i].Labels, partials[i].Bits)}
		}
	})
	return out
}

// partial treats the last label by itself, since its cells are neighbours: if it is folded, every row is an inner product; if it
// is a variable, rows are added up with weights.
func (b *run) partial(t *integer.Tensor, in []backend.Label, bits int) vec {
	labels, factor := mergeLabels(in)
	cells := 1
	for _, l := range labels {
		cells *= l.extent
	}
	if cells != t.Len() {
		panic(fmt.Sprintf("cpu: labels of %d cells for a tensor of %d", cells, t.Len()))
	}
	out := make(vec, 1<<bits)
	if len(labels) == 0 {
		labels = []label{{extent: 1, shift: -1, fold: vec{one()}, stride: 1}}
	}
	last := labels[len(labels)-1]
	vars, folds := divide(labels[:len(labels)-1])
	switch {
	case last.fold != nil:
		b.foldLast(out, t, &last, vars, folds)
	case t.V != nil:
		foldUpper(b, out, t.V, &last, vars, folds)
	case t.Mid != nil:
		foldUpper(b, out, t.Mid, &last, vars, folds)
	default:
		foldUpper(b, out, t.Short, &last, vars, folds)
	}
	if unit := one(); factor != unit {
		b.chunks(len(out), taskCells, func(_, lo, hi int) { scaleVec(out[lo:hi], out[lo:hi], &factor) })
	}
	return out
}

// foldLast computes the inner products of all rows, then folds the other labels of what is a field tensor now.
func (b *run) foldLast(out vec, t *integer.Tensor, last *label, vars, folds []label) {
	n := last.extent
	rows := make(vec, t.Len()/n)
	w := newWeights(last.fold)
	b.chunks(len(rows), max(1, taskCells/n), func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			rows[r] = dotTensor(t, r*n, (r+1)*n, &w)
		}
	})
	at, targets, _ := offsets(vars)
	inner, _, coef := offsets(folds)
	b.chunks(len(at), max(1, taskCells/len(inner)), func(_, lo, hi int) {
		tmp := make(vec, min(tile, len(inner)))
		for i := lo; i < hi; i++ {
			var sum field.Element
			for k := 0; k < len(inner); k += tile {
				part := inner[k:min(len(inner), k+tile)]
				for m, off := range part {
					tmp[m] = rows[(at[i]+off)/n]
				}
				sum = add(sum, dot(tmp[:len(part)], coef[k:k+len(part)]))
			}
			out[targets[i]] = sum
		}
	})
}

// foldUpper adds up rows along the last label, tasks being (values of the variable labels) × (columns) × (rows). Where the rows are cut,
// or their sums do not lie side by side in the result, each piece has its own result until the end.
func foldUpper[T integers](b *run, out vec, v []T, last *label, vars, folds []label) {
	at, targets, _ := offsets(vars)
	inner, _, coef := offsets(folds)
	cut := newCuts(last.extent, len(inner))
	direct := cut.rowTasks == 1 && last.shift == 0
	partial, scratch := make([]vec, len(at)*cut.tasks()), scratches[T](b.pool)
	b.pool.run(len(partial), func(wk, i int) {
		s, base, part := scratch(wk), at[i/cut.tasks()], cut.task(i%cut.tasks())
		if direct {
			from := targets[i/cut.tasks()] + part.from
			partial[i] = out[from : from+part.width]
		} else {
			partial[i] = make(vec, part.width)
		}
		s.rows = s.rows[:0]
		for _, off := range inner[part.lo:part.hi] {
			s.rows = append(s.rows, v[base+off:base+off+last.extent])
		}
		foldColumns(s, partial[i], s.rows, part.from, coef[part.lo:part.hi])
	})
	if direct {
		return
	}
	b.chunks(len(at), max(1, taskCells/last.extent), func(_, lo, hi int) {
		line := make(vec, last.extent)
		for i := lo; i < hi; i++ {
			clear(line)
			cut.add(line, partial[i*cut.tasks():(i+1)*cut.tasks()])
			for k := range line {
				out[targets[i]+k<<last.shift] = line[k]
			}
		}
	})
}

// cuts divide columns and rows that are summed into tasks, the rows of the same columns one after the other.
type cuts struct{ columns, rows, colTasks, rowTasks int }

// part is a task: the columns from from on, the rows from lo up to hi-1.
type part struct{ from, width, lo, hi int }

func newCuts(columns, rows int) cuts {
	return cuts{columns, rows, (columns + foldWidth - 1) / foldWidth, max(1, (rows+sumTerms-1)/sumTerms)}
}

func (c *cuts) tasks() int { return c.colTasks * c.rowTasks }

func (c *cuts) task(i int) part {
	from, lo := i/c.rowTasks*foldWidth, i%c.rowTasks*sumTerms
	return part{from, min(foldWidth, c.columns-from), lo, min(c.rows, lo+sumTerms)}
}

// add adds the sums of all tasks to the columns.
func (c *cuts) add(out vec, sums []vec) {
	for i, sum := range sums {
		t := c.task(i)
		addVec(out[t.from:t.from+t.width], out[t.from:t.from+t.width], sum)
	}
}

// FoldRows lays rows out a few at a time.
func (b *run) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	type task struct{ sum, lo, hi int }
	var tasks []task
	out := make([]backend.Vector, len(sums))
	for i := range sums {
		for lo, step := 0, max(1, foldedAtOnce/width); lo < len(sums[i].Rows); lo += step {
			tasks = append(tasks, task{i, lo, min(lo+step, len(sums[i].Rows))})
		}
	}
	slabs, all := make([][]int32, b.threads), newRowSums(b, len(sums), width)
	b.ending.run(len(tasks), func(w, i int) {
		t := &tasks[i]
		cells, err := lay(&slabs[w], sums[t.sum].Rows[t.lo:t.hi], t.lo, width)
		if err != nil {
			panic("cpu: " + err.Error()) // they were committed to
		}
		all.add(w, t.sum, cells, sums[t.sum].Coefs[t.lo:t.hi])
	})
	for i, sum := range all.finish() {
		out[i] = &vector{vec: sum}
	}
	return out
}

// rowSums are sums of rows under way. Where there are vectors every worker has words of its own, to which it adds until they may be full: to
// reduce them costs as much as to add some dozens of rows.
type rowSums struct {
	b      *run
	width  int
	words  [][]*rowWords // by worker and sum
	adding sync.Mutex
	out    []vec
}

// rowWords are words of sums, of so many rows, whose coefficients have the given sum.
type rowWords struct {
	sums []uint64
	rows int
	coef field.Element
}

func newRowSums(b *run, sums, width int) *rowSums {
	s := &rowSums{b: b, width: width, words: make([][]*rowWords, b.threads), out: make([]vec, sums)}
	for w := range s.words {
		s.words[w] = make([]*rowWords, sums)
	}
	return s
}

// add adds rows to a sum.
func (s *rowSums) add(w, sum int, cells [][]int32, coef vec) {
	if len(cells) < foldRows || !wideVectors {
		part := s.b.foldRows(cells, coef, s.width)
		s.adding.Lock()
		defer s.adding.Unlock()
		if s.out[sum] == nil {
			s.out[sum] = part
		} else {
			addVec(s.out[sum], s.out[sum], part)
		}
		return
	}
	words := s.words[w][sum]
	if words == nil {
		words = &rowWords{sums: make([]uint64, wordsOf(s.width))}
		s.words[w][sum] = words
	}
	for len(cells) > 0 {
		if words.rows == sumTerms {
			s.reduce(sum, words)
			clear(words.sums)
			words.rows, words.coef = 0, field.Element{}
		}
		n := min(len(cells), sumTerms-words.rows)
		scratch, cut := scratches[int32](s.b.pool), newCuts(s.width, 1)
		s.b.pool.run(cut.colTasks, func(wk, i int) {
			t := cut.task(i)
			if !addProducts(scratch(wk), words.sums[wordsOf(t.from):wordsOf(t.from+t.width)], cells[:n], t.from, coef[:n]) {
				panic("cpu: an integer of 32 bits does not fit")
			}
		})
		words.rows, words.coef = words.rows+n, add(words.coef, coef[:n].Sum())
		cells, coef = cells[n:], coef[n:]
	}
}

// reduce adds words to their sum.
func (s *rowSums) reduce(sum int, words *rowWords) {
	s.adding.Lock()
	defer s.adding.Unlock()
	if s.out[sum] == nil {
		s.out[sum] = make(vec, s.width)
	}
	off := mul(words.coef, shortOffset)
	s.b.chunks(s.width, foldWidth, func(_, lo, hi int) {
		reduceSums(s.out[sum][lo:hi], words.sums[wordsOf(lo):], &off)
	})
}

// finish returns the sums, zeros of no rows and where the context ended.
func (s *rowSums) finish() []vec {
	for _, own := range s.words {
		for sum, words := range own {
			if words != nil {
				s.reduce(sum, words)
			}
		}
	}
	for i := range s.out {
		if s.out[i] == nil {
			s.out[i] = make(vec, s.width)
		}
	}
	return s.out
}

// foldRows adds up rows with weights, in tasks of columns × rows like foldUpper.
func (b *run) foldRows(cells [][]int32, coef vec, width int) vec {
	cut := newCuts(width, len(cells))
	partial, scratch := make([]vec, cut.tasks()), scratches[int32](b.pool)
	out := make(vec, width)
	b.pool.run(len(partial), func(wk, i int) {
		t := cut.task(i)
		if partial[i] = out[t.from : t.from+t.width]; cut.rowTasks > 1 {
			partial[i] = make(vec, t.width)
		}
		foldColumns(scratch(wk), partial[i], cells[t.lo:t.hi], t.from, coef[t.lo:t.hi])
	})
	if cut.rowTasks > 1 {
		cut.add(out, partial)
	}
	return out
}

// Combine adds up vectors with weights, tile by tile.
func (b *run) Combine(vecs []backend.Vector, coef []field.Element) backend.Vector {
	out, vals := make(vec, vecs[0].Elements()), make([]vec, len(vecs))
	for i, v := range vecs {
		vals[i] = b.held(v)
	}
	b.chunks(len(out), tile, func(_, lo, hi int) {
		prod := make(vec, hi-lo)
		for i, v := range vals {
			scaleVec(prod, v[lo:hi], &coef[i])
			addVec(out[lo:hi], out[lo:hi], prod)
		}
	})
	return &vector{vec: out}
}
