// A stack of layers whose weights and activations are multiplied as bytes; everything else is float32.
//
// A weight's byte is worth its output's scale, an activation's its position's: one over a whole batch would let a row hear
// another. Both are symmetrical. Kernels multiply unsigned weights, moved up by OFFSET, with signed activations; what the
// moving adds to a position's sums is the same for all outputs, and taken off again.
#include <stdint.h>

typedef int8_t element;
typedef float kept;

static inline float keep(float x) { return x; }
static inline float kept_value(float x) { return x; }
static inline float settle(float x) { return x; }

#include "byte_blocks.h"
#include "stack.h"

static const float LARGEST = 127.0f;  // of a signed byte; -128 is left out, so that the range is symmetrical
static const float TINY = 1e-30f;     // a row of zeros has no largest value to divide by

static void prepare(const struct work *work, const float *x, int64_t position, int64_t width) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t at = 0; at < width; at++) largest = larger(largest, fabsf(x[at]));
  const float scale = larger(largest / LARGEST, TINY), inverse = 1.0f / scale;
  int8_t line[width] VECTOR;
  int32_t sum = 0;
  for (int64_t at = 0; at < width; at++) {
    const int32_t code = (int32_t)rintf(x[at] * inverse);
    line[at] = (int8_t)code;
    sum += code;
  }
  work->scales[position] = scale;
  work->corrections[position] = OFFSET * sum;
  put_into_block(work, line, position, width);
}

static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *made
) {
  int32_t sums[MOST_ROWS * COLUMNS] VECTOR;
  const uint8_t *weights = (const uint8_t *)matrix->panels + panel * COLUMNS * matrix->inputs;
  const float *worth = matrix->scales + panel * COLUMNS;
  multiply_blocks[block.rows](weights, work->elements + block.first * matrix->inputs, matrix->inputs / GROUP, sums);
  for (int64_t row = 0; row < block.rows; row++) {
    const int32_t correction = work->corrections[block.first + row];
    const float scale = work->scales[block.first + row];
    for (int64_t at = row * COLUMNS, column = 0; column < COLUMNS; at++, column++)
      made[at] = (float)(sums[at] - correction) * (scale * worth[column]);
  }
}

int64_t scratch_bytes_int8(const struct stack *stack, const struct pass *pass) { return bytes_of_scratch(stack, pass); }

void run_stack_int8(const struct stack *stack, const struct pass *pass) { run(stack, pass); }
