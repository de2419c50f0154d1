// Weights: values of eq(r, x) = Π_i (x_i·r_i + (1 − x_i)·(1 − r_i)), and tables of products of them.
#pragma once

#include "share.cuh"

// EqTable asks for eq(r, x) for all x below 2^bits, of the point that begins at coordinate point; for ones instead if ones is not 0. They are
// written from entry out on.
struct EqTable {
	uint64_t point, bits, ones, out;
};

// EQ_RUN is how many entries a block does.
#define EQ_RUN 256

KERNEL(eq_tables, Scalar* out, const Scalar* points, const EqTable* tables, const uint64_t* first, uint64_t count) {
	Share own = share(first, count);
	EqTable t = tables[own.task];
	for (uint64_t i = threadIdx.x; i < EQ_RUN; i += blockDim.x) {
		uint64_t x = own.block * EQ_RUN + i;
		if (x >> t.bits != 0) break;
		Scalar e = Scalar::one();
		for (uint64_t b = 0; b < t.bits && t.ones == 0; b++) {
			Scalar r = points[t.point + b];
			e = e * ((x >> b & 1) != 0 ? r : Scalar::one() - r);
		}
		out[t.out + x] = e;
	}
}

// Halves is where the eq table of an axis of bits bits stands in two: of the lowest low_bits of an index, from entry low on, and of the others.
struct Halves {
	uint64_t low, high, low_bits, bits, extent;
};

// Term is the scaled product of the eq tables of axes, the first lowest, for the indices of a box from entry offset on. An axis' indices end
// with its extent; bits is of all axes.
struct Term {
	uint64_t offset, bits, first_axis, axes;
};

// Weights asks for sums of terms, those listed from from to to, in the entries start and up to EQ_RUN further, but below end.
struct Weights {
	Scalar* out;
	uint64_t start, end, from, to;
};

// weights has a block for each of the lists.
KERNEL(weights, const Weights* lists, const uint64_t* listed, const Term* terms, const Scalar* scales, const Halves* axes, const Scalar* tables) {
	Weights w = lists[blockIdx.x];
	for (uint64_t i = w.start + threadIdx.x; i < w.end; i += blockDim.x) {
		Scalar sum = Scalar::zero();
		for (uint64_t k = w.from; k < w.to; k++) {
			uint64_t number = listed[k];
			Term t = terms[number];
			uint64_t x = i - t.offset;
			bool inside = i >= t.offset && x >> t.bits == 0;
			Scalar product = scales[number];
			for (uint64_t a = t.first_axis; inside && a < t.first_axis + t.axes; a++) {
				Halves h = axes[a];
				uint64_t at = x & (((uint64_t)1 << h.bits) - 1);
				inside = at < h.extent;
				product = product * load(tables + h.low + (at & (((uint64_t)1 << h.low_bits) - 1)));
				if (h.bits > h.low_bits) product = product * load(tables + h.high + (at >> h.low_bits));
				x >>= h.bits;
			}
			if (inside) sum = sum + product;
		}
		w.out[i] = sum;
	}
}
