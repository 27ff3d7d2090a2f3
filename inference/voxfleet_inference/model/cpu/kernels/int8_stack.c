// A stack of layers whose weights and activations are multiplied in int8; everything else is float32.
//
// Weights have a scale per output, activations one per position; a scale over a batch would make a row's result depend on
// the others. Both are symmetric. The instructions multiply unsigned with signed bytes, so weights are stored with OFFSET
// added; the offset adds the same number to all of a position's sums, and is subtracted as its correction.
#include <stdint.h>

typedef int8_t element;
typedef float kv_element;

static inline float narrow(float x) { return x; }
static inline float widen(float x) { return x; }
static inline float round_to_format(float x) { return x; }

#include "byte_blocks.h"
#include "stack.h"

static const float MAX_CODE = 127.0f;   // of a signed byte; -128 is not used, so that the range is symmetric
static const float MIN_SCALE = 1e-30f;  // the scale of a row of zeros, which has no largest value to divide by

static void pack_activations(const struct work *work, const float *x, int64_t position, int64_t width) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t at = 0; at < width; at++) largest = max_float(largest, fabsf(x[at]));
  const float scale = max_float(largest / MAX_CODE, MIN_SCALE), inverse = 1.0f / scale;
  int8_t line[width] VECTOR;
  int32_t sum = 0;
  for (int64_t at = 0; at < width; at++) {
    const int32_t code = (int32_t)rintf(x[at] * inverse);
    line[at] = (int8_t)code;
    sum += code;
  }
  work->scales[position] = scale;
  work->corrections[position] = OFFSET * sum;
  write_to_block(work, line, position, width);
}

static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *result
) {
  int32_t sums[MAX_ROWS * COLUMNS] VECTOR;
  const uint8_t *weights = (const uint8_t *)matrix->panels + panel * COLUMNS * matrix->inputs;
  const float *weight_scales = matrix->scales + panel * COLUMNS;
  multiply_blocks[block.rows](weights, work->elements + block.first * matrix->inputs, matrix->inputs / GROUP, sums);
  for (int64_t row = 0; row < block.rows; row++) {
    const int32_t correction = work->corrections[block.first + row];
    const float scale = work->scales[block.first + row];
    for (int64_t at = row * COLUMNS, column = 0; column < COLUMNS; at++, column++)
      result[at] = (float)(sums[at] - correction) * (scale * weight_scales[column]);
  }
}

int64_t scratch_bytes_int8(const struct stack *stack, const struct pass *pass) { return bytes_of_scratch(stack, pass); }

void run_stack_int8(const struct stack *stack, const struct pass *pass) { run(stack, pass); }
