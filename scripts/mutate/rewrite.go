package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
)

// weaken makes the mutants of a condition. accept tells the value on which the condition refuses: true for a guard, false for a
// predicate, or below a negation.
func (w *walker) weaken(e ast.Expr, refuses bool) {
	w.drop(e, refuses, kindGuard)
}

// drop makes the mutant in which an expression never refuses, and those within it.
func (w *walker) drop(e ast.Expr, refuses bool, kind string) {
	id := w.site(kind, e, w.source(e))
	if refuses {
		w.before(e, fmt.Sprintf("mutantRefused(%d, ", id))
	} else {
		w.before(e, fmt.Sprintf("mutantHolds(%d, ", id))
	}
	w.within(e, refuses)
	w.after(e, ")")
}

// within makes the mutants inside an expression: alternatives are dropped one at a time, comparisons weakened.
func (w *walker) within(e ast.Expr, refuses bool) {
	switch x := e.(type) {
	case *ast.ParenExpr:
		w.within(x.X, refuses)
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			w.within(x.X, !refuses)
			return
		}
		w.inner(e)
	case *ast.BinaryExpr:
		w.binary(x, refuses)
	default:
		w.inner(e)
	}
}

func (w *walker) binary(x *ast.BinaryExpr, refuses bool) {
	alternatives := token.LOR
	if !refuses {
		alternatives = token.LAND
	}
	switch x.Op {
	case token.LOR, token.LAND:
		for _, side := range []ast.Expr{x.X, x.Y} {
			if inner, ok := side.(*ast.BinaryExpr); x.Op == alternatives && !(ok && inner.Op == alternatives) {
				w.drop(side, refuses, kindOperand)
			} else {
				w.within(side, refuses)
			}
		}
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		w.compare(x, refuses)
	default:
		w.inner(x)
	}
}

// compare makes a comparison weaker by one. The weaker form is written behind it.
func (w *walker) compare(x *ast.BinaryExpr, refuses bool) {
	a, b := w.source(x.X), w.source(x.Y)
	var weaker string
	switch op := x.Op; {
	case op == token.GTR && refuses, op == token.LEQ && !refuses:
		weaker = fmt.Sprintf("%s %s (%s)+1", a, op, b)
	case op == token.LSS && refuses, op == token.GEQ && !refuses:
		weaker = fmt.Sprintf("%s %s (%s)-1", a, op, b)
	case op == token.GEQ:
		weaker = a + " > " + b
	case op == token.LEQ:
		weaker = a + " < " + b
	case op == token.LSS:
		weaker = a + " <= " + b
	default:
		weaker = a + " >= " + b
	}
	id := w.site(kindBound, x, w.source(x))
	w.before(x, "(")
	w.inner(x.X)
	w.inner(x.Y)
	if refuses {
		w.after(x, fmt.Sprintf(" && mutantStill(%d, %s))", id, weaker))
	} else {
		w.after(x, fmt.Sprintf(" || mutantAlready(%d, %s))", id, weaker))
	}
}

// site records a mutant and returns its number.
func (w *walker) site(kind string, n ast.Node, text string) int {
	w.sites = append(w.sites, &site{pkg: w.pkg, fn: w.fn, kind: kind, text: text, file: w.file, line: w.set.Position(n.Pos()).Line})
	return len(w.sites)
}

// source is the text of a node, on one line.
func (w *walker) source(n ast.Node) string {
	return oneLine(w.text[w.set.Position(n.Pos()).Offset:w.set.Position(n.End()).Offset])
}

func (w *walker) before(n ast.Node, text string) {
	w.inserts = append(w.inserts, insert{w.set.Position(n.Pos()).Offset, text})
}

func (w *walker) after(n ast.Node, text string) {
	w.inserts = append(w.inserts, insert{w.set.Position(n.End()).Offset, text})
}

// rewritten is the file with all its mutants. Insertions were made in the order of a walk, so that those at one place nest.
func (w *walker) rewritten() []byte {
	slices.SortStableFunc(w.inserts, func(a, b insert) int { return a.at - b.at })
	var out bytes.Buffer
	at := 0
	for _, i := range w.inserts {
		out.Write(w.text[at:i.at])
		out.WriteString(i.text)
		at = i.at
	}
	out.Write(w.text[at:])
	return out.Bytes()
}

// selector is the file that every rewritten package gets. Where mutants are traced, a site notes once that a mutant would have changed
// something: that a condition which would be dropped refused, that a statement was reached.
const selector = `package %s

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"sync"
)

// selectedMutant is the number of the mutant that this process is, 0 for none.
var selectedMutant = func() int {
	n, _ := strconv.Atoi(os.Getenv("ZKLLMC_MUTANT"))
	return n
}()

// mutantTrace is the file of the mutants that matter, nil where they are not traced.
var mutantTrace = func() *os.File {
	name := os.Getenv("ZKLLMC_MUTANT_TRACE")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	return f
}()

var mutantsNoted sync.Map

func mutantNote(id int) {
	if mutantTrace != nil {
		if _, twice := mutantsNoted.LoadOrStore(id, true); !twice {
			fmt.Fprintln(mutantTrace, id)
		}
	}
}

// mutantRefused is a condition that refuses, or not in the mutant.
func mutantRefused(id int, condition bool) bool {
	if !condition {
		return false
	}
	mutantNote(id)
	return selectedMutant != id
}

// mutantHolds is a condition that accepts, and always does in the mutant.
func mutantHolds(id int, condition bool) bool {
	if condition {
		return true
	}
	mutantNote(id)
	return selectedMutant == id
}

// mutantStill follows a comparison that refuses: the weaker one decides in the mutant.
func mutantStill(id int, weaker bool) bool {
	if weaker {
		return true
	}
	mutantNote(id)
	return selectedMutant != id
}

// mutantAlready follows a comparison that does not accept: the weaker one decides in the mutant.
func mutantAlready(id int, weaker bool) bool {
	if !weaker {
		return false
	}
	mutantNote(id)
	return selectedMutant == id
}

// mutantLeavesOut says whether the mutant leaves a statement out.
func mutantLeavesOut(id int) bool {
	mutantNote(id)
	return selectedMutant == id
}

// mutantMessage says whether a message's label is one of a pattern.
func mutantMessage(pattern, label string) bool {
	same, err := path.Match(pattern, label)
	return same && err == nil
}
`
