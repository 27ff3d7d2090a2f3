// The layout that all products share: a matrix is stored in panels of COLUMNS outputs, each read from end to end.
#pragma once
#include <stdint.h>

enum {
  COLUMNS = 16,
  MAX_ROWS = 20,          // of a block: one accumulator each, beside the weights, in AVX-512's 32 registers
  PREFETCH_BYTES = 2048,  // how far ahead of the loads a panel is prefetched: about the latency of memory
};

#define VECTOR __attribute__((aligned(64)))
#define UNROLLED _Pragma("GCC unroll 20")

// Defines a function for each number of rows with DO, and their entries in a table indexed by it.
#define FOR_EACH_ROW_COUNT(DO) \
  DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) \
  DO(11) DO(12) DO(13) DO(14) DO(15) DO(16) DO(17) DO(18) DO(19) DO(20)
#define BLOCK_ENTRY(ROWS) multiply_##ROWS,

static inline int64_t max_int(int64_t one, int64_t other) { return one > other ? one : other; }
