// The folding of generators: lo + x·hi for many points and one scalar. The scalar is a polynomial in 2 whose coefficients are 0 or one of the
// six units ±1, ±λ, ±λ² of Z[λ], λ² + λ + 1 = 0. Those times a point are known without a computation: λ·(x, y) = (β·x, y).
#pragma once

#include "curve.cuh"

// Units are numbered in digits: 0 none, 1 to 3 the powers of λ, −1 to −3 their opposites.

// fold_points writes lo[i] + Σ_k 2^k·digits[k]·hi[i].
KERNEL(fold_points, Point* out, const Affine* lo, const Affine* hi, uint64_t n, const int8_t* digits, uint64_t steps, const Coordinate* beta) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Affine unit = load(hi + i);
		Coordinate x[3] = {unit.x, unit.x * beta[0], unit.x};
		x[2] = -(x[0] + x[1]); // β²·x
		Point sum = neutral();
		for (uint64_t k = steps; k-- > 0;) {
			sum = doubled(sum);
			int d = digits[k];
			if (d == 0) continue;
			int power = (d < 0 ? -d : d) - 1;
			unit.x = power == 0 ? x[0] : power == 1 ? x[1] : x[2];
			sum = sum + negate_if(Affine{unit.x, unit.y}, d < 0);
		}
		out[i] = sum + lo[i];
	}
}
