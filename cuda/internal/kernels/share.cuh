// How the blocks of a launch share tasks of different sizes, and how the threads of a block add up field elements.
#pragma once

#include "field.cuh"

// SUM_THREADS is how many threads a block has whose threads share sums.
#define SUM_THREADS 128

// Share is a block's task, and the block's number among those of the task.
struct Share {
	uint64_t task, block;
};

// share finds this block's: task t has the blocks from first[t] up to first[t+1].
DEVICE Share share(const uint64_t* first, uint64_t tasks) {
	uint64_t low = 0, high = tasks;
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;
		if (first[middle] <= blockIdx.x) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return Share{low, blockIdx.x - first[low]};
}

// add_up adds, for each of sets sums and each of outs results, what parts threads have: that of part p for result o stands at values[p·outs + o],
// and the next sum's SUM_THREADS entries further. The sums are those of part 0, for its own thread to read. All threads of the block come here, with
// their own o and p.
DEVICE void add_up(Scalar* values, uint32_t sets, uint32_t outs, uint32_t parts, uint32_t o, uint32_t p) {
	const uint32_t at_once = 8;
	while (parts > 1) {
		uint32_t left = (parts + at_once - 1) / at_once;
		BARRIER();
		if (p < left) {
			for (uint32_t k = 0; k < sets; k++) {
				Scalar* own = values + k * SUM_THREADS;
				Scalar sum = own[p * outs + o];
				for (uint32_t q = p + left; q < parts; q += left) sum = sum + own[q * outs + o];
				own[p * outs + o] = sum;
			}
		}
		parts = left;
	}
}
