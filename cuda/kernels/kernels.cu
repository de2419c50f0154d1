// All kernels. nvcc makes the fat binary of this file, g++ the emulator's program (emulate/main.cpp).
#include "check.cuh"
#include "commit.cuh"
#include "fold.cuh"
#include "msm.cuh"
#include "products.cuh"
#include "vector.cuh"
