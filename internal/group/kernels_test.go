package group_test

// A prover's kernels: all tests of package group run with them, where the processor has them (make portable runs them without).
import _ "github.com/zkllmc/zkllmc/internal/backend/cpu"
