// Package terminal is what the command lines of compiler and prover do on a terminal and nowhere else: bars of progress, and questions for a
// passphrase. Verifiers do not link it.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Is says whether a stream is a terminal, where a person reads what is written.
func Is(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
