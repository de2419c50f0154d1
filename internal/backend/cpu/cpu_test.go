package cpu_test

import (
	"context"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// TestConformance runs the suite with one goroutine and less memory, with an odd number and as little memory as there can be, and with the
// default, as if the memory were another one: the suite, which every backend has to pass, keeps to handles.
func TestConformance(t *testing.T) {
	t.Run("1, sparing", func(t *testing.T) { conformance.Run(t, reference.New(), cpu.Sparing(1)) })
	t.Run("3, frugal", func(t *testing.T) { conformance.Run(t, reference.New(), frugal{cpu.New(cpu.Threads(3))}) })
	t.Run("default, elsewhere", func(t *testing.T) { conformance.Run(t, reference.New(), conformance.Elsewhere(cpu.New())) })
}

// frugal is a backend whose runs are to take less memory.
type frugal struct{ backend.Backend }

func (b frugal) Open() (backend.Session, error) {
	s, err := b.Backend.Open()
	return frugalSession{s}, err
}

type frugalSession struct{ backend.Session }

func (s frugalSession) Begin(ctx context.Context) backend.Run {
	return s.Session.Begin(backend.WithBudget(ctx, 1))
}
