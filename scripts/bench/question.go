package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// port is an input or output of a circuit.
type port struct {
	Name     string `json:"name"`
	Side     string `json:"side"`
	Elements string `json:"elements"`
	Shape    []int  `json:"shape"`
	Lo       int64  `json:"lo"`
	Hi       int64  `json:"hi"`
	Scale    int    `json:"scale"`
}

// input is a circuit's first.
func (r *reported) input() port {
	return r.Ports[slices.IndexFunc(r.Ports, func(p port) bool { return p.Side == "input" })]
}

// question is what a prover is asked, as its flags: a language model the first half of its positions, a function drawn numbers.
func (l *lab) question(ctx context.Context, row string, r reported) ([]string, error) {
	if r.Statement == "generation" {
		return []string{"--tokens", prompt(r)}, nil
	}
	var flags []string
	for _, p := range r.Ports {
		if p.Side != "input" {
			continue
		}
		if p.Elements != "reals" {
			return nil, fmt.Errorf("the input %s is one of %s: of functions only those of reals are measured", p.Name, p.Elements)
		}
		file := l.file(row, p.Name+".json")
		if err := atomicfile.Write(ctx, file, drawn(p), atomicfile.Options{Mode: 0o644, Replace: true}); err != nil {
			return nil, err
		}
		flags = append(flags, "--input", p.Name+"="+file)
	}
	return flags, nil
}

// prompt is the first half of a circuit's positions, as ids.
func prompt(r reported) string {
	in := r.input()
	var ids []string
	for i := range asked(in.Shape[len(in.Shape)-1]) {
		ids = append(ids, strconv.FormatInt((1+7919*int64(i))%(in.Hi+1), 10))
	}
	return strings.Join(ids, ",")
}

// asked is how many of so many positions are the prompt's.
func asked(positions int) int { return max(1, positions/2) }

// drawn is JSON of numbers of the deviation 1 within a port's range.
func drawn(p port) []byte {
	rng := rand.New(rand.NewPCG(1, 0))
	lo, hi := math.Ldexp(float64(p.Lo), -p.Scale), math.Ldexp(float64(p.Hi), -p.Scale)
	var array func(shape []int, to []byte) []byte
	array = func(shape []int, to []byte) []byte {
		if len(shape) == 0 {
			return strconv.AppendFloat(to, min(max(rng.NormFloat64(), lo), hi), 'f', 4, 64)
		}
		for i := range shape[0] {
			to = array(shape[1:], append(to, "[,"[min(i, 1)]))
		}
		return append(to, ']')
	}
	return array(p.Shape, nil)
}
