package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

//go:embed other.py
var otherScript string

// step is what a step of EZKL took.
type step struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	Peak    float64 `json:"peak"`
	Bytes   float64 `json:"bytes"` // of the proof
	Rows    float64 `json:"rows"`  // of the circuit, before it is folded into columns: among settings
}

// steps are EZKL's, as far as it came, and why no further.
type steps struct {
	Version string
	Took    map[string]step
	Ended   string
}

// patience is how long EZKL may take for a model.
const patience = 40 * time.Minute

// other is what EZKL takes for the same model. That it comes to no end, for lack of memory, of time or of an operator, is a result too.
func (l *lab) other(ctx context.Context, model, dir string, r reported) (*steps, error) {
	version, _, err := l.run(ctx, nil, l.ezkl, "-c", "import importlib.metadata; print(importlib.metadata.version('ezkl'))")
	if err != nil {
		return nil, err
	}
	in := r.input()
	s := &steps{Version: strings.TrimSpace(string(version))}
	var out, complaints bytes.Buffer
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(limited, l.ezkl, "-c", otherScript, model, fmt.Sprint(in.Shape[len(in.Shape)-1]), fmt.Sprint(in.Hi), dir, fmt.Sprint(l.most))
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.Ended = lastLine(complaints.String()) + ", " + err.Error()
		if limited.Err() != nil {
			s.Ended = fmt.Sprintf("it took more than %v", patience)
		}
	}
	return s, json.Unmarshal([]byte(lastLine(out.String())), &s.Took)
}

// lastLine is the last line of a text that has one, {} of an empty one.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return cmp.Or(lines[len(lines)-1], "{}")
}
