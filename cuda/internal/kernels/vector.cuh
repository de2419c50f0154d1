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
