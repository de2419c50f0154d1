// NO_LIBRARY is what zkllmc_cuda_begin says where the driver library cannot be loaded: no error of CUDA's.
#define NO_LIBRARY (-1)

// zkllmc_cuda_begin loads the driver library and begins with it, once, and returns what cuInit said.
int zkllmc_cuda_begin(void);
