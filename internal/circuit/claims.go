package circuit

import (
	"fmt"
	"slices"
	"strings"
)

// What ties a statement to the output and to the private tokens is recognised by its form, and by nothing else: these tensors say what the
// prover claims, and compute nothing. A public tensor of claims in any other place is not understood: something else than the output might
// be revealed, or computed from what is claimed.
//
//	reveal   a_t·output − logits
//	best     Σ next·output, gap  best − a_t·output − less
//	agree    known·tokens − known·public
func (a *causality) findClaims() {
	a.claims = map[ID]bool{}
	tokens := ID(-1)
	for _, h := range a.c.Hints {
		if h.Kind == HintInput {
			tokens = h.Out[0]
		}
	}
	best := map[ID]bool{}
	name := func(id ID) string {
		t := a.c.Tensor(id)
		switch {
		case id == a.c.Generation.Output:
			return "output"
		case id == tokens:
			return "tokens"
		case best[id]:
			return "best"
		case t.Kind == Public && t.Port == a.c.Generation.In:
			return map[View]string{OneHot: "public", Known: "known"}[t.View]
		case t.Kind == Public && t.Port == a.c.Generation.Out:
			return map[View]string{Selected: "selected", ArgmaxAt: "next", ArgmaxBelow: "less", PortValues: "logits"}[t.View]
		}
		return "other"
	}
	for i := range a.c.Tensors {
		t := &a.c.Tensors[i]
		switch defForm(t, name) {
		case "1·next[0 1]·output[0 1]→[0]":
			best[t.ID] = true
		case "-1·less[0 1]→[0 1] -1·selected[0]·output[0 1]→[0 1] 1·best[0]→[0 1]",
			"-1·logits[0 1]→[0 1] 1·selected[0]·output[0 1]→[0 1]",
			"-1·known[0]·public[0 1]→[0 1] 1·known[0]·tokens[0 1]→[0 1]":
		default:
			for _, term := range t.Def {
				for _, f := range term.Factors {
					a.noClaim(t.Name, f.T)
				}
			}
			continue
		}
		a.claims[t.ID] = true
	}
	for _, l := range a.c.Lookups {
		for _, id := range l.Cols {
			a.noClaim("a lookup", id)
		}
	}
	for _, z := range a.c.Zeros {
		a.noClaim("a zero-check", z)
	}
}

// tells says whether a public tensor is the rows of the tokens, all of which are told.
func (c *Circuit) tells(t *Tensor) bool {
	return t.View == OneHot && t.Port == c.Generation.In && !c.Generation.Private
}

// noClaim notes that a tensor of claims occurs where none has a form.
func (a *causality) noClaim(where string, id ID) {
	t := a.c.Tensor(id)
	if t.Kind == Public && !a.c.tells(t) && a.wrong == "" {
		a.wrong = fmt.Sprintf("tensor %s: it is computed from what the statement claims, and occurs in %s, which is no gadget's", t.Name, where)
	}
}

// defForm writes a definition as its terms in order; nothing where it has more terms or factors than any claim.
func defForm(t *Tensor, name func(ID) string) string {
	var terms []string
	for k := range t.Def {
		if len(t.Def) > 3 || len(t.Def[k].Factors) > 2 {
			return ""
		}
		terms = append(terms, termForm(&t.Def[k], name))
	}
	slices.Sort(terms)
	return strings.Join(terms, " ")
}

// termForm writes a term with the names of its factors, and its labels numbered as they first occur in the result, then in the factors. An
// axis that is not one label has a form of no claim.
func termForm(t *Term, name func(ID) string) string {
	number := map[int]int{}
	axes := func(list [][]int) string {
		out := make([]string, len(list))
		for i, labels := range list {
			if len(labels) != 1 {
				return "[?]"
			}
			if _, ok := number[labels[0]]; !ok {
				number[labels[0]] = len(number)
			}
			out[i] = fmt.Sprint(number[labels[0]])
		}
		return "[" + strings.Join(out, " ") + "]"
	}
	out := axes(t.Out)
	form := fmt.Sprint(t.Coef)
	for _, f := range t.Factors {
		form += "·" + name(f.T) + axes(f.Axes)
	}
	return form + "→" + out
}
