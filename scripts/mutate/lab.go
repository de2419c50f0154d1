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
	judges  []bench // those that link what is mutated
	probes  []probe // in the order of the judges
}

// build compiles the binaries that link what the sites are in, and tries every test of theirs on no mutant. The others reach none.
func build(ctx context.Context, t *tree, todo []*site, workers int, short bool) (*lab, error) {
	l := &lab{root: t.root, dir: filepath.Join(t.root, "build", "mutants"), workers: workers, short: short}
	overlay, err := l.overlay(t)
	if err != nil {
		return nil, err
	}
	if l.judges, err = t.judgesOf(todo); err != nil {
		return nil, err
	}
	errs := make([]error, len(l.judges))
	each(workers, len(l.judges), func(i int) {
		pkg := l.judges[i].pkg
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", l.binary(pkg), "./"+folder(pkg))
		cmd.Dir = l.root
		if out, err := cmd.CombinedOutput(); err != nil {
			errs[i] = fmt.Errorf("building the tests of %s: %w\n%s", pkg, err, out)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, l.probeAll(ctx)
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

// learnt is what was found out about the tests of a judge that has a digest.
type learnt struct {
	Digest string  `json:"digest"`
	Probes []probe `json:"probes"`
}

// probeAll runs every test of the judges by itself, to learn how long it takes and which mutants it reaches: a mutant that a test does
// not reach passes it. What was learnt is kept in a file, judge by judge.
func (l *lab) probeAll(ctx context.Context) error {
	name := filepath.Join(l.dir, "probes.json")
	kept := map[string]learnt{}
	if data, err := os.ReadFile(name); err != nil || json.Unmarshal(data, &kept) != nil {
		kept = map[string]learnt{}
	}
	for _, j := range l.judges {
		known := kept[j.pkg]
		if known.Digest != j.digest {
			probes, err := l.tests(ctx, j.judge)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%d tests of %s are run on the sources as they are\n", len(probes), j.pkg)
			if err := l.run(ctx, probes); err != nil {
				return err
			}
			known = learnt{j.digest, probes}
			kept[j.pkg] = known
			data, err := json.Marshal(kept)
			if err != nil {
				return err
			}
			if err := os.WriteFile(name, data, 0o644); err != nil {
				return err
			}
		}
		l.probes = append(l.probes, known.Probes...)
	}
	return nil
}

// tests lists the tests of a judge that are used, each attack of the list as a test of its own.
func (l *lab) tests(ctx context.Context, j judge) ([]probe, error) {
	text, code, _ := l.exec(ctx, batch{pkg: j.pkg, limit: time.Minute}, 0, "-test.list=.", "ZKLLMC_ATTACKS=names")
	if code != exitPass {
		return nil, fmt.Errorf("%s does not list its tests:\n%s", j.pkg, tail(text))
	}
	var out []probe
	for _, test := range strings.Fields(text) {
		if test != listed && !strings.HasPrefix(test, "Benchmark") && !j.skips(test) {
			out = append(out, probe{Pkg: j.pkg, Test: test})
		}
	}
	return out, nil
}

func (j *judge) skips(test string) bool {
	return j.skip != "" && regexp.MustCompile(j.skip).MatchString(test) || !regexp.MustCompile(j.only).MatchString(test)
}

// run runs tests side by side.
func (l *lab) run(ctx context.Context, probes []probe) error {
	errs := make([]error, len(probes))
	each(l.workers, len(probes), func(i int) { errs[i] = l.probe(ctx, &probes[i]) })
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
	out, code, seconds := l.exec(ctx, batch{p.Pkg, []string{p.Test}, 20 * time.Minute}, 0, "-test.v", "ZKLLMC_MUTANT_TRACE="+trace.Name())
	if err := ctx.Err(); err != nil {
		return err
	}
	if code != exitPass || !strings.Contains(out, "--- PASS: "+p.Test+" (") && !strings.Contains(out, "--- SKIP: "+p.Test+" (") {
		return fmt.Errorf("%s: %s does not pass without a mutant:\n%s", p.Pkg, p.Test, tail(out))
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
func (l *lab) tryAll(ctx context.Context, sites []*site, killers map[string]string, done func(*site, result) error) error {
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
		r := l.try(ctx, sites[i], killers[sites[i].String()])
		lock.Lock()
		defer lock.Unlock()
		if ctx.Err() == nil {
			errs = append(errs, done(sites[i], r))
		}
	})
	return errors.Join(append(errs, ctx.Err())...)
}

// try runs one mutant: honest proofs first, which must pass for a failure to be a verdict on lies, then what killed it before.
func (l *lab) try(ctx context.Context, s *site, killer string) result {
	r := result{Mutant: s.String(), Verdict: survives}
	for i, b := range l.batches(s, killer) {
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

// batches are the tests that reach a mutant: honest proofs; the killer; short attacks and short tests of the mutant's own package; short
// tests of other packages; then those that take longer, likewise.
func (l *lab) batches(s *site, killer string) []batch {
	rank := func(p probe) int {
		name := p.Pkg + ": " + p.Test
		switch {
		case p.Test == control:
			return -2
		case killer == name || strings.HasPrefix(killer, name+"/"):
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
	for _, j := range l.judges {
		os.Remove(l.binary(j.pkg))
	}
	os.RemoveAll(filepath.Join(l.dir, "overlay"))
	os.Remove(filepath.Join(l.dir, "overlay.json"))
}
