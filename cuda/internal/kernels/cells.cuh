// Where the cells of a tensor of integers are, and how one is read.
#pragma once

#include "platform.cuh"

// Tensor is where cells of size bytes, 2, 4 or 8, lie, row-major.
struct Tensor {
	void* cells;
	uint64_t size;
};

// cell is the i-th of a tensor.
DEVICE int64_t cell(const Tensor& t, uint64_t i) {
	return t.size == 2 ? ((const int16_t*)t.cells)[i] : t.size == 4 ? ((const int32_t*)t.cells)[i] : ((const int64_t*)t.cells)[i];
}
