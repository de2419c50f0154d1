package verifier

import (
	"errors"
	"slices"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/passage"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// text encodes the text that a model reads whole; nil if none was given. Others are the ports that are compared with files.
func (a *app) text(given console.Given, others map[int]string) (*passage.Text, error) {
	if len(given) == 0 || a.c.Generation != nil {
		return nil, nil
	}
	if err := given.Read(a.stdin); err != nil {
		return nil, &console.Failure{Code: console.Unreadable, Err: err}
	}
	text, ok := given[console.TextFlag]
	name := given.Flag(console.TextFlag)
	if !ok || len(given) > 1+len(given.Files()) { // Read gave a text of a file an entry beside that of the file
		return nil, console.Usagef("verify: this model continues no prompt; what its inputs and outputs are compared with is given with --text, --input and --output")
	}
	if a.m.Vocab == nil {
		return nil, console.Usagef("verify: --%s: no vocabulary was compiled in; give its tokens with --input", name)
	}
	r, err := passage.NewReader(a.f, a.m.Vocab)
	switch {
	case errors.Is(err, passage.ErrNone):
		return nil, console.Usagef("verify: --%s: %w", name, err)
	case err != nil:
		return nil, &console.Failure{Code: console.Unreadable, Err: err}
	case r.Hidden():
		return nil, console.Askedf("verify: --%s: %w", name, passage.ErrHidden)
	}
	for _, i := range r.Ports() {
		if file, twice := others[i]; twice {
			return nil, console.Usagef("verify: --%s says what the input %s holds, and so does --input with %s: leave one out", name, a.c.Ports[i].Name, file)
		}
	}
	t, err := r.Read(text)
	if err != nil {
		return nil, console.Askedf("verify: --%s: %w", name, err)
	}
	return t, nil
}

// compareText rejects a proof, though it holds, of another text than the given one.
func compareText(r *verifyReport, st *function.Statement) error {
	if r.text == nil {
		return nil
	}
	different, err := r.text.Compare(r.c, st.Ports)
	for _, i := range r.text.Ports() {
		matches := len(different) > 0 && !slices.Contains(different, i) || err == nil
		r.Ports[i].Matches = &matches
	}
	if err != nil {
		return &console.Failure{Code: console.Rejected, Class: "text mismatch", Err: err}
	}
	return nil
}
