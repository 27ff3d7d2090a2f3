// The innermost loop of a float product: up to FLOAT_ROWS rows with one panel of outputs, [inputs][COLUMNS] weights.
//
// Written with GCC's vector extension, which compiles to the CPU's widest vectors. With FLOAT_ROWS rows the address of each
// fits into a register. A row's sum has the same order in every block.
#pragma once
#include <stdint.h>

#include "panels.h"

typedef float columns __attribute__((vector_size(COLUMNS * sizeof(float))));

enum { FLOAT_ROWS = 8 };

// Rows of x are `stride` floats apart; `sums` is [rows][COLUMNS].
typedef void multiply_floats(const columns *panel, const float *x, int64_t stride, int64_t inputs, columns *sums);

#define MULTIPLY_FLOATS(ROWS) \
  static void multiply_floats_##ROWS( \
    const columns *panel, const float *x, int64_t stride, int64_t inputs, columns *sums \
  ) { \
    columns sum[ROWS]; \
    UNROLLED for (int row = 0; row < ROWS; row++) sum[row] = (columns){0}; \
    for (int64_t input = 0; input < inputs; input++) { \
      const columns weights = panel[input]; \
      UNROLLED for (int row = 0; row < ROWS; row++) sum[row] += weights * x[row * stride + input]; \
    } \
    UNROLLED for (int row = 0; row < ROWS; row++) sums[row] = sum[row]; \
  }

MULTIPLY_FLOATS(1)
MULTIPLY_FLOATS(2)
MULTIPLY_FLOATS(3)
MULTIPLY_FLOATS(4)
MULTIPLY_FLOATS(5)
MULTIPLY_FLOATS(6)
MULTIPLY_FLOATS(7)
MULTIPLY_FLOATS(8)

static multiply_floats *const multiply_float_blocks[] = {
  0,
  multiply_floats_1, multiply_floats_2, multiply_floats_3, multiply_floats_4,
  multiply_floats_5, multiply_floats_6, multiply_floats_7, multiply_floats_8,
};
