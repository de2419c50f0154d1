package codegen

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// nodesFile is the list of clamped tensors beside the prover's command.
const nodesFile = "nodes.txt"

// nodes lists the tensors that clamps may cut off, with the ONNX nodes that they come from: a line of name, node and operator for each,
// with tabs between, in the circuits' order. Names with tabs or line ends in them are left out; nothing is proved about any of it.
func nodes(plans []*plan.Plan, f *circuit.Family) []byte {
	origins := map[string]plan.Origin{}
	for _, p := range plans { // the longest last
		for name, from := range p.Origins {
			origins[name] = from
		}
	}
	var out strings.Builder
	listed := map[string]bool{}
	for _, c := range f.Members() {
		for _, name := range c.Clamped() {
			from, ok := originOf(origins, name)
			if ok && !listed[name] && !strings.ContainsAny(from.Node+from.Operator, "\t\r\n") {
				fmt.Fprintf(&out, "%s\t%s\t%s\n", name, from.Node, from.Operator)
			}
			listed[name] = true
		}
	}
	return []byte(out.String())
}

// originOf finds where a tensor comes from: what a gadget makes on the way to one is called after it, with a part behind a dot.
func originOf(origins map[string]plan.Origin, name string) (plan.Origin, bool) {
	for {
		if from, ok := origins[name]; ok {
			return from, true
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return plan.Origin{}, false
		}
		name = name[:i]
	}
}
