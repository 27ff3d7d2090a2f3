// A whole stack of transformer layers in one call, for matrices of one number format; one .c file per format includes this.
//
// One pass over [rows][tokens] positions: RMSNorm, matrix products, rotary embedding, grouped-query attention over the
// pass itself or over the KV cache, SwiGLU. Everything but the matrices is float32. Positions are computed independently
// except in attention: the bits of a row do not depend on another.
//
// A format defines, before it includes this file:
//   element             the type in which activations are multiplied, GROUP of them in four bytes
//   kv_element          the type of keys and values in the cache; narrow() and widen() convert from and to float
//   round_to_format()   rounds a float to the format of the model's activations
// and, after it:
//   pack_activations()  converts one position's floats to elements and writes them to their block (below)
//   multiply()          multiplies one panel of a matrix with one block of activations
//
// One OpenMP team runs all layers. Every function with `omp for` is called by the whole team, divides its loop among the
// threads and ends with a barrier. struct matrix, stack and pass are mirrored in stack.py.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "panels.h"

static const float LOWEST_SCORE = -3e38f;  // less than every attention score

struct matrix {
  const void *panels;   // [outputs / COLUMNS][inputs / GROUP][COLUMNS][GROUP]
  const float *scales;  // [outputs], the weight that a code of 1 stands for; null in formats without scales
  int64_t inputs, outputs;
};

struct stack {
  const struct layer {
    struct matrix qkv, output, gate_up, down;  // in gate_up, panels of gates and ups alternate
    const float *first_norm, *second_norm;     // [hidden]
  } *layers;
  const float *norm;             // [hidden]
  const float *cosines, *sines;  // [positions][head_dim]; the first half of each position's sines is negated
  int64_t layer_count, hidden, ffn, heads, kv_heads, head_dim;
  float epsilon, residual_scale;
};

struct pass {
  float *x;                       // [rows * tokens][hidden], input and output
  kv_element *keys, *values;      // [layers][capacity][kv_heads][head_dim], or null: then attention is bidirectional
  const int64_t *first, *filled;  // [rows], first position and filled length of each row's extent
  void *scratch;                  // scratch_bytes() bytes, aligned for vectors
  int64_t capacity, rows, tokens, threads;
};

// The buffers of a pass, shared by the team.
struct work {
  const struct stack *stack;
  const struct pass *pass;
  int64_t positions;                    // rows * tokens
  int64_t head_width, kv_width, width;  // numbers per position: all query heads, all key heads, queries + keys + values
  float *qkv, *attended, *gated;        // [positions][width], [positions][head_width], [positions][ffn]
  float *scales;                        // [positions], the activation that a code of 1 stands for; int8 only
  int32_t *corrections;                 // [positions], what the offset of the weights adds to the sums; int8 only
  element *elements;                    // [positions][inputs of the next matrix], in blocks
};

// Positions are multiplied in blocks of nearly equal size, at most MAX_ROWS. A block is [inputs / GROUP][rows][GROUP]
// elements, so that the innermost loop reads both factors in order.
struct block { int64_t first, rows; };

static void pack_activations(const struct work *work, const float *x, int64_t position, int64_t width);

// Writes [block.rows][COLUMNS] sums to `result`, not rounded.
static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *result);

static int64_t blocks_of(int64_t positions) { return (positions + MAX_ROWS - 1) / MAX_ROWS; }

static struct block block_at(int64_t positions, int64_t index) {
  const int64_t count = blocks_of(positions), each = positions / count, remainder = positions % count;
  return (struct block){index * each + (index < remainder ? index : remainder), each + (index < remainder)};
}

static struct block block_with(int64_t positions, int64_t position) {
  const int64_t count = blocks_of(positions), each = positions / count, remainder = positions % count;
  const int64_t in_larger = remainder * (each + 1);
  const int64_t index = position < in_larger ? position / (each + 1) : remainder + (position - in_larger) / each;
  return block_at(positions, index);
}

static void write_to_block(const struct work *work, const element *line, int64_t position, int64_t width) {
  const struct block block = block_with(work->positions, position);
  element *to = work->elements + block.first * width + (position - block.first) * GROUP;
  for (int64_t at = 0; at < width; at += GROUP, to += block.rows * GROUP) memcpy(to, line + at, GROUP * sizeof(element));
}

static inline float max_float(float one, float other) { return one > other ? one : other; }

// e^x to about two units in the last place (Cephes' expf), without branches, so that compilers vectorize it.
static inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float power = rintf(x * 1.44269504f);
  const float rest = (x - power * 0.693359375f) + power * 2.12194440e-4f;
  float series = 1.9875691500e-4f;
  series = series * rest + 1.3981999507e-3f;
  series = series * rest + 8.3334519073e-3f;
  series = series * rest + 4.1665795894e-2f;
  series = series * rest + 1.6666665459e-1f;
  series = series * rest + 5.0000001201e-1f;
  const union { int32_t bits; float value; } two_to_power = {((int32_t)power + 127) << 23};
  return (series * rest * rest + rest + 1.0f) * two_to_power.value;
}

// RMSNorm; rounds twice, as PyTorch does for the plain layer.
static void normalize(const float *x, const float *weight, float epsilon, int64_t width, float *to) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t at = 0; at < width; at++) squares += x[at] * x[at];
  const float factor = 1.0f / sqrtf(squares / width + epsilon);
  for (int64_t at = 0; at < width; at++) to[at] = round_to_format(round_to_format(x[at] * factor) * weight[at]);
}

static void pack_all(const struct work *work, const float *x, int64_t width) {
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) pack_activations(work, x + at * width, at, width);
}

static void normalize_and_pack(const struct work *work, const float *weight) {
  const int64_t width = work->stack->hidden;
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) {
    float normed[width] VECTOR;
    normalize(work->pass->x + at * width, weight, work->stack->epsilon, width, normed);
    pack_activations(work, normed, at, width);
  }
}

// The product of all positions with a matrix, written to `to` or added to it as a residual.
static void product(const struct work *work, const struct matrix *matrix, float *to, int is_residual) {
  const float scale = work->stack->residual_scale;
#pragma omp for schedule(static)
  for (int64_t panel = 0; panel < matrix->outputs / COLUMNS; panel++)
    for (int64_t index = 0; index < blocks_of(work->positions); index++) {
      const struct block block = block_at(work->positions, index);
      float result[MAX_ROWS * COLUMNS] VECTOR;
      multiply(work, matrix, panel, block, result);
      for (int64_t row = 0; row < block.rows; row++) {
        float *here = to + (block.first + row) * matrix->outputs + panel * COLUMNS;
        for (int64_t column = 0; column < COLUMNS; column++) {
          const float rounded = round_to_format(result[row * COLUMNS + column]);
          here[column] = is_residual ? round_to_format(here[column] + round_to_format(scale * rounded)) : rounded;
        }
      }
    }
}

// SwiGLU (arXiv:2002.05202): silu(gate) * up.
static void gated_product(const struct work *work, const struct matrix *matrix, float *to) {
  const int64_t width = matrix->outputs / 2;
#pragma omp for schedule(static)
  for (int64_t panel = 0; panel < width / COLUMNS; panel++)
    for (int64_t index = 0; index < blocks_of(work->positions); index++) {
      const struct block block = block_at(work->positions, index);
      float gates[MAX_ROWS * COLUMNS] VECTOR, ups[MAX_ROWS * COLUMNS] VECTOR;
      multiply(work, matrix, 2 * panel, block, gates);
      multiply(work, matrix, 2 * panel + 1, block, ups);
      for (int64_t row = 0; row < block.rows; row++) {
        float *gated = to + (block.first + row) * width + panel * COLUMNS;
        for (int64_t at = row * COLUMNS, column = 0; column < COLUMNS; at++, column++) {
          const float gate = round_to_format(gates[at]);
          gated[column] = round_to_format(round_to_format(gate / (1.0f + exponential(-gate))) * round_to_format(ups[at]));
        }
      }
    }
}

static void rotate(float *head, const float *cosines, const float *sines, int64_t width) {
  for (int64_t at = 0, half = width / 2; at < half; at++) {
    const float low = head[at], high = head[at + half];
    head[at] = round_to_format(low * cosines[at] + high * sines[at]);
    head[at + half] = round_to_format(high * cosines[at + half] + low * sines[at + half]);
  }
}

// Rotates queries and keys by the angles of their positions, and stores keys and values if there is a cache.
static void rotate_and_store(const struct work *work, int64_t layer) {
  const struct stack *stack = work->stack;
  const struct pass *pass = work->pass;
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) {
    const int64_t row = at / pass->tokens, position = at % pass->tokens + (pass->keys ? pass->filled[row] : 0);
    const float *cosines = stack->cosines + position * stack->head_dim, *sines = stack->sines + position * stack->head_dim;
    float *heads = work->qkv + at * work->width, *keys = heads + work->head_width, *values = keys + work->kv_width;
    for (float *head = heads; head < values; head += stack->head_dim) rotate(head, cosines, sines, stack->head_dim);
    if (pass->keys) {
      const int64_t offset = (layer * pass->capacity + pass->first[row] + position) * work->kv_width;
      for (int64_t each = 0; each < work->kv_width; each++) pass->keys[offset + each] = narrow(keys[each]);
      for (int64_t each = 0; each < work->kv_width; each++) pass->values[offset + each] = narrow(values[each]);
    }
  }
}

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// Reads a key or value: float in the pass itself, kv_element in the cache. `is_cached` is a constant after inlining.
ALWAYS_INLINE float value_at(const void *values, int64_t at, int is_cached) {
  return is_cached ? widen(((const kv_element *)values)[at]) : ((const float *)values)[at];
}

// One query over `length` keys and values that are `stride` apart, with the online softmax: keys are taken in blocks, and
// a new maximum rescales the sums so far (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018).
ALWAYS_INLINE void attend(
  const float *query, const void *keys, const void *values, int is_cached, int64_t length, int64_t stride, int64_t width,
  float *to
) {
  enum { BLOCK_KEYS = 64 };
  float weights[BLOCK_KEYS], running_max = LOWEST_SCORE, total = 0;
  const float scale = 1.0f / sqrtf((float)width);
  memset(to, 0, width * sizeof(float));
  for (int64_t start = 0; start < length; start += BLOCK_KEYS) {
    const int64_t count = length - start < BLOCK_KEYS ? length - start : BLOCK_KEYS;
    float new_max = running_max;
    for (int64_t at = 0; at < count; at++) {
      float score = 0;
#pragma omp simd reduction(+ : score)
      for (int64_t dim = 0; dim < width; dim++)
        score += query[dim] * value_at(keys, (start + at) * stride + dim, is_cached);
      weights[at] = score * scale;
      new_max = max_float(new_max, weights[at]);
    }
    const float rescale = exponential(running_max - new_max);
    running_max = new_max;
    total *= rescale;
    for (int64_t at = 0; at < count; at++) weights[at] = exponential(weights[at] - new_max);
    for (int64_t dim = 0; dim < width; dim++) to[dim] *= rescale;
    for (int64_t at = 0; at < count; at++) {
      total += weights[at];
      for (int64_t dim = 0; dim < width; dim++)
        to[dim] += weights[at] * value_at(values, (start + at) * stride + dim, is_cached);
    }
  }
  for (int64_t dim = 0; dim < width; dim++) to[dim] = round_to_format(to[dim] / total);
}

static void attend_all(const struct work *work, int64_t layer) {
  const struct stack *stack = work->stack;
  const struct pass *pass = work->pass;
  const int64_t dim = stack->head_dim, group_size = stack->heads / stack->kv_heads;
#pragma omp for collapse(2) schedule(static)
  for (int64_t at = 0; at < work->positions; at++)
    for (int64_t head = 0; head < stack->heads; head++) {
      const int64_t row = at / pass->tokens, token = at % pass->tokens, shared = head / group_size * dim;
      const float *query = work->qkv + at * work->width + head * dim;
      float *to = work->attended + at * work->head_width + head * dim;
      if (pass->keys) {
        const int64_t from = (layer * pass->capacity + pass->first[row]) * work->kv_width + shared;
        const int64_t length = pass->filled[row] + token + 1;
        attend(query, pass->keys + from, pass->values + from, 1, length, work->kv_width, dim, to);
      } else {
        const float *keys = work->qkv + row * pass->tokens * work->width + work->head_width + shared;
        attend(query, keys, keys + work->kv_width, 0, pass->tokens, work->width, dim, to);
      }
    }
}

static void run_layer(const struct work *work, int64_t index) {
  const struct layer *layer = work->stack->layers + index;
  normalize_and_pack(work, layer->first_norm);
  product(work, &layer->qkv, work->qkv, 0);
  rotate_and_store(work, index);
  attend_all(work, index);
  pack_all(work, work->attended, work->head_width);
  product(work, &layer->output, work->pass->x, 1);
  normalize_and_pack(work, layer->second_norm);
  gated_product(work, &layer->gate_up, work->gated);
  pack_all(work, work->gated, work->stack->ffn);
  product(work, &layer->down, work->pass->x, 1);
}

// Divides the scratch memory among the buffers; returns the bytes needed.
static int64_t lay_out_scratch(struct work *work) {
  const struct stack *stack = work->stack;
  work->positions = work->pass->rows * work->pass->tokens;
  work->head_width = stack->heads * stack->head_dim;
  work->kv_width = stack->kv_heads * stack->head_dim;
  work->width = work->head_width + 2 * work->kv_width;
  work->qkv = work->pass->scratch;
  work->attended = work->qkv + work->positions * work->width;
  work->gated = work->attended + work->positions * work->head_width;
  work->scales = work->gated + work->positions * stack->ffn;
  work->corrections = (int32_t *)(work->scales + work->positions);
  work->elements = (element *)(work->corrections + work->positions);
  const int64_t widest = max_int(max_int(stack->hidden, stack->ffn), work->head_width);
  return (char *)(work->elements + work->positions * widest) - (char *)work->pass->scratch;
}

static int64_t bytes_of_scratch(const struct stack *stack, const struct pass *pass) {
  return lay_out_scratch(&(struct work){.stack = stack, .pass = pass});
}

static void run(const struct stack *stack, const struct pass *pass) {
  struct work work = {.stack = stack, .pass = pass};
  lay_out_scratch(&work);
#pragma omp parallel num_threads(pass->threads)
  {
    for (int64_t index = 0; index < stack->layer_count; index++) run_layer(&work, index);
#pragma omp for schedule(static)
    for (int64_t at = 0; at < work.positions; at++) {
      float *x = pass->x + at * stack->hidden;
      normalize(x, stack->norm, stack->epsilon, stack->hidden, x);
    }
  }
}
