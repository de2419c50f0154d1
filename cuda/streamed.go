package cuda

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// streamed is a sumcheck whose vectors there is no memory for. Its instances are made in groups, round by round: a group's vectors are computed from integers,
// bound to all challenges so far, and given back when they are summed up. Where what is left of all vectors fits it is stored, and the rounds go on as those of
// other sumchecks.
type streamed struct {
	r         *run
	instances []backend.Instance
	rounds    int
	degree    int
	bound     []field.Element
	waiting   []field.Element // of an instance that comes later: its sum without the coefficient
	stored    []device.Pointer
	rest      backend.Sumcheck
}

// lacking says whether one of the instances has a vector that is not computed.
func lacking(instances []backend.Instance) bool {
	for i := range instances {
		for _, f := range instances[i].Factors {
			if f.Vals.(*vector).late() {
				return true
			}
		}
	}
	return false
}

// late says whether a vector is computed when it is needed, and is not there.
func (v *vector) late() bool { return v.at == 0 && (v.partial != nil || v.table != nil) }

// vectors are those that instances have, each once.
func vectors(instances []backend.Instance) (list []*vector) {
	known := map[*vector]bool{}
	for i := range instances {
		for _, f := range instances[i].Factors {
			if v := f.Vals.(*vector); !known[v] {
				known[v] = true
				list = append(list, v)
			}
		}
	}
	return list
}

// compute gives late vectors memory and what is to be in it. It returns them.
func (r *run) compute(list []*vector) (made []*vector) {
	var partials []backend.Partial
	var tables []backend.Table
	var folded, tabulated []device.Pointer
	for _, v := range list {
		if !v.late() || r.Err() != nil {
			continue
		}
		v.at = r.room(v.n).at
		if made = append(made, v); v.partial != nil {
			partials, folded = append(partials, *v.partial), append(folded, v.at)
		} else {
			tables, tabulated = append(tables, *v.table), append(tabulated, v.at)
		}
	}
	if len(made) > 0 {
		r.within(func(s *device.Scratch) { r.fold(s, partials, folded) })
		r.within(func(s *device.Scratch) { tabulate(s, tables, tabulated) })
	}
	return made
}

// postpone says whether vectors of some lengths are too many to be kept all, so that they are to be computed when they are needed.
func (r *run) postpone(n int, length func(i int) int) bool {
	sum := int64(0)
	for i := range n {
		sum += int64(length(i)) * elementBytes
	}
	return r.Err() == nil && sum > r.left()/8
}

// Sumcheck begins with what is there, or in groups.
func (r *run) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	tail := r.session.of.tail
	if rounds <= tail || !lacking(instances) {
		return r.sumcheck(instances, rounds, degree, max(0, rounds-tail))
	}
	return &streamed{r: r, instances: instances, rounds: rounds, degree: degree, waiting: make([]field.Element, len(instances))}
}

// left is how many variables of an instance are not bound.
func (c *streamed) left(in *backend.Instance) int { return min(in.N, c.rounds-len(c.bound)) }

// entries is how many an instance's vectors have, with some variables left.
func entries(in *backend.Instance, left int) (sum int64) {
	for _, f := range in.Factors {
		n := 0
		for _, v := range f.Vars {
			if v >= in.N-left {
				n++
			}
		}
		sum += 1 << n
	}
	return sum
}

// groups are instances whose vectors fit together, with what is left of them when variables are bound, one at least.
func (c *streamed) groups(list []int) (groups [][]int) {
	most, sum := c.r.left()/4, int64(0)
	for _, k := range list {
		in := &c.instances[k]
		bytes := 2 * entries(in, in.N) * elementBytes
		if len(groups) == 0 || sum+bytes > most {
			groups, sum = append(groups, nil), 0
		}
		groups[len(groups)-1], sum = append(groups[len(groups)-1], k), sum+bytes
	}
	return groups
}

// with makes a sumcheck of a group, bound to all challenges, of which so many rounds are the device's.
func (c *streamed) with(group []int, rounds int, use func(s *sumcheck)) {
	own := make([]backend.Instance, len(group))
	for i, k := range group {
		own[i] = c.instances[k]
	}
	made := c.r.compute(vectors(own))
	s := c.r.sumcheck(own, c.rounds, c.degree, rounds)
	for i, k := range group {
		s.waiting[i] = c.waiting[k]
	}
	for i, r := range c.bound {
		s.bound = r
		if s.at++; i < len(c.bound)-1 {
			c.r.within(s.bind)
		}
	}
	if c.r.Err() == nil {
		use(s)
	}
	for i, k := range group {
		c.waiting[k] = s.waiting[i]
	}
	_ = s.s.End()
	for _, v := range made {
		if v.at != 0 {
			_ = c.r.memory.Free(v.at)
			v.at = 0
		}
	}
}

// Round adds up the groups' sums, of those whose instances have the round's variable, and what the others add.
func (c *streamed) Round() []field.Element {
	if c.ready(); c.rest != nil {
		return c.rest.Round()
	}
	out := make([]field.Element, max(1, c.degree))
	rest := c.rounds - len(c.bound)
	var list []int
	for k := range c.instances {
		if in := &c.instances[k]; len(c.bound) == 0 || in.N >= rest {
			list = append(list, k)
		} else {
			addWaiting(out, &c.waiting[k], &in.Coef, rest-1-in.N)
		}
	}
	for _, group := range c.groups(list) {
		c.with(group, len(c.bound)+1, func(s *sumcheck) {
			for i, v := range s.Round() {
				out[i].Add(&out[i], &v)
			}
		})
	}
	return out
}

// Bind notes a challenge.
func (c *streamed) Bind(r field.Element) {
	if c.rest != nil {
		c.rest.Bind(r)
		return
	}
	c.bound = append(c.bound, r)
}

// ready stores what is left of all vectors, where it fits: at the latest when the rest is the processor's.
func (c *streamed) ready() {
	sum := int64(0)
	for k := range c.instances {
		sum += entries(&c.instances[k], c.left(&c.instances[k])) * elementBytes
	}
	if c.rest != nil || sum > c.r.left()/8 && len(c.bound) < c.rounds-c.r.session.of.tail {
		return
	}
	all := make([]int, len(c.instances))
	for k := range all {
		all[k] = k
	}
	left := make([]backend.Instance, len(c.instances))
	for _, group := range c.groups(all) {
		c.with(group, len(c.bound), func(s *sumcheck) { c.store(s, group, left) })
	}
	c.rest = c.r.sumcheck(left, c.rounds-len(c.bound), c.degree, max(0, c.rounds-len(c.bound)-c.r.session.of.tail))
}

// store copies what is left of a group's vectors.
func (c *streamed) store(s *sumcheck, group []int, left []backend.Instance) {
	tasks, total := s.collected()
	at := c.r.room(int(total)).at
	if at != 0 {
		c.stored = append(c.stored, at)
	}
	c.r.within(func(own *device.Scratch) { s.collect(own, at, tasks) })
	held := map[*factorState]backend.Factor{}
	for i, f := range s.values {
		held[f] = backend.Factor{Vals: &vector{at: at + device.Pointer(tasks[i].at*elementBytes), n: 1 << bits.OnesCount64(f.vars), of: c.r}, Vars: variables(f.vars)}
	}
	for i, k := range group {
		left[k] = backend.Instance{N: s.left[i], Coef: s.coefs[i]}
		for _, f := range s.factors[i] {
			left[k].Factors = append(left[k].Factors, held[f])
		}
	}
}

// Finals ends the rest.
func (c *streamed) Finals() [][]field.Element {
	c.ready()
	out := c.rest.Finals()
	for _, at := range c.stored {
		_ = c.r.memory.Free(at)
	}
	c.stored = nil
	return out
}
