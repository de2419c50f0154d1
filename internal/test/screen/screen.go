// Package screen is, for tests, what a terminal shows while somebody writes to it.
package screen

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Text is all that was written to a terminal so far. It is safe for concurrent use.
type Text struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (s *Text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

// String implements fmt.Stringer.
func (s *Text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// Waits until something stands on the screen, however slow the machine is.
func (s *Text) Waits(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool { return re.MatchString(s.String()) }, time.Minute, 5*time.Millisecond, pattern)
}
