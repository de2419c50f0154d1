package prover

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/reading"
)

// stream prints an answer as it comes, so that in the end there is the line that the whole answer has: its text, or without a vocabulary
// the list of its tokens.
type stream struct {
	w      io.Writer
	q      *question
	silent bool   // nothing is printed
	yield  func() // is called before a piece is printed

	mu      sync.Mutex // decoding that is left behind may still come with a piece
	left    bool
	printed string
}

// text is what an answer looks like.
func (s *stream) text(answer []int64) string {
	if t := s.q.text(answer); t != nil {
		return *t
	}
	return reading.FormatIDs(answer)
}

// said prints what is new, up to where the text may change with the next token.
func (s *stream) said(answer []int64) {
	s.print(answering.Settled(s.text(answer)))
}

// print prints what a text has behind what is printed. One that does not begin so waits for the end.
func (s *stream) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest, ok := strings.CutPrefix(text, s.printed); ok && rest != "" && !s.silent && !s.left {
		s.yield()
		fmt.Fprint(s.w, rest)
		s.printed = text
	}
}

// finish completes the line. A text that changed while it came is printed once more.
func (s *stream) finish(answer []int64) {
	text := s.text(answer)
	if s.print(text); !s.silent && s.printed != text {
		fmt.Fprintf(s.w, "\n%s", text)
	}
	if !s.silent {
		fmt.Fprintln(s.w)
	}
}

// abandon ends a line that was begun. Nothing is printed after it.
func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left = true; s.printed != "" {
		fmt.Fprintln(s.w)
	}
}
