package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// A picture shows a column of a table of CURVES.md against the first one.
type picture struct {
	file, section, column string
	Title, X, Y           string
	divide                float64 // from the column's unit to Y's
}

var pictures = []picture{
	{"docs/size.svg", "Against layers", "proof, B", "Size of a proof against the model's layers", "layers", "kB", 1000},
	{"docs/time.svg", "Against positions", "prove, CPU-s", "Time of a proof against positions (tokens)", "positions", "CPU-s", 1},
}

// The picture's measures, in pixels: the whole, and the place of the plot in it.
const (
	wide, high               = 680, 380
	left, right, top, bottom = 60.0, 650.0, 56.0, 326.0
)

// drawn is what the template has of a picture.
type drawn struct {
	picture
	Model          string
	Line           string
	Points         []label
	XTicks, YTicks []label
}

// label is a text at a place.
type label struct {
	X, Y float64
	Text string
}

// draw returns a picture of what CURVES.md has.
func (p picture) draw(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, "CURVES.md"))
	if err != nil {
		return nil, err
	}
	at, values, model, err := p.read(string(text))
	if err != nil {
		return nil, err
	}
	d := drawn{picture: p, Model: model}
	last := at[len(at)-1]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	step := nice(most / 4)
	ceiling := step * math.Ceil(most/step)
	x := func(v float64) float64 { return math.Round(left + (right-left)*v/last) }
	y := func(v float64) float64 { return math.Round(bottom - (bottom-top)*v/ceiling) }
	for v := 0.0; v <= ceiling; v += step {
		d.YTicks = append(d.YTicks, label{left, y(v), number(v)})
	}
	var line []string
	for i := range at {
		px, py := x(at[i]), y(values[i])
		line = append(line, number(px)+","+number(py))
		d.Points = append(d.Points, label{px, py, number(math.Round(values[i]*10) / 10)})
		if len(d.XTicks) == 0 || px-d.XTicks[len(d.XTicks)-1].X >= 18 {
			d.XTicks = append(d.XTicks, label{px, bottom, number(at[i])})
		}
	}
	d.Line = strings.Join(line, " ")
	var out bytes.Buffer
	err = drawing.Execute(&out, d)
	return out.Bytes(), err
}

// read returns a table's first column, the picture's, and what the table is about.
func (p picture) read(text string) (at, values []float64, model string, err error) {
	_, section, ok := strings.Cut(text, "\n## "+p.section+": ")
	if !ok {
		return nil, nil, "", fmt.Errorf("CURVES.md has no section %q", p.section)
	}
	model, section, _ = strings.Cut(section, "\n")
	columns, rows := table(section)
	column := slices.Index(columns, p.column)
	if column < 0 {
		return nil, nil, "", fmt.Errorf("CURVES.md, %q: no column %q", p.section, p.column)
	}
	for _, row := range rows {
		x, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			continue // the row of exponents
		}
		v, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			return nil, nil, "", fmt.Errorf("CURVES.md, %q: %w", p.section, err)
		}
		at, values = append(at, x), append(values, v/p.divide)
	}
	if len(at) < 2 {
		return nil, nil, "", fmt.Errorf("CURVES.md, %q: no rows", p.section)
	}
	return at, values, model, nil
}

// nice is the next of 1, 2, 5 and 10 times a power of ten.
func nice(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

var drawing = template.Must(template.New("picture").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + fmt.Sprint(wide) + ` ` + fmt.Sprint(high) + `" role="img" aria-label="{{.Title}}: {{.Model}}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1c2024; } .quiet { fill: #5b646e; } .grid { stroke: #d9dee3; } .line { stroke: #0b57d0; fill: none; stroke-width: 2; } .point { fill: #0b57d0; }
@media (prefers-color-scheme: dark) { text { fill: #e4e7ea; } .quiet { fill: #9aa4ae; } .grid { stroke: #363d44; } .line { stroke: #8ab4f8; } .point { fill: #8ab4f8; } }
</style>
<text x="` + number(left) + `" y="20" font-weight="700">{{.Title}}</text>
<text x="` + number(left) + `" y="38" class="quiet">{{.Model}}</text>
{{range .YTicks}}<path class="grid" d="M{{.X}} {{.Y}}H` + number(right) + `"/><text class="quiet" x="52" y="{{.Y}}" dy="4" text-anchor="end">{{.Text}}</text>
{{end}}<text class="quiet" x="8" y="38">{{.Y}}</text>
{{range .XTicks}}<text class="quiet" x="{{.X}}" y="{{.Y}}" dy="20" text-anchor="middle">{{.Text}}</text>
{{end}}<text class="quiet" x="` + number(right) + `" y="372" text-anchor="end">{{.X}}</text>
<polyline class="line" points="{{.Line}}"/>
{{range .Points}}<circle class="point" cx="{{.X}}" cy="{{.Y}}" r="4"/><text x="{{.X}}" y="{{.Y}}" dy="-10" text-anchor="middle">{{.Text}}</text>
{{end}}</svg>
`))
