package prover

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/portfile"
)

// progress prints the phases of long work with their times, and sums them up for reports.
type progress struct {
	mu          sync.Mutex
	w           io.Writer
	interactive bool // the writer is a terminal: a phase shows when it begins
	begin       time.Time
	name        string // of the running phase, "" if none
	since       time.Time
	seconds     map[string]float64
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, begin: time.Now(), seconds: map[string]float64{}}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.interactive = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// phase ends the running phase and starts another; the empty name starts none.
func (p *progress) phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.name != "" {
		s := now.Sub(p.since).Seconds()
		p.seconds[strings.ReplaceAll(p.name, " ", "_")] += s
		if p.interactive {
			fmt.Fprint(p.w, "\r")
		}
		fmt.Fprintf(p.w, "%-16s %8.2f s\n", p.name, s)
	}
	p.name, p.since = name, now
	if name != "" && p.interactive {
		fmt.Fprintf(p.w, "%-16s …", name)
	}
}

// abandon ends a phase that failed. Work that was given up may still report phases; they are not shown.
func (p *progress) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != "" && p.interactive {
		fmt.Fprintln(p.w)
	}
	p.name, p.w, p.interactive = "", io.Discard, false
}

// totals returns the seconds of every phase and of all.
func (p *progress) totals() map[string]float64 {
	p.phase("")
	p.seconds["total"] = time.Since(p.begin).Seconds()
	return p.seconds
}

// report is what --json prints. Members that a command has nothing to say about are missing.
type report struct {
	ModelID string `json:"model_id"`
	Circuit string `json:"circuit"`
	*dialogue.Said
	Ports          []portfile.Report  `json:"ports,omitempty"` // of a function
	Seconds        map[string]float64 `json:"seconds"`
	ProofBytes     int                `json:"proof_bytes,omitempty"`
	StatementBytes int                `json:"statement_bytes,omitempty"`
	VKBytes        int                `json:"vk_bytes,omitempty"`
	KeyBytes       int                `json:"prover_key_bytes,omitempty"`
	machine.Usage
}

// printReport completes and prints a report.
func (a *app) printReport(r report) error {
	digest := a.c.Digest()
	r.Circuit, r.Seconds, r.Usage = fmt.Sprintf("%x", digest), a.progress.totals(), machine.Now()
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
