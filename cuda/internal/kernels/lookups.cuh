// Which line of a table a lookup's cells are, and how often each is looked up.
#pragma once

#include "region.cuh"

// compared says how the cells of a lookup compare with a line: below, equal or above.
DEVICE int compared(const Region* columns, const Walk* walks, uint64_t count, uint64_t i, const Tensor* table, uint64_t line) {
	for (uint64_t c = 0; c < count; c++) {
		int64_t v = narrow(columns[c], walks, i), of = cell(table[c], line);
		if (v != of) return v < of ? -1 : 1;
	}
	return 0;
}

// count_lines counts the lines that n cells are. They are sorted by order; if that is none, the first column counts up from first. The first cell that
// is no line is the smallest that bad becomes.
KERNEL(count_lines, uint64_t* counts, uint64_t* bad, const Region* columns, const Walk* walks, uint64_t count, uint64_t n, const Tensor* table,
	const uint32_t* order, uint64_t lines, int64_t first) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) {
		uint64_t line;
		bool found;
		if (order == nullptr) {
			line = (uint64_t)narrow(columns[0], walks, i) - (uint64_t)first;
			found = line < lines && compared(columns, walks, count, i, table, line) == 0;
		} else {
			uint64_t low = 0, high = lines;
			while (high - low > 1) {
				uint64_t middle = (low + high) / 2;
				if (compared(columns, walks, count, i, table, order[middle]) < 0) {
					high = middle;
				} else {
					low = middle;
				}
			}
			line = order[low];
			found = compared(columns, walks, count, i, table, line) == 0;
		}
		if (found) {
			atomic_add(counts + line, (uint64_t)1);
		} else {
			atomic_min(bad, i);
		}
	}
}
