// Rounds of batched sumchecks: sums of products of multilinear extensions.
#pragma once

#include "share.cuh"

// Bits are neighbouring bits of an index, of which another one is made up.
struct Bits {
	uint64_t from, count;
};

// View is how a product sees a factor: the index of a value is made up of bits of x, the lowest first. If varies is not 0, the round's variable
// comes below them.
struct View {
	const Scalar* values;
	uint64_t varies, first_bits, bits;
};

// Product is a product of factors, summed over n indices x, of which a block does run.
struct Product {
	uint64_t n, run, first_view, views;
};

// MOST_POINTS is at how many points one launch evaluates.
#define MOST_POINTS 4

// The points of a round's polynomial are 0, 2, 3, …; point 1 is left out. product_sums writes, for the points from from on, of which there are
// points, what the block's indices add: at out[block·points + k].
KERNEL(product_sums, Scalar* out, const Product* products, const View* views, const Bits* bits, const uint64_t* first, uint64_t count, uint64_t from,
	uint64_t points) {
	SHARED(Scalar, sums, MOST_POINTS* SUM_THREADS);
	Share own = share(first, count);
	Product p = products[own.task];
	Scalar sum[MOST_POINTS];
	UNROLL for (int k = 0; k < MOST_POINTS; k++) sum[k] = Scalar::zero();
	uint64_t end = (own.block + 1) * p.run < p.n ? (own.block + 1) * p.run : p.n;
	for (uint64_t x = own.block * p.run + threadIdx.x; x < end; x += blockDim.x) {
		Scalar product[MOST_POINTS];
		UNROLL for (int k = 0; k < MOST_POINTS; k++) product[k] = Scalar::one();
		for (uint64_t f = p.first_view; f < p.first_view + p.views; f++) {
			View v = views[f];
			uint64_t at = 0, shift = v.varies != 0 ? 1 : 0;
			for (uint64_t b = v.first_bits; b < v.first_bits + v.bits; b++) {
				at |= (x >> bits[b].from & (((uint64_t)1 << bits[b].count) - 1)) << shift;
				shift += bits[b].count;
			}
			Scalar value = load(v.values + at), step = Scalar::zero();
			if (v.varies != 0) {
				Scalar next = load(v.values + at + 1);
				step = next - value;
				for (uint64_t t = 0; t < from; t++) value = t == 0 ? next + step : value + step;
			}
			UNROLL for (uint64_t k = 0; k < MOST_POINTS; k++) {
				if (k < points) {
					product[k] = product[k] * value;
					if (v.varies != 0) value = from + k == 0 ? value + twice(step) : value + step;
				}
			}
		}
		UNROLL for (int k = 0; k < MOST_POINTS; k++) sum[k] = sum[k] + product[k];
	}
	UNROLL for (uint64_t k = 0; k < MOST_POINTS; k++) {
		if (k < points) sums[k * SUM_THREADS + threadIdx.x] = sum[k];
	}
	add_up(sums, (uint32_t)points, 1, SUM_THREADS, 0, threadIdx.x);
	if (threadIdx.x == 0) {
		for (uint64_t k = 0; k < points; k++) out[blockIdx.x * points + k] = sums[k * SUM_THREADS];
	}
}

// Bound is a vector whose lowest variable is fixed: n values are left.
struct Bound {
	Scalar* out;
	const Scalar* from;
	uint64_t n;
};

// BIND_RUN is how many values a block does.
#define BIND_RUN 512

KERNEL(bind_lowest, const Bound* vectors, const uint64_t* first, uint64_t count, uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3) {
	Scalar r = Scalar{{r0, r1, r2, r3}};
	Share own = share(first, count);
	Bound v = vectors[own.task];
	for (uint64_t i = own.block * BIND_RUN + threadIdx.x; i < (own.block + 1) * BIND_RUN && i < v.n; i += blockDim.x) {
		Scalar low = load(v.from + 2 * i);
		v.out[i] = low + r * (load(v.from + 2 * i + 1) - low);
	}
}

// Collected is a vector of n values, which go to some place of a list.
struct Collected {
	const Scalar* from;
	uint64_t at, n;
};

// collect writes vectors to a list, a block each.
KERNEL(collect, Scalar* out, const Collected* vectors) {
	Collected v = vectors[blockIdx.x];
	for (uint64_t i = threadIdx.x; i < v.n; i += blockDim.x) out[v.at + i] = load(v.from + i);
}
