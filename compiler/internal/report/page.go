package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// Model is what a page is about.
type Model struct {
	Name    string
	Digest  string // of the family
	Claim   string // what a statement says
	Circuit *circuit.Circuit
	Steps   []Step
	Lengths []int
	Notes   []string
	Weights []Tensor
	Facts   []Fact
	Rates   *cost.Rates // of the machine that predictions are for

	Checked *Checked    // nil where nothing was compared
	Runs    []*Measured // of provers
}

// Tensor is a weight, by its name in the circuit, with the tensors of the model's file that it is made of.
type Tensor struct {
	Name  string
	Files []string
}

// Fact is a number that sums the model up.
type Fact struct{ Value, What string }

// Checked is how the integer program compares with the float model.
type Checked struct {
	Inputs int
	Lines  []string
	Places []quant.Place // in the program's order
}

// Measured is what the stages of a run of a prover took.
type Measured struct {
	What   string     // setup or a proof
	On     string     // which processor, with how many threads
	Work   *cost.Work // of a proof
	Stages []Stage
}

// Peak is the most memory that the process had.
func (m *Measured) Peak() (most uint64) {
	for _, s := range m.Stages {
		most = max(most, s.Peak)
	}
	return most
}

// Stage is a phase of a run.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`
	Peak    uint64  `json:"peak_rss"`
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string
	//go:embed page.js
	script string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"count": count, "seconds": seconds, "bytes": megabytes, "noise": noise, "add": func(a, b int) int { return a + b }}).Parse(pageText))
)

// allowed is the hash by which a page's policy knows the one script or style that may be in it.
func allowed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page is what the template shows.
type page struct {
	*Model
	Style  template.CSS
	Script template.JS
	Policy string

	Told    told
	Groups  []group
	Rows    []row // by layer
	Kinds   []kind
	Known   []known
	Graph   [][]node
	Stages  *stagePlot
	Setup   *stagePlot
	Costs   *plot
	Noise   *plot
	Private bool // it tells of weights
}

// row is a layer as the table has it.
type row struct {
	Layer
	Seconds float64 // of one core that it adds to a proof, predicted
	Share   string  // of the seconds that all layers add, as a part of the greatest, in percent
	Noise   float64 // at its end, 0 where nothing was compared
	Worst   *quant.Place
	Weights []weightRow
	Index   int
}

// group is a run of layers that are alike, or one layer.
type group struct {
	Title string // of a run
	Like  string // the layer that those of the run are like
	Rows  []row
}

// weightRow is a weight.
type weightRow struct {
	Name, Shape, Files string
	Cells              int64
	Bits, Scale        int
}

// kind is a weight of several layers: the weights of one name and shape.
type kind struct {
	Name, Shape, Layers, Scales string
	Count                       int
	Cells                       int64 // of all
	Bits                        int
}

// known is a tensor that everybody knows.
type known struct{ Name, What, Shape string }

// Write writes the page of a model. The same model gives the same bytes.
func Write(w io.Writer, m *Model) error {
	files := map[string]string{}
	for _, t := range m.Weights {
		if len(t.Files) > 0 {
			files[t.Name] = t.Files[0]
		}
	}
	d := divide(m.Circuit, m.Steps, files)
	p := &page{Model: m, Style: template.CSS(style), Script: template.JS(script), Told: tell(m.Circuit), Graph: d.graph(m.Checked), Private: m.Checked != nil}
	p.Policy = "default-src 'none'; script-src " + allowed(script) + "; style-src " + allowed(style) + "; base-uri 'none'; form-action 'none'"
	p.Rows = d.rows(m)
	p.Groups = d.groups(p.Rows)
	p.Kinds = kinds(p.Rows)
	for i := range m.Circuit.Tensors {
		t := &m.Circuit.Tensors[i]
		switch t.Kind {
		case circuit.Const:
			p.Known = append(p.Known, known{t.Name, "constant", shape(t.Shape)})
		case circuit.Affine:
			offset, strides := t.Equation()
			p.Known = append(p.Known, known{t.Name, "1 where " + circuit.Linear(offset, strides) + " = 0", shape(t.Shape)})
		}
	}
	p.Stages, p.Setup = stagesOf(m)
	p.Costs, p.Noise = costs(d, m.Rates), noises(p.Rows)
	return pageTemplate.Execute(w, p)
}

// rows makes the rows of all layers.
func (d *division) rows(m *Model) []row {
	layers := d.layers()
	out := make([]row, len(layers))
	most := 0.0
	for i, l := range layers {
		out[i] = row{Layer: l, Index: i, Seconds: m.Rates.Part(&l.Work)}
		most = max(most, out[i].Seconds)
	}
	for i := range out {
		out[i].Share = percent(out[i].Seconds, most)
	}
	files := map[string][]string{}
	for _, w := range m.Weights {
		files[w.Name] = w.Files
	}
	for _, t := range m.Circuit.Weights() {
		r := &out[d.at(t)]
		w := weightRow{Name: t.Name, Shape: shape(t.Shape), Cells: int64(circuit.Size(t.Shape)), Bits: width(t), Files: strings.Join(files[t.Name], ", ")}
		if s := d.of[t.ID]; s != none {
			w.Scale = d.steps[s].Scale
		}
		r.Weights = append(r.Weights, w)
	}
	if m.Checked != nil {
		for i, at := range d.places(m.Checked.Places) {
			p := &m.Checked.Places[i]
			r := &out[at]
			r.Noise = p.Noise // the last is at the layer's end
			if r.Worst == nil || p.Lost > r.Worst.Lost {
				r.Worst = p
			}
		}
	}
	return out
}

// places finds the layers of the places of a comparison. What has no tensor is on the way to one that comes behind it.
func (d *division) places(list []quant.Place) []int {
	at := map[string]int{}
	for i, s := range d.steps {
		at[s.Tensor] = d.layer[i]
	}
	out := make([]int, len(list))
	next := 0
	if n := len(d.layer); n > 0 {
		next = d.layer[n-1]
	}
	for i, p := range slices.Backward(list) {
		if l, ok := at[p.Tensor]; ok {
			next = l
		} else if own := slices.Index(d.names, strings.TrimSuffix(ownLayer.FindString(p.Tensor), ".")); own >= 0 {
			next = own
		}
		out[i] = next
	}
	return out
}

// fewest is how many layers that are alike are shown as one.
const fewest = 3

// groups puts layers together that have the same steps, of the same shapes. What is made on the way may differ: ranges differ, and with them
// the parts that cells are looked up in.
func (d *division) groups(rows []row) (out []group) {
	shapes := map[string]string{}
	for i := range d.c.Tensors {
		shapes[d.c.Tensors[i].Name] = shape(d.c.Tensors[i].Shape)
	}
	look := make([]string, len(rows))
	for i, s := range d.steps {
		look[d.layer[i]] += fmt.Sprintln(short(s.Tensor), s.Call, shapes[s.Tensor])
	}
	for i := 0; i < len(rows); {
		n := 1
		for i+n < len(rows) && look[i] != "" && look[i+n] == look[i] {
			n++
		}
		out = append(out, group{Rows: rows[i : i+1]})
		if n > fewest {
			rest := rows[i+1 : i+n]
			out = append(out, group{Title: fmt.Sprintf("%s to %s", rest[0].Name, rest[len(rest)-1].Name), Like: rows[i].Name, Rows: rest})
			i += n
			continue
		}
		i++
	}
	return out
}

// short is a tensor's name without its layer.
func short(name string) string { return name[len(ownLayer.FindString(name)):] }

// kinds puts the weights together that are the same in every layer.
func kinds(rows []row) (out []kind) {
	at := map[string]int{}
	least, most := []int{}, []int{}
	var first, last []string
	for _, r := range rows {
		for _, w := range r.Weights {
			key := fmt.Sprint(short(w.Name), w.Shape, w.Bits)
			i, ok := at[key]
			if !ok {
				i = len(out)
				at[key] = i
				out = append(out, kind{Name: short(w.Name), Shape: w.Shape, Bits: w.Bits})
				least, most, first, last = append(least, w.Scale), append(most, w.Scale), append(first, r.Name), append(last, "")
			}
			k := &out[i]
			k.Count, k.Cells = k.Count+1, k.Cells+w.Cells
			least[i], most[i], last[i] = min(least[i], w.Scale), max(most[i], w.Scale), r.Name
		}
	}
	for i := range out {
		out[i].Layers, out[i].Scales = between(first[i], last[i]), between(fmt.Sprint(least[i]), fmt.Sprint(most[i]))
	}
	return out
}

// between is a range of names, or the one.
func between(first, last string) string {
	if first == last {
		return first
	}
	return first + " … " + last
}

// node is a step as the script draws it.
type node struct {
	ID    int     `json:"i"`
	Name  string  `json:"n"`
	Class string  `json:"k"` // the kind of its tensor
	Call  string  `json:"c,omitempty"`
	Op    string  `json:"o,omitempty"`
	Node  string  `json:"x,omitempty"`
	Shape string  `json:"h,omitempty"`
	Range string  `json:"r,omitempty"`
	Bits  int     `json:"b,omitempty"`
	Scale int     `json:"s,omitempty"`
	In    []int   `json:"f,omitempty"` // the steps that it takes results of
	Parts []part  `json:"p,omitempty"` // what is made on the way
	Noise float64 `json:"e,omitempty"`
	Lost  float64 `json:"l,omitempty"`
}

// part is a tensor of a step.
type part [4]string // name behind the step's, kind, shape, table

// graph lists the steps of every layer.
func (d *division) graph(checked *Checked) [][]node {
	out := make([][]node, len(d.names))
	nodes := make([]node, len(d.steps))
	looked := map[circuit.ID]string{}
	for _, l := range d.c.Lookups {
		for _, id := range l.Cols {
			looked[id] = d.c.Tables[l.Table].Name
		}
	}
	for i, s := range d.steps {
		nodes[i] = node{ID: i, Name: s.Tensor, Call: s.Call, Op: s.Op, Node: s.Node, Scale: s.Scale}
	}
	from, most := d.edges(), make([]int, len(d.steps))
	for i := range d.c.Tensors {
		t := &d.c.Tensors[i]
		if t.Mult {
			continue
		}
		n := &nodes[d.of[i]]
		if t.Name == n.Name {
			n.Class, n.Shape, n.Range, n.Bits = t.Kind.String(), shape(t.Shape), span(t), width(t)
		} else if n.Range == "" && circuit.Size(t.Shape) > most[d.of[i]] { // of several results, as a softmax has them
			n.Class, n.Shape, most[d.of[i]] = t.Kind.String(), shape(t.Shape), circuit.Size(t.Shape)
		}
		n.Parts = append(n.Parts, part{strings.TrimPrefix(strings.TrimPrefix(t.Name, n.Name), "."), t.Kind.String(), shape(t.Shape), looked[t.ID]})
	}
	if checked != nil {
		at := map[string]*quant.Place{}
		for i := range checked.Places {
			at[checked.Places[i].Tensor] = &checked.Places[i]
		}
		for i := range nodes {
			if p := at[nodes[i].Name]; p != nil {
				nodes[i].Noise, nodes[i].Lost = p.Noise, p.Lost
			}
		}
	}
	for i, n := range nodes {
		n.In = from[i]
		out[d.layer[i]] = append(out[d.layer[i]], n)
	}
	return out
}

// edges lists of every step the earlier steps that it takes results of: by the terms of its tensors, and by hints.
func (d *division) edges() [][]int {
	out := make([][]int, len(d.steps))
	add := func(to, from circuit.ID) {
		if a, b := d.of[from], d.of[to]; a != none && b != none && a < b {
			out[b] = append(out[b], a)
		}
	}
	for i := range d.c.Tensors {
		for _, term := range d.c.Tensors[i].Def {
			for _, f := range term.Factors {
				add(circuit.ID(i), f.T)
			}
		}
	}
	for _, h := range d.c.Hints {
		for _, to := range h.Out {
			for _, from := range h.In {
				add(to, from)
			}
		}
	}
	for i := range out {
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// span is the range of a tensor's cells, for people.
func span(t *circuit.Tensor) string {
	if t.Wide() {
		return "wide"
	}
	return fmt.Sprintf("%s … %s", count(t.Lo), count(t.Hi))
}

// shape is a shape for people.
func shape(s []int) string {
	if len(s) == 0 {
		return "1"
	}
	var b []string
	for _, d := range s {
		b = append(b, fmt.Sprint(d))
	}
	return strings.Join(b, " × ")
}

// count writes an integer with its digits in groups.
func count(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// seconds writes a time.
func seconds(s float64) string {
	switch {
	case s == 0:
		return "0"
	case s < 0.01:
		return fmt.Sprintf("%.2g ms", float64(s*1e3))
	case s < 1:
		return fmt.Sprintf("%.0f ms", float64(s*1e3))
	case s < 100:
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

// megabytes writes a size of memory.
func megabytes(n uint64) string { return count(int64(n/1e6)) + " MB" }

// noise writes a part of something.
func noise(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1e", x)
}

// told is what a proof gives away and what it hides.
type told struct {
	Weights int64
	Ports   []portRow
	Hidden  []string
	Away    []string
}

// portRow is an input or an output.
type portRow struct{ Side, Name, Elements, Shape, Range, Reveals string }

// What a proof gives away, as SECURITY.md says it.
const (
	awayCircuit = "the circuit with its scales, shifts, clamps and declared ranges, powers of two that calibration and the weights' largest cells chose, and the widths of its roundings"
	awayScalars = "scalars of the graph, and initializers that are masks, rotary tables or positions that count from 0"
	awayLengths = "the lengths of prompt and answer"
	awayLogits  = "revealed logits are exact integers, linear in the last hidden state, and many of them tell much about the output head: prefer argmax"
	hidesAll    = "weights, all intermediate values"
)

// tell says what proofs about a circuit tell.
func tell(c *circuit.Circuit) (t told) {
	for _, w := range c.Weights() {
		t.Weights += int64(circuit.Size(w.Shape))
	}
	t.Away = []string{awayCircuit, awayScalars}
	if c.Generation != nil {
		t.Away = append(t.Away, awayLengths)
	}
	logits := false
	for i := range c.Ports {
		p := &c.Ports[i]
		r := fmt.Sprintf("%s … %s", count(p.Lo), count(p.Hi))
		if p.Scale != 0 {
			r += fmt.Sprintf(", times 2^%d", -p.Scale)
		}
		t.Ports = append(t.Ports, portRow{p.Side(), p.Name, p.Kind.String(), shape(p.Shape), r, p.Reveal.String()})
		if p.Reveal == circuit.Nothing {
			t.Hidden = append(t.Hidden, fmt.Sprintf("%s %q", p.Side(), p.Name))
		}
		logits = logits || c.Generation != nil && p.Out && p.Reveal == circuit.Values
	}
	if logits {
		t.Away = append(t.Away, awayLogits)
	}
	slices.SortStableFunc(t.Ports, func(a, b portRow) int { return cmp.Compare(a.Side, b.Side) })
	return t
}

// Hides says what is hidden.
func (t *told) Hides() string { return strings.Join(append([]string{hidesAll}, t.Hidden...), ", ") }
