package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Machine is what a row was measured on.
type Machine struct {
	CPU, Go, Commit string
	Threads         int
	Mul             float64 // nanoseconds of a processor for a multiplication in the field
	Ceiling         *Ceiling
}

// Measured is a row. What may be missing is nil or 0.
type Measured struct {
	Name, What             string
	Runs                   int
	Load                   string // before it
	Machine                Machine
	Compile, Setup, Accept expense
	Prove                  []expense
	Phases                 []map[string]float64 // seconds of a proof by phase
	Stages                 []map[string]float64 // processors' seconds of a proof by stage
	Ratios                 []map[string]float64 // of prove --stats
	Alone, AloneStages     map[string]float64   // the same of a proof on one thread
	Verify                 []float64            // seconds
	Inference              []float64            // seconds
	EZKL                   *steps
	Work                   map[string]float64 // what a proof has to do, see REPORTS.md
	Predicted              expense            // of a proof, by package cost
	ProofBytes, KeyBytes   float64
	Threads                int
	CPU                    string
}

// Report is all that was measured.
type Report struct{ Rows []Measured }

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
func of(costs []expense, pick func(expense) float64) (out []float64) {
	for _, c := range costs {
		out = append(out, pick(c))
	}
	return out
}

func cpu(c expense) float64  { return c.CPU }
func wall(c expense) float64 { return c.Wall }
func peak(c expense) float64 { return c.Peak }

const giga = 1e-9

func (r *Report) markdown() string {
	var s strings.Builder
	s.WriteString("# What proofs cost\n\nWritten by `make bench`.\n\n")
	for _, x := range r.Rows {
		m := x.Machine
		fmt.Fprintf(&s, "- %s: %s. Commit %s, %s, %d threads, %s, %d runs; a multiplication in the field takes %.2f ns%s\n", x.Name, x.What, m.Commit, m.CPU, m.Threads, m.Go, x.Runs, m.Mul, loaded(x.Load))
	}
	s.WriteString("\nCommands as a whole. Proofs and verifications: medians (least–greatest); compile, setup and accept once. A proof begins with token ids, of\n")
	s.WriteString("which it decodes half, or with a block's hidden states, and ends with the file; a verification has key and generators. Answers of drawn weights\nrepeat themselves and are guessed in few passes, those of trained ones (stories260K, smollm2) hardly: RATIONALE.md.\n\n")
	table(&s, []string{"", "prove, CPU-s", "prove, s", "prove, peak GB", "proof, B", "verify on 1 thread, ms", "key, B", "accept, CPU-s", "setup, CPU-s", "setup, peak GB", "compile, CPU-s", "compile, peak GB"}, r.costs())
	s.WriteString("\nRatios of `prove --stats`, medians; REPORTS.md says what each is. Parallel: seconds on one thread, in parts of those on all times their number.\n\n")
	table(&s, []string{"", "lookups", "weights", "committed cells", "products", "Mul per lookup", "Mul per folded weight", "G products/s and core", "other", "parallel", "B per cell", "B per weight"}, r.ratios())
	r.ceilings(&s)
	s.WriteString("\nWhat package cost predicts of an answer and its proof, at rates that zkllmc benchmark measured in the same run, and what was measured: processors' time\nwithout reading the key, the self-check and writing. Where answers are guessed (drawn weights) decoding takes less than is predicted of its tokens one by one.\n\n")
	table(&s, []string{"", "CPU-s predicted", "measured", "peak GB predicted", "measured"}, r.predicted())
	s.WriteString("\nA proof's seconds against those of onnxruntime's inference of all positions, in the same run on as many threads.\n\n")
	table(&s, []string{"", "onnxruntime, ms", "prove / onnxruntime"}, r.inference())
	r.ezkl(&s)
	s.WriteString("\nSeconds of a proof by phase, medians.\n\n")
	for _, x := range r.Rows {
		fmt.Fprintf(&s, "- %s: %s\n", x.Name, phases(x.Phases))
	}
	r.threads(&s)
	return s.String()
}

// seconds is the median of a phase.
func (m *Measured) seconds(phase string) float64 {
	var all []float64
	for _, p := range m.Phases {
		all = append(all, p[phase])
	}
	return median(all)
}

// efficiency is what a phase takes on one thread, in parts of what it takes on all times their number.
func (m *Measured) efficiency(phase string) float64 {
	return m.Alone[phase] / (float64(m.Threads) * m.seconds(phase))
}

func sum(of map[string]float64) (total float64) {
	for _, name := range slices.Sorted(maps.Keys(of)) { // in one order, for one rounding
		total += of[name]
	}
	return total
}

// threads tells where threads wait for others: what every phase takes of all of them beyond what it takes of one.
func (r *Report) threads(s *strings.Builder) {
	var lines strings.Builder
	for _, x := range r.Rows {
		if x.Alone == nil {
			continue
		}
		taken := func(phase string) float64 { return float64(x.Threads) * x.seconds(phase) }
		lost := func(phase string) float64 { return taken(phase) - x.Alone[phase] }
		names := slices.SortedFunc(maps.Keys(x.Alone), func(a, b string) int { return cmp.Or(cmp.Compare(lost(b), lost(a)), strings.Compare(a, b)) })
		var out []string
		for _, name := range names {
			out = append(out, fmt.Sprintf("%s %.2f of %.2f (%.0f %%)", strings.ReplaceAll(name, "_", " "), lost(name), taken(name), 100*x.efficiency(name)))
		}
		all := make([]float64, len(x.Stages))
		for i, stages := range x.Stages {
			all[i] = sum(stages)
		}
		fmt.Fprintf(&lines, "- %s: %s; processors' seconds %.2f, on one thread %.2f\n", x.Name, strings.Join(out, ", "), median(all), sum(x.AloneStages))
	}
	if lines.Len() > 0 {
		s.WriteString("\nWhat threads lose, by phase: seconds of all threads that one thread does without, of all seconds of theirs, and the rest in parts of them.\n\n")
		s.WriteString(lines.String())
	}
}

// ceilings tells what threads could reach beside what they do.
func (r *Report) ceilings(s *strings.Builder) {
	var lines [][]string
	for _, x := range r.Rows {
		c := x.Machine.Ceiling
		if c == nil || x.Alone == nil {
			continue
		}
		line := []string{x.Name, fmt.Sprintf("%.0f %%", 100*x.efficiency("total"))}
		for _, share := range []float64{c.Mul, c.Vector, c.Products, c.Stream, c.Fresh} {
			line = append(line, fmt.Sprintf("%.0f %%", 100*share))
		}
		lines = append(lines, line)
	}
	if lines == nil {
		return
	}
	s.WriteString("\nThe same of threads that share nothing but the machine and do one kind of work, the least times of many: what no program can surpass. All begin\n")
	s.WriteString("when each has a processor, so that other programs do not count; they do count in a proof's.\n\n")
	table(s, []string{"", "the proof", "products of elements", "in runs", "of matrices", "reading memory", "fresh memory"}, lines)
}

// loaded tells the load of the machine before a row.
func loaded(load string) string {
	if load == "" {
		return ""
	}
	return "; load before it " + load
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

// ratio is the median of one of prove --stats.
func (m *Measured) ratio(name string) float64 {
	var all []float64
	for _, r := range m.Ratios {
		all = append(all, r[name])
	}
	if all == nil {
		return 0
	}
	return median(all)
}

func (r *Report) ratios() (lines [][]string) {
	for _, x := range r.Rows {
		line := []string{x.Name}
		for _, name := range []string{"lookups", "weights", "witness", "products"} {
			line = append(line, fmt.Sprintf("%.0f", x.Work[name]))
		}
		line = append(line, fmt.Sprintf("%.1f", x.ratio("multiplications_per_lookup")), fmt.Sprintf("%.2f", x.ratio("multiplications_per_folded_weight")),
			fmt.Sprintf("%.2f", x.ratio("gigaproducts_per_core_second")), fmt.Sprintf("%.0f %%", 100*x.ratio("other_share")))
		parallel := ""
		if x.Alone != nil {
			parallel = fmt.Sprintf("%.0f %%", 100*x.efficiency("total"))
		}
		memory := median(of(x.Prove, peak))
		lines = append(lines, append(line, parallel, fmt.Sprintf("%.1f", memory/x.Work["witness"]), fmt.Sprintf("%.1f", memory/x.Work["weights"])))
	}
	return lines
}

// beside are the phases of prove that are neither the answer's nor the proof's.
var beside = []string{"read key", "confirm answer", "logits", "self-check", "write"}

// predicted compares the cost model with medians.
func (r *Report) predicted() (lines [][]string) {
	for _, x := range r.Rows {
		var took []float64
		for _, stages := range x.Stages {
			sum := 0.0
			for name, seconds := range stages {
				if !slices.Contains(beside, name) {
					sum += seconds
				}
			}
			took = append(took, sum)
		}
		if took == nil {
			continue
		}
		lines = append(lines, []string{x.Name, fmt.Sprintf("%.2f", x.Predicted.CPU), fmt.Sprintf("%.2f", median(took)), fmt.Sprintf("%.2f", giga*x.Predicted.Peak),
			fmt.Sprintf("%.2f", giga*median(of(x.Prove, peak)))})
	}
	return lines
}

func (r *Report) inference() (lines [][]string) {
	for _, x := range r.Rows {
		line := []string{x.Name, "not here", ""}
		if x.Inference != nil {
			line = []string{x.Name, spread(x.Inference, 1000, "%.2f"), fmt.Sprintf("%.0f", median(of(x.Prove, wall))/median(x.Inference))}
		}
		lines = append(lines, line)
	}
	return lines
}

// ezkl writes what EZKL took where it was tried.
func (r *Report) ezkl(s *strings.Builder) {
	var lines [][]string
	var ends []string
	version := ""
	for _, x := range r.Rows {
		if x.EZKL == nil {
			continue
		}
		version = x.EZKL.Version
		line := []string{x.Name, fmt.Sprintf("%.0f", x.EZKL.Took["settings"].Rows)}
		for _, name := range []string{"setup", "prove", "verify"} {
			t, ok := x.EZKL.Took[name]
			line = append(line, map[bool]string{true: fmt.Sprintf("%.1f CPU-s, %.1f s, %.1f GB", t.CPU, t.Seconds, giga*t.Peak), false: "not reached"}[ok])
		}
		lines = append(lines, append(line, fmt.Sprintf("%.0f", x.EZKL.Took["proof"].Bytes)))
		if x.EZKL.Ended != "" {
			ends = append(ends, fmt.Sprintf("- %s ended early: %s\n", x.Name, x.EZKL.Ended))
		}
	}
	if lines == nil {
		return
	}
	fmt.Fprintf(s, "\nEZKL %s on the same models, in the same run: public input and output, weights fixed in the circuit, scales of 10 bits, 2^17 rows, else as\n", version)
	s.WriteString("it comes; from the rows of the embedding on, masks are −20, and the guard of softmax against rows without a number, which it does not know, is\nleft out (`scripts/bench/other.py`). Memory is the peak up to the step's end.\n\n")
	table(s, []string{"", "rows", "setup", "prove", "verify", "proof, B"}, lines)
	if ends != nil {
		s.WriteString("\n" + strings.Join(ends, ""))
	}
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
