package cost

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Device is a GPU, by what its maker says of it. Times that follow from it are extrapolated: nothing has run on one.
type Device struct {
	Name      string  `json:"name"`                      // as `--device` names it
	Memory    int64   `json:"memory_bytes"`              // its memory
	Cores     int     `json:"multiprocessors"`           // how many
	Clock     float64 `json:"clock_hertz"`               // their clock
	Bandwidth float64 `json:"memory_bytes_per_second"`   // bandwidth of its memory
	Transfer  float64 `json:"transfer_bytes_per_second"` // to and from it
}

// Devices are those that plans are made for.
var Devices = []Device{
	{Name: "a100", Memory: 80e9, Cores: 108, Clock: 1.41e9, Bandwidth: 2.04e12, Transfer: 25e9},
	{Name: "h100", Memory: 80e9, Cores: 132, Clock: 1.755e9, Bandwidth: 3.35e12, Transfer: 50e9},
	{Name: "h200", Memory: 141e9, Cores: 132, Clock: 1.755e9, Bandwidth: 4.8e12, Transfer: 50e9},
}

// DeviceOf is the device of a name.
func DeviceOf(name string) (Device, error) {
	var names []string
	for _, d := range Devices {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return Device{}, fmt.Errorf("%q is none of the devices that are known: %s", name, strings.Join(names, ", "))
}

// What a multiprocessor does in a cycle, by the counters of nvcc's code: a product of field elements is 128 multiplications of 32 bits to 64, which take two
// slots, and 8 of 32 bits to 32; of integers of 16 bits a multiplication and a sum take one.
const (
	slotsPerCycle   = 64
	slotsPerProduct = 2*128 + 8
)

// What of the ceilings is reached: of arithmetic what the one published kernel of this kind does, 5.6 G products per second of an H100 with PCIe, whose ceiling is
// 48 G; of the memory's bandwidth what streaming kernels do.
const (
	reachedArithmetic = 5.6 / 48
	reachedBandwidth  = 0.6

	launchSeconds = 5e-6
	syncSeconds   = 20e-6
)

// Effort is what kernels do: products of field elements and of integers, and bytes that are read and written.
type Effort struct{ Field, Integers, Bytes int64 }

// Seconds is how long a kernel takes, at the ceilings and with what of them is reached.
func (d *Device) Seconds(e Effort) (least, likely float64) {
	slots := float64(float64(d.Cores) * slotsPerCycle * d.Clock)
	arithmetic := float64(float64(e.Field)*slotsPerProduct)/slots + float64(e.Integers)/slots
	memory := float64(e.Bytes) / d.Bandwidth
	return launchSeconds + math.Max(arithmetic, memory), launchSeconds + math.Max(arithmetic/reachedArithmetic, memory/reachedBandwidth)
}

// Stage is a part of a proof on a device, by the name that progress shows.
type Stage struct {
	Name          string  `json:"name"`             // what
	Peak          int64   `json:"peak_bytes"`       // most memory of the device at a time
	Kept          int64   `json:"kept_bytes"`       // most memory of the process at a time for what made room on the device
	Up            int64   `json:"bytes_up"`         // copied to the device
	Down          int64   `json:"bytes_down"`       // copied from it
	Launches      int     `json:"launches"`         // kernels that are started
	Syncs         int     `json:"synchronisations"` // times that the processor waits for the device
	Field         int64   `json:"field_products"`   // products of field elements
	Integers      int64   `json:"integer_products"` // products of integers
	Bytes         int64   `json:"kernel_bytes"`     // what kernels read and write
	LeastSeconds  float64 `json:"least_seconds"`    // at the device's ceilings: extrapolated
	LikelySeconds float64 `json:"likely_seconds"`   // at the parts of them that kernels reach as a rule: extrapolated
}

// Launch counts a kernel.
func (s *Stage) Launch(d *Device, e Effort) {
	least, likely := d.Seconds(e)
	s.Launches++
	s.Field, s.Integers, s.Bytes = s.Field+e.Field, s.Integers+e.Integers, s.Bytes+e.Bytes
	s.LeastSeconds, s.LikelySeconds = s.LeastSeconds+least, s.LikelySeconds+likely
}

// Upload counts a copy to the device.
func (s *Stage) Upload(d *Device, bytes int64) {
	s.Up += bytes
	s.wait(float64(bytes) / d.Transfer)
}

// Download counts a copy from the device, which waits for what it does.
func (s *Stage) Download(d *Device, bytes int64) {
	s.Down += bytes
	s.Syncs++
	s.wait(syncSeconds + float64(bytes)/d.Transfer)
}

func (s *Stage) wait(seconds float64) {
	s.LeastSeconds, s.LikelySeconds = s.LeastSeconds+seconds, s.LikelySeconds+seconds
}

// Plan is what a proof takes of a device, stage by stage.
type Plan struct {
	Device Device  `json:"device"`       // the device; its rates are its maker's
	Budget int64   `json:"budget_bytes"` // memory that the proof may take
	Stages []Stage `json:"stages"`       // stages of the proof, in order
}

// Total adds the stages up; the peak is the greatest.
func (p *Plan) Total() Stage {
	sum := Stage{Name: "all"}
	for _, s := range p.Stages {
		sum.Peak, sum.Kept = max(sum.Peak, s.Peak), max(sum.Kept, s.Kept)
		sum.Up, sum.Down = sum.Up+s.Up, sum.Down+s.Down
		sum.Launches, sum.Syncs = sum.Launches+s.Launches, sum.Syncs+s.Syncs
		sum.Field, sum.Integers, sum.Bytes = sum.Field+s.Field, sum.Integers+s.Integers, sum.Bytes+s.Bytes
		sum.LeastSeconds, sum.LikelySeconds = sum.LeastSeconds+s.LeastSeconds, sum.LikelySeconds+s.LikelySeconds
	}
	return sum
}

// Print writes the plan as a table.
func (p *Plan) Print(w io.Writer) {
	fmt.Fprintf(w, "plan for a proof on %s within %.1f GB; counted by the code that proves, on a device that computes nothing; times are extrapolated\n", p.Device.Name, float64(p.Budget)/1e9)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tpeak GB\tkept on host GB\tup GB\tdown GB\tlaunches\tsyncs\tG field products\tG integer products\tkernels' GB\tseconds at ceilings\tlikely\t")
	for _, s := range append(slices.Clone(p.Stages), p.Total()) {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%d\t%d\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t\n", s.Name, giga(s.Peak), giga(s.Kept), giga(s.Up), giga(s.Down), s.Launches, s.Syncs,
			giga(s.Field), giga(s.Integers), giga(s.Bytes), s.LeastSeconds, s.LikelySeconds)
	}
	_ = t.Flush()
}

// giga is a count in thousands of millions.
func giga(n int64) float64 { return float64(n) / 1e9 }
