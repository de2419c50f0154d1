// Package kerneltest compares the arithmetic of the CUDA kernels with packages field and group, on random and extreme values, on any device: an
// emulated one, or a GPU. It opens devices for the tests of the packages that have the kernels.
package kerneltest

import (
	"math/rand"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/field"
)

// Check is one comparison. Its device is used by nothing else meanwhile.
type Check struct {
	Name string
	Run  func(t require.TestingT, d device.Device)
}

// Checks are all of them.
var Checks = []Check{
	{"Fields", fields},
	{"Sums", sums},
	{"ProductSums", productSums},
	{"Powers", powers},
	{"Combine", combine},
	{"Points", points},
}

// memory is what a check allocated.
type memory struct {
	require.TestingT
	device.Device
	held []device.Pointer
}

// with runs a check's body and frees what it allocated.
func with(t require.TestingT, d device.Device, body func(m *memory)) {
	m := &memory{TestingT: t, Device: d}
	body(m)
	for _, p := range m.held {
		require.NoError(t, d.Free(p))
	}
}

// room allocates memory for n values of a type.
func room[T any](m *memory, n int) device.Pointer {
	p, err := m.Alloc(int64(len(device.Bytes(make([]T, n)))))
	require.NoError(m, err)
	m.held = append(m.held, p)
	return p
}

// put allocates memory and copies values there.
func put[T any](m *memory, values []T) device.Pointer {
	p := room[T](m, len(values))
	require.NoError(m, m.Upload(p, device.Bytes(values)))
	return p
}

// get copies values from the device.
func get[T any](m *memory, p device.Pointer, n int) []T {
	values := make([]T, n)
	require.NoError(m, m.Download(device.Bytes(values), p))
	return values
}

// launch starts a kernel; arguments are numbers and pointers.
func (m *memory) launch(kernel string, grid, block int, args ...any) {
	l := device.Launch{Kernel: kernel, Grid: device.Dim{grid}, Block: device.Dim{block}}
	for _, a := range args {
		switch a := a.(type) {
		case device.Pointer:
			l.Args = append(l.Args, uint64(a))
		case int:
			l.Args = append(l.Args, uint64(a))
		}
	}
	require.NoError(m, m.Launch(l))
}

// element draws a field element; every fourth is an extreme one.
func element(r *rand.Rand) (e field.Element) {
	switch extremes := fieldExtremes[field.Element](field.One()); r.Intn(4) {
	case 0:
		return extremes[r.Intn(len(extremes))]
	default:
		var raw [48]byte
		r.Read(raw[:])
		e.SetBytes(raw[:])
		return e
	}
}

func elements(r *rand.Rand, n int) []field.Element {
	out := make([]field.Element, n)
	for i := range out {
		out[i] = element(r)
	}
	return out
}

// lengths are around powers of two, and around the size of a block.
var lengths = []int{1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 511, 513}
