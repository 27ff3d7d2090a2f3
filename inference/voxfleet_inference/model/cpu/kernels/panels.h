// What all products share: a matrix lies in panels of COLUMNS outputs, each read from end to end.
#pragma once
#include <stdint.h>

enum {
  COLUMNS = 16,
  MOST_ROWS = 20,  // of a block in a stack of layers: as many sums as there are registers beside the weights
  AHEAD = 2048,    // bytes of a panel to fetch in advance: about the time that memory takes to answer
};

#define VECTOR __attribute__((aligned(64)))
#define UNROLLED _Pragma("GCC unroll 20")

// A function for each number of rows, made by DO, and a table of them.
#define FOR_EACH_ROW_COUNT(DO) \
  DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) \
  DO(11) DO(12) DO(13) DO(14) DO(15) DO(16) DO(17) DO(18) DO(19) DO(20)
#define BLOCK_ENTRY(ROWS) multiply_##ROWS,

static inline int64_t larger_of(int64_t one, int64_t other) { return one > other ? one : other; }
