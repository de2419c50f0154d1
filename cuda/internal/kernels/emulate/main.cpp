// A device whose kernels run on the processor, as a program: it reads commands from its standard input and writes a reply to each. All
// numbers are 64 bits, least significant byte first. A command is its number, how many words follow, the words, and for upload and launch
// bytes; a reply is 0 or 1, how many bytes follow, and the bytes: a result, or what went wrong. See package cuda/internal/test/emulator.
//
//	program MEMORY THREADS SEED

#include "../all.cu"
#include "block.h"

#include <errno.h>
#include <map>
#include <string>

namespace {

enum Command { Alloc = 1, Free, Upload, Download, Start, Memory };

// Heap is the device's memory: every allocation has one of its own of the process, whose neighbours belong to nobody.
class Heap {
  public:
	explicit Heap(uint64_t total) : total(total), left(total) {}
	uint64_t alloc(uint64_t bytes) {
		uint64_t rounded = (bytes + granule - 1) / granule * granule;
		if (bytes > left || rounded > left) return 0;
		void* memory = nullptr;
		if (posix_memalign(&memory, 256, bytes) != 0) return 0;
		memset(memory, 0xa5, bytes);
		sizes[(uint64_t)memory] = bytes;
		left -= rounded;
		return (uint64_t)memory;
	}
	bool release(uint64_t at) {
		auto it = sizes.find(at);
		if (it == sizes.end()) return false;
		left += (it->second + granule - 1) / granule * granule;
		sizes.erase(it);
		free((void*)at);
		return true;
	}
	// holds says whether bytes from an address on belong to one allocation.
	bool holds(uint64_t at, uint64_t bytes) const {
		auto it = sizes.upper_bound(at);
		if (it == sizes.begin()) return false;
		--it;
		return at - it->first <= it->second && bytes <= it->second - (at - it->first);
	}
	const uint64_t total;
	uint64_t left;

  private:
	static const uint64_t granule = 512;
	std::map<uint64_t, uint64_t> sizes;
};

void read_all(void* to, size_t n) {
	for (size_t done = 0; done < n;) {
		ssize_t k = read(0, (char*)to + done, n - done);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0) _exit(done == 0 && k == 0 ? 0 : 1); // whoever asked is gone
		done += (size_t)k;
	}
}

void write_all(const void* from, size_t n) {
	for (size_t done = 0; done < n;) {
		ssize_t k = write(1, (const char*)from + done, n - done);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0) _exit(1);
		done += (size_t)k;
	}
}

void reply(uint64_t failed, const void* bytes, uint64_t n) {
	uint64_t head[2] = {failed, n};
	write_all(head, sizeof head);
	write_all(bytes, n);
}

void refuse(const std::string& why) { reply(1, why.data(), why.size()); }

const emulate::Entry* find(const std::string& name) {
	for (const emulate::Entry* e = emulate::entries; e != nullptr; e = e->next)
		if (name == e->name) return e;
	return nullptr;
}

// The limits of a GPU.
bool allowed(const emulate::Dim& grid, const emulate::Dim& block) {
	return grid.x > 0 && grid.x < 1u << 31 && grid.y > 0 && grid.y < 1 << 16 && grid.z > 0 && grid.z < 1 << 16 && block.x > 0 && block.x <= THREADS &&
	       block.y > 0 && block.y <= THREADS && block.z > 0 && block.z <= 64 && (uint64_t)block.x * block.y * block.z <= THREADS;
}

} // namespace

int main(int argc, char** argv) {
	if (argc != 4) return 2;
	Heap heap(strtoull(argv[1], nullptr, 10));
	unsigned threads = (unsigned)strtoul(argv[2], nullptr, 10);
	emulate::Random seeds{strtoull(argv[3], nullptr, 10)};
	emulate::Blocks blocks;
	std::vector<uint64_t> words;
	for (;;) {
		uint64_t head[2];
		read_all(head, sizeof head);
		words.resize(head[1]);
		read_all(words.data(), 8 * words.size());
		switch (head[0]) {
		case Alloc: {
			uint64_t at = heap.alloc(words[0]);
			at != 0 ? reply(0, &at, 8) : reply(1, nullptr, 0);
			break;
		}
		case Free:
			heap.release(words[0]) ? reply(0, nullptr, 0) : refuse("nothing is allocated there");
			break;
		case Upload:
			if (heap.holds(words[0], words[1])) {
				read_all((void*)words[0], words[1]);
				reply(0, nullptr, 0);
			} else {
				std::vector<char> dropped(words[1]);
				read_all(dropped.data(), dropped.size());
				refuse("not within one allocation");
			}
			break;
		case Download:
			heap.holds(words[0], words[1]) ? reply(0, (const void*)words[0], words[1]) : refuse("not within one allocation");
			break;
		case Start: { // words: grid, block, length of the name, arguments; then the name
			std::string name(words[6], 0);
			read_all(&name[0], name.size());
			auto dim = [&](int i) { return emulate::Dim{(uint32_t)words[i], (uint32_t)words[i + 1], (uint32_t)words[i + 2]}; };
			emulate::Launch launch{find(name), dim(0), dim(3), std::vector<uint64_t>(words.begin() + 7, words.end()), seeds.next()};
			if (launch.entry == nullptr) {
				refuse("no such kernel");
			} else if (launch.entry->arguments != launch.arguments.size()) {
				refuse("the kernel takes " + std::to_string(launch.entry->arguments) + " arguments");
			} else if (!allowed(launch.grid, launch.block)) {
				refuse("no launch can have this shape");
			} else {
				blocks.run(launch, threads);
				reply(0, nullptr, 0);
			}
			break;
		}
		case Memory: {
			uint64_t info[2] = {heap.left, heap.total};
			reply(0, info, sizeof info);
			break;
		}
		default:
			return 2;
		}
	}
}
