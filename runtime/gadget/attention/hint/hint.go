// Package hint holds the rule of zkAttn's hint: how a prover computes what package attention commits to.
package hint

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// Rules are the rules by the kind of hint.
func Rules() map[circuit.HintKind]rule.Rule {
	return map[circuit.HintKind]rule.Rule{circuit.HintAttn: attention}
}

// attention emits the tensors of zkAttn. A masked position counts as a score lower by offset.
func attention(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Attn()
	if !ok {
		return fmt.Errorf("a hint of kind %d has %d parameters", h.Kind, len(h.Params))
	}
	s, mask, limbs := in[0], in[1], h.Out[:p.Limbs]
	shape := r.Shape(h.In[0])
	n := shape[len(shape)-1]
	masked := func(i int) bool { return mask != nil && mask[i%len(mask)] != 0 }
	score := func(i int) int64 {
		if masked(i) {
			return rule.Quotient(s[i], p.Shift) - p.Offset
		}
		return rule.Quotient(s[i], p.Shift)
	}
	top, err := rowMax(r, h, n, len(s)/n, masked, score)
	if err != nil {
		return err
	}
	rule.Limbs(r, limbs, 0, p.Radix, rule.Cells(r, len(top), func(i int) int64 { return top[i] - p.Lo }))
	m := recompose(r, limbs, p)
	d := rule.Cells(r, len(s), func(i int) int64 { return m[i/n] - score(i) })
	rest := h.Out[p.Limbs:]
	dlo := r.Emit(rest[0], rule.Cells(r, len(s), func(i int) int64 { return d[i] & (1<<p.DBits - 1) }))
	u := r.Emit(rest[1], rule.Cells(r, len(s), func(i int) int64 { return d[i] >> p.DBits }))
	_, cols := r.Table(h)
	exp := cols[1][:1<<p.DBits]
	r.Emit(rest[2], rule.Cells(r, len(s), func(i int) int64 {
		if u[i] != 0 || dlo[i] < 0 || dlo[i] >= int64(len(exp)) {
			return 0
		}
		return exp[dlo[i]]
	}))
	zu := r.Emit(rest[3], rule.Cells(r, len(s), func(i int) int64 { return indicator(u[i] == 0) }))
	r.Emit(rest[4], rule.Cells(r, len(s), func(i int) int64 { return indicator(zu[i] == 1 && dlo[i] == 0) }))
	return nil
}

func indicator(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// rowMax is the maximum of the unmasked scores of every row.
func rowMax(run rule.Run, h *circuit.Hint, n, rows int, masked func(int) bool, score func(int) int64) ([]int64, error) {
	top := make([]int64, rows)
	err := rule.EachCell(run.Pool(), rows, func(r int) error {
		found := false
		for i := r * n; i < (r+1)*n; i++ {
			if v := score(i); !masked(i) && (!found || v > top[r]) {
				top[r], found = v, true
			}
		}
		if !found {
			return fmt.Errorf("attention scores %s: row %v has no unmasked position", run.Name(h.In[0]), run.Cell(h.In[0], r*n)[:len(run.Shape(h.In[0]))-1])
		}
		return nil
	})
	return top, err
}

// recompose is Lo + Σ 2^(w·l)·limb_l.
func recompose(r rule.Run, limbs []circuit.ID, p circuit.AttnHint) []int64 {
	v := make([]int64, len(r.Cells(limbs[0])))
	for i := range v {
		v[i] = p.Lo
	}
	for l, id := range limbs {
		for i, x := range r.Cells(id) {
			v[i] += x << (int64(l) * p.Radix)
		}
	}
	return v
}
