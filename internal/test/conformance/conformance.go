// Package conformance is the one test suite of all backends: it compares every method of a candidate with the reference on
// random and edge inputs, and checks on its own that what the interactive methods return satisfies the protocol's equations, so
// that the reference is held to the specification too.
package conformance

import (
	"context"
	"math/big"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Run compares runs of the candidate with runs of the reference, method by method.
func Run(t *testing.T, reference, candidate backend.Backend) {
	ref, cand := open(t, reference), open(t, candidate)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *Source, backend.Run, backend.Run)
	}{
		{"CommitRows", commitRows},
		{"MSM", msm},
		{"FoldRows", foldRows},
		{"Combine", combine},
		{"Tables", tables},
		{"EvalMany", evalMany},
		{"Partials", partials},
		{"Fractions", fractions},
		{"Sumcheck", sumcheck},
		{"Argument", argument},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, NewSource(1), Begin(t, ref), Begin(t, cand)) })
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *Source, backend.Program, backend.Program)
	}{
		{"Einsum", einsums}, {"Hint", hints}, {"Count", counts}, {"Parts", parts},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, NewSource(1), begin(t, ref), begin(t, cand)) })
	}
	t.Run("Errors", func(t *testing.T) { stickyErrors(t, ref, cand) })
}

// open begins a session that ends with the test.
func open(t testing.TB, be backend.Backend) backend.Session {
	t.Helper()
	s, err := be.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Begin begins a run that ends with the test, without an error.
func Begin(t testing.TB, s backend.Session) backend.Run {
	t.Helper()
	r := s.Begin(t.Context())
	t.Cleanup(r.Close)
	return r
}

// begin begins a witness that ends with the test, without an error.
func begin(t testing.TB, s backend.Session) backend.Program {
	p := s.Program()
	p.Within(t.Context())
	t.Cleanup(func() {
		require.NoError(t, p.Err())
		p.Close()
	})
	return p
}

// Fresh begins a run of a session of its own.
func Fresh(t testing.TB, be backend.Backend) backend.Run {
	t.Helper()
	return Begin(t, open(t, be))
}

// stickyErrors: the end of a context is an error, the first error stays, and neither concerns another run.
func stickyErrors(t *testing.T, ref, cand backend.Session) {
	for _, s := range []backend.Session{ref, cand} {
		ctx, cancel := context.WithCancel(t.Context())
		r, other := s.Begin(ctx), Begin(t, s)
		require.NoError(t, r.Err())
		cancel()
		require.ErrorIs(t, r.Err(), context.Canceled)
		require.Len(t, r.EvalMany([]backend.Eval{{T: r.Load(&integer.Tensor{V: []int64{1}})}}), 1)
		r.Close()

		ctx, cancel = context.WithCancel(t.Context())
		r = s.Begin(ctx)
		large := r.Load(&integer.Tensor{V: []int64{1 << 40}, Shape: []int{1}})
		require.Len(t, r.CommitRows(group.Row(1), []backend.Row{{{T: large, Shape: []int{1}}}, nil}), 2)
		require.ErrorContains(t, r.Err(), "does not fit 32 bits")
		cancel()
		require.ErrorContains(t, r.Err(), "does not fit 32 bits")
		r.Close()
		require.NoError(t, other.Err())
	}
}

// Source draws reproducible test data.
type Source struct{ *rand.Rand }

// NewSource seeds a source.
func NewSource(seed int64) *Source { return &Source{rand.New(rand.NewSource(seed))} }

// Element draws a field element.
func (s *Source) Element() field.Element {
	var raw [48]byte
	s.Read(raw[:])
	var e field.Element
	e.SetBytes(raw[:])
	return e
}

// Elements draws n field elements.
func (s *Source) Elements(n int) []field.Element {
	out := make([]field.Element, n)
	for i := range out {
		out[i] = s.Element()
	}
	return out
}

// Edgy draws n field elements of which many are 0, 1, −1 or 2.
func (s *Source) Edgy(n int) []field.Element {
	out := s.Elements(n)
	for i := range out {
		if k := s.Intn(10); k < 4 {
			out[i].SetInt64([]int64{0, 1, -1, 2}[k])
		}
	}
	return out
}

// Points draws n group elements: multiples of H by random scalars below 2^16, which is enough to tell them apart.
func (s *Source) Points(n int) []group.Affine {
	out, h := make([]group.Affine, n), group.H()
	for i := range out {
		out[i].ScalarMultiplication(&h, big.NewInt(s.Int63n(1<<62)+1))
	}
	return out
}

// Ints draws n integers of at most the given number of bits, with sign; a tenth of them are zero.
func (s *Source) Ints(n, bits int) []int64 {
	out := make([]int64, n)
	for i := range out {
		if s.Intn(10) > 0 {
			out[i] = (s.Int63() >> (63 - bits)) - int64(s.Intn(2))<<bits
		}
	}
	return out
}

// equal reports the first difference between two lists of field elements.
func equal(t *testing.T, what string, want, got []field.Element) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("%s: element %d is %s, want %s", what, i, got[i].String(), want[i].String())
		}
	}
}

// equalPoints reports the first difference between two lists of points.
func equalPoints(t *testing.T, what string, want, got []group.Affine) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d points, want %d", what, len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("%s: point %d is %s, want %s", what, i, got[i].String(), want[i].String())
		}
	}
}

// mul, add and sub make formulas readable.
func mul(a, b field.Element) field.Element { a.Mul(&a, &b); return a }
func add(a, b field.Element) field.Element { a.Add(&a, &b); return a }
func sub(a, b field.Element) field.Element { a.Sub(&a, &b); return a }

// integer maps an int into the field.
func small(v int64) (e field.Element) { e.SetInt64(v); return e }

// evaluate returns the MLE with the given table at a point, the lowest variable first.
func evaluate(vals, point []field.Element) field.Element {
	vals = append([]field.Element(nil), vals...)
	for _, r := range point {
		for i := 0; i < len(vals)/2; i++ {
			vals[i] = add(vals[2*i], mul(r, sub(vals[2*i+1], vals[2*i])))
		}
		vals = vals[:len(vals)/2]
	}
	return vals[0]
}
