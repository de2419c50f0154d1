// What kernels are written in: CUDA C++ where nvcc compiles them, and otherwise C++17 with a shim that runs blocks and threads on the
// processor (emulate/shim.h). Kernels say KERNEL, DEVICE, SHARED and BARRIER() and are the same text in both.
#pragma once

#include <stdint.h>

// DEVICE functions are part of whoever calls them; OUTLINE ones are called: what is rare or long would make kernels of it that take minutes to
// compile.
#ifdef __CUDACC__

#define DEVICE static __device__ __forceinline__
#define OUTLINE static __device__ __noinline__
#define METHOD __device__ __forceinline__
#define UNROLL _Pragma("unroll")

// KERNEL begins an entry point. All its parameters are 8 bytes: the driver's side copies as many of each.
#define KERNEL(name, ...) extern "C" __global__ void __launch_bounds__(THREADS) name(__VA_ARGS__)

// SHARED declares an array that the threads of a block share. It begins with whatever was there.
#define SHARED(type, name, n) __shared__ type name[n]

#define BARRIER() __syncthreads()

DEVICE uint32_t atomic_add(uint32_t* at, uint32_t n) { return atomicAdd(at, n); }
DEVICE uint64_t atomic_add(uint64_t* at, uint64_t n) { return atomicAdd((unsigned long long*)at, (unsigned long long)n); }
DEVICE void atomic_min(uint64_t* at, uint64_t n) { atomicMin((unsigned long long*)at, (unsigned long long)n); }
DEVICE uint64_t high_product(uint64_t a, uint64_t b) { return __umul64hi(a, b); }

#else

#include "emulate/shim.h"

#define DEVICE static inline
#define OUTLINE static inline
#define METHOD inline
#define UNROLL
#define KERNEL(name, ...)                                        \
	extern "C" void name(__VA_ARGS__);                           \
	static const emulate::Entry name##_entry(#name, name);      \
	extern "C" void name(__VA_ARGS__)
#define SHARED(type, name, n) type(&name)[n] = *(type(*)[n])emulate::shared([] { static char place; return &place; }(), sizeof(type[n]))
#define BARRIER() emulate::barrier(__FILE__, __LINE__)

DEVICE uint32_t atomic_add(uint32_t* at, uint32_t n) { return __atomic_fetch_add(at, n, __ATOMIC_RELAXED); }
DEVICE uint64_t atomic_add(uint64_t* at, uint64_t n) { return __atomic_fetch_add(at, n, __ATOMIC_RELAXED); }
DEVICE void atomic_min(uint64_t* at, uint64_t n) {
	uint64_t was = __atomic_load_n(at, __ATOMIC_RELAXED);
	while (n < was && !__atomic_compare_exchange_n(at, &was, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
	}
}
DEVICE uint64_t high_product(uint64_t a, uint64_t b) { return (uint64_t)((unsigned __int128)a * b >> 64); }

#endif

// THREADS is the most threads that a block may have.
#define THREADS 256

// load reads a value of several times 16 bytes, which lies at a multiple of 16, in as few instructions as there are: compilers take it to pieces of 8.
template <class T> DEVICE T load(const T* at) {
#ifdef __CUDA_ARCH__
	static_assert(sizeof(T) % 16 == 0 && alignof(T) % 16 == 0, "no value of 16 bytes each");
	T value;
	UNROLL for (int i = 0; i < (int)sizeof(T) / 16; i++) ((uint4*)&value)[i] = ((const uint4*)at)[i];
	return value;
#else
	return *at;
#endif
}

// thread_index is the number of this thread among all of a launch of one dimension, thread_count how many there are.
DEVICE uint64_t thread_index() { return (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; }
DEVICE uint64_t thread_count() { return (uint64_t)gridDim.x * blockDim.x; }
