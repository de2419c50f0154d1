package compiler

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/passes"
	"github.com/zkllmc/zkllmc/compiler/internal/planner"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/ir"
)

// enlarge makes the circuit of the same model in another file, of more positions, and with more of the repeated layers, with the scales that were chosen here: to
// learn what a proof about it would cost, without running it. whole is the graph that this result is of.
func (r *Result) enlarge(whole *ir.Graph, cfg Config, o passes.Options) (err error) {
	if cfg.Enlarged == "" && cfg.Layers == 0 {
		return nil
	}
	s := &Result{left: r.left, names: r.names, float: r.float, pad: r.pad, bare: true, program: r.program, generation: r.generation}
	if cfg.Enlarged != "" {
		if err := s.enlarged(r, whole, cfg, o); err != nil {
			return fmt.Errorf("%s: %w", cfg.Enlarged, err)
		}
	}
	cfg.progress("planning the circuit of more layers")
	if s.plan, err = planner.Plan(s.program, s.planOptions(cfg)); err != nil {
		return refuse(err)
	}
	if cfg.Layers > 0 {
		if err := s.plan.Repeat(cfg.Layers); err != nil {
			return refuse(err)
		}
	}
	s.Weights = s.plan.Weights
	if _, err := s.buildCircuit(); err != nil {
		return err
	}
	r.Larger = s
	return s.chooseWidths(cfg)
}

// enlarged makes the program of the other file.
func (r *Result) enlarged(of *Result, whole *ir.Graph, cfg Config, o passes.Options) error {
	cfg.progress("reading and simplifying " + cfg.Enlarged)
	m, err := onnx.Load(r.left.Context(), cfg.Enlarged)
	if err != nil {
		return unreadable(err)
	}
	r.left.Again()
	g, err := passes.Lower(m, o)
	if err != nil {
		return refused(r.left, err)
	}
	g.Name, r.float = whole.Name, g
	if err := r.ports(cfg); err != nil {
		return refuse(err)
	}
	if r.program, err = quant.Enlarge(r.left, of.program, whole, r.float); err != nil {
		return refused(r.left, err)
	}
	r.float = r.program.Float
	return nil
}
