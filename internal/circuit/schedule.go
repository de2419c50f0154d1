package circuit

// Part classifies what a term asks of the verifier.
//
// A label is fixed by the claim's point when it is in Out; it is a variable of a sumcheck when the product couples it: when two
// or more factors share it. A label in one factor only is folded away by evaluation: at the claim's point when it is in Out, at
// (½, …, ½) times its padded extent when it is summed (the MLE vanishes outside the box, so that is the sum). A label of Out
// in no factor multiplies the claim by valid(point).
type Part struct {
	Shared []int // labels that two or more factors share, ascending: the sumcheck's variables
	Hidden int   // number of factors that the verifier does not know
}

// Classify returns the part of a term.
func (c *Circuit) Classify(t *Term) Part {
	var p Part
	count := make([]int, len(t.Extents))
	for _, f := range t.Factors {
		if !c.Tensors[f.T].Kind.Known() {
			p.Hidden++
		}
		for _, a := range f.Axes {
			for _, l := range a {
				count[l]++
			}
		}
	}
	for l, n := range count {
		if n >= 2 {
			p.Shared = append(p.Shared, l)
		}
	}
	return p
}

// PassesThrough says that a claim on the term is a linear expression of at most one claim on a factor: no sumcheck, no product.
func (c *Circuit) PassesThrough(t *Term) bool {
	p := c.Classify(t)
	return len(p.Shared) == 0 && p.Hidden <= 1
}

// Read says of every tensor whether a proof reads its cells: not those of a virtual one whose claims only pass through, and that no product
// couples with another.
func (c *Circuit) Read() []bool {
	read := make([]bool, len(c.Tensors))
	for _, l := range c.Lookups {
		for _, id := range l.Cols {
			read[id] = true
		}
	}
	for i := range c.Tensors {
		t := &c.Tensors[i]
		read[i] = read[i] || t.Kind != Virtual || c.waves[i] > 0
		for k := range t.Def {
			if c.waves[i] == 0 || c.PassesThrough(&t.Def[k]) {
				continue
			}
			for _, f := range t.Def[k].Factors {
				read[f.T] = true
			}
		}
	}
	return read
}

// schedule assigns to every virtual tensor with a product part the wave that discharges it: the first after which no new claim
// on it can arise. Tensors are in definition order, so that walking them backwards meets consumers first.
func (c *Circuit) schedule() {
	const unused = -1
	n := len(c.Tensors)
	last := make([]int, n) // the latest message (0 the leaves, w after wave w) in which the tensor is evaluated
	for i := range last {
		last[i] = unused
	}
	at := func(id ID, when int) { last[id] = max(last[id], when) }
	for _, l := range c.Lookups {
		for _, id := range l.Cols {
			at(id, 0)
		}
	}
	for _, z := range c.Zeros {
		at(z, 0)
	}
	c.waves = make([]int, n)
	for i := n - 1; i >= 0; i-- {
		t := &c.Tensors[i]
		if t.Kind != Virtual || last[i] == unused {
			continue
		}
		wave := 0
		for k := range t.Def {
			if !c.PassesThrough(&t.Def[k]) {
				wave = last[i] + 1
			}
		}
		c.waves[i] = wave
		c.nwaves = max(c.nwaves, wave)
		for k := range t.Def {
			when := last[i]
			if !c.PassesThrough(&t.Def[k]) {
				when = wave
			}
			for _, f := range t.Def[k].Factors {
				at(f.T, when)
			}
		}
	}
}
