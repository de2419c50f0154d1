// Command gpu takes the tests and benchmarks of CUDA, and provers, to a machine with a GPU that has neither Go nor a network, and runs them there.
//
//	gpu pack FILE.tar.gz        here, where there are CUDA's headers, after make fatbin: builds everything with the tag cuda
//	./gpu run FILE.json [NAME]  there, in the folder that the archive makes: runs everything, or what has the name, and writes what came of it
//	gpu here FILE.json [NAME]   both, on a machine that has Go, CUDA's headers and a GPU
//
// Tests are run once as they are, and once each under compute-sanitizer's memcheck and racecheck, where that is installed; then benchmarks, then
// models: keys and a proof are made on the GPU, the processor's verifier accepts the proof, and the processor makes one, too, to compare how long
// every stage takes.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	var err error
	args := append(os.Args[1:], "", "", "")
	switch {
	case args[0] == "pack" && len(os.Args) == 3:
		err = pack(args[1])
	case args[0] == "run" && args[1] != "" && len(os.Args) <= 4:
		err = run(args[1], args[2])
	case args[0] == "here" && args[1] != "" && len(os.Args) <= 4:
		err = here(args[1], args[2])
	default:
		err = errors.New("usage: gpu pack FILE.tar.gz, gpu run FILE.json [NAME], gpu here FILE.json [NAME]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpu:", err)
		os.Exit(1)
	}
}

// packages are those whose tests run on a GPU, by the names of their programs.
var packages = []struct{ name, path, tests, benchmarks string }{
	{"kernels", "./cuda/internal/test/emulator", "TestKernels", ""},
	{"points", "./cuda/internal/points", ".", ""},
	{"products", "./cuda/internal/products", ".", ""},
	{"backend", "./cuda", ".", ""},
	{"benchmarks", "./cuda/internal/test/kerneltest", "", "."},
}

// models are those of which keys and proofs are made: how each is compiled, and what is proved of it.
var models = []struct {
	name    string
	compile []string
	prove   []string
}{
	{"sums", []string{"models/sums/model.onnx", "--reveal", "argmax", "--tokenizer", "models/sums/vocab.json"}, []string{"--prompt", "327+458="}},
}

// mostBytes is what an archive may have.
const mostBytes = 60 << 20

// folder is what the archive makes.
const folder = "zkllmc-gpu"

func pack(file string) error {
	dir, err := os.MkdirTemp("", "gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := write(&archive, dir); err != nil {
		return err
	}
	if archive.Len() > mostBytes {
		return fmt.Errorf("an archive of %d bytes, of at most %d", archive.Len(), mostBytes)
	}
	return os.WriteFile(file, archive.Bytes(), 0o644)
}

// here builds and runs.
func here(file, only string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return run(file, only)
}

// build writes everything that a run needs to a folder.
func build(dir string) error {
	for _, binary := range []string{"cuda/internal/fatbin/kernels.fatbin", "cuda/internal/test/kerneltest/checks.fatbin"} {
		if _, err := os.Stat(binary); err != nil {
			return fmt.Errorf("there is no %s: make fatbin first", binary)
		}
	}
	for _, p := range packages {
		if err := command("go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-tags", "cuda", "-o", filepath.Join(dir, p.name), p.path); err != nil {
			return err
		}
	}
	for _, m := range models {
		if err := buildModel(dir, m.name, m.compile); err != nil {
			return err
		}
	}
	if err := command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "gpu"), "./scripts/gpu"); err != nil {
		return err
	}
	commit, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40").Output()
	if err != nil {
		return fmt.Errorf("git: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "commit"), commit, 0o644)
}

// buildModel compiles a model, and builds its prover for the GPU and for the processor, and its verifier; its weights come with them.
func buildModel(dir, name string, args []string) error {
	code, err := os.MkdirTemp("", "gpu-model-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(code)
	source, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := command("go", append([]string{"run", ".", "compile", "--force", "--runtime-path", source, "-o", code}, args...)...); err != nil {
		return err
	}
	for program, flags := range map[string][]string{"gpu": {"-tags", "cuda", "./cmd/prover"}, "cpu": {"./cmd/prover"}, "verifier": {"./cmd/verifier"}} {
		built := append([]string{"build", "-C", code, "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, name+"-"+program)}, flags...)
		if err := command("go", built...); err != nil {
			return err
		}
	}
	weights, err := os.ReadFile(filepath.Join(code, "weights.zkw"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".zkw"), weights, 0o600)
}

func command(name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// write writes the files of a folder as an archive.
func write(to io.Writer, dir string) error {
	packed := gzip.NewWriter(to)
	w := tar.NewWriter(packed)
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: folder + "/" + f.Name(), Mode: int64(info.Mode().Perm()), Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), packed.Close())
}

// Report is what came of a run.
type Report struct {
	Commit  string   `json:"commit"`
	Start   string   `json:"start"`
	GPU     string   `json:"gpu"` // what nvidia-smi says
	Results []Result `json:"results"`
}

// Result is one program's, alone or under a tool.
type Result struct {
	Name       string                        `json:"name"`
	Tool       string                        `json:"tool,omitempty"`
	Passed     bool                          `json:"passed"`
	Exit       string                        `json:"exit,omitempty"`
	Seconds    float64                       `json:"seconds"`
	Benchmarks map[string]map[string]float64 `json:"benchmarks,omitempty"` // by name and unit
	Reports    map[string]json.RawMessage    `json:"reports,omitempty"`    // of a model's commands, by what ran them
	Output     string                        `json:"output,omitempty"`     // the end of it, where something failed
}

// tools are those of compute-sanitizer; the empty one is none.
var tools = []string{"", "memcheck", "racecheck"}

// longest is how much a program may take.
const longest = "20m"

func run(file, only string) error {
	commit, err := os.ReadFile("commit")
	if err != nil {
		return fmt.Errorf("%w: run this in the folder of the archive", err)
	}
	gpu, err := exec.Command("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader").CombinedOutput()
	if err != nil {
		gpu = append(gpu, err.Error()...)
	}
	r := &Report{Commit: strings.TrimSpace(string(commit)), Start: time.Now().UTC().Format(time.RFC3339), GPU: strings.TrimSpace(string(gpu))}
	add := func(result Result) error {
		r.Results = append(r.Results, result)
		return save(file, r) // at once: the next one may take the machine down
	}
	_, missing := exec.LookPath("compute-sanitizer")
	for _, tool := range tools {
		for _, p := range packages {
			if p.tests == "" && tool != "" || tool != "" && missing != nil || only != "" && p.name != only {
				continue
			}
			if err := add(one(p.name, p.tests, p.benchmarks, tool)); err != nil {
				return err
			}
		}
	}
	for _, m := range models {
		if only == "" || m.name == only {
			if err := add(prove(m.name, m.prove)); err != nil {
				return err
			}
		}
	}
	for _, result := range r.Results {
		if !result.Passed {
			return fmt.Errorf("%s %s did not pass: see %s", result.Name, result.Tool, file)
		}
	}
	return nil
}

// prove makes keys and a proof on the GPU, has it verified by the processor, and makes one by the processor, too.
func prove(name string, what []string) Result {
	r := Result{Name: name, Passed: true, Reports: map[string]json.RawMessage{}}
	start := time.Now()
	do := func(report, program string, args ...string) { // no report: what it says is nothing to keep
		if !r.Passed {
			return
		}
		c := exec.Command("./"+name+"-"+program, args...)
		var said bytes.Buffer
		c.Stderr = &said
		fmt.Fprintln(os.Stderr, strings.Join(c.Args, " "))
		out, err := c.Output()
		if err != nil {
			r.Passed, r.Exit, r.Output = false, err.Error(), said.String()+string(out)
		} else if report != "" && json.Valid(out) {
			r.Reports[report] = out
		}
	}
	key := []string{"--key", name + "-keys/prover.key", "--json", "--stats", "--force"}
	do("setup on the GPU", "gpu", "setup", "--weights", name+".zkw", "-o", name+"-keys", "--json", "--stats", "--force")
	do("", "verifier", "accept", "--save", name+".id", name+"-keys/model.vk")
	for _, by := range []string{"gpu", "cpu"} {
		proof, statement := name+"-"+by+".proof", name+"-"+by+".statement"
		do("proof by the "+by, by, append(append([]string{"prove", "-o", proof, "--statement-out", statement}, key...), what...)...)
		do("", "verifier", "verify", "--vk", name+"-keys/model.vk", "--statement", statement, "--proof", proof, "--pin", name+".id")
	}
	r.Seconds = time.Since(start).Seconds()
	return r
}

// one runs a program.
func one(name, tests, benchmarks, tool string) Result {
	args := []string{"./" + name, "-test.v", "-test.timeout", longest, "-test.run", tests}
	if tests == "" {
		args[len(args)-1] = "^$"
	}
	if benchmarks != "" {
		args = append(args, "-test.bench", benchmarks)
	}
	if tool != "" {
		args = append([]string{"compute-sanitizer", "--tool", tool, "--error-exitcode", "9"}, args...)
	}
	fmt.Fprintln(os.Stderr, strings.Join(args, " "))
	start := time.Now()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	r := Result{Name: name, Tool: tool, Passed: err == nil, Seconds: time.Since(start).Seconds(), Benchmarks: measured(string(out))}
	if err != nil {
		r.Exit, r.Output = err.Error(), string(out[max(0, len(out)-1<<14):])
	}
	return r
}

var (
	benchmark = regexp.MustCompile(`(?m)^Benchmark(\w+?)(?:-\d+)?\s+\d+\s+(.*)$`)
	figure    = regexp.MustCompile(`([\d.e+-]+) (\S+)`)
)

// measured reads the lines of benchmarks.
func measured(out string) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for _, line := range benchmark.FindAllStringSubmatch(out, -1) {
		all[line[1]] = map[string]float64{}
		for _, f := range figure.FindAllStringSubmatch(line[2], -1) {
			if v, err := strconv.ParseFloat(f[1], 64); err == nil {
				all[line[1]][f[2]] = v
			}
		}
	}
	return all
}

func save(file string, r *Report) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
