package backend

import (
	"errors"
	"time"
)

// ErrNoDevice says that a backend for devices finds none on this machine.
var ErrNoDevice = errors.New("there is no device to compute on")

// Use is what was asked of a device since it was opened. Bytes go up to it and come down from it.
type Use struct {
	Name             string `json:"name"`             // of the GPU
	Launches         int    `json:"launches"`         // of kernels
	Synchronisations int    `json:"synchronisations"` // how often the processor waited for it
	Up               int64  `json:"bytes_up"`         // bytes copied to it
	Down             int64  `json:"bytes_down"`       // bytes copied from it
}

// OnDevice is a backend that computes on a device.
type OnDevice interface {
	Backend
	// Device describes the device.
	Device() Use
	// Close gives everything back, also what sessions hold, and ends the work with the device.
	Close() error
}

// longestClose is how long a program waits for its device when everything is done.
const longestClose = 5 * time.Second

// CloseDevice gives back what a device holds, if the backend computes on one. One that does not answer is left alone.
func CloseDevice(b Backend) {
	d, ok := b.(OnDevice)
	if !ok {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = d.Close() // nobody needs it any more
	}()
	select {
	case <-closed:
	case <-time.After(longestClose):
	}
}
