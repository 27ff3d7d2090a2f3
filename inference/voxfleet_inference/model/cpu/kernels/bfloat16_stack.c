// A stack of layers in bfloat16, summed in float32 and rounded where PyTorch rounds the plain layers.
#include <stdint.h>

typedef uint16_t element;  // the upper half of a float
typedef uint16_t kept;
enum { GROUP = 2 };

// To the nearest number with seven bits behind the point, of two to the even one.
static inline uint16_t keep(float x) {
  const union { float value; uint32_t bits; } wide = {x};
  return (wide.bits + 0x7FFF + (wide.bits >> 16 & 1)) >> 16;
}

static inline float kept_value(uint16_t x) {
  const union { uint32_t bits; float value; } wide = {(uint32_t)x << 16};
  return wide.value;
}

static inline float settle(float x) { return kept_value(keep(x)); }

#include "bfloat16_blocks.h"
#include "stack.h"

static void prepare(const struct work *work, const float *x, int64_t position, int64_t width) {
  uint16_t line[width] VECTOR;
  for (int64_t at = 0; at < width; at++) line[at] = keep(x[at]);
  put_into_block(work, line, position, width);
}

static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *made
) {
  const uint16_t *weights = (const uint16_t *)matrix->panels + panel * COLUMNS * matrix->inputs;
  multiply_blocks[block.rows](weights, work->elements + block.first * matrix->inputs, matrix->inputs / GROUP, made);
}

int64_t scratch_bytes_bfloat16(const struct stack *stack, const struct pass *pass) { return bytes_of_scratch(stack, pass); }

void run_stack_bfloat16(const struct stack *stack, const struct pass *pass) { run(stack, pass); }
