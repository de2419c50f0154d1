package circuit

import (
	"fmt"
	"slices"
	"strings"
)

// A rescale gives another value than its rounded quotient where it clamps, and it can clamp only where its class is not zero: the excess,
// which is what the quotient has beyond the value, is looked up with the class in a table that has nothing but zero beside class 0. The
// classes are found by that form, whoever made them:
//
//	a column of −1, 0 and 1 of a lookup, whose table has zeros alone in the other columns of a line with 0, has a line with zeros alone in
//	the others and no 0 in it, and several lines with one and the same of −1 and 1
//
// The last two tell it from an argument, or a value, of a function: no other column determines it, and it determines none. A value that is
// clamped to [−1, 1] has that form too, beside its class; the hint that yields it tells it apart.
//
// What a gadget says in its hint is compared: a hint that clamps must name a class of that form, and of a kind of hint that is not known
// here it is not known whether it clamps. Of such a circuit no statement can say that nothing was clamped.

// Classes lists the classes of clamps, in the circuit's order. The error says why they are not known.
func (c *Circuit) Classes() ([]ID, error) { return c.classes, c.unclassed }

// Clamped lists the tensors whose clamps are known, by their names, in the order of Classes.
func (c *Circuit) Clamped() []string {
	var names []string
	for _, id := range c.classes {
		names = append(names, strings.TrimSuffix(c.Tensor(id).Name, ".class"))
	}
	return names
}

// Excess says of every lookup whether it is of what a clamp left over, which is zero, and so is the class, where nothing was clamped.
func (c *Circuit) Excess() []bool {
	gates, of := c.gates(), make([]bool, len(c.Lookups))
	for i, l := range c.Lookups {
		for k, id := range l.Cols {
			of[i] = of[i] || gates[l.Table][k] && slices.Contains(c.classes, id)
		}
	}
	return of
}

// gates says which columns of tables are those of classes.
func (c *Circuit) gates() [][]bool {
	gates := make([][]bool, len(c.Tables))
	for i := range c.Tables {
		for k := range c.Tables[i].Cols {
			gates[i] = append(gates[i], c.Tables[i].gate(k))
		}
	}
	return gates
}

// findClasses derives Classes.
func (c *Circuit) findClasses() {
	gates := c.gates()
	values := map[ID]bool{}
	for i := range c.Hints {
		for _, id := range c.Hints[i].clamped() {
			values[id] = true
		}
	}
	for _, l := range c.Lookups {
		for k, id := range l.Cols {
			if gates[l.Table][k] && !values[id] && !slices.Contains(c.classes, id) {
				c.classes = append(c.classes, id)
			}
		}
	}
	slices.Sort(c.classes)
	for i := range c.Hints {
		class, err := c.Hints[i].class()
		if err == nil && class >= 0 && !slices.Contains(c.classes, class) {
			err = fmt.Errorf("tensor %s is looked up with no excess", c.Tensor(class).Name)
		}
		if err != nil && c.unclassed == nil {
			c.unclassed = fmt.Errorf("circuit %s: the clamps of hint %d: %w", c.Name, i, err)
		}
	}
}

// gate says whether column k decides that the others are zero; see above.
func (t *Table) gate(k int) bool {
	var lines [3]int // with −1, 0 and 1
	open := false
	for i, v := range t.Cols[k] {
		if v < -1 || v > 1 {
			return false
		}
		zeros := true
		for j := 0; zeros && j < len(t.Cols); j++ {
			zeros = j == k || t.Cols[j][i] == 0
		}
		if v == 0 && !zeros {
			return false
		}
		open = open || v != 0 && zeros
		lines[v+1]++
	}
	return len(t.Cols) > 1 && open && lines[1] > 0 && max(lines[0], lines[2]) > 1
}

// clamped lists the results of a hint that a clamp gives: its value, or the digits of that.
func (h *Hint) clamped() []ID {
	switch class, err := h.class(); {
	case err != nil || class < 0:
		return nil
	case h.Kind == HintWide:
		p, _ := h.Wide()
		return h.Out[:p.Digits]
	}
	return h.Out[:1]
}

// class is the class of the clamp that a hint computes, -1 where it computes none.
func (h *Hint) class() (ID, error) {
	switch h.Kind {
	case HintRescale, HintLimbs, HintTable, HintRsqrt, HintRecip, HintAttn, HintInput:
		return -1, nil
	case HintClamp:
		if len(h.Out) < 2 {
			return -1, fmt.Errorf("it yields no class")
		}
		return h.Out[1], nil
	case HintWide:
		if p, _ := h.Wide(); p.Digits < int64(len(h.Out)) { // Finish has seen that there are as many
			return h.Out[p.Digits], nil
		}
		return -1, nil
	}
	return -1, fmt.Errorf("its kind %d is not known", h.Kind)
}
