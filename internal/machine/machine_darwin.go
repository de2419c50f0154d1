package machine

import "syscall"

// peakRSS asks getrusage, which counts bytes here.
func peakRSS() uint64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil || u.Maxrss < 0 {
		return 0
	}
	return uint64(u.Maxrss)
}

func cpu() string {
	if name, err := syscall.Sysctl("machdep.cpu.brand_string"); err == nil && name != "" {
		return name
	}
	return architecture()
}

// available: the system has no simple word on it.
func available() uint64 { return 0 }
