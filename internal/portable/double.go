package portable

import "math"

// double is hi + lo, a number with twice the precision: hi is the nearest float64.
type double struct{ hi, lo float64 }

// sum is x + y, exactly.
func sum(x, y float64) double {
	s := x + y
	t := s - x
	return double{s, (x - (s - t)) + (y - t)}
}

// product is x·y, exactly where nothing underflows.
func product(x, y float64) double {
	p := float64(x * y)
	return double{p, math.FMA(x, y, -p)}
}

// add returns a + x.
func (a double) add(x float64) double {
	s := sum(a.hi, x)
	return sum(s.hi, s.lo+a.lo)
}

func (a double) plus(b double) double {
	s := sum(a.hi, b.hi)
	return sum(s.hi, s.lo+(a.lo+b.lo))
}

func (a double) times(b double) double {
	p := product(a.hi, b.hi)
	return sum(p.hi, p.lo+(float64(a.hi*b.lo)+float64(a.lo*b.hi)))
}

// over returns a/b.
func (a double) over(b double) double {
	q := a.hi / b.hi
	p := b.times(double{q, 0})
	rest := ((a.hi - p.hi) - p.lo) + a.lo
	return sum(q, rest/b.hi)
}
