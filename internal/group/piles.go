package group

// piles adds up points pile by pile: neighbours in a pile in pairs, of all piles at the same time, then pairs of their sums, until one point
// is left of each. A point of a pile stands in line by its index, as the complement of that where it counts negated.
type piles struct {
	*adder
	line        []int32
	start, size []int32 // of each pile in line
	open        []int32 // the piles of more than one point
}

// collapse adds up. What is left of a pile is the first of its places in line, which then means a point of dst, for which twice as many
// places as there are piles and half as many as there are points are enough.
func (p *piles) collapse(dst, points []Affine) {
	p.open, p.dst, p.a, p.b = p.open[:0], dst, points, points
	to := int32(0)
	for k, n := range p.size {
		line := p.line[p.start[k]:][:n]
		for i := 1; i < len(line); i += 2 {
			sign := p.pair(to, line[i-1], line[i])
			line[i/2] = to ^ sign
			to++
		}
		if n%2 == 1 {
			last := line[n-1]
			sign := last >> 31
			dst[to] = points[last^sign]
			line[n/2] = to ^ sign
			to++
		}
		if p.size[k] = (n + 1) / 2; n > 2 {
			p.open = append(p.open, int32(k))
		}
	}
	p.flush()
	for p.a, p.b = dst, dst; len(p.open) > 0; p.flush() { // each sum takes the place of its first term, which nothing else needs
		left := p.open[:0]
		for _, k := range p.open {
			n := p.size[k]
			line := p.line[p.start[k]:][:n]
			for i := 1; i < len(line); i += 2 {
				first := line[i-1]
				p.pair(first^first>>31, first, line[i])
				line[i/2] = first
			}
			if n%2 == 1 {
				line[n/2] = line[n-1]
			}
			if p.size[k] = (n + 1) / 2; n > 2 {
				left = append(left, k)
			}
		}
		p.open = left
	}
}

// pair queues the sum of two places: they are added where their signs are equal, else subtracted, so that the sum has the first one's sign,
// which it returns.
func (p *piles) pair(to, i, j int32) (sign int32) {
	sign = i >> 31
	p.add(to, i^sign, j^sign)
	return sign
}

// total is the point that is left of a pile.
func (p *piles) total(k int) Affine {
	at := p.line[p.start[k]]
	if at >= 0 {
		return p.dst[at]
	}
	var sum Affine
	sum.Neg(&p.dst[^at])
	return sum
}
