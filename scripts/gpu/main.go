// Command gpu takes the tests and benchmarks of CUDA to a machine with a GPU that has neither Go nor a network, and runs them there.
//
//	gpu pack FILE.tar.gz   here, where there are CUDA's headers, after make fatbin: builds the tests with the tag cuda
//	./gpu run FILE.json    there, in the folder that the archive makes: runs everything and writes what came of it
//
// Tests are run once as they are, and once each under compute-sanitizer's memcheck and racecheck, where that is installed; benchmarks last.
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
	switch {
	case len(os.Args) == 3 && os.Args[1] == "pack":
		err = pack(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "run":
		err = run(os.Args[2])
	default:
		err = errors.New("usage: gpu pack FILE.tar.gz, gpu run FILE.json")
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

// mostBytes is what an archive may have.
const mostBytes = 60 << 20

// folder is what the archive makes.
const folder = "zkllmc-gpu"

func pack(file string) error {
	for _, binary := range []string{"cuda/internal/fatbin/kernels.fatbin", "cuda/internal/test/kerneltest/checks.fatbin"} {
		if _, err := os.Stat(binary); err != nil {
			return fmt.Errorf("there is no %s: make fatbin first", binary)
		}
	}
	dir, err := os.MkdirTemp("", "gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range packages {
		if err := command("go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-tags", "cuda", "-o", filepath.Join(dir, p.name), p.path); err != nil {
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
	if err := os.WriteFile(filepath.Join(dir, "commit"), commit, 0o644); err != nil {
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
	Output     string                        `json:"output,omitempty"`     // the end of it, where something failed
}

// tools are those of compute-sanitizer; the empty one is none.
var tools = []string{"", "memcheck", "racecheck"}

// longest is how much a program may take.
const longest = "20m"

func run(file string) error {
	commit, err := os.ReadFile("commit")
	if err != nil {
		return fmt.Errorf("%w: run this in the folder of the archive", err)
	}
	gpu, err := exec.Command("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader").CombinedOutput()
	if err != nil {
		gpu = append(gpu, err.Error()...)
	}
	r := &Report{Commit: strings.TrimSpace(string(commit)), Start: time.Now().UTC().Format(time.RFC3339), GPU: strings.TrimSpace(string(gpu))}
	_, missing := exec.LookPath("compute-sanitizer")
	for _, tool := range tools {
		for _, p := range packages {
			switch {
			case p.tests == "" && tool != "", tool != "" && missing != nil:
				continue
			}
			r.Results = append(r.Results, one(p.name, p.tests, p.benchmarks, tool))
			if err := save(file, r); err != nil { // at once: the next one may take the machine down
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
