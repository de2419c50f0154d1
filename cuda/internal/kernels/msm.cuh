// Sums of points times scalars by the bucket method, several at once: of n scalars size belong to each, and scalar i to point (i + shift) mod points.
// Scalars are cut into signed windows of some bits; a bucket is one of a sum, a window and the absolute value of a digit. Points are lined up by their
// bucket with a counting sort, buckets are summed up independently of each other, then weighted; the host joins the windows.
#pragma once

#include "curve.cuh"

struct Digits {
	uint64_t limb[4];
	uint32_t bits;

	// of returns the signed digit of a window, −2^(bits−1) to 2^(bits−1): the window's bits and the one below, less 2^bits if the highest
	// is set, which needs no carry from window to window (Booth's recoding).
	METHOD int32_t of(uint32_t window) const {
		uint32_t at = window * bits;
		uint64_t v;
		if (at == 0) {
			v = limb[0] << 1;
		} else {
			at--;
			uint32_t l = at / 64;
			v = l < 4 ? limb[l] >> (at % 64) : 0;
			if (l < 3 && at % 64 != 0) v |= limb[l + 1] << (64 - at % 64);
		}
		v &= ((uint64_t)2 << bits) - 1;
		return (int32_t)((v + 1) >> 1) - (int32_t)((v >> bits) << bits);
	}
};

// digits_of takes a scalar out of its Montgomery form.
DEVICE Digits digits_of(const Scalar& k, uint64_t bits) {
	Scalar plain = k * Scalar{{1, 0, 0, 0}};
	return Digits{{plain.limb[0], plain.limb[1], plain.limb[2], plain.limb[3]}, (uint32_t)bits};
}

// bucket is the one of a digit, which is not 0, in a window of a sum.
DEVICE uint64_t bucket(uint64_t sum, uint64_t windows, uint64_t window, uint64_t bits, int32_t digit) {
	return ((sum * windows + window) << (bits - 1)) + (digit < 0 ? -digit : digit) - 1;
}

// msm_count counts the points of every bucket.
KERNEL(msm_count, uint32_t* counts, const Scalar* scalars, uint64_t n, uint64_t size, uint64_t bits, uint64_t windows) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Digits digits = digits_of(scalars[i], bits);
		for (uint32_t w = 0; w < windows; w++) {
			int32_t d = digits.of(w);
			if (d != 0) atomic_add(counts + bucket(i / size, windows, w, bits, d), (uint32_t)1);
		}
	}
}

// sum_before replaces counts by the sums of all before them. It is one block, whose number of threads is a power of two.
KERNEL(sum_before, uint32_t* counts, uint64_t n) {
	SHARED(uint32_t, sums, THREADS);
	uint64_t run = (n + blockDim.x - 1) / blockDim.x, from = threadIdx.x * run, to = from + run < n ? from + run : n;
	uint32_t sum = 0;
	for (uint64_t i = from; i < to; i++) sum += counts[i];
	sums[threadIdx.x] = sum;
	for (uint32_t step = 1; step < blockDim.x; step *= 2) {
		BARRIER();
		uint32_t below = threadIdx.x >= step ? sums[threadIdx.x - step] : 0;
		BARRIER();
		sums[threadIdx.x] += below;
	}
	sum = sums[threadIdx.x] - sum;
	for (uint64_t i = from; i < to; i++) {
		uint32_t count = counts[i];
		counts[i] = sum;
		sum += count;
	}
}

// msm_line writes every point, as twice its index, and one more where it counts negated, into the line of its bucket. Of a bucket, next is
// first where its line begins, and in the end where it ends.
KERNEL(msm_line, uint32_t* line, uint32_t* next, const Scalar* scalars, uint64_t n, uint64_t size, uint64_t bits, uint64_t windows, uint64_t points,
	uint64_t shift) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Digits digits = digits_of(scalars[i], bits);
		uint64_t point = (i + shift) % points;
		for (uint32_t w = 0; w < windows; w++) {
			int32_t d = digits.of(w);
			if (d == 0) continue;
			uint32_t at = atomic_add(next + bucket(i / size, windows, w, bits, d), (uint32_t)1);
			line[at] = (uint32_t)(2 * point) | (d < 0 ? 1 : 0);
		}
	}
}

// msm_buckets sums up the points of every bucket.
KERNEL(msm_buckets, Point* buckets, const uint32_t* line, const uint32_t* ends, const Affine* points, uint64_t n) {
	for (uint64_t b = thread_index(); b < n; b += thread_count()) {
		Point sum = neutral();
		for (uint32_t i = b == 0 ? 0 : ends[b - 1]; i < ends[b]; i++) sum = sum + negate_if(load(points + line[i] / 2), line[i] % 2 != 0);
		buckets[b] = sum;
	}
}

// msm_windows weights the buckets of a window of a sum, which is a block's: Σ_k (k+1)·bucket_k. Every thread has a run of them. The number of threads is a power of
// two.
KERNEL(msm_windows, Point* sums, const Point* buckets, uint64_t count) {
	const Point* own = buckets + blockIdx.x * count;
	uint64_t run = (count + blockDim.x - 1) / blockDim.x, from = threadIdx.x * run, to = from + run < count ? from + run : count;
	Point above = neutral(), weighted = neutral();
	for (uint64_t k = to; k-- > from;) {
		above = above + own[k];
		weighted = weighted + above;
	}
	weighted = block_sum(weighted + times(above, from));
	if (threadIdx.x == 0) sums[blockIdx.x] = weighted;
}
