package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// probe is one test of a judge, as it ran on the sources as they are.
type probe struct {
	Pkg     string  `json:"pkg"`
	Test    string  `json:"test"`
	Seconds float64 `json:"seconds"` // of the processor
	Reached []int   `json:"reached"` // mutants that would have changed something
}

// group is what tests that run together have in common: package, and whether they are in the list of attacks.
func (p probe) group() string {
	of, _, _ := strings.Cut(p.Test, "/")
	return p.Pkg + map[bool]string{true: "/" + listed}[of == listed]
}

// batch is one run of a binary.
type batch struct {
	pkg   string
	tests []string
	limit time.Duration
}

// pattern matches the tests of a batch: tests, or parts of the list of attacks.
func (b batch) pattern() string {
	var names []string
	parent := ""
	for _, t := range b.tests {
		if of, part, ok := strings.Cut(t, "/"); ok {
			parent, t = "^"+of+"$/", part
		}
		names = append(names, regexp.QuoteMeta(t))
	}
	return parent + "^(" + strings.Join(names, "|") + ")$"
}

// lab holds the test binaries with all mutants in them, and what their tests reach.
type lab struct {
	root    string
	dir     string // scratch files
	workers int
	short   bool    // leave the longest tests out
	probes  []probe // in the order of the judges
}

// build compiles the binaries and tries every test on no mutant.
func build(ctx context.Context, t *tree, workers int, short bool) (*lab, error) {
	l := &lab{root: t.root, dir: filepath.Join(t.root, "build", "mutants"), workers: workers, short: short}
	overlay, err := l.overlay(t)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(judges))
	each(workers, len(judges), func(i int) {
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", l.binary(judges[i].pkg), "./"+folder(judges[i].pkg))
		cmd.Dir = l.root
		if out, err := cmd.CombinedOutput(); err != nil {
			errs[i] = fmt.Errorf("building the tests of %s: %w\n%s", judges[i].pkg, err, out)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, l.probeAll(ctx, fmt.Sprintf("%x %x", t.sources, t.tests))
}

func (l *lab) binary(pkg string) string { return filepath.Join(l.dir, pkg+".test") }

// overlay writes the rewritten files and the table by which the go command puts them in place of the sources.
func (l *lab) overlay(t *tree) (string, error) {
	replace := map[string]string{}
	put := func(path string, text []byte) error {
		to := filepath.Join(l.dir, "overlay", path)
		replace[filepath.Join(l.root, path)] = to
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644))
	}
	for _, f := range t.files {
		pkg := filepath.Base(filepath.Dir(f.path))
		err := errors.Join(put(f.path, f.text), put(filepath.Join(filepath.Dir(f.path), "zz_mutants.go"), fmt.Appendf(nil, selector, pkg)))
		if err != nil {
			return "", err
		}
	}
	table, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(l.dir, "overlay.json")
	return name, os.WriteFile(name, table, 0o644)
}

// probeAll runs every test that judges by itself, to learn how long it takes and which mutants it reaches: a mutant that a test does
// not reach passes it. What was learnt is kept in a file, for sources and tests with the given digest.
func (l *lab) probeAll(ctx context.Context, digest string) error {
	name := filepath.Join(l.dir, "probes.json")
	var kept struct {
		Digest string  `json:"digest"`
		Probes []probe `json:"probes"`
	}
	if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &kept) == nil && kept.Digest == digest {
		l.probes = kept.Probes
		return nil
	}
	others, err := l.tests(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "every test is run on the sources as they are")
	var parts []probe
	var failure error
	var list sync.WaitGroup
	list.Go(func() { parts, failure = l.parts(ctx) })
	err = l.run(ctx, others, max(1, l.workers-1))
	list.Wait()
	if err := errors.Join(err, failure); err != nil {
		return err
	}
	if err := l.run(ctx, parts, l.workers); err != nil {
		return err
	}
	l.probes = append(parts, others...)
	kept.Digest, kept.Probes = digest, l.probes
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// tests lists the tests of the judges that are used, but for the list of attacks.
func (l *lab) tests(ctx context.Context) ([]probe, error) {
	var out []probe
	for _, j := range judges {
		text, code, _ := l.exec(ctx, batch{pkg: j.pkg, limit: time.Minute}, 0, "-test.list=.")
		if code != exitPass {
			return nil, fmt.Errorf("%s does not list its tests:\n%s", j.pkg, tail(text))
		}
		for _, test := range strings.Fields(text) {
			if test != listed && !strings.HasPrefix(test, "Benchmark") && !j.skips(test) {
				out = append(out, probe{Pkg: j.pkg, Test: test})
			}
		}
	}
	return out, nil
}

var part = regexp.MustCompile(`(?m)^    --- PASS: (` + listed + `/[^\s/]+) `)

// parts lists the attacks, which say their names as they run.
func (l *lab) parts(ctx context.Context) ([]probe, error) {
	j := judges[0]
	text, code, _ := l.exec(ctx, batch{j.pkg, []string{listed}, 30 * time.Minute}, 0, "-test.v")
	// The list as a whole may fail: it is compared with a document.
	if code == exitHang || strings.Contains(text, "--- FAIL: "+listed+"/") {
		return nil, fmt.Errorf("%s fails without a mutant:\n%s", listed, tail(text))
	}
	var out []probe
	for _, m := range part.FindAllStringSubmatch(text, -1) {
		if !j.skips(m[1]) {
			out = append(out, probe{Pkg: j.pkg, Test: m[1]})
		}
	}
	return out, nil
}

func (j *judge) skips(test string) bool { return regexp.MustCompile(j.skip).MatchString(test) }

// run runs tests side by side.
func (l *lab) run(ctx context.Context, probes []probe, workers int) error {
	errs := make([]error, len(probes))
	each(workers, len(probes), func(i int) { errs[i] = l.probe(ctx, &probes[i]) })
	return errors.Join(errs...)
}

// probe runs one test on no mutant, which it must pass.
func (l *lab) probe(ctx context.Context, p *probe) error {
	trace, err := os.CreateTemp(l.dir, "trace")
	if err != nil {
		return err
	}
	defer os.Remove(trace.Name())
	defer trace.Close()
	out, code, seconds := l.exec(ctx, batch{p.Pkg, []string{p.Test}, 20 * time.Minute}, 0, "ZKLLMC_MUTANT_TRACE="+trace.Name())
	if code != exitPass {
		return fmt.Errorf("%s: %s fails without a mutant:\n%s", p.Pkg, p.Test, tail(out))
	}
	p.Seconds = seconds
	text, err := io.ReadAll(trace)
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(string(text)) {
		id, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		p.Reached = append(p.Reached, id)
	}
	slices.Sort(p.Reached)
	return nil
}

// How a test binary ends.
const (
	exitPass = iota
	exitFail
	exitHang
)

// exec runs tests of a binary on a mutant, on one processor, in its package's directory, with little memory and a directory of its own
// for temporary files. More is flags and settings of the environment. The seconds are the processor's: the machine may be busy.
func (l *lab) exec(ctx context.Context, b batch, mutant int, more ...string) (out string, code int, seconds float64) {
	tmp, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return err.Error(), exitFail, 0
	}
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	run := []string{"-c", `ulimit -v 12000000; exec "$0" "$@"`, l.binary(b.pkg), "-test.short", "-test.failfast", "-test.run=" + b.pattern()}
	env := append(os.Environ(), "ZKLLMC_MUTANT="+strconv.Itoa(mutant), "ZKLLMC_ATTACKS=all", "GOMAXPROCS=1", "GOMEMLIMIT=3GiB", "TMPDIR="+tmp)
	for _, m := range more {
		if strings.HasPrefix(m, "-") {
			run = append(run, m)
		} else {
			env = append(env, m)
		}
	}
	cmd := exec.CommandContext(ctx, "sh", run...)
	cmd.Dir, cmd.Env = filepath.Join(l.root, folder(b.pkg)), env
	cmd.WaitDelay = 5 * time.Second
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil {
		seconds = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	switch {
	case ctx.Err() != nil:
		return string(text), exitHang, seconds
	case err != nil:
		return string(text), exitFail, seconds
	}
	return string(text), exitPass, seconds
}

// tryAll tries mutants side by side, those that few tests reach first, and hands over their results one at a time.
func (l *lab) tryAll(ctx context.Context, sites []*site, done func(*site, result) error) error {
	reached := map[int]float64{}
	for _, p := range l.probes {
		for _, id := range p.Reached {
			reached[id] += p.Seconds
		}
	}
	slices.SortStableFunc(sites, func(a, b *site) int { return cmp.Compare(reached[a.id], reached[b.id]) })
	var lock sync.Mutex
	var errs []error
	each(l.workers, len(sites), func(i int) {
		if ctx.Err() != nil {
			return
		}
		r := l.try(ctx, sites[i])
		lock.Lock()
		defer lock.Unlock()
		if ctx.Err() == nil {
			errs = append(errs, done(sites[i], r))
		}
	})
	return errors.Join(append(errs, ctx.Err())...)
}

// try runs one mutant: honest proofs first, which must pass for a failure to be a verdict on lies.
func (l *lab) try(ctx context.Context, s *site) result {
	r := result{Mutant: s.String(), Verdict: survives}
	for i, b := range l.batches(s) {
		out, code, seconds := l.exec(ctx, b, s.id)
		r.Seconds += seconds
		if code == exitPass {
			continue
		}
		r.Verdict, r.By, r.Output = judgement(out, code), b.pkg+": "+failed(out), tail(out)
		if i == 0 && b.tests[0] == control && r.Verdict != hangs {
			r.Verdict = honest
		}
		break
	}
	return r
}

// classes bound the duration of a test, in seconds: those that answer soon are asked first.
var classes = []float64{0.4, 3, 1e9}

// batches are the tests that reach a mutant: honest proofs; short attacks and short tests of the mutant's own package; short tests of
// other packages; then those that take longer, likewise.
func (l *lab) batches(s *site) []batch {
	rank := func(p probe) int {
		if p.Test == control {
			return -1
		}
		class, _ := slices.BinarySearch(classes, p.Seconds)
		if p.Pkg == s.pkg || p.Pkg == judges[0].pkg {
			return 2 * class
		}
		return 2*class + 1
	}
	var reached []probe
	for _, p := range l.probes {
		class, _ := slices.BinarySearch(classes, p.Seconds)
		if _, ok := slices.BinarySearch(p.Reached, s.id); ok && !(l.short && class == len(classes)-1 && p.Test != control) {
			reached = append(reached, p)
		}
	}
	slices.SortStableFunc(reached, func(a, b probe) int { return rank(a) - rank(b) })
	var out []batch
	for i, p := range reached {
		if i == 0 || rank(p) != rank(reached[i-1]) || p.group() != reached[i-1].group() {
			out = append(out, batch{pkg: p.Pkg, limit: time.Minute})
		}
		b := &out[len(out)-1]
		b.tests = append(b.tests, p.Test)
		b.limit += time.Duration(6 * p.Seconds * float64(time.Second))
	}
	return out
}

// each calls f for every i < n, on so many goroutines.
func each(workers, n int, f func(i int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range max(1, min(workers, n)) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// close removes what was built.
func (l *lab) close() {
	for _, j := range judges {
		os.Remove(l.binary(j.pkg))
	}
	os.RemoveAll(filepath.Join(l.dir, "overlay"))
	os.Remove(filepath.Join(l.dir, "overlay.json"))
}
