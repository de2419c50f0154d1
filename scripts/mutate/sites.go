package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// The kinds of mutants.
const (
	// A guard is a condition under which something is refused: an if, or a case of a switch without a tag, whose body returns an error
	// or records one. Its condition never holds.
	kindGuard = "guard"
	// One alternative of a guard's condition never holds.
	kindOperand = "operand"
	// A comparison in a guard is weaker by one: n > max becomes n > max+1, n >= max becomes n > max.
	kindBound = "bound"
	// What a function returns as its error is nil.
	kindReturned = "returned"
	// A check is not registered: a call of the channel or the builder.
	kindCheck = "check"
	// Something is not absorbed, neither into the transcript nor into a digest.
	kindAbsorb = "absorb"
	// Any other statement of the listed packages is left out: a term of a form, a power of a batching coefficient, a part of a point.
	kindStep = "step"
)

// checks and absorbs are the calls whose statements are of these kinds; other statements are steps.
var (
	checks = regexp.MustCompile(`^(((c|ch|t\.ch|l\.ch)\.(Zero|Product|Inner)|b\.(Lookup|Zero)|(gadget\.)?(Limbs|Remainder)|remainder|slack` +
		`|a\.check|a\.checkRest|c\.multiply|l\.finish|leaves\.Check|k\.open|commit\.Open)\(` +
		`|(c\.(linear|products)|b\.c\.(Lookups|Zeros)) = append)`)
	absorbs = regexp.MustCompile(`\bAbsorb(Scalars|Points)?\(|^h\.Write\(|^e\.(int|ints|int64s|ids|bool|string|axes|h\.Write)\(|\.encode\(e\)` +
		`|^t\.(open|write|item|flush|flushLarge|squeeze)\(|^t\.(buf|hash)\b`)
)

// walker finds the sites of a file, in the order of the text, and the insertions that make its rewritten form.
type walker struct {
	*tree
	set     *token.FileSet
	text    []byte
	pkg     string
	fn      string
	file    string
	steps   bool
	results []*ast.FuncType // of the functions around, innermost last
	inserts []insert
}

type insert struct {
	at   int
	text string
}

func (w *walker) function(f *ast.FuncDecl) {
	w.fn = functionName(f)
	name := w.pkg + "." + w.fn
	if isLeftOut(name) {
		return
	}
	w.steps = slices.ContainsFunc(stepped, func(s string) bool { return s == name || strings.HasSuffix(s, ".") && strings.HasPrefix(name, s) })
	w.results = []*ast.FuncType{f.Type}
	w.list(f.Body.List)
}

// functionName is Function or Type.Method.
func functionName(f *ast.FuncDecl) string {
	if f.Recv != nil {
		return receiver(f.Recv.List[0].Type) + "." + f.Name.Name
	}
	return f.Name.Name
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return "?"
}

// list visits the statements of a block, of which each may be left out.
func (w *walker) list(stmts []ast.Stmt) {
	for _, s := range stmts {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt:
			w.removable(s)
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || w.isErr(s) {
				w.inner(s)
			} else {
				w.removable(s)
			}
		case *ast.ReturnStmt:
			w.returned(s)
		default:
			w.statement(s)
		}
	}
}

// isErr says whether a statement assigns an error: it is what a guard before it does.
func (w *walker) isErr(s *ast.AssignStmt) bool {
	for _, l := range s.Lhs {
		if t := w.source(l); t == "err" || strings.HasSuffix(t, ".err") || strings.HasSuffix(t, ".short") || t == "ok" {
			return true
		}
	}
	return false
}

// removable makes the mutant without a statement.
func (w *walker) removable(s ast.Stmt) {
	text := w.source(s)
	kind := kindStep
	switch {
	case checks.MatchString(text):
		kind = kindCheck
	case absorbs.MatchString(text) && !strings.HasPrefix(text, "out") && (w.pkg != "veil" || strings.Contains(text, "Absorb")):
		kind = kindAbsorb
	}
	if kind == kindStep && !w.steps || notSteps.MatchString(text) || w.isFailure(s) {
		w.inner(s)
		return
	}
	id := w.site(kind, s, text)
	w.before(s, fmt.Sprintf("if !mutantLeavesOut(%d)%s { ", id, w.messages(s, text)))
	w.inner(s)
	w.after(s, " }")
}

// messages makes the mutants of the two statements that absorb all messages: one for each message of the protocol that is not absorbed.
// It returns the condition that they add to the statement.
func (w *walker) messages(s ast.Stmt, text string) string {
	points := strings.HasSuffix(text, "AbsorbPoints(label, points)")
	if w.pkg != "veil" || !points && !strings.HasSuffix(text, "AbsorbScalars(label, values)") {
		return ""
	}
	condition := ""
	for _, m := range messages {
		if m.points == points {
			id := w.site(kindAbsorb, s, fmt.Sprintf("%s of %q", text, m.label))
			condition += fmt.Sprintf(" && !(mutantMessage(%q, label) && mutantLeavesOut(%d))", m.label, id)
		}
	}
	return condition
}

// returned makes the mutant that returns no error, and the weaker forms of a predicate.
func (w *walker) returned(s *ast.ReturnStmt) {
	if refuses, ok := predicates[w.pkg+"."+w.fn]; ok {
		w.weaken(s.Results[len(s.Results)-1], refuses)
		return
	}
	if w.returnsError() && len(s.Results) == w.resultCount() && !isNil(s.Results[len(s.Results)-1]) {
		id := w.site(kindReturned, s, w.source(s))
		rest := ""
		for _, r := range s.Results[:len(s.Results)-1] {
			rest += w.source(r) + ", "
		}
		w.before(s, fmt.Sprintf("if mutantLeavesOut(%d) { return %snil }; ", id, rest))
	}
	w.inner(s)
}

// statement visits any other statement.
func (w *walker) statement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.IfStmt:
		w.branch(s)
	case *ast.SwitchStmt:
		w.inner(s.Init)
		for _, c := range s.Body.List {
			w.clause(c.(*ast.CaseClause), s.Tag)
		}
	case *ast.BlockStmt:
		w.list(s.List)
	case *ast.ForStmt:
		w.list(s.Body.List)
	case *ast.RangeStmt:
		w.inner(s.X)
		w.list(s.Body.List)
	default:
		w.inner(s)
	}
}

// branch visits an if statement. The body of a guard holds no sites: whichever of its errors is returned, it refuses.
func (w *walker) branch(s *ast.IfStmt) {
	if w.proversOnly(s.Cond) {
		if s.Else != nil {
			w.statement(s.Else)
		}
		return
	}
	w.inner(s.Init)
	if w.refuses(s.Body.List) {
		w.weaken(s.Cond, true)
	} else {
		w.inner(s.Cond)
		w.list(s.Body.List)
	}
	if s.Else != nil {
		w.statement(s.Else)
	}
}

// clause visits a case of a switch.
func (w *walker) clause(c *ast.CaseClause, tag ast.Expr) {
	if len(c.List) == 1 && w.source(c.List[0]) == "proving" {
		return
	}
	if tag == nil && len(c.List) > 0 && w.refuses(c.Body) {
		for _, e := range c.List {
			w.weaken(e, true)
		}
		return
	}
	w.list(c.Body)
}

// proversOnly says whether a condition holds on the prover's side only.
func (w *walker) proversOnly(cond ast.Expr) bool {
	return strings.HasSuffix(w.source(cond), ".Proving()")
}

// refuses says whether a body ends in a refusal: it returns an error or false, or records one, or panics.
func (w *walker) refuses(body []ast.Stmt) bool {
	for _, s := range body {
		if w.isFailure(s) {
			return true
		}
	}
	if len(body) == 0 {
		return false
	}
	last, ok := body[len(body)-1].(*ast.ReturnStmt)
	if !ok || len(last.Results) == 0 {
		return false
	}
	value := last.Results[len(last.Results)-1]
	switch text := w.source(value); {
	case forbidden[w.pkg+"."+w.fn]:
		return true
	case w.returnsError() && len(last.Results) == w.resultCount():
		return !isNil(value)
	case w.lastResult() == "bool":
		return text == "false"
	default:
		return strings.HasPrefix(text, "fail(")
	}
}

// isFailure says whether a statement records an error or panics.
func (w *walker) isFailure(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		name := w.source(call.Fun)
		return name == "panic" || strings.HasSuffix(name, ".Fail") || name == "fail"
	case *ast.AssignStmt:
		text := w.source(s)
		if text == "r.short = true" || text == "ok = false" {
			return true
		}
		return w.isErr(s) && s.Tok == token.ASSIGN && len(s.Lhs) == 1 && !strings.HasSuffix(text, "= nil") && !strings.HasSuffix(text, "= true")
	}
	return false
}

// inner visits the functions within a statement or an expression, but for those that only provers call.
func (w *walker) inner(n ast.Node) {
	if n == nil {
		return
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			w.call(n)
			return false
		case *ast.FuncLit:
			w.literal(n)
			return false
		}
		return true
	})
}

// call visits a call's operands. The last argument of a channel's message is its fill function, which the prover calls.
func (w *walker) call(c *ast.CallExpr) {
	w.inner(c.Fun)
	for i, a := range c.Args {
		if sel, ok := c.Fun.(*ast.SelectorExpr); ok && i == len(c.Args)-1 && fills[sel.Sel.Name] {
			continue
		}
		w.inner(a)
	}
}

// fills are the methods that send a message.
var fills = map[string]bool{"Scalars": true, "Vector": true, "Points": true, "Bind": true, "clear": true, "send": true, "Rounds": true}

func (w *walker) literal(f *ast.FuncLit) {
	w.results = append(w.results, f.Type)
	w.list(f.Body.List)
	w.results = w.results[:len(w.results)-1]
}

// lastResult is the type of the innermost function's last result.
func (w *walker) lastResult() string {
	r := w.results[len(w.results)-1].Results
	if r == nil || len(r.List) == 0 {
		return ""
	}
	return w.source(r.List[len(r.List)-1].Type)
}

func (w *walker) returnsError() bool { return w.lastResult() == "error" }

func (w *walker) resultCount() int {
	return w.results[len(w.results)-1].Results.NumFields()
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}
