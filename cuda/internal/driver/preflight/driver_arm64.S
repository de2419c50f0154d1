//go:build cuda

// Each name of CUDA's driver library jumps to where preflight found it.
#define NAME(name, number) \
	.globl name; \
	.hidden name; \
	.type name, %function; \
	name: \
	adrp x16, zkllmc_cuda_found + 8 * number; \
	ldr x16, [x16, :lo12:zkllmc_cuda_found + 8 * number]; \
	br x16;

	.text
#include "names.h"
	.section .note.GNU-stack,"",%progbits
