// Blocks of threads, and launches of them.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <stdio.h>
#include <string.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "fiber.h"
#include "shim.h"

namespace emulate {

thread_local Thread self;
thread_local Dim block_size, grid_size;

static const Entry* entries = nullptr;

void Entry::enter() {
	next = entries;
	entries = this;
}

// Launch is one kernel's.
struct Launch {
	const Entry* entry;
	Dim grid, block;
	std::vector<uint64_t> arguments;
	uint64_t seed;
};

// Random is a sequence of numbers (splitmix64).
struct Random {
	uint64_t state;
	uint64_t next() {
		uint64_t z = state += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		return z ^ z >> 31;
	}
	template <class T> void shuffle(std::vector<T>& list) {
		for (size_t i = list.size(); i > 1; i--) std::swap(list[i - 1], list[next() % i]);
	}
};

static uint32_t volume(const Dim& d) { return d.x * d.y * d.z; }
static Dim place(uint32_t i, const Dim& d) { return Dim{i % d.x, i / d.x % d.y, i / d.x / d.y}; }

// Block runs blocks, one after the other. What it allocates it keeps.
class Block {
  public:
	static thread_local Block* current;

	void run(const Launch& launch, uint32_t number) {
		current = this;
		this->launch = &launch;
		block = place(number, launch.grid);
		block_size = launch.block;
		grid_size = launch.grid;
		Random random{launch.seed ^ (number + 1) * 0xd1342543de82ef95};
		std::vector<uint32_t> order(volume(launch.block));
		for (uint32_t i = 0; i < order.size(); i++) order[i] = i;
		running.assign(order.size(), nullptr);
		do {
			random.shuffle(order);
			waiting = 0;
			uint32_t last = 0;
			for (uint32_t i : order) {
				step(i);
				if (ended) last = i;
			}
			if (waiting > 0 && waiting < order.size()) fail("ended while others wait at a barrier", place(last, launch.block));
		} while (waiting > 0);
		arrays.clear();
	}

	void barrier(const char* file, int line) {
		if (waiting == 0) {
			where = file;
			at = line;
		} else if (where != file || at != line) {
			fail("threads of a block wait at different barriers", self.thread);
		}
		waiting++;
		running[thread]->pause();
	}

	// An array of its own for a place, so that what lies outside of it belongs to nobody.
	void* shared(const char* place, size_t bytes) {
		for (auto& a : arrays)
			if (a.place == place) return a.memory.get();
		arrays.push_back({place, std::unique_ptr<void, void (*)(void*)>(aligned_alloc(16, (bytes + 15) / 16 * 16), free)});
		return memset(arrays.back().memory.get(), 0xa7, bytes);
	}

	[[noreturn]] void fail(const char* what, Dim t) {
		fprintf(stderr, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s\n", launch->entry->name, block.x, block.y, block.z, t.x, t.y, t.z, what);
		fflush(stderr);
		_exit(1);
	}

  private:
	// step runs a thread up to its next barrier, or its end. It gets a fiber as it begins and gives it back as it ends.
	void step(uint32_t i) {
		if (running[i] == nullptr) {
			if (idle.empty()) idle.push_back(new Fiber(body));
			running[i] = idle.back();
			idle.pop_back();
		}
		thread = i;
		self = Thread{place(i, launch->block), block};
		ended = false;
		Fiber* fiber = running[i];
		fiber->resume();
		if (ended) idle.push_back(fiber);
	}

	static void body() {
		for (;;) {
			Block* b = current;
			b->launch->entry->call(b->launch->entry->function, b->launch->arguments.data());
			b = current;
			b->ended = true;
			b->running[b->thread]->pause();
		}
	}

	struct Array {
		const char* place;
		std::unique_ptr<void, void (*)(void*)> memory;
	};

	const Launch* launch;
	Dim block;
	uint32_t thread; // that runs
	bool ended;      // which of the two made a thread pause
	uint32_t waiting;
	const char* where; // they wait
	int at;
	std::vector<Fiber*> running, idle;
	std::vector<Array> arrays;
};

thread_local Block* Block::current;

void barrier(const char* file, int line) { Block::current->barrier(file, line); }
void* shared(const char* place, size_t bytes) { return Block::current->shared(place, bytes); }

// Blocks lends blocks to the threads of launches.
class Blocks {
  public:
	void run(const Launch& launch, unsigned threads) {
		uint32_t total = volume(launch.grid);
		std::vector<uint32_t> order(total);
		for (uint32_t i = 0; i < total; i++) order[i] = i;
		Random{launch.seed}.shuffle(order);
		std::atomic<uint32_t> next{0};
		auto work = [&] {
			Block* b = borrow();
			for (uint32_t i; (i = next++) < total;) b->run(launch, order[i]);
			give(b);
		};
		std::vector<std::thread> others;
		for (unsigned i = 1; i < threads && i < total; i++) others.emplace_back(work);
		work();
		for (auto& t : others) t.join();
	}

  private:
	Block* borrow() {
		std::lock_guard<std::mutex> lock(mutex);
		if (idle.empty()) return new Block;
		Block* b = idle.back();
		idle.pop_back();
		return b;
	}
	void give(Block* b) {
		std::lock_guard<std::mutex> lock(mutex);
		idle.push_back(b);
	}
	std::mutex mutex;
	std::vector<Block*> idle;
};

} // namespace emulate
