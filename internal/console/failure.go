package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Failure is an error that knows the exit code of the program that it ends.
type Failure struct {
	Code  int
	Class string // of a verifier's rejection: which check refused
	Err   error

	spelled bool // of a command line: it is spelled as it should be, so that no help on its flags helps
}

// Error implements error.
func (f *Failure) Error() string {
	switch {
	case f.Code == Rejected && f.Class != "":
		return fmt.Sprintf("rejected (%s): %v", f.Class, f.Err)
	case f.Code == Internal:
		return "internal error: " + f.Err.Error()
	}
	return f.Err.Error()
}

// Unwrap returns the error without its code.
func (f *Failure) Unwrap() error { return f.Err }

// Usagef is fmt.Errorf for a command line that makes no sense.
func Usagef(format string, args ...any) error {
	return &Failure{Code: Usage, Err: fmt.Errorf(format, args...)}
}

// Askedf is Usagef for a command line that is spelled well and asks for what cannot be.
func Askedf(format string, args ...any) error {
	return &Failure{Code: Usage, Err: fmt.Errorf(format, args...), spelled: true}
}

// Unusable marks the error of a file that cannot be read, written or used; nil remains nil.
func Unusable(err error) error {
	if err == nil {
		return nil
	}
	return &Failure{Code: Unreadable, Err: err}
}

// Report tells on stderr why a program failed, with a hint where its command line was spelled wrong, and returns its exit code. An error without a
// code is a fault of the program. What out could not write, Finish tells.
func Report(ctx context.Context, program, hint string, out *Output, stderr io.Writer, err error) int {
	var f *Failure
	switch {
	case out.Err() != nil && errors.Is(err, out.Err()):
		return Internal
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted\n", program)
		return Internal
	case !errors.As(err, &f):
		f = &Failure{Code: Internal, Err: err}
		err = f
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, verdict(stderr, f, escaped(err.Error())))
	if f.Code == Usage && !f.spelled {
		fmt.Fprintln(stderr, hint)
	}
	return f.Code
}

// escaped writes control characters as Go does, but for line ends and tabs: names of files and models of others stand in errors, and must
// not move a terminal's cursor.
func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "\\x%02x", r)
		}
	}
	return out.String()
}
