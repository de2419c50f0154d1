//go:build cuda && linux && (amd64 || arm64)

#include "preflight.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#ifndef LIBRARY
#define LIBRARY "libcuda.so.1"
#endif

enum { no_device = 100 }; // CUDA_ERROR_NO_DEVICE

static int absent(void) { return no_device; }

#define NAME(name, number) absent,
__attribute__((visibility("hidden"))) int (*zkllmc_cuda_found[])(void) = {
#include "names.h"
};
#undef NAME

#define NAME(name, number) #name,
static const char* const names[] = {
#include "names.h"
};
#undef NAME

static int said = NO_LIBRARY;

static void begin(void) {
	void* library = dlopen(LIBRARY, RTLD_NOW);
	if (library == NULL) return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int (*found)(void) = (int (*)(void))dlsym(library, names[i]);
		if (found != NULL) zkllmc_cuda_found[i] = found; // what a driver does not have is not there, as for one without a device
	}
	int (*init)(unsigned) = (int (*)(unsigned))dlsym(library, "cuInit");
	if (init != NULL) said = init(0);
}

int zkllmc_cuda_begin(void) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, begin);
	return said;
}

// cuInit is what gorgonia.org/cu calls unasked.
__attribute__((visibility("hidden"))) int cuInit(unsigned flags) {
	(void)flags;
	zkllmc_cuda_begin();
	return 0;
}
