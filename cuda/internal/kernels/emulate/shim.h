// What kernels need of CUDA, on the processor. A block's threads are fibers of one thread of this process: each runs up to a barrier, then
// another one does, in an order that is drawn anew after every barrier, so that what depends on an order shows. Blocks are drawn in any order,
// too, by several threads of this process. Memory that a block shares is allocated for it, and filled with what nobody may count on.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulate {

struct Dim {
	uint32_t x, y, z;
};

// Thread is what a thread of a kernel knows of itself.
struct Thread {
	Dim thread, block;
};

extern thread_local Thread self;    // of the fiber that runs
extern thread_local Dim block_size; // of the launch
extern thread_local Dim grid_size;

// barrier waits for all threads of the block, which must come to the same one.
void barrier(const char* file, int line);

// shared is the block's array that a place in the source declares.
void* shared(const char* place, size_t bytes);

const size_t most_arguments = 32;

// Entry is a kernel that can be launched by its name.
struct Entry {
	const char* name;
	size_t arguments;
	void (*function)();
	void (*call)(void (*)(), const uint64_t*);
	const Entry* next;

	template <class... A> Entry(const char* name, void (*kernel)(A...));

  private:
	void enter(); // into the list of all
};

template <class T> T argument(uint64_t word) {
	static_assert(sizeof(T) == 8, "all arguments of kernels have 8 bytes");
	T value;
	__builtin_memcpy(&value, &word, 8);
	return value;
}

template <class... A> struct Caller {
	template <size_t... I> struct Places {};
	template <size_t N, size_t... I> struct Count : Count<N - 1, N - 1, I...> {};
	template <size_t... I> struct Count<0, I...> {
		typedef Places<I...> type;
	};
	template <size_t... I> static void spread(void (*kernel)(A...), const uint64_t* words, Places<I...>) { kernel(argument<A>(words[I])...); }
	static void call(void (*kernel)(), const uint64_t* words) {
		spread((void (*)(A...))kernel, words, typename Count<sizeof...(A)>::type());
	}
};

template <class... A>
Entry::Entry(const char* name, void (*kernel)(A...))
	: name(name), arguments(sizeof...(A)), function((void (*)())kernel), call(Caller<A...>::call) {
	static_assert(sizeof...(A) <= most_arguments, "too many arguments");
	enter();
}

} // namespace emulate

#define threadIdx (emulate::self.thread)
#define blockIdx (emulate::self.block)
#define blockDim (emulate::block_size)
#define gridDim (emulate::grid_size)
