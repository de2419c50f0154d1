// Commitments to rows of small integers: Σ_j cell_j·G_j for many rows, always with the same generators. A table has the multiples of every
// generator by a digit, for each place that the digit can have, so that a cell costs one addition for each of its digits that is not
// zero. No sum is ever doubled. Digits are signed, and the highest one takes what is left.
#pragma once

#include "curve.cuh"

// multiples writes d·2^(bits·s)·G_j, for the generators first ≤ j < first + count of n, the digits 1 ≤ d ≤ 2^(bits−1) and the places
// s < places, to table[(s·n + j)·2^(bits−1) + d − 1]. Scratch is 3·2^(bits−1)·count coordinates. All multiples of a generator in one
// place share an inversion; those of a neutral one are neutral, whatever its inverse.
KERNEL(multiples, Affine* table, Coordinate* scratch, const Affine* generators, uint64_t n, uint64_t first, uint64_t count, uint64_t bits, uint64_t places) {
	uint64_t digits = (uint64_t)1 << (bits - 1);
	for (uint64_t i = thread_index(); i < count; i += thread_count()) {
		Affine base = generators[first + i];
		Coordinate *zz = scratch + i, *zzz = zz + digits * count, *before = zzz + digits * count; // those of digit d at d·count
		for (uint64_t s = 0; s < places; s++) {
			Affine* out = table + (s * n + first + i) * digits;
			Point p = point(base);
			Coordinate product = Coordinate::one();
			for (uint64_t d = 0; d < digits; d++) {
				if (d > 0) p = p + base;
				out[d] = Affine{p.x, p.y};
				zz[d * count] = p.zz;
				zzz[d * count] = p.zzz;
				before[d * count] = product;
				product = product * p.zzz;
			}
			Point next = doubled(p); // 2^bits times the base
			Coordinate inverted = inverse(product * next.zzz);
			base = affine(next, inverted * product);
			inverted = inverted * next.zzz;
			for (uint64_t d = digits; d-- > 0;) {
				Coordinate z = zzz[d * count];
				out[d] = affine(Point{out[d].x, out[d].y, zz[d * count], z}, inverted * before[d * count]);
				inverted = inverted * z;
			}
		}
	}
}

// commit_rows sums up parts of rows: block b part b mod parts of row b/parts. Rows have width cells, at most n, of 32 bits, which places digits
// hold. The number of threads of a block is a power of two.
KERNEL(commit_rows, Point* sums, const Affine* table, uint64_t n, uint64_t bits, uint64_t places, const int32_t* cells, uint64_t width, uint64_t parts) {
	int64_t digits = (int64_t)1 << (bits - 1), mask = 2 * digits - 1;
	uint64_t row = blockIdx.x / parts, part = blockIdx.x % parts, run = (width + parts - 1) / parts;
	uint64_t end = (part + 1) * run < width ? (part + 1) * run : width;
	Point sum = neutral();
	for (uint64_t j = part * run + threadIdx.x; j < end; j += blockDim.x) {
		int64_t v = cells[row * width + j];
		for (uint64_t s = 0; v != 0; s++) {
			int64_t d = s + 1 < places ? ((v + digits) & mask) - digits : v;
			v = (v - d) >> bits;
			if (d == 0) continue;
			sum = sum + negate_if(load(table + (s * n + j) * digits + (d < 0 ? -d : d) - 1), d < 0);
		}
	}
	sum = block_sum(sum);
	if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// add_parts sums up the parts of rows.
KERNEL(add_parts, Point* rows, const Point* sums, uint64_t n, uint64_t parts) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Point sum = sums[i * parts];
		for (uint64_t part = 1; part < parts; part++) sum = sum + sums[i * parts + part];
		rows[i] = sum;
	}
}
