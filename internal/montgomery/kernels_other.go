//go:build !amd64

package montgomery

func haveKernels() bool { return false }

const absent = "montgomery: this processor has no such vectors"

func mulKernel(_, _, _, _ *uint64, _ int)     { panic(absent) }
func scaleKernel(_, _, _, _ *uint64, _ int)   { panic(absent) }
func lerpKernel(_, _, _, _, _ *uint64, _ int) { panic(absent) }
func dotKernel(_, _, _, _ *uint64, _ int)     { panic(absent) }

func slopesKernel(_, _, _, _, _ *uint64, _ *int32, _ int)    { panic(absent) }
func productsKernel(_, _, _, _ *uint64, _ int)               { panic(absent) }
func lowerKernel(_, _, _ *uint64, _ int)                     { panic(absent) }
func raiseKernel(_, _, _ *uint64, _ int)                     { panic(absent) }
func chordsKernel(_, _, _, _, _, _ *uint64, _ *int32, _ int) { panic(absent) }

func mulSplitKernel(_, _, _, _, _ *uint64, _ int)              { panic(absent) }
func lerpSplitKernel(_, _, _, _, _, _ *uint64, _ int)          { panic(absent) }
func axpySplitKernel(_, _, _, _, _, _ *uint64, _ int)          { panic(absent) }
func fractionsKernel(_, _, _, _, _, _, _, _, _ *uint64, _ int) { panic(absent) }
func onesKernel(_, _, _, _, _, _, _ *uint64, _ int)            { panic(absent) }
