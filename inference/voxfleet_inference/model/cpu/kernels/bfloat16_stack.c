// A stack of layers in bfloat16: sums are float32 and rounded where PyTorch rounds in the plain layers.
#include <stdint.h>

typedef uint16_t element;  // a bfloat16: the upper half of a float's bits
typedef uint16_t kv_element;
enum { GROUP = 2 };

// Rounds to the nearest bfloat16 (7 explicit mantissa bits), ties to even.
static inline uint16_t narrow(float x) {
  const union { float value; uint32_t bits; } wide = {x};
  return (wide.bits + 0x7FFF + (wide.bits >> 16 & 1)) >> 16;
}

static inline float widen(uint16_t x) {
  const union { uint32_t bits; float value; } wide = {(uint32_t)x << 16};
  return wide.value;
}

static inline float round_to_format(float x) { return widen(narrow(x)); }

#include "bfloat16_blocks.h"
#include "stack.h"

static void pack_activations(const struct work *work, const float *x, int64_t position, int64_t width) {
  uint16_t line[width] VECTOR;
  for (int64_t at = 0; at < width; at++) line[at] = narrow(x[at]);
  write_to_block(work, line, position, width);
}

static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *result
) {
  const uint16_t *weights = (const uint16_t *)matrix->panels + panel * COLUMNS * matrix->inputs;
  multiply_blocks[block.rows](weights, work->elements + block.first * matrix->inputs, matrix->inputs / GROUP, result);
}

int64_t scratch_bytes_bfloat16(const struct stack *stack, const struct pass *pass) { return bytes_of_scratch(stack, pass); }

void run_stack_bfloat16(const struct stack *stack, const struct pass *pass) { run(stack, pass); }
