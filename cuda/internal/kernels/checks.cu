// The arithmetic by itself, for tests: of the emulator, and of a GPU, which nothing else makes show single operations. No prover has them: on a GPU
// they are a fat binary of their own.
#include "curve.cuh"
#include "wide.cuh"

const int field_operations = 9;

// check_field writes, for every i < n, what each operation makes of a[i] and b[i].
template <class F> DEVICE void check_field(F* out, const F* a, const F* b, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		F* at = out + field_operations * i;
		at[0] = a[i] + b[i];
		at[1] = a[i] - b[i];
		at[2] = -a[i];
		at[3] = a[i] * b[i];
		at[4] = product_by_words(a[i], b[i]);
		at[5] = square(a[i]);
		at[6] = inverse(a[i]);
		at[7] = products_by_words(a[i], b[i], at[0], a[i]);
		at[8] = products(b[i], b[i], a[i], at[1]);
	}
}

KERNEL(check_scalars, Scalar* out, const Scalar* a, const Scalar* b, uint64_t n) { check_field(out, a, b, n); }

KERNEL(check_coordinates, Coordinate* out, const Coordinate* a, const Coordinate* b, uint64_t n) { check_field(out, a, b, n); }

const int point_operations = 5;

// check_points writes, for every i < n, sums of a[i] and b[i] in all coordinates, a[i] doubled, and b[i] times k[i].
KERNEL(check_points, Affine* out, const Affine* a, const Affine* b, const uint64_t* k, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Point scaled = times(point(b[i]), k[i]);
		Point sums[point_operations] = {point(a[i]) + b[i], times(point(a[i]), k[i]) + scaled, doubled(point(a[i])), scaled, times(point(a[i]), k[i]) + b[i]};
		for (int o = 0; o < point_operations; o++) out[point_operations * i + o] = affine(sums[o], inverse(sums[o].zzz));
	}
}

// check_block_sum writes the sum of a block's points.
KERNEL(check_block_sum, Affine* out, const Affine* a) {
	Point sum = block_sum(point(a[thread_index()]));
	if (threadIdx.x == 0) out[blockIdx.x] = affine(sum, inverse(sum.zzz));
}

// check_sums writes, for every i < n, a[i]·c[i] + a[n−1−i]·c[n−1−i], and that divided by 2^96.
KERNEL(check_sums, Scalar* out, const Scalar* a, const int64_t* c, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Wide sum = Wide::zero();
		add_product(sum, words(a[i]), c[i]);
		if (2 * i + 1 != n) add_product(sum, words(a[n - 1 - i]), c[n - 1 - i]);
		out[2 * i] = reduced(sum);
		out[2 * i + 1] = shifted(sum);
	}
}

// check_product_sums writes, for every i < n, a[i]·b[i] times over and the sum of all products behind it.
KERNEL(check_product_sums, Scalar* out, const Scalar* a, const Scalar* b, uint64_t n, uint64_t times) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		SumByWords sum = SumByWords::zero();
		for (uint64_t k = 0; k < times; k++) add_product(sum, a[i], b[i]);
		for (uint64_t k = i + 1; k < n; k++) add_product(sum, a[k], b[k]);
		out[i] = reduced(sum);
	}
}

// check_powers multiplies each of as many elements as there are threads with itself, times over: how fast products are in registers.
KERNEL(check_powers, Scalar* out, const Scalar* a, uint64_t times) {
	Scalar x = a[thread_index()], power = x;
	for (uint64_t i = 0; i < times; i++) power = power * x;
	out[thread_index()] = power;
}
