// The innermost loop of an int8 product: up to MAX_ROWS rows of activations with one panel of COLUMNS outputs.
//
// A panel is [inputs / GROUP][COLUMNS][GROUP] weights, each a signed byte plus OFFSET; a block of activations is
// [inputs / GROUP][rows][GROUP] signed bytes. So an instruction multiplies GROUP inputs of one row with all columns, memory
// is read in order, and no weight is read twice. Sums are exact in 32 bits, so their order does not matter.
#pragma once
#include <stdint.h>

#include "panels.h"

enum { GROUP = 4, OFFSET = 128, PANEL_STEP = COLUMNS * GROUP };

// `sums` is [rows][COLUMNS].
typedef void multiply_block(const uint8_t *panel, const int8_t *codes, int64_t groups, int32_t *sums);

#if defined(__AVX512VNNI__)
#include <immintrin.h>

// Inline assembly, because GCC 12 copies the accumulators of its own builtin in every iteration.
#define MULTIPLY_BLOCK(ROWS) \
  static void multiply_##ROWS(const uint8_t *panel, const int8_t *codes, int64_t groups, int32_t *sums) { \
    __m512i sum[ROWS]; \
    UNROLLED for (int row = 0; row < ROWS; row++) sum[row] = _mm512_setzero_si512(); \
    for (; groups > 0; groups--, panel += PANEL_STEP, codes += ROWS * GROUP) { \
      const __m512i weights = _mm512_load_si512(panel); \
      _mm_prefetch((const char *)panel + PREFETCH_BYTES, _MM_HINT_T0); \
      UNROLLED for (int row = 0; row < ROWS; row++) \
        __asm__("vpdpbusd %2%{1to16%}, %1, %0" \
                : "+v"(sum[row]) : "v"(weights), "m"(*(const int32_t *)(codes + row * GROUP))); \
    } \
    UNROLLED for (int row = 0; row < ROWS; row++) _mm512_storeu_si512(sums + row * COLUMNS, sum[row]); \
  }

#elif defined(__AVX2__)
#include <immintrin.h>

// Without VNNI: both factors are widened to 16 bits, and pairs of products are added without saturation.
static void multiply_row(const uint8_t *panel, const int8_t *codes, int64_t stride, int64_t groups, int32_t *sums) {
  __m256i sum[4];  // each [4 columns][2 halves of a group]
  UNROLLED for (int part = 0; part < 4; part++) sum[part] = _mm256_setzero_si256();
  for (; groups > 0; groups--, panel += PANEL_STEP, codes += stride) {
    const __m256i row = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(*(const int32_t *)codes)));
    UNROLLED for (int part = 0; part < 4; part++) {
      const __m256i weights = _mm256_cvtepu8_epi16(_mm_load_si128((const __m128i *)(panel + 16 * part)));
      sum[part] = _mm256_add_epi32(sum[part], _mm256_madd_epi16(weights, row));
    }
  }
  UNROLLED for (int half = 0; half < 2; half++) {
    const __m256i columns = _mm256_hadd_epi32(sum[2 * half], sum[2 * half + 1]);  // 0 1 4 5 | 2 3 6 7
    _mm256_storeu_si256((__m256i *)(sums + 8 * half), _mm256_permute4x64_epi64(columns, 0xD8));
  }
}

#else

static void multiply_row(const uint8_t *panel, const int8_t *codes, int64_t stride, int64_t groups, int32_t *sums) {
  for (int column = 0; column < COLUMNS; column++) sums[column] = 0;
  for (; groups > 0; groups--, panel += PANEL_STEP, codes += stride)
    for (int column = 0; column < COLUMNS; column++)
      for (int place = 0; place < GROUP; place++) sums[column] += panel[column * GROUP + place] * codes[place];
}

#endif

#ifndef MULTIPLY_BLOCK
#define MULTIPLY_BLOCK(ROWS) \
  static void multiply_##ROWS(const uint8_t *panel, const int8_t *codes, int64_t groups, int32_t *sums) { \
    for (int row = 0; row < ROWS; row++) \
      multiply_row(panel, codes + row * GROUP, ROWS * GROUP, groups, sums + row * COLUMNS); \
  }
#endif

FOR_EACH_ROW_COUNT(MULTIPLY_BLOCK)

static multiply_block *const multiply_blocks[] = {0, FOR_EACH_ROW_COUNT(BLOCK_ENTRY)};
