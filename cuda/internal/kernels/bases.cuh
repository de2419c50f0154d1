// Generators written out from lists that are kept.
#pragma once

#include "curve.cuh"

// List is n points that stand from at on.
struct List {
	uint64_t at, n;
	const Affine* points;
};

// lay_points writes n points, those of lists, of which a later one overwrites an earlier one, and the neutral element elsewhere.
KERNEL(lay_points, Affine* out, uint64_t n, const List* lists, uint64_t count) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		Affine p = {Coordinate::zero(), Coordinate::zero()};
		for (uint64_t l = 0; l < count; l++) {
			if (i >= lists[l].at && i - lists[l].at < lists[l].n) p = load(lists[l].points + (i - lists[l].at));
		}
		out[i] = p;
	}
}
