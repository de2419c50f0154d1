// Fibers: stacks that one thread of a process runs in turns.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__x86_64__) && defined(__linux__)

// Keeps the registers that a call preserves on the stack, keeps that in *from, and goes on where to was kept.
extern "C" void emulate_switch(void** from, void* to);
asm(R"(
	.text
	.globl emulate_switch
	.type emulate_switch, @function
emulate_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size emulate_switch, .-emulate_switch
	.section .note.GNU-stack,"",@progbits
	.text
)");

#define SWITCH_BY_ASSEMBLY

#else
#include <ucontext.h>
#endif

// How much a thread of a kernel needs is not more than this.
#ifndef FIBER_STACK
#ifdef __SANITIZE_ADDRESS__
#define FIBER_STACK (1 << 18)
#else
#define FIBER_STACK (1 << 16)
#endif
#endif

namespace emulate {

// Fiber is a stack and where it stands. Its body never returns.
class Fiber {
  public:
	// The body is called when the fiber is first resumed.
	explicit Fiber(void (*body)()) {
		stack = (char*)mmap(nullptr, bytes + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stack == MAP_FAILED || mprotect(stack, guard, PROT_NONE) != 0) abort();
#ifdef SWITCH_BY_ASSEMBLY
		uint64_t* top = (uint64_t*)(stack + guard + bytes) - 2; // a multiple of 16, below which a call leaves where it returns to
		*top = (uint64_t)body;
		place = top - 6; // the registers
#else
		getcontext(&inside);
		inside.uc_stack.ss_sp = stack + guard;
		inside.uc_stack.ss_size = bytes;
		inside.uc_link = nullptr;
		makecontext(&inside, body, 0);
#endif
	}
	Fiber(const Fiber&) = delete;

	// resume runs the fiber until it pauses.
	void resume() {
#ifdef SWITCH_BY_ASSEMBLY
		emulate_switch(&resumer, place);
#else
		swapcontext(&outside, &inside);
#endif
	}

	// pause goes back to where the fiber was resumed. The fiber that runs calls it.
	void pause() {
#ifdef SWITCH_BY_ASSEMBLY
		emulate_switch(&place, resumer);
#else
		swapcontext(&inside, &outside);
#endif
	}

  private:
	static const size_t guard = 4096;
	static const size_t bytes = FIBER_STACK;
	char* stack;
#ifdef SWITCH_BY_ASSEMBLY
	void *place, *resumer;
#else
	ucontext_t inside, outside;
#endif
};

} // namespace emulate
