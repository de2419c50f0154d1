package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Machine is what was measured on.
type Machine struct {
	CPU, Go, Commit string
	Threads, Runs   int
	Mul             float64 // nanoseconds of a processor for a multiplication in the field
}

// Measured is a row. What may be missing is nil.
type Measured struct {
	Name, What             string
	Compile, Setup, Accept cost
	Prove                  []cost
	Phases                 []map[string]float64 // seconds of a proof by phase
	Verify                 []float64            // seconds
	Inference              []float64            // seconds
	Work                   map[string]float64   // what a proof has to do, see REPORTS.md
	ProofBytes, KeyBytes   float64
	Threads                int
	CPU                    string
}

// Report is all that was measured.
type Report struct {
	Machine Machine
	Rows    []Measured
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// spread is the median with the least and the greatest, times a unit.
func spread(v []float64, unit float64, format string) string {
	f := func(x float64) string { return fmt.Sprintf(format, unit*x) }
	return fmt.Sprintf("%s (%s–%s)", f(median(v)), f(slices.Min(v)), f(slices.Max(v)))
}

// of picks one number of each cost.
func of(costs []cost, pick func(cost) float64) (out []float64) {
	for _, c := range costs {
		out = append(out, pick(c))
	}
	return out
}

func cpu(c cost) float64  { return c.CPU }
func wall(c cost) float64 { return c.Wall }
func peak(c cost) float64 { return c.Peak }

const giga = 1e-9

func (r *Report) markdown() string {
	var s strings.Builder
	m := r.Machine
	fmt.Fprintf(&s, "# What proofs cost\n\n%s, %d threads, %s, commit %s; a multiplication in the field takes %.2f ns.\n\n", m.CPU, m.Threads, m.Go, m.Commit, m.Mul)
	for _, x := range r.Rows {
		fmt.Fprintf(&s, "- %s: %s\n", x.Name, x.What)
	}
	fmt.Fprintf(&s, "\nCommands as a whole. Proofs and verifications: median of %d runs (least–greatest); compile, setup and accept once.\n\n", m.Runs)
	table(&s, []string{"", "prove, CPU-s", "prove, s", "prove, peak GB", "proof, B", "verify on 1 thread, ms", "key, B", "accept, CPU-s", "setup, CPU-s", "setup, peak GB", "compile, CPU-s", "compile, peak GB"}, r.costs())
	s.WriteString("\nRatios, of medians: processors' time in multiplications in the field, per cell that is looked up and per weight; peak memory per committed\n")
	s.WriteString("cell of the witness and per weight; the proof's seconds against those of inference of all positions on as many threads.\n\n")
	table(&s, []string{"", "lookups", "weights", "committed cells", "products", "Mul per lookup", "Mul per weight", "B per cell", "B per weight", "onnxruntime, ms", "prove / onnxruntime"}, r.ratios())
	s.WriteString("\nSeconds of a proof by phase, medians.\n\n")
	for _, x := range r.Rows {
		fmt.Fprintf(&s, "- %s: %s\n", x.Name, phases(x.Phases))
	}
	return s.String()
}

func (r *Report) costs() (lines [][]string) {
	for _, x := range r.Rows {
		lines = append(lines, []string{
			x.Name, spread(of(x.Prove, cpu), 1, "%.2f"), spread(of(x.Prove, wall), 1, "%.2f"), spread(of(x.Prove, peak), giga, "%.2f"), fmt.Sprintf("%.0f", x.ProofBytes),
			spread(x.Verify, 1000, "%.0f"), fmt.Sprintf("%.0f", x.KeyBytes), fmt.Sprintf("%.2f", x.Accept.CPU),
			fmt.Sprintf("%.2f", x.Setup.CPU), fmt.Sprintf("%.2f", giga*x.Setup.Peak), fmt.Sprintf("%.2f", x.Compile.CPU), fmt.Sprintf("%.2f", giga*x.Compile.Peak),
		})
	}
	return lines
}

func (r *Report) ratios() (lines [][]string) {
	for _, x := range r.Rows {
		muls := median(of(x.Prove, cpu)) / (giga * r.Machine.Mul)
		memory := median(of(x.Prove, peak))
		line := []string{x.Name}
		for _, name := range []string{"lookups", "weights", "witness", "products"} {
			line = append(line, fmt.Sprintf("%.0f", x.Work[name]))
		}
		for _, ratio := range []float64{muls / x.Work["lookups"], muls / x.Work["weights"], memory / x.Work["witness"], memory / x.Work["weights"]} {
			line = append(line, fmt.Sprintf("%.1f", ratio))
		}
		if x.Inference == nil {
			line = append(line, "not here", "")
		} else {
			line = append(line, spread(x.Inference, 1000, "%.2f"), fmt.Sprintf("%.0f", median(of(x.Prove, wall))/median(x.Inference)))
		}
		lines = append(lines, line)
	}
	return lines
}

// phases are the medians of each, longest first; total stands at the end.
func phases(runs []map[string]float64) string {
	all := map[string][]float64{}
	for _, p := range runs {
		for name, seconds := range p {
			all[name] = append(all[name], seconds)
		}
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if d := median(all[b]) - median(all[a]); d != 0 {
			return map[bool]int{true: 1, false: -1}[d > 0]
		}
		return strings.Compare(a, b)
	})
	var out []string
	for _, name := range names {
		out = append(out, fmt.Sprintf("%s %.3f", strings.ReplaceAll(name, "_", " "), median(all[name])))
	}
	return strings.Join(out, ", ")
}

// table writes a Markdown table whose columns are as wide as their widest cell, so that it reads well as it is, too.
func table(s *strings.Builder, head []string, lines [][]string) {
	width := make([]int, len(head))
	for _, line := range append([][]string{head}, lines...) {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	row := func(line []string) {
		for i, cell := range line {
			fmt.Fprintf(s, "| %-*s ", width[i], cell)
		}
		s.WriteString("|\n")
	}
	row(head)
	for _, w := range width {
		s.WriteString("|" + strings.Repeat("-", w+2))
	}
	s.WriteString("|\n")
	for _, line := range lines {
		row(line)
	}
}
