package main

import (
	"regexp"
	"strings"
)

// verdict says what became of a mutant.
type verdict string

const (
	// accepts: a lie was accepted, or something was not refused that must be.
	accepts verdict = "accepts"
	// refuses: a test that demands a rejection fails in another way: the refusal comes from another check, later or with another error.
	refuses verdict = "refuses"
	// panics: the verifier, or the builder, breaks down on what it must refuse.
	panics verdict = "panics"
	// hangs: the tests take too long.
	hangs verdict = "hangs"
	// honest: honest proofs fail. Nothing is said of lies.
	honest verdict = "honest"
	// survives: all tests pass.
	survives verdict = "survives"
)

// result is what became of a mutant.
type result struct {
	Mutant  string  `json:"mutant"`
	Verdict verdict `json:"verdict"`
	By      string  `json:"by,omitempty"` // package and test
	Tests   string  `json:"tests"`        // digest of the tests
	Seconds float64 `json:"seconds"`
	Output  string  `json:"output,omitempty"` // the end of what the test printed
}

var (
	firstFailure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	running      = regexp.MustCompile(`(?m)^(?:=== RUN\s+|\t?running tests:\s+)(\S+)`)
	// What tests print when they meet no error where one must be: the sweeps' own error, testify's words, those of tests without testify.
	accepted = regexp.MustCompile(`the verifier accepts it|that the challenges do not bind|[Aa]n error is expected but got nil|got nil\b|got <nil>|: <nil>` +
		`|(is|are) accepted|in chain:\s*($|\n\s*\n|\n\s*Test:)`)
	broken = regexp.MustCompile(`(?m)^(panic:|fatal error:|runtime: |goroutine \d+ \[running\])`)
)

// failed names the test that failed.
func failed(out string) string {
	var name string
	for _, m := range firstFailure.FindAllStringSubmatch(out, -1) { // subtests follow their test
		name = m[1]
	}
	if name == "" {
		if m := running.FindStringSubmatch(out); m != nil {
			return m[1]
		}
		return "?"
	}
	return name
}

// judgement reads a verdict from the output of a test that failed although honest proofs pass.
func judgement(out string, code int) verdict {
	switch {
	case code == exitHang || strings.Contains(out, "panic: test timed out"):
		return hangs
	case accepted.MatchString(out):
		return accepts
	case broken.MatchString(out):
		return panics
	}
	return refuses
}

// tail is the end of an output.
func tail(out string) string {
	const most = 3000
	if len(out) > most {
		out = "…" + out[len(out)-most:]
	}
	return strings.ToValidUTF8(out, "?")
}
