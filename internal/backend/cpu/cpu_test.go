package cpu_test

import (
	"fmt"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// TestConformance runs the suite with one goroutine, with an odd number, and with the default, as if the memory were another one: the
// suite, which every backend has to pass, keeps to handles.
func TestConformance(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { conformance.Run(t, reference.New(), cpu.New(cpu.Threads(n))) })
	}
	t.Run("default, elsewhere", func(t *testing.T) { conformance.Run(t, reference.New(), conformance.Elsewhere(cpu.New())) })
}
