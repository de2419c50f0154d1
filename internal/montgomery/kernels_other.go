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

func affine1x16(_, _, _ *uint64, _ *int16, _ int) uint64                     { panic(absent) }
func affine1x16Quarters(_, _, _, _, _, _ *uint64, _ *int16, _ int) uint64    { panic(absent) }
func affine2x16(_, _, _ *uint64, _, _ *int16, _ int) uint64                  { panic(absent) }
func affine2x16Quarters(_, _, _, _, _, _ *uint64, _, _ *int16, _ int) uint64 { panic(absent) }
func affine1x64(_, _, _ *uint64, _ *int64, _ int) uint64                     { panic(absent) }
func affine1x64Quarters(_, _, _, _, _, _ *uint64, _ *int64, _ int) uint64    { panic(absent) }
func affine2x64(_, _, _ *uint64, _, _ *int64, _ int) uint64                  { panic(absent) }
func affine2x64Quarters(_, _, _, _, _, _ *uint64, _, _ *int64, _ int) uint64 { panic(absent) }
func lerpPairsKernel(_, _, _, _ *uint64, _ int)                              { panic(absent) }

func pairs1Quarters(_, _, _, _, _, _, _, _, _, _ *uint64, _ *int16, _ int)    { panic(absent) }
func pairs2Quarters(_, _, _, _, _, _, _, _, _, _ *uint64, _, _ *int16, _ int) { panic(absent) }
func bound1Split(_, _, _, _, _, _ *uint64, _ *int16, _ int)                   { panic(absent) }
func bound2Split(_, _, _, _, _, _ *uint64, _, _ *int16, _ int)                { panic(absent) }
func boundPairs1Split(_, _, _, _, _, _, _, _ *uint64, _ *int16, _ int)        { panic(absent) }
func boundPairs2Split(_, _, _, _, _, _, _, _ *uint64, _, _ *int16, _ int)     { panic(absent) }
