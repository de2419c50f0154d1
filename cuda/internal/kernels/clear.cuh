// Memory that begins with nothing in it.
#pragma once

#include "platform.cuh"

// clear_words sets n words of 32 bits to zero.
KERNEL(clear_words, uint32_t* words, uint64_t n) {
	for (uint64_t i = thread_index(); i < n; i += thread_count()) words[i] = 0;
}
