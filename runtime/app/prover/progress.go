package prover

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/forecast"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/internal/terminal"
)

// progress prints the phases of long work with their times, and sums them up for reports.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	bar      *terminal.Bar // of a terminal, where a phase shows while it runs; else nil
	begin    time.Time
	name     string // of the running phase, "" if none
	since    time.Time
	share    float64 // of the running phase that is done, below 0 if nobody says
	parts    string  // how many parts of the running phase are done, "" if nobody says
	tenths   int     // of the running phase that were reported
	seconds  map[string]float64
	cpu      float64            // seconds of processors up to the running phase
	stages   []stage            // that ended, one per name
	expected *forecast.Forecast // nil: nothing is known of what comes
	ticking  chan struct{}      // closed when the line of the running phase is no longer written anew
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, bar: terminal.NewBar(w), begin: time.Now(), seconds: map[string]float64{}}
}

// expect says which phases come, and what they cost.
func (p *progress) expect(f *forecast.Forecast) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = f
}

// phase ends the running phase and starts another; the empty name starts none.
func (p *progress) phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.still()
	if p.name != "" {
		s := now.Sub(p.since)
		p.stage(s)
		p.seconds[strings.NewReplacer(" ", "_", "-", "_").Replace(p.name)] += s.Seconds()
		line := fmt.Sprintf("%-16s %8.2f s", p.name, s.Seconds())
		if p.expected.Finish(p.name, s); p.expected.Long() {
			line += "   " + p.expected.Say("", 0)
		}
		fmt.Fprintln(p.w, line)
	}
	p.name, p.since, p.parts, p.tenths, p.cpu = name, now, "", 0, machine.CPUSeconds()
	if name != "" && p.bar != nil {
		p.bar.Begin(name)
		p.tick()
		p.ticking = make(chan struct{})
		go p.ticks(p.ticking)
	}
}

// tick shows how far the running phase is, or the proof where the phase has no parts.
func (p *progress) tick() {
	since := time.Since(p.since)
	if p.parts != "" {
		p.bar.Show(p.share, p.parts)
	} else if share, words, ok := p.expected.Show(p.name, since); ok {
		p.bar.Show(share, words)
	} else if since >= time.Second {
		p.bar.Show(-1, fmt.Sprintf("%.0f s", since.Seconds()))
	}
}

// ticks does so once a second until it is told to stop.
func (p *progress) ticks(stop chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		p.mu.Lock()
		if p.ticking == stop {
			p.tick()
		}
		p.mu.Unlock()
	}
}

// still stops the ticks; p.mu is held.
func (p *progress) still() {
	if p.ticking != nil {
		close(p.ticking)
		p.ticking = nil
		p.bar.End()
	}
}

// yield leaves the terminal's line to what is printed during the running phase.
func (p *progress) yield() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still()
}

// tokens says how many tokens of an answer there are; how many come nobody knows.
func (p *progress) tokens(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts, p.share = fmt.Sprintf("%d tokens, %s", n, rate(n, time.Since(p.since))), -1; p.ticking != nil {
		p.tick()
	}
}

// part says how many of the equal parts of the running phase are done, and how long the others may take: on a terminal each time, elsewhere
// at every tenth.
func (p *progress) part(done, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name == "" || done == of {
		return
	}
	since := time.Since(p.since)
	left := forecast.About(since / time.Duration(done) * time.Duration(of-done))
	p.share, p.parts = float64(done)/float64(of), fmt.Sprintf("%d of %d, %s, %s", done, of, rate(done, since), left)
	switch tenths := 10 * done / of; {
	case p.ticking != nil:
		p.tick()
	case p.bar == nil && tenths > p.tenths:
		fmt.Fprintf(p.w, "%-16s   %d %%, %d of %d, %s\n", p.name, 100*done/of, done, of, left)
		p.tenths = tenths
	}
}

// rate says how many parts were done in a second.
func rate(done int, since time.Duration) string {
	return fmt.Sprintf("%.3g/s", float64(done)/max(since.Seconds(), 1e-3))
}

// abandon ends a phase that failed. Work that was given up may still report phases; they are not shown.
func (p *progress) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still()
	p.name, p.w, p.bar = "", io.Discard, nil
}

// quiet shows nothing from now on, and keeps the times.
func (p *progress) quiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w, p.bar = io.Discard, nil
}

// totals returns the seconds of every phase and of all.
func (p *progress) totals() map[string]float64 {
	p.phase("")
	p.seconds["total"] = time.Since(p.begin).Seconds()
	return p.seconds
}

// report is what --json prints. Members that a command has nothing to say about are missing.
type report struct {
	ModelID string `json:"model_id"` // the model's ID, hexadecimal; whoever verifies takes it from accept
	// digest of the circuit, hexadecimal: of setup that of all circuits, else of the one that was used
	Circuit string `json:"circuit"`
	*dialogue.Said
	Ports []portfile.Report `json:"ports,omitempty"` // of a function: what the statement says
	// run, prove: tensors with cells that a rescale clamped, of run at the text's positions; missing where none was
	Clamped []engine.Clamped `json:"clamped,omitempty"`
	// true: the statement says, too, that no value was clamped
	NoSaturation bool `json:"no_saturation,omitempty"`
	// setup, prove: what made the keys or the proof: a GPU, by its name, or `processor`
	Computed       string             `json:"computed_by,omitempty"`
	Seconds        map[string]float64 `json:"seconds"`                        // by phase, with `_` for spaces and hyphens, and `total`
	ProofBytes     int                `json:"proof_bytes,omitempty"`          // prove: size of the proof
	StatementBytes int                `json:"statement_bytes,omitempty"`      // prove: size of the statement
	VKBytes        int                `json:"vk_bytes,omitempty"`             // setup: size of the verifying key
	KeyBytes       int                `json:"prover_key_bytes,omitempty"`     // setup: size of the prover key
	Encrypted      bool               `json:"prover_key_encrypted,omitempty"` // setup: true where it is encrypted
	Stats          *stats             `json:"stats,omitempty"`                // with `--stats` of setup and prove
	machine.Usage
}

// digest is a circuit's digest as reports have it.
func digest(c *circuit.Circuit) string { return fmt.Sprintf("%x", c.Digest()) }

// printReport completes and prints a report.
func (a *app) printReport(r report) error {
	r.Seconds, r.Stats, r.Usage = a.progress.totals(), a.stats.of(a.progress, a.device), machine.Now()
	a.stats.told = true
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
