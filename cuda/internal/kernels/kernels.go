// Package kernels has the sources of the CUDA kernels, for tests: a prover has the fat binary of them (package cuda/internal/fatbin).
//
// Every header is one idea; kernels.cu has all of them, and checks.cu what tests alone launch. They compile with nvcc, and with g++ through a shim
// (emulate), which package cuda/internal/test/emulator runs.
package kernels

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
)

//go:embed *.cu *.cuh emulate
var files embed.FS

// Sources are the kernels and their shim.
func Sources() fs.FS { return files }

// Constant is a number that the kernels define, by its name.
func Constant(name string) (int, error) {
	defined := regexp.MustCompile(`(?m)^(?:#define |const .*\b)` + regexp.QuoteMeta(name) + `(?: = | )(\d+)\b`)
	var found []string
	headers, err := fs.Glob(files, "*.cu*")
	if err != nil {
		return 0, err
	}
	for _, header := range headers {
		text, err := files.ReadFile(header)
		if err != nil {
			return 0, err
		}
		for _, match := range defined.FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("the kernels define %s %d times", name, len(found))
	}
	return strconv.Atoi(found[0])
}
