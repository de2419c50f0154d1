package circuit

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// shuffled is the term of x whose axes a and a+1 change places; x has n axes of extent 2.
func shuffled(b *Builder, x ID, n, a int) Term {
	t := Term{Coef: 1, Factors: []Factor{{T: x}}}
	for l := range n {
		t.Extents = append(t.Extents, 2)
		t.Out = append(t.Out, []int{l})
		t.Factors[0].Axes = append(t.Factors[0].Axes, []int{l})
	}
	if a+1 < n {
		axes := t.Factors[0].Axes
		axes[a], axes[a+1] = axes[a+1], axes[a]
	}
	return t
}

// shuffle adds k sums, the first of x, each of the one before and of that with two of its n axes exchanged, another pair every time. A
// sum for which commit is true is committed to, and the copy goes on in its place.
func shuffle(b *Builder, x ID, n, k int, commit func(step int) bool) {
	shape := b.Shape(x)
	for i := range k {
		x = b.Virtual(fmt.Sprint("sum ", i), shape, shuffled(b, x, n, n), shuffled(b, x, n, i%(n-1)))
		if commit(i) {
			y := looked(b, "copy", shape...)
			minus := shuffled(b, y, n, n)
			minus.Coef = -1
			b.Zero(b.Virtual("difference", shape, shuffled(b, x, n, n), minus))
			x = y
		}
	}
	b.Zero(x)
}

func never(int) bool { return false }

// Every evaluation is counted once, sums among them, and every request for it: worked out by hand.
func TestRequestsAreCounted(t *testing.T) {
	const mult = 1 // the multiplicities of the table
	for _, test := range []struct {
		name  string
		want  Requests
		build func(b *Builder)
	}{
		{"one tensor", Requests{Evaluations: mult + 1, References: mult + 1, OpenedRows: 2}, func(b *Builder) { looked(b, "x", 3) }},
		{"twice in lookups, once in a zero-check", Requests{Evaluations: mult + 2, References: mult + 2, OpenedRows: 3}, func(b *Builder) {
			x := looked(b, "x", 3)
			b.Lookup(bit(b), x)
			b.Zero(x)
		}},
		// 40 sums at one point and what they begin with, at another than its lookup's; the first sum asks for it twice, the others for two each
		{"double skips", Requests{Evaluations: mult + 1 + 40 + 1, References: mult + 1 + 1 + 80, OpenedRows: 3}, func(b *Builder) {
			x := looked(b, "x", 3)
			older := x
			for range 40 {
				older, x = x, b.Virtual("sum", []int{3}, b.Times(1, "i->i i=3", x), b.Times(1, "i->i i=3", older))
			}
			b.Zero(x)
		}},
		// the last sum at one point, the others at two
		{"transposed", Requests{Evaluations: mult + 1 + 1 + 2*23 + 2, References: mult + 1 + 1 + 2*(1+2*23), OpenedRows: 4}, func(b *Builder) {
			x := looked(b, "x", 2, 2)
			for range 24 {
				x = b.Virtual("sum", []int{2, 2}, b.Times(1, "ij->ij i=2 j=2", x), b.Times(1, "ji->ij i=2 j=2", x))
			}
			b.Zero(x)
		}},
		// both squares of one wave end at one point, of x and of the constant; a sum over all cells is asked for at ½
		{"products, constants, sums", Requests{
			Evaluations: mult + 1 + 3 + 2 + 1, References: mult + 1 + 3 + 4 + 1, KnownCells: 3, OpenedRows: 4,
		}, func(b *Builder) {
			x, c := looked(b, "x", 3), b.Const("c", []int64{1, 2, 3}, 3)
			b.Zero(b.Virtual("square", []int{3}, b.Times(1, "i,i->i i=3", x, x)))
			b.Zero(b.Virtual("weighted", []int{3}, b.Times(1, "i,i->i i=3", x, c)))
			b.Zero(b.Virtual("total", []int{1}, b.Times(1, "i->. i=3", x)))
		}},
		{"not used", Requests{Evaluations: mult + 1, References: mult + 1, OpenedRows: 2}, func(b *Builder) {
			b.Virtual("double", []int{3}, b.Times(2, "i->i i=3", looked(b, "x", 3)))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := start()
			test.build(b)
			c, err := b.Finish()
			require.NoError(t, err)
			require.Equal(t, test.want, c.Requests())
		})
	}
}

// A circuit with as many requests as may be is taken, one with one more refused; likewise cells of constants.
func TestRequestLimit(t *testing.T) {
	build := func(terms int) (*Circuit, error) {
		b := start()
		x := looked(b, "x", 2)
		sum := make([]Term, terms)
		for i := range sum {
			sum[i] = b.Times(1, "i->i i=2", x)
		}
		b.Zero(b.Virtual("sum", []int{2}, sum...))
		return b.Finish()
	}
	const others = 3 // multiplicities, x, sum
	c, err := build(maxReferences - others)
	require.NoError(t, err)
	require.EqualValues(t, maxReferences, c.Requests().References)
	_, err = build(maxReferences - others + 1)
	var refused *RequestsError
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Empty(t, refused.Commit, "no sum has several points")

	// k steps of a shuffle evaluate what it begins with at 2^k points, here 2^20 cells, in 2^16 rows and one that they may overlap.
	begin := func(kind Kind, k int) error {
		b := start()
		shape := make([]int, 20)
		for i := range shape {
			shape[i] = 2
		}
		x := looked(b, "x", shape...)
		switch kind {
		case Const:
			x = b.Const("x", make([]int64, 1<<20), shape...)
		case Public: // one-hot rows, 16 for a row and the one bit of its index
			p := b.Input(Port{Name: "ids", Kind: IDs, Shape: shape[1:], Hi: 1, Reveal: Values})
			x = b.View("x", OneHot, p)
			b.Carry(p, x)
		}
		shuffle(b, x, len(shape), k, never)
		_, err := b.Finish()
		return err
	}
	require.NoError(t, begin(Const, 10))
	require.ErrorContains(t, begin(Const, 11), "more than 1073741824 cells of constants and public tensors in evaluations")
	require.NoError(t, begin(Public, 7))
	require.ErrorContains(t, begin(Public, 8), "more than 1073741824 cells of constants and public tensors in evaluations")
	require.NoError(t, begin(Witness, 9))
	require.ErrorContains(t, begin(Witness, 10), "more than 67108864 openings of committed rows")
}

// Sums of shuffled sums have points without number. They are refused after as many steps as the limit has, and what the refusal asks to
// commit to brings them under it.
func TestTooManyPoints(t *testing.T) {
	const axes, steps = 12, 60
	build := func(commit func(int) bool) *Builder {
		b := start()
		shuffle(b, looked(b, "x", 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2), axes, steps, commit)
		return b
	}
	b := build(never)
	_, err := b.Finish()
	var refused *RequestsError
	require.True(t, errors.As(err, &refused), "%v", err)
	require.ErrorContains(t, err, "alone is evaluated at")
	require.NotEmpty(t, refused.Commit)

	n := newCounter(&b.c, 0) // of the circuit as Finish left it
	n.limited = true
	what, limit := n.walk()
	require.Equal(t, "evaluations of tensors", what)
	require.LessOrEqual(t, n.References, limit+2, "it went on after the limit")

	committed := func(step int) bool { return slices.Contains(refused.Commit, fmt.Sprint("sum ", step)) }
	c, err := build(committed).Finish()
	require.NoError(t, err)
	require.Empty(t, c.Crowded())
	require.LessOrEqual(t, c.Requests().References, int64(maxReferences/2))

	// Of seven sums the first is evaluated at 64 points, and what it is of at twice as many; 32 are no crowd.
	b = start()
	shuffle(b, looked(b, "x", 2, 2, 2, 2, 2, 2, 2, 2), 8, 7, never)
	c, err = b.Finish()
	require.NoError(t, err)
	require.Equal(t, []string{"sum 0"}, c.Crowded())
	b = start()
	shuffle(b, looked(b, "x", 2, 2, 2, 2, 2, 2, 2, 2), 8, 6, never)
	c, err = b.Finish()
	require.NoError(t, err)
	require.Empty(t, c.Crowded())
}

// The evaluations of all tensors are those that a proof has.
func TestEvaluationsOfTensors(t *testing.T) {
	b := start()
	x := looked(b, "x", 4)
	m := b.Affine("map", "i - j - 1", 4, 4)
	table := b.TableOf("t", func() [][]int64 { return [][]int64{{-8, 0, 7}} })
	b.Lookup(table, b.Virtual("moved", []int{4}, b.Times(1, "i,ij->j i=4 j=4", x, m)))
	b.Lookup(table, b.Virtual("and back", []int{4}, b.Times(1, "i,ji->j i=4 j=4", x, m)))
	c, err := b.Finish()
	require.NoError(t, err)
	sum := 0
	for _, n := range c.Evaluations() {
		sum += n
	}
	require.Equal(t, c.Requests().Evaluations, sum)
	require.Equal(t, 2, c.Evaluations()[m])
}
