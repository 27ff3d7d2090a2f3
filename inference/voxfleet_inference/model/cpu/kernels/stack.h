// A whole stack of transformer layers in one call, for matrices of one format; a file for each format includes this one.
//
// Knows one pass over [rows][tokens] positions: norms, products, rotary angles, grouped attention over the pass itself or
// over an arena of keys and values, SwiGLU. Does not know what the stack is for, nor who owns an extent of the arena.
// Everything but the matrices is float32. Each position is computed by itself: its bits do not depend on any other row.
//
// A format defines, before it includes this file:
//   element           what activations are multiplied as, GROUP of them in four bytes
//   kept              what keys and values are remembered as; keep() and kept_value() turn floats into it and back
//   settle()          rounds a float to what the model's numbers can hold
// and, after it, from floats of one position and for one panel:
//   prepare()         elements, put into their place of their block (below)
//   multiply()        the product of one panel with one block
//
// One team of threads goes through all layers. Every function with `omp for` is called by the whole team, shares its loop
// out and ends with a barrier. The first three structures are mirrored by stack.py.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "panels.h"

static const float LEAST = -3e38f;  // below every score

struct matrix {
  const void *panels;   // [outputs / COLUMNS][inputs / GROUP][COLUMNS][GROUP]
  const float *scales;  // [outputs], what a byte of each output's weights is worth; null for other formats
  int64_t inputs, outputs;
};

struct stack {
  const struct layer {
    struct matrix qkv, output, gate_up, down;  // panels of gates and of ups take turns
    const float *first_norm, *second_norm;     // [hidden]
  } *layers;
  const float *norm;             // [hidden]
  const float *cosines, *sines;  // [any position][head_dim]; the first half of each position's sines is negated
  int64_t layer_count, hidden, ffn, heads, kv_heads, head_dim;
  float epsilon, residual_scale;
};

struct pass {
  float *x;                       // [rows * tokens][hidden], in and out
  kept *keys, *values;            // [layers][room][kv_heads][head_dim], or null: then every token sees every other
  const int64_t *first, *filled;  // [rows], where each row's extent begins and how much of it is filled
  void *scratch;                  // scratch_bytes() of memory, aligned for vectors
  int64_t room, rows, tokens, threads;
};

// What the team shares during a pass.
struct work {
  const struct stack *stack;
  const struct pass *pass;
  int64_t positions;                    // rows * tokens
  int64_t head_width, kv_width, width;  // of all query heads of a position together, of all keys, of all three
  float *qkv, *mixed, *gated;           // [positions][width], [positions][head_width], [positions][ffn]
  float *scales;                        // [positions], what a byte of each position's elements is worth
  int32_t *corrections;                 // [positions], what the moving of weights adds to each position's sums
  element *elements;                    // [positions][inputs of whatever is multiplied next], in blocks
};

// Positions are multiplied in blocks of nearly the same size. A block is [inputs / GROUP][rows][GROUP] elements.
struct block { int64_t first, rows; };

static void prepare(const struct work *work, const float *x, int64_t position, int64_t width);

// [block.rows][COLUMNS], not settled.
static void multiply(
  const struct work *work, const struct matrix *matrix, int64_t panel, struct block block, float *made);

static int64_t blocks_of(int64_t positions) { return (positions + MOST_ROWS - 1) / MOST_ROWS; }

static struct block block_at(int64_t positions, int64_t index) {
  const int64_t count = blocks_of(positions), each = positions / count, larger = positions % count;
  return (struct block){index * each + (index < larger ? index : larger), each + (index < larger)};
}

static struct block block_with(int64_t positions, int64_t position) {
  const int64_t count = blocks_of(positions), each = positions / count, larger = positions % count;
  const int64_t in_larger = larger * (each + 1);
  const int64_t index = position < in_larger ? position / (each + 1) : larger + (position - in_larger) / each;
  return block_at(positions, index);
}

static void put_into_block(const struct work *work, const element *line, int64_t position, int64_t width) {
  const struct block block = block_with(work->positions, position);
  element *to = work->elements + block.first * width + (position - block.first) * GROUP;
  for (int64_t at = 0; at < width; at += GROUP, to += block.rows * GROUP) memcpy(to, line + at, GROUP * sizeof(element));
}

static inline float larger(float one, float other) { return one > other ? one : other; }

// e^x to about two units in the last place (Cephes' expf), in a form that compilers turn into vectors.
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

static void normalize(const float *x, const float *weight, float epsilon, int64_t width, float *to) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t at = 0; at < width; at++) squares += x[at] * x[at];
  const float factor = 1.0f / sqrtf(squares / width + epsilon);
  for (int64_t at = 0; at < width; at++) to[at] = settle(settle(x[at] * factor) * weight[at]);
}

static void prepare_all(const struct work *work, const float *x, int64_t width) {
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) prepare(work, x + at * width, at, width);
}

static void normalize_and_prepare(const struct work *work, const float *weight) {
  const int64_t width = work->stack->hidden;
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) {
    float normed[width] VECTOR;
    normalize(work->pass->x + at * width, weight, work->stack->epsilon, width, normed);
    prepare(work, normed, at, width);
  }
}

// A whole product, in place of what is there or added to it.
static void product(const struct work *work, const struct matrix *matrix, float *to, int is_added) {
  const float scale = work->stack->residual_scale;
#pragma omp for schedule(static)
  for (int64_t panel = 0; panel < matrix->outputs / COLUMNS; panel++)
    for (int64_t index = 0; index < blocks_of(work->positions); index++) {
      const struct block block = block_at(work->positions, index);
      float made[MOST_ROWS * COLUMNS] VECTOR;
      multiply(work, matrix, panel, block, made);
      for (int64_t row = 0; row < block.rows; row++) {
        float *here = to + (block.first + row) * matrix->outputs + panel * COLUMNS;
        for (int64_t column = 0; column < COLUMNS; column++) {
          const float settled = settle(made[row * COLUMNS + column]);
          here[column] = is_added ? settle(here[column] + settle(scale * settled)) : settled;
        }
      }
    }
}

// SwiGLU: silu(gate) * up.
static void gated_product(const struct work *work, const struct matrix *matrix, float *to) {
  const int64_t width = matrix->outputs / 2;
#pragma omp for schedule(static)
  for (int64_t panel = 0; panel < width / COLUMNS; panel++)
    for (int64_t index = 0; index < blocks_of(work->positions); index++) {
      const struct block block = block_at(work->positions, index);
      float gates[MOST_ROWS * COLUMNS] VECTOR, ups[MOST_ROWS * COLUMNS] VECTOR;
      multiply(work, matrix, 2 * panel, block, gates);
      multiply(work, matrix, 2 * panel + 1, block, ups);
      for (int64_t row = 0; row < block.rows; row++) {
        float *gated = to + (block.first + row) * width + panel * COLUMNS;
        for (int64_t at = row * COLUMNS, column = 0; column < COLUMNS; at++, column++) {
          const float gate = settle(gates[at]);
          gated[column] = settle(settle(gate / (1.0f + exponential(-gate))) * settle(ups[at]));
        }
      }
    }
}

static void rotate(float *head, const float *cosines, const float *sines, int64_t width) {
  for (int64_t at = 0, half = width / 2; at < half; at++) {
    const float low = head[at], high = head[at + half];
    head[at] = settle(low * cosines[at] + high * sines[at]);
    head[at + half] = settle(high * cosines[at + half] + low * sines[at + half]);
  }
}

// Turn queries and keys by their positions' angles; remember keys and values if there is an arena.
static void rotate_and_store(const struct work *work, int64_t layer) {
  const struct stack *stack = work->stack;
  const struct pass *pass = work->pass;
#pragma omp for schedule(static)
  for (int64_t at = 0; at < work->positions; at++) {
    const int64_t row = at / pass->tokens, place = at % pass->tokens + (pass->keys ? pass->filled[row] : 0);
    const float *cosines = stack->cosines + place * stack->head_dim, *sines = stack->sines + place * stack->head_dim;
    float *heads = work->qkv + at * work->width, *keys = heads + work->head_width, *values = keys + work->kv_width;
    for (float *head = heads; head < values; head += stack->head_dim) rotate(head, cosines, sines, stack->head_dim);
    if (pass->keys) {
      const int64_t slot = (layer * pass->room + pass->first[row] + place) * work->kv_width;
      for (int64_t each = 0; each < work->kv_width; each++) pass->keys[slot + each] = keep(keys[each]);
      for (int64_t each = 0; each < work->kv_width; each++) pass->values[slot + each] = keep(values[each]);
    }
  }
}

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// Of keys or values, which are floats in the pass itself and something smaller, perhaps, in the arena.
ALWAYS_INLINE float value_at(const void *values, int64_t at, int are_kept) {
  return are_kept ? kept_value(((const kept *)values)[at]) : ((const float *)values)[at];
}

// One query over `seen` keys and values that lie `stride` apart, a few at a time: each new largest score scales down what
// was summed before it (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018).
ALWAYS_INLINE void attend(
  const float *query, const void *keys, const void *values, int are_kept, int64_t seen, int64_t stride, int64_t width,
  float *to
) {
  enum { AT_ONCE = 64 };
  float weights[AT_ONCE], largest = LEAST, total = 0;
  const float sharpness = 1.0f / sqrtf((float)width);
  memset(to, 0, width * sizeof(float));
  for (int64_t start = 0; start < seen; start += AT_ONCE) {
    const int64_t count = seen - start < AT_ONCE ? seen - start : AT_ONCE;
    float top = largest;
    for (int64_t at = 0; at < count; at++) {
      float score = 0;
#pragma omp simd reduction(+ : score)
      for (int64_t place = 0; place < width; place++) 
        score += query[place] * value_at(keys, (start + at) * stride + place, are_kept);
      weights[at] = score * sharpness;
      top = larger(top, weights[at]);
    }
    const float shrunk = exponential(largest - top);
    largest = top;
    total *= shrunk;
    for (int64_t at = 0; at < count; at++) weights[at] = exponential(weights[at] - top);
    for (int64_t place = 0; place < width; place++) to[place] *= shrunk;
    for (int64_t at = 0; at < count; at++) {
      total += weights[at];
      for (int64_t place = 0; place < width; place++)
        to[place] += weights[at] * value_at(values, (start + at) * stride + place, are_kept);
    }
  }
  for (int64_t place = 0; place < width; place++) to[place] = settle(to[place] / total);
}

static void attend_all(const struct work *work, int64_t layer) {
  const struct stack *stack = work->stack;
  const struct pass *pass = work->pass;
  const int64_t dim = stack->head_dim, sharing = stack->heads / stack->kv_heads;
#pragma omp for collapse(2) schedule(static)
  for (int64_t at = 0; at < work->positions; at++)
    for (int64_t head = 0; head < stack->heads; head++) {
      const int64_t row = at / pass->tokens, token = at % pass->tokens, shared = head / sharing * dim;
      const float *query = work->qkv + at * work->width + head * dim;
      float *to = work->mixed + at * work->head_width + head * dim;
      if (pass->keys) {
        const int64_t from = (layer * pass->room + pass->first[row]) * work->kv_width + shared;
        const int64_t seen = pass->filled[row] + token + 1;
        attend(query, pass->keys + from, pass->values + from, 1, seen, work->kv_width, dim, to);
      } else {
        const float *keys = work->qkv + row * pass->tokens * work->width + work->head_width + shared;
        attend(query, keys, keys + work->kv_width, 0, pass->tokens, work->width, dim, to);
      }
    }
}

static void go_through(const struct work *work, int64_t index) {
  const struct layer *layer = work->stack->layers + index;
  normalize_and_prepare(work, layer->first_norm);
  product(work, &layer->qkv, work->qkv, 0);
  rotate_and_store(work, index);
  attend_all(work, index);
  prepare_all(work, work->mixed, work->head_width);
  product(work, &layer->output, work->pass->x, 1);
  normalize_and_prepare(work, layer->second_norm);
  gated_product(work, &layer->gate_up, work->gated);
  prepare_all(work, work->gated, work->stack->ffn);
  product(work, &layer->down, work->pass->x, 1);
}

// Divides the scratch memory; returns how many bytes of it were needed.
static int64_t lay_out(struct work *work) {
  const struct stack *stack = work->stack;
  work->positions = work->pass->rows * work->pass->tokens;
  work->head_width = stack->heads * stack->head_dim;
  work->kv_width = stack->kv_heads * stack->head_dim;
  work->width = work->head_width + 2 * work->kv_width;
  work->qkv = work->pass->scratch;
  work->mixed = work->qkv + work->positions * work->width;
  work->gated = work->mixed + work->positions * work->head_width;
  work->scales = work->gated + work->positions * stack->ffn;
  work->corrections = (int32_t *)(work->scales + work->positions);
  work->elements = (element *)(work->corrections + work->positions);
  const int64_t widest = larger_of(larger_of(stack->hidden, stack->ffn), work->head_width);
  return (char *)(work->elements + work->positions * widest) - (char *)work->pass->scratch;
}

static int64_t bytes_of_scratch(const struct stack *stack, const struct pass *pass) {
  return lay_out(&(struct work){.stack = stack, .pass = pass});
}

static void run(const struct stack *stack, const struct pass *pass) {
  struct work work = {.stack = stack, .pass = pass};
  lay_out(&work);
#pragma omp parallel num_threads(pass->threads)
  {
    for (int64_t index = 0; index < stack->layer_count; index++) go_through(&work, index);
#pragma omp for schedule(static)
    for (int64_t at = 0; at < work.positions; at++) {
      float *x = pass->x + at * stack->hidden;
      normalize(x, stack->norm, stack->epsilon, stack->hidden, x);
    }
  }
}
