package cuda

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// What the kernels of a sumcheck read, as sumcheck.cuh has it.
type (
	bitRun      struct{ from, count uint64 }
	factorView  struct{ values, varies, firstBits, bits uint64 }
	productTask struct{ n, run, firstView, views uint64 }
	boundTask   struct{ out, from, n uint64 }
)

const (
	mostPoints = 4   // MOST_POINTS
	bindRun    = 512 // BIND_RUN
)

// sumcheck is a backend.Sumcheck. What every round will ask of the device is known from the beginning, and is uploaded once. The last rounds are the
// processor's.
type sumcheck struct {
	r       *run
	s       *device.Scratch // ends with the sumcheck
	degree  int
	rounds  int
	plans   []roundPlan // of the rounds on the device, and of what is bound for the one after
	at      int         // the round
	out     uint64
	waiting []field.Element // of an instance that comes later: its sum without the coefficient
	coefs   []field.Element
	n       []int // variables
	factors [][]*factorState
	values  []*factorState // all, each once
	left    []int          // variables of the instances that are not bound as the processor takes over
	bound   field.Element  // the challenge of the round before
	host    backend.Sumcheck
}

// factorState is a vector as instances of some number of variables see it, with some of its variables fixed.
type factorState struct {
	values uint64
	vars   uint64 // a bit for each of the instance's variables that it has
	spare  [2]uint64
	turn   int
}

// factorKey tells states apart.
type factorKey struct {
	values device.Pointer
	n      int
	vars   uint64
}

// roundPlan is what a round tells the device.
type roundPlan struct {
	products, views, bits, productFirst uint64 // where they are
	bounds, boundFirst                  uint64
	boundCount, boundEntries            int
	factors                             int // of all products, each times its indices
	boundGrid, grid                     device.Dim
	blocks                              []uint64 // the first block of each product, and the number of all
	instances                           []int    // whose products they are
}

// sumcheck plans the rounds, of which so many are the device's.
func (r *run) sumcheck(instances []backend.Instance, rounds, degree, own int) *sumcheck {
	c := &sumcheck{r: r, s: &device.Scratch{Work: r.memory}, degree: degree, rounds: rounds, plans: make([]roundPlan, own+1)}
	c.waiting, c.factors = make([]field.Element, len(instances)), make([][]*factorState, len(instances))
	known := map[factorKey]*factorState{}
	for k := range instances {
		in := &instances[k]
		c.coefs, c.n = append(c.coefs, in.Coef), append(c.n, in.N)
		for _, f := range in.Factors {
			key := factorKey{r.held(f.Vals), in.N, mask(f.Vars)}
			if known[key] == nil {
				known[key] = &factorState{values: uint64(key.values), vars: key.vars}
				c.values = append(c.values, known[key])
			}
			c.factors[k] = append(c.factors[k], known[key])
		}
	}
	c.left = append(c.left, c.n...)
	if r.Err() == nil {
		c.plan(known)
		c.finish()
	}
	return c
}

// finish ends the sumcheck's memory where something failed.
func (c *sumcheck) finish() {
	if err := c.s.Error(); err != nil {
		c.r.fail(err)
	}
	if c.r.Err() != nil {
		_ = c.s.End()
		c.s = &device.Scratch{Work: c.r.memory}
	}
}

// mask is a bit for every variable.
func mask(vars []int) (m uint64) {
	for _, v := range vars {
		m |= 1 << v
	}
	return m
}

// plan walks through the rounds as they will be, and tells the device.
func (c *sumcheck) plan(known map[factorKey]*factorState) {
	free := map[*factorState]int{} // variables of the instance
	for key, f := range known {
		free[f] = key.n
		n := bits.OnesCount64(f.vars)
		for i := range min(len(f.spare), len(c.plans)-1-(c.rounds-key.n)) { // as often as it is bound
			if n > i {
				f.spare[i] = uint64(c.s.Take(1<<(n-i-1), elementBytes))
			}
		}
	}
	var p pack
	most := uint64(0)
	for i := range c.plans {
		plan, rest := &c.plans[i], c.rounds-i
		if i > 0 {
			c.planBinding(&p, plan, free, rest+1)
		}
		if i < len(c.plans)-1 {
			c.planProducts(&p, plan, rest, i == 0)
			most = max(most, plan.blocks[len(plan.blocks)-1])
		}
	}
	base := p.send(c.s)
	for i := range c.plans {
		plan := &c.plans[i]
		for _, at := range []*uint64{&plan.products, &plan.views, &plan.bits, &plan.productFirst, &plan.bounds, &plan.boundFirst} {
			*at += base
		}
	}
	c.out = uint64(c.s.Take(int(most)*max(1, c.degree), elementBytes))
}

// planBinding fixes the lowest variable of all factors whose instances have as many free as there are rounds left.
func (c *sumcheck) planBinding(p *pack, plan *roundPlan, free map[*factorState]int, rest int) {
	var tasks []boundTask
	for _, f := range c.values {
		if free[f] < rest {
			continue
		}
		free[f]--
		if f.vars&1 != 0 {
			out := f.spare[f.turn%2]
			f.turn++
			tasks = append(tasks, boundTask{out, f.values, 1 << (bits.OnesCount64(f.vars) - 1)})
			f.values = out
		}
		f.vars >>= 1
	}
	for k := range c.left {
		if c.left[k] == rest {
			c.left[k]--
		}
	}
	for i := range tasks {
		plan.boundEntries += int(tasks[i].n)
	}
	first := firsts(tasks, func(t *boundTask) uint64 { return runsOf(t.n, bindRun) })
	plan.bounds, plan.boundFirst, plan.boundCount, plan.boundGrid = put(p, tasks), put(p, first), len(tasks), grid(first)
}

// planProducts lists the products that a round sums up. In the first round, those of instances that come later are among them, as if the
// round's variable were none of theirs.
func (c *sumcheck) planProducts(p *pack, plan *roundPlan, rest int, all bool) {
	var tasks []productTask
	var views []factorView
	var runs []bitRun
	total := uint64(0)
	for k, n := range c.left {
		if n < rest && !all {
			continue
		}
		active := n == rest
		t := productTask{n: 1 << n, firstView: uint64(len(views)), views: uint64(len(c.factors[k]))}
		if active {
			t.n = 1 << (n - 1)
		}
		total += t.n
		for _, f := range c.factors[k] {
			v, vars := factorView{values: f.values, firstBits: uint64(len(runs))}, f.vars
			if active {
				v.varies, vars = vars&1, vars>>1
			}
			runs = append(runs, bitRuns(vars)...)
			v.bits = uint64(len(runs)) - v.firstBits
			views = append(views, v)
		}
		plan.factors += int(t.n * t.views)
		tasks, plan.instances = append(tasks, t), append(plan.instances, k)
	}
	for t := range tasks {
		tasks[t].run = max(1<<10, total/fullGrid)
	}
	plan.blocks = firsts(tasks, func(t *productTask) uint64 { return runsOf(t.n, t.run) })
	plan.grid = grid(plan.blocks)
	plan.products, plan.views, plan.bits, plan.productFirst = put(p, tasks), put(p, views), put(p, runs), put(p, plan.blocks)
}

// bitRuns are runs of set bits.
func bitRuns(m uint64) (runs []bitRun) {
	for from := uint64(0); m>>from != 0; {
		from += uint64(bits.TrailingZeros64(m >> from))
		n := uint64(bits.TrailingZeros64(^(m >> from)))
		runs = append(runs, bitRun{from, n})
		from += n
	}
	return runs
}

// bind fixes the variable of the round before.
func (c *sumcheck) bind(s *device.Scratch) {
	if plan := &c.plans[c.at]; plan.boundCount > 0 {
		s.Takes(plan.boundEntries, 0, 3*plan.boundEntries*elementBytes)
		s.Run("bind_lowest", plan.boundGrid, device.Dim{threads}, append([]uint64{plan.bounds, plan.boundFirst, uint64(plan.boundCount)}, words(&c.bound)...)...)
	}
}

// Round fixes the variable of the round before and sums up.
func (c *sumcheck) Round() []field.Element {
	if c.ends() {
		return c.host.Round()
	}
	out := make([]field.Element, max(1, c.degree))
	c.r.within(func(s *device.Scratch) {
		plan := &c.plans[c.at]
		c.bind(s)
		blocks := int(plan.blocks[len(plan.blocks)-1])
		if blocks == 0 {
			c.add(out, nil)
			return
		}
		sums := make([]field.Element, blocks*len(out))
		at := c.out
		for from := 0; from < len(out); from += mostPoints {
			n := min(mostPoints, len(out)-from)
			s.Takes(plan.factors*n, 0, plan.factors*2*elementBytes)
			s.Run("product_sums", plan.grid, device.Dim{threads},
				at, plan.products, plan.views, plan.bits, plan.productFirst, uint64(len(plan.instances)), uint64(from), uint64(n))
			at += uint64(blocks * n * elementBytes)
		}
		s.Get(device.Bytes(sums), device.Pointer(c.out))
		c.add(out, sums)
	})
	return out
}

// add adds up the sums of blocks, and what instances add that come later.
func (c *sumcheck) add(out, sums []field.Element) {
	plan, rest := &c.plans[c.at], c.rounds-c.at
	active := make([]bool, len(c.n))
	for t, k := range plan.instances {
		total := c.total(sums, plan.blocks[t], plan.blocks[t+1], plan.blocks[len(plan.instances)], len(out))
		if c.n[k] < rest {
			c.waiting[k] = total[0]
			continue
		}
		active[k] = true
		for i := range out {
			total[i].Mul(&total[i], &c.coefs[k])
			out[i].Add(&out[i], &total[i])
		}
	}
	for k := range c.n {
		if active[k] {
			continue
		}
		addWaiting(out, &c.waiting[k], &c.coefs[k], rest-1-c.n[k])
	}
}

// addWaiting adds what an instance adds that comes later, behind so many variables in which it is constant: its sum, times its coefficient.
func addWaiting(out []field.Element, waiting, coef *field.Element, constant int) {
	var sum field.Element
	sum.Mul(waiting, coef)
	for range constant {
		sum.Double(&sum)
	}
	for i := range out {
		out[i].Add(&out[i], &sum)
	}
}

// total adds up what blocks of all have, which of every mostPoints points are one list.
func (c *sumcheck) total(sums []field.Element, first, end, all uint64, points int) []field.Element {
	out := make([]field.Element, points)
	for from := 0; from < points; from += mostPoints {
		n := min(mostPoints, points-from)
		for b := first; b < end; b++ {
			for i := range n {
				out[from+i].Add(&out[from+i], &sums[int(b)*n+i])
			}
		}
		sums = sums[int(all)*n:]
	}
	return out
}

func (c *sumcheck) Bind(r field.Element) {
	if c.ends() {
		c.host.Bind(r)
		return
	}
	c.bound = r
	c.at++
}

// ends says whether what is left is the processor's, which takes it over then.
func (c *sumcheck) ends() bool {
	if c.at == len(c.plans)-1 && c.host == nil {
		c.takeOver()
	}
	return c.host != nil
}

// collected is a vector that collect copies to a list.
type collected struct{ from, at, n uint64 }

// collected lists what is left of all factors, one behind the other.
func (c *sumcheck) collected() (tasks []collected, total uint64) {
	tasks = make([]collected, len(c.values))
	for i, f := range c.values {
		tasks[i] = collected{f.values, total, 1 << bits.OnesCount64(f.vars)}
		total += tasks[i].n
	}
	return tasks, total
}

// collect binds what is not bound yet, and copies what is left of all factors.
func (c *sumcheck) collect(s *device.Scratch, to device.Pointer, tasks []collected) {
	c.bind(s)
	var p pack
	list := put(&p, tasks)
	base := p.send(s)
	s.Run("collect", device.Dim{len(tasks)}, device.Dim{threads}, uint64(to), base+list)
}

// takeOver goes on with what is left of all factors.
func (c *sumcheck) takeOver() {
	tasks, total := c.collected()
	values := make([]field.Element, total)
	c.r.within(func(s *device.Scratch) {
		if len(tasks) == 0 {
			return
		}
		at := s.Take(len(values), elementBytes)
		c.collect(s, at, tasks)
		s.Get(device.Bytes(values), at)
	})
	_ = c.s.End()
	factors := map[*factorState]backend.Factor{}
	for i, f := range c.values {
		factors[f] = backend.Factor{Vals: c.r.host.Vector(values[tasks[i].at : tasks[i].at+tasks[i].n]), Vars: variables(f.vars)}
	}
	instances := make([]backend.Instance, len(c.n))
	for k := range instances {
		instances[k] = backend.Instance{N: c.left[k], Coef: c.coefs[k]}
		for _, f := range c.factors[k] {
			instances[k].Factors = append(instances[k].Factors, factors[f])
		}
	}
	c.host = c.r.host.Sumcheck(instances, c.rounds-c.at, c.degree)
}

// variables are the set bits.
func variables(m uint64) (vars []int) {
	for ; m != 0; m &= m - 1 {
		vars = append(vars, bits.TrailingZeros64(m))
	}
	return vars
}

// Finals are the processor's.
func (c *sumcheck) Finals() [][]field.Element {
	c.ends()
	return c.host.Finals()
}
