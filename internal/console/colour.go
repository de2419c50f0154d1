package console

import (
	"io"
	"os"
	"runtime"
	"strings"
)

// The colours of what stands out: that a proof is accepted, and that it is not.
const (
	green = "\x1b[1;32m"
	red   = "\x1b[1;31m"
	reset = "\x1b[0m"
)

// Colours says whether a stream shows colours: it is a terminal, and neither NO_COLOR, nor CLICOLOR=0, nor TERM=dumb forbids them. What is no
// terminal but a device of characters, as the null device is, counts as one: nobody reads what is written there, and a verifier links no more for that.
func Colours(stream io.Writer) bool {
	f, ok := stream.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("CLICOLOR") == "0" || os.Getenv("TERM") == "dumb" {
		return false
	}
	// Terminals of Windows without one of these variables may show the codes themselves.
	if os.Getenv("TERM") == "" && (runtime.GOOS != "windows" || os.Getenv("WT_SESSION") == "") {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Good paints a word of a verdict that is good, if the stream shows colours.
func Good(stream io.Writer, word string) string { return painted(stream, green, word) }

// Bad paints a word of a verdict that is not.
func Bad(stream io.Writer, word string) string { return painted(stream, red, word) }

func painted(stream io.Writer, colour, word string) string {
	if !Colours(stream) {
		return word
	}
	return colour + word + reset
}

// verdict paints a rejection at the beginning of a message.
func verdict(stream io.Writer, f *Failure, text string) string {
	word := "rejected (" + f.Class + ")"
	if rest, ok := strings.CutPrefix(text, word); ok && f.Code == Rejected {
		return Bad(stream, word) + rest
	}
	return text
}
