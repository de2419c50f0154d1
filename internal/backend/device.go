package backend

import "errors"

// ErrNoDevice says that a backend for devices finds none on this machine.
var ErrNoDevice = errors.New("there is no device to compute on")

// Use is what was asked of a device since it was opened. Bytes go up to it and come down from it.
type Use struct {
	Name             string `json:"name"`
	Launches         int    `json:"launches"` // of kernels
	Synchronisations int    `json:"synchronisations"`
	Up               int64  `json:"bytes_up"`
	Down             int64  `json:"bytes_down"`
}

// OnDevice is a backend that computes on a device.
type OnDevice interface {
	Backend
	// Device describes the device.
	Device() Use
	// Close gives everything back, also what sessions hold, and ends the work with the device.
	Close() error
}
