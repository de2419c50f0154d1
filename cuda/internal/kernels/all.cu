// All kernels, also those that only tests launch: what the emulator's program (emulate/main.cpp) has.
#include "kernels.cu"
#include "checks.cu"
