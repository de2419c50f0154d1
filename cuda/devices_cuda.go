//go:build cuda

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
)

// Devices lists the GPUs of this machine. gorgonia.org/cu ends a process whose driver finds no device before main begins, so
// that only programs meant for a GPU are built with the tag.
func Devices() ([]Device, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, fmt.Errorf("cuda: counting devices: %w", err)
	}
	devices := make([]Device, n)
	for i := range devices {
		if devices[i], err = describe(i); err != nil {
			return nil, fmt.Errorf("cuda: device %d: %w", i, err)
		}
	}
	return devices, nil
}

func describe(ordinal int) (d Device, err error) {
	dev, err := cu.GetDevice(ordinal)
	if err != nil {
		return d, err
	}
	if d.Name, err = dev.Name(); err != nil {
		return d, err
	}
	if d.Memory, err = dev.TotalMem(); err != nil {
		return d, err
	}
	if d.Major, err = dev.Attribute(cu.ComputeCapabilityMajor); err != nil {
		return d, err
	}
	d.Minor, err = dev.Attribute(cu.ComputeCapabilityMinor)
	return d, err
}
