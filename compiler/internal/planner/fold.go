package planner

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/ir/plan"
)

// fold splits the linear sequence into prologue, repeated block and epilogue, and fills the plan.
func fold(p *plan.Plan, steps []lstep) {
	f := &folder{p: p, steps: steps}
	f.sign()
	best := f.search()
	if best.n == 0 {
		best.start = len(steps)
	}
	f.build(best)
}

// repeat is a candidate: n copies of length steps from start on.
type repeat struct{ start, length, n int }

type folder struct {
	p     *plan.Plan
	steps []lstep
	sig   []int // equal for steps that make the same call but for integer parameters
	work  int   // steps that search looked at

	carryOf map[ref]int // step of the block and result → carry
}

// sign numbers the classes of steps that differ in numbers only.
func (f *folder) sign() {
	class := map[string]int{}
	for i := range f.steps {
		s := &f.steps[i]
		var b strings.Builder
		fmt.Fprint(&b, s.Op, s.Shape, len(s.refs))
		for _, a := range s.Args {
			fmt.Fprintf(&b, " %s %s %q", a.Name, a.Kind, a.Text)
		}
		for _, t := range s.Terms {
			fmt.Fprint(&b, t.Spec, t.In)
		}
		key := b.String()
		if _, ok := class[key]; !ok {
			class[key] = len(class)
		}
		f.sig = append(f.sig, class[key])
	}
}

// maxWork bounds search to some seconds. Models of a hundred layers take a small part of it; a chain of thousands of equal operators that
// is made to look like a repetition everywhere would take days.
const maxWork = 1 << 27

// search finds the repetition that covers most steps; of equal ones the shortest block, then the one that hands on least from layer
// to layer (a rotated layer also hands on what its last half has to add), then the first. When it has looked at maxWork steps it returns
// the best so far: the generated code is longer then, and as right.
func (f *folder) search() repeat {
	var best repeat
	n := len(f.steps)
	for length := 1; 2*length <= n; length++ {
		runs := f.runs(length)
		for start := 0; start+2*length <= n; start++ {
			most := 1 + runs[start]/length // copies, if all that is of the same class is alike
			if most < 2 || most*length < best.n*best.length || most*length == best.n*best.length && length > best.length {
				continue
			}
			r := repeat{start, length, f.copies(start, length)}
			for r.n >= 2 && f.work <= maxWork && !f.closed(r) {
				r.n--
			}
			if f.work > maxWork {
				return best
			}
			if r.n >= 2 && f.better(r, best) {
				best = r
			}
		}
	}
	return best
}

// runs says for every step how many from it on have the class of the step that is length later.
func (f *folder) runs(length int) []int {
	f.work += len(f.sig)
	out := make([]int, len(f.sig)-length+1)
	for i := len(f.sig) - length - 1; i >= 0; i-- {
		if f.sig[i] == f.sig[i+length] {
			out[i] = out[i+1] + 1
		}
	}
	return out
}

func (f *folder) better(a, b repeat) bool {
	switch x, y := a.n*a.length, b.n*b.length; {
	case x != y:
		return x > y
	case a.length != b.length:
		return a.length < b.length
	}
	return len(f.carried(a)) < len(f.carried(b))
}

// copies counts how often the length steps from start on repeat, references included.
func (f *folder) copies(start, length int) int {
	n := 1
	for start+(n+1)*length <= len(f.steps) && f.alike(start, length, n) {
		n++
	}
	return n
}

// alike compares copy j with copy 0 (and 1): the same calls, and every operand in the same place, which is the own copy, the
// copy before (for copy 0 anything before the block: a carry's initial value), or the same step before the block.
func (f *folder) alike(start, length, j int) bool {
	for i := range length {
		f.work++
		if f.sig[start+i] != f.sig[start+j*length+i] || f.steps[start+i].Op == plan.Const || f.steps[start+i].Op == plan.Mask || f.steps[start+i].Op == plan.Input {
			return false
		}
	}
	init := map[ref]ref{}
	for i := range length {
		f.work++
		a, b := &f.steps[start+i], &f.steps[start+j*length+i]
		first := &f.steps[start+length+i] // copy 1 says which operands are carried
		for k := range a.refs {
			if a.refs[k].out != b.refs[k].out && a.refs[k].step >= start {
				return false
			}
			ka, kb := f.relative(start, length, 0, a.refs[k]), f.relative(start, length, j, b.refs[k])
			if k1 := f.relative(start, length, 1, first.refs[k]); k1 != kb {
				return false
			}
			switch kb.where {
			case own:
				if ka != kb {
					return false
				}
			case before:
				if ka != kb || a.refs[k] != b.refs[k] {
					return false
				}
			case previous:
				key := ref{kb.step, kb.out}
				if old, ok := init[key]; ok && old != a.refs[k] || ka.where != before {
					return false
				}
				init[key] = a.refs[k]
			default:
				return false
			}
		}
	}
	return true
}

type where uint8

const (
	own where = iota + 1
	previous
	before
	elsewhere
)

type place struct {
	where     where
	step, out int
}

// relative describes an operand of copy j of a block.
func (f *folder) relative(start, length, j int, r ref) place {
	base := start + j*length
	switch {
	case r.step >= base:
		return place{own, r.step - base, r.out}
	case r.step < start:
		return place{before, r.step, r.out}
	case r.step >= base-length:
		return place{previous, r.step - base + length, r.out}
	}
	return place{elsewhere, 0, 0}
}

// closed says that what comes after the block uses only carried results of its last copy.
func (f *folder) closed(r repeat) bool {
	carried := f.carried(r)
	end := r.start + r.n*r.length
	f.work += r.length
	for i := end; i < len(f.steps); i++ {
		f.work++
		for _, x := range f.steps[i].refs {
			if x.step < r.start || x.step >= end {
				continue
			}
			if _, ok := carried[ref{x.step - (end - r.length), x.out}]; !ok {
				return false
			}
		}
	}
	return true
}

// carried numbers the results that a copy takes from the one before, in order of first use.
func (f *folder) carried(r repeat) map[ref]int {
	m := map[ref]int{}
	for i := range r.length {
		for _, x := range f.steps[r.start+r.length+i].refs {
			if p := f.relative(r.start, r.length, 1, x); p.where == previous {
				if _, ok := m[ref{p.step, p.out}]; !ok {
					m[ref{p.step, p.out}] = len(m)
				}
			}
		}
	}
	return m
}

// build fills the plan from the chosen repetition.
func (f *folder) build(r repeat) {
	p := f.p
	end := r.start + r.n*r.length
	p.Layers = r.n
	if r.n > 0 {
		f.carryOf = f.carried(r)
		p.Carries = make([]plan.Carry, len(f.carryOf))
	}
	taken := map[string]int{}
	p.Prologue = f.section(0, r.start, taken, func(x ref) plan.Ref { return plan.Ref{Place: plan.InPrologue, Index: x.step, Out: x.out} })
	if r.n > 0 {
		f.block(r)
	}
	last := end - r.length
	p.Epilogue = f.section(end, len(f.steps), taken, func(x ref) plan.Ref {
		switch {
		case x.step >= end:
			return plan.Ref{Place: plan.InEpilogue, Index: x.step - end, Out: x.out}
		case x.step >= r.start:
			return plan.Ref{Place: plan.Carried, Index: f.carryOf[ref{x.step - last, x.out}]}
		}
		return plan.Ref{Place: plan.InPrologue, Index: x.step, Out: x.out}
	})
	f.weights(r)
	f.values(r)
}

// section copies steps, with unique names and translated references.
func (f *folder) section(from, to int, taken map[string]int, at func(ref) plan.Ref) []plan.Step {
	var out []plan.Step
	for i := from; i < to; i++ {
		s := f.steps[i].Step
		s.Name = unique(taken, s.Name)
		for _, x := range f.steps[i].refs {
			s.In = append(s.In, at(x))
		}
		out = append(out, s)
	}
	return out
}

// unique adds a number to a name that is taken.
func unique(taken map[string]int, name string) string {
	taken[name]++
	if n := taken[name]; n > 1 {
		return unique(taken, fmt.Sprintf("%s.%d", name, n))
	}
	return name
}

// block fills the repeated block, its carries and columns.
func (f *folder) block(r repeat) {
	p := f.p
	p.Block = f.section(r.start, r.start+r.length, map[string]int{}, func(x ref) plan.Ref {
		return plan.Ref{Place: plan.InPrologue, Index: x.step, Out: x.out}
	})
	for i := range r.length {
		s := &p.Block[i]
		for k, x := range f.steps[r.start+r.length+i].refs {
			switch q := f.relative(r.start, r.length, 1, x); q.where {
			case own:
				s.In[k] = plan.Ref{Place: plan.InBlock, Index: q.step, Out: q.out}
			case previous:
				c := f.carryOf[ref{q.step, q.out}]
				p.Carries[c] = plan.Carry{Init: s.In[k], Next: plan.Ref{Place: plan.InBlock, Index: q.step, Out: q.out}}
				s.In[k] = plan.Ref{Place: plan.Carried, Index: c}
			}
		}
		f.parameters(r, i, s)
	}
	for c := range p.Carries {
		p.Carries[c].Name = p.Block[p.Carries[c].Next.Index].Name
	}
}

// parameters makes columns of the parameters of step i that differ between the copies.
func (f *folder) parameters(r repeat, i int, s *plan.Step) {
	s.Args = append([]plan.Arg(nil), s.Args...)
	for k := range s.Args {
		s.Args[k].Param = f.column(r, s.Name+" "+s.Args[k].Name, func(j int) plan.Param { return f.steps[r.start+j*r.length+i].Args[k].Param })
	}
	s.Terms = append([]plan.Term(nil), s.Terms...)
	for k := range s.Terms {
		name := s.Name + " Coef"
		if len(s.Terms) > 1 {
			name = fmt.Sprintf("%s Coef%d", s.Name, k)
		}
		s.Terms[k].Coef = f.column(r, name, func(j int) plan.Param { return f.steps[r.start+j*r.length+i].Terms[k].Coef })
	}
}

// column is a parameter that has the given value in copy j: a constant if all are alike, else a column.
func (f *folder) column(r repeat, name string, value func(j int) plan.Param) plan.Param {
	first := value(0)
	c := plan.Column{Name: name, Kind: first.Kind}
	same := true
	for j := range r.n {
		v := value(j)
		same = same && v == first
		if c.Kind == plan.KindFloat {
			c.Reals = append(c.Reals, v.Real)
		} else {
			c.Ints = append(c.Ints, v.Int)
		}
	}
	if same {
		return first
	}
	f.p.Columns = append(f.p.Columns, c)
	return plan.Param{Kind: first.Kind, Column: len(f.p.Columns) - 1}
}

// each calls do for every step of the linear sequence with the full name that its tensor has in the circuit.
func (f *folder) each(r repeat, do func(s *lstep, name string)) {
	p := f.p
	for i := range p.Prologue {
		do(&f.steps[i], p.Prologue[i].Name)
	}
	for j := range r.n {
		for i := range p.Block {
			do(&f.steps[r.start+j*r.length+i], fmt.Sprintf("layer%d.%s", j, p.Block[i].Name))
		}
	}
	end := r.start + r.n*r.length
	for i := range p.Epilogue {
		do(&f.steps[end+i], p.Epilogue[i].Name)
	}
}

// weights lists the cells of all weights in the circuit's order.
func (f *folder) weights(r repeat) {
	f.each(r, func(s *lstep, name string) {
		if s.Op == plan.Weight {
			f.p.Weights = append(f.p.Weights, plan.Tensor{Name: name, Shape: s.Shape, Short: s.values, Files: s.files})
		}
	})
}

// values notes what the steps compute, and where they come from.
func (f *folder) values(r repeat) {
	f.p.Values, f.p.Origins = map[string]int{}, map[string]plan.Origin{}
	f.each(r, func(s *lstep, name string) {
		f.p.Origins[name] = s.from
		if s.value >= 0 {
			f.p.Values[name] = int(s.value)
		}
	})
}
