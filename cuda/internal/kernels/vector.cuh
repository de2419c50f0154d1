// Operations on vectors of field elements, element by element.
#pragma once

#include "field.cuh"

// combine sets out[i] = Σ_k coefs[k]·vecs[k][i] for i < n, of at least one vector. out may be one of them.
KERNEL(combine, Scalar* out, const Scalar* const* vecs, const Scalar* coefs, uint64_t count, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Scalar sum = coefs[0] * load(vecs[0] + i);
		for (uint64_t k = 1; k < count; k++) sum = sum + coefs[k] * load(vecs[k] + i);
		out[i] = sum;
	}
}

// fold_halves folds two vectors of 2n elements where they are: u[i] = r·u[i] + u[n+i] and l[i] = l[i] + r·l[n+i] for i < n.
KERNEL(fold_halves, Scalar* u, Scalar* l, uint64_t n, uint64_t r0, uint64_t r1, uint64_t r2, uint64_t r3) {
	Scalar r = Scalar{{r0, r1, r2, r3}};
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		u[i] = r * load(u + i) + load(u + n + i);
		l[i] = load(l + i) + r * load(l + n + i);
	}
}
