package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// lab runs commands and measures them.
type lab struct {
	options
	progress io.Writer
	inferred bool    // --python has onnxruntime
	mul      float64 // nanoseconds
	ceiling  *Ceiling
}

// newLab builds the compiler and looks what is there.
func newLab(ctx context.Context, o options, progress io.Writer) (*lab, error) {
	l := &lab{options: o, progress: progress}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	_, _, err := l.run(ctx, nil, o.python, "-c", "import numpy, onnxruntime")
	if l.inferred = err == nil; !l.inferred {
		l.say("%s has no onnxruntime: inference is left out", o.python)
	}
	if _, _, err = l.run(ctx, nil, o.goTool, "build", "-o", l.file("zkllmc"), "."); err != nil {
		return nil, err
	}
	if !o.curves {
		l.say("how fast this machine proves, for predictions")
		if _, _, err := l.run(ctx, nil, l.file("zkllmc"), "benchmark"); err != nil {
			return nil, err
		}
	}
	if threads := runtime.GOMAXPROCS(0); o.single && !o.curves && threads > 1 {
		l.say("what %d threads reach at all", threads)
		l.ceiling = ceiling(threads)
	}
	l.mul, err = l.multiplication(ctx)
	return l, err
}

func (l *lab) file(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

func (l *lab) say(format string, args ...any) { fmt.Fprintf(l.progress, format+"\n", args...) }

// expense is what one command took.
type expense struct {
	CPU, Wall float64 // seconds; CPU of user and system
	Peak      float64 // bytes
}

// reported is what this program reads of the commands' reports, see REPORTS.md.
type reported struct {
	PeakRSS    float64            `json:"peak_rss"`
	Threads    int                `json:"threads"`
	CPU        string             `json:"cpu"`
	Seconds    map[string]float64 `json:"seconds"`
	ProofBytes float64            `json:"proof_bytes"`
	KeyBytes   float64            `json:"vk_bytes"`
	Statement  string             `json:"statement_kind"`
	Ports      []port             `json:"ports"`
	Stats      struct {
		Work   map[string]float64 `json:"work"`
		Ratios map[string]float64 `json:"ratios"` // of prove
		Stages []struct {
			Name string  `json:"name"`
			CPU  float64 `json:"cpu_seconds"`
		} `json:"stages"`
	} `json:"stats"`
	Predicted struct { // of compile
		Prove  float64 `json:"prove_seconds"`
		Phases []struct {
			Name    string  `json:"name"`
			Seconds float64 `json:"seconds"`
		} `json:"phases"`
		Peak  float64 `json:"prove_peak_bytes"`
		Token float64 `json:"token_seconds"`
	} `json:"predicted"`
}

// predicted is what an answer and its proof cost, by package cost: the second half of a text is decoded token by token, in place of that half of the
// witness.
func (r *reported) predicted() expense {
	e := expense{CPU: r.Predicted.Prove, Peak: r.Predicted.Peak}
	if r.Statement != "generation" {
		return e
	}
	for _, p := range r.Predicted.Phases {
		if p.Name == "witness" {
			e.CPU -= p.Seconds / 2
		}
	}
	shape := r.input().Shape
	positions := shape[len(shape)-1]
	return expense{CPU: e.CPU + float64(positions-asked(positions))*r.Predicted.Token, Peak: e.Peak}
}

// processors are processors' seconds of each stage.
func (r *reported) processors() map[string]float64 {
	out := map[string]float64{}
	for _, s := range r.Stats.Stages {
		out[s.Name] = s.CPU
	}
	return out
}

// run runs a command and returns what it printed; what it complained of is part of the error.
func (l *lab) run(ctx context.Context, env []string, name string, args ...string) ([]byte, expense, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &complaints, append(os.Environ(), env...)
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, expense{}, fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, complaints.Bytes())
	}
	took := expense{Wall: time.Since(began).Seconds(), CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	return out.Bytes(), took, nil
}

// report runs a command with --json.
func (l *lab) report(ctx context.Context, env []string, name string, args ...string) (r reported, took expense, err error) {
	out, took, err := l.run(ctx, env, name, append(args, "--json")...)
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	took.Peak = r.PeakRSS
	return r, took, err
}

// measure takes one row; nil if its model is not here.
func (l *lab) measure(ctx context.Context, r row) (*Measured, error) {
	model, flags, err := r.model(ctx, l.options, l.file(r.name, "model"))
	if err != nil {
		return nil, err
	}
	if model == "" {
		l.say("%s: its model is not here, see --help", r.name)
		return nil, nil
	}
	m := &Measured{Name: r.name, What: r.what, Runs: l.runs, Load: load()}
	l.say("%s: compile", r.name)
	code := l.file(r.name, "code")
	flags = append([]string{"compile", model, "-o", code, "--name", "bench", "--force"}, flags...)
	compiled, took, err := l.report(ctx, nil, l.file("zkllmc"), flags...)
	if err != nil {
		return nil, err
	}
	m.Compile, m.Work = took, compiled.Stats.Work
	for _, side := range []string{"prover", "verifier"} {
		if _, _, err := l.run(ctx, nil, l.goTool, "build", "-o", l.file(r.name, side), "./"+filepath.ToSlash(filepath.Join(code, "cmd", side))); err != nil {
			return nil, err
		}
	}
	m.Predicted = compiled.predicted()
	question, err := l.question(ctx, r.name, compiled)
	if err != nil {
		return nil, err
	}
	if err := l.prove(ctx, m, question); err != nil {
		return nil, err
	}
	if l.inferred {
		l.say("%s: onnxruntime", r.name)
		if m.Inference, err = l.infer(ctx, model, m.Threads, compiled); err != nil {
			return nil, err
		}
	}
	if l.ezkl != "" && r.ezkl {
		l.say("%s: EZKL, with at most %g GB", r.name, l.most)
		if m.EZKL, err = l.other(ctx, model, l.file(r.name, "ezkl"), compiled); err != nil {
			return nil, err
		}
	}
	m.Machine, err = l.machine(ctx, m)
	return m, err
}

// load is how many processes wanted a processor during the last minute, "" where the system does not tell: a busy machine has other times.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	minute, _, _ := strings.Cut(string(data), " ")
	return minute
}

// prove sets up, and proves and verifies as often as asked.
func (l *lab) prove(ctx context.Context, m *Measured, question []string) error {
	in := func(name string) string { return l.file(m.Name, name) }
	l.say("%s: setup", m.Name)
	set, took, err := l.report(ctx, nil, in("prover"), "setup", "--weights", filepath.Join(in("code"), "weights.zkw"), "-o", in("keys"), "--force")
	if err != nil {
		return err
	}
	m.Setup, m.KeyBytes = took, set.KeyBytes
	if _, m.Accept, err = l.report(ctx, nil, in("verifier"), "accept", "--save", in("model.id"), "--force", filepath.Join(in("keys"), "model.vk")); err != nil {
		return err
	}
	prove := func(env ...string) (reported, expense, error) {
		return l.report(ctx, env, in("prover"), append([]string{"prove", "--key", filepath.Join(in("keys"), "prover.key"),
			"-o", in("proof"), "--statement-out", in("statement"), "--force", "--stats"}, question...)...)
	}
	for i := range l.runs {
		l.say("%s: prove and verify, %d of %d", m.Name, i+1, l.runs)
		proved, took, err := prove()
		if err != nil {
			return err
		}
		m.Prove = append(m.Prove, took)
		m.Phases = append(m.Phases, proved.Seconds)
		m.Ratios = append(m.Ratios, proved.Stats.Ratios)
		m.Stages = append(m.Stages, proved.processors())
		m.ProofBytes, m.Threads, m.CPU = proved.ProofBytes, proved.Threads, proved.CPU
		verified, _, err := l.report(ctx, []string{"GOMAXPROCS=1"}, in("verifier"), "verify", "--vk", filepath.Join(in("keys"), "model.vk"), "--pin", in("model.id"),
			"--statement", in("statement"), "--proof", in("proof"))
		if err != nil {
			return err
		}
		m.Verify = append(m.Verify, verified.Seconds["verify"])
	}
	if l.single {
		l.say("%s: prove on one thread", m.Name)
		proved, _, err := prove("GOMAXPROCS=1")
		if err != nil {
			return err
		}
		m.Alone, m.AloneStages = proved.Seconds, proved.processors()
	}
	return nil
}

//go:embed infer.py
var inferScript string

// infer is how many seconds onnxruntime takes for a pass over all positions.
func (l *lab) infer(ctx context.Context, model string, threads int, r reported) ([]float64, error) {
	in := r.input()
	positions := in.Shape[len(in.Shape)-1]
	out, _, err := l.run(ctx, nil, l.python, "-c", inferScript, model, fmt.Sprint(threads), fmt.Sprint(positions), fmt.Sprint(in.Hi), fmt.Sprint(l.runs))
	if err != nil {
		return nil, err
	}
	var seconds []float64
	err = json.Unmarshal(out, &seconds)
	return seconds, err
}

// multiplications is how many are timed.
const multiplications = 50_000_000

// multiplication is how many nanoseconds of a processor one in the field takes: those of the repository's benchmark, run so many times that
// nothing else counts. The clock would also count what other programs take of the processor.
func (l *lab) multiplication(ctx context.Context) (float64, error) {
	test := l.file("field.test")
	if _, _, err := l.run(ctx, nil, l.goTool, "test", "-c", "-o", test, "./internal/field"); err != nil {
		return 0, err
	}
	out, took, err := l.run(ctx, nil, test, "-test.run", "^$", "-test.bench", "^BenchmarkMul$", "-test.benchtime", fmt.Sprintf("%dx", multiplications))
	if err == nil && !bytes.Contains(out, []byte(fmt.Sprint(multiplications))) {
		err = fmt.Errorf("the benchmark did not run:\n%s", out)
	}
	return took.CPU / multiplications / giga, err
}

// machine describes what a row was measured on.
func (l *lab) machine(ctx context.Context, m *Measured) (Machine, error) {
	out := Machine{CPU: m.CPU, Threads: m.Threads, Mul: l.mul, Ceiling: l.ceiling}
	version, _, err := l.run(ctx, nil, l.goTool, "env", "GOVERSION")
	if err != nil {
		return out, err
	}
	out.Go, out.Commit = strings.TrimSpace(string(version)), "unknown"
	if commit, _, err := l.run(ctx, nil, "git", "rev-parse", "--short=10", "HEAD"); err == nil {
		out.Commit = strings.TrimSpace(string(commit))
		// What is measured are the sources; documents that this command has written are changed, too.
		changed, _, err := l.run(ctx, nil, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "*.s", "go.mod", "go.sum")
		if err != nil || len(changed) > 0 {
			out.Commit += "-dirty"
		}
	}
	return out, nil
}
