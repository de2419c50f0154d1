package circuit

// Terms of cells alone, for whoever writes a gadget.

// whole lists n axes, each of a label of its own.
func whole(n int) [][]int {
	a := make([][]int, n)
	for i := range a {
		a[i] = []int{i}
	}
	return a
}

// Ones is coef in every cell of a shape: coef·valid.
func Ones(coef int64, shape []int) Term {
	return Term{Coef: coef, Extents: append([]int(nil), shape...), Out: whole(len(shape))}
}

// Scaled is coef·x, cell by cell.
func Scaled(b *Builder, coef int64, x ID) Term {
	return Product(b, coef, x)
}

// Product is coef times the product of tensors of one shape, cell by cell.
func Product(b *Builder, coef int64, xs ...ID) Term {
	t := Ones(coef, b.Shape(xs[0]))
	for _, x := range xs {
		t.Factors = append(t.Factors, Factor{T: x, Axes: whole(len(t.Out))})
	}
	return t
}

// Spread is coef·x where the axes of x are the axes first, first+1, … of the shape; x is repeated along the others.
func Spread(b *Builder, coef int64, x ID, shape []int, first int) Term {
	t := Ones(coef, shape)
	n := len(b.Shape(x))
	if first < 0 || first+n > len(shape) {
		b.Fail("a tensor of %d axes cannot be spread over %v from axis %d", n, shape, first)
		return t
	}
	t.Factors = []Factor{{T: x, Axes: t.Out[first : first+n]}}
	return t
}

// SumLast is coef·Σ over the last axis of x.
func SumLast(b *Builder, coef int64, x ID) Term {
	t := Scaled(b, coef, x)
	if n := len(t.Out); n > 0 {
		t.Out = t.Out[:n-1]
	}
	return t
}
