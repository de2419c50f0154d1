package tensor

import "golang.org/x/sys/cpu"

//go:generate go run -C asm . -out ../dot_amd64.s -pkg tensor

//go:noescape
func dotVNNI(dst *int64, a *int16, aStride int, b *int16, bStride, n int)

//go:noescape
func dotAVX2(dst *int64, a *int16, aStride int, b *int16, bStride, n int)

// kernels are those that this processor runs, the fastest first.
func kernels() []kernel {
	var all []kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI {
		all = append(all, kernel{"AVX-512 VNNI", dotVNNI})
	}
	if cpu.X86.HasAVX2 {
		all = append(all, kernel{"AVX2", dotAVX2})
	}
	return all
}
