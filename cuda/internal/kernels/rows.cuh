// Rows of a commitment, written out from the tensors whose cells they are.
#pragma once

#include "cells.cuh"

// Axis is an axis of a box: its extent, and of how many bits the column is that its index is shifted by.
struct Axis {
	uint64_t extent, shift;
};

// Box is a box of a tensor's cells, those from from on, in a row: the first axis is the slowest.
struct Box {
	Tensor cells;
	uint64_t from, column, count; // how many cells there are
	uint64_t first_axis, axes;    // in the list of all
};

// lay_rows writes rows of width columns: block r does row r, of the boxes first[r] up to first[r+1], of which a later one overwrites an earlier
// one. The columns of all cells are below the width. bad becomes the smallest r·width + column whose cell does not fit 32 bits, unless it is smaller.
KERNEL(lay_rows, int32_t* rows, uint64_t width, const uint64_t* first, const Box* boxes, const Axis* axes, uint64_t* bad) {
	uint64_t r = blockIdx.x;
	int32_t* row = rows + r * width;
	for (uint64_t j = threadIdx.x; j < width; j += blockDim.x) row[j] = 0;
	for (uint64_t b = first[r]; b < first[r + 1]; b++) {
		BARRIER();
		Box box = boxes[b];
		for (uint64_t i = threadIdx.x; i < box.count; i += blockDim.x) {
			uint64_t column = box.column;
			uint32_t rest = (uint32_t)i;
			for (uint64_t a = box.first_axis + box.axes; a-- > box.first_axis;) {
				uint32_t extent = (uint32_t)axes[a].extent;
				column += (uint64_t)(rest % extent) << axes[a].shift;
				rest /= extent;
			}
			int64_t v = cell(box.cells, box.from + i);
			row[column] = (int32_t)v;
			if (v != (int32_t)v) atomic_min(bad, r * width + column);
		}
	}
}
