// The innermost loop of a bfloat16 product: up to MAX_ROWS rows of activations with one panel of outputs.
//
// A panel is [inputs / 2][COLUMNS][2] weights, a block of activations [inputs / 2][rows][2]. A row's sum has the same
// order in every block.
#pragma once
#include <stdint.h>
#include <string.h>

#include "panels.h"

// `sums` is [rows][COLUMNS].
typedef void multiply_block(const uint16_t *panel, const uint16_t *block, int64_t groups, float *sums);

#if defined(__AVX512BF16__)
#include <immintrin.h>

#define MULTIPLY_BLOCK(ROWS) \
  static void multiply_##ROWS(const uint16_t *panel, const uint16_t *block, int64_t groups, float *sums) { \
    __m512 sum[ROWS]; \
    UNROLLED for (int row = 0; row < ROWS; row++) sum[row] = _mm512_setzero_ps(); \
    for (; groups > 0; groups--, panel += 2 * COLUMNS, block += 2 * ROWS) { \
      const __m512i weights = _mm512_load_si512(panel); \
      _mm_prefetch((const char *)panel + PREFETCH_BYTES, _MM_HINT_T0); \
      UNROLLED for (int row = 0; row < ROWS; row++) \
        __asm__("vdpbf16ps %2%{1to16%}, %1, %0" \
                : "+v"(sum[row]) : "v"(weights), "m"(*(const int32_t *)(block + 2 * row))); \
    } \
    UNROLLED for (int row = 0; row < ROWS; row++) _mm512_storeu_ps(sums + row * COLUMNS, sum[row]); \
  }

#else

typedef float columns __attribute__((vector_size(COLUMNS * sizeof(float))));
typedef uint32_t column_bits __attribute__((vector_size(COLUMNS * sizeof(float))));

// Without AVX512_BF16: both weights of a pair are widened to float. The second is in the upper half of its 32 bits already.
#define MULTIPLY_BLOCK(ROWS) \
  static void multiply_##ROWS(const uint16_t *panel, const uint16_t *block, int64_t groups, float *sums) { \
    columns sum[ROWS]; \
    UNROLLED for (int row = 0; row < ROWS; row++) sum[row] = (columns){0}; \
    for (; groups > 0; groups--, panel += 2 * COLUMNS, block += 2 * ROWS) { \
      const column_bits pairs = *(const column_bits *)panel; \
      const columns first = (columns)(pairs << 16), second = (columns)(pairs & 0xFFFF0000u); \
      UNROLLED for (int row = 0; row < ROWS; row++) \
        sum[row] += first * widen(block[2 * row]) + second * widen(block[2 * row + 1]); \
    } \
    memcpy(sums, sum, sizeof(sum)); \
  }

#endif

FOR_EACH_ROW_COUNT(MULTIPLY_BLOCK)

static multiply_block *const multiply_blocks[] = {0, FOR_EACH_ROW_COUNT(BLOCK_ENTRY)};
