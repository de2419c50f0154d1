package terminal

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/term"
)

// device is the terminal that a process was started from, wherever its standard streams lead. On Windows its input and output are two.
func device() (in, out *os.File, err error) {
	if runtime.GOOS != "windows" {
		f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		return f, f, err
	}
	if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0); err != nil {
		in.Close()
	}
	return in, out, err
}

// There says whether the process was started from a terminal.
func There() bool {
	in, out, err := device()
	if err != nil {
		return false
	}
	in.Close()
	out.Close()
	return true
}

// Passphrase asks for a passphrase on the terminal that the process was started from, and shows nothing of what is typed. The terminal shows
// again what is typed when it returns, also where the context has ended.
func Passphrase(ctx context.Context, what string) (string, error) {
	in, out, err := device()
	if err != nil {
		return "", fmt.Errorf("no terminal to ask for a passphrase on: %w", err)
	}
	defer in.Close()
	defer out.Close()
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(out, "%s: ", what)
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(in.Fd()))
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(out)
		return string(a.text), a.err
	case <-ctx.Done():
		err := term.Restore(int(in.Fd()), before)
		fmt.Fprintln(out)
		if err != nil {
			return "", err
		}
		return "", ctx.Err()
	}
}
