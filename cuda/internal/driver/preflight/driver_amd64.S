//go:build cuda

// Each name of CUDA's driver library jumps to where preflight found it.
#define NAME(name, number) \
	.globl name; \
	.hidden name; \
	.type name, @function; \
	name: \
	jmp *zkllmc_cuda_found + 8 * number(%rip);

	.text
#include "names.h"
	.section .note.GNU-stack,"",@progbits
