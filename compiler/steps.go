package compiler

import "github.com/zkllmc/zkllmc/compiler/internal/report"

// Steps lists the calls that the circuit is built with, in the circuit's order, with the nodes that they come from and the scales of what they
// compute.
func (r *Result) Steps() (out []report.Step) {
	for _, name := range report.Order(r.Circuit, r.plan.Origins) {
		from := r.plan.Origins[name]
		out = append(out, report.Step{Tensor: name, Call: string(from.Call), Node: from.Node, Op: from.Operator, Scale: from.Scale})
	}
	return out
}
