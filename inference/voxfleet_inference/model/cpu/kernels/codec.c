// Half of the audio codec, latent frames to samples or samples to frames, in one call: convolutions with time before
// channels.
//
// Knows a chain of stages; each is Snake, perhaps a filter of every channel by itself (and another Snake), and a product
// of all channels over one or more moments. Does not know what the chain is for. All is float32. Each row is computed by
// itself: its bits do not depend on any other.
//
// One team of threads goes through all stages. Every function with `omp for` is called by the whole team, shares its loop
// out and ends with a barrier. The first two structures are mirrored by codec.py.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "float_blocks.h"

// x + sin^2(alpha x) / alpha, or nothing where alpha is null.
struct snake { const float *alpha, *inverse; };  // [channels] each

struct stage {
  struct snake snake;
  const float *filter, *filter_bias;  // [taps][channels] and [channels], or null
  struct snake after_filter;
  const columns *panels;              // [outputs / COLUMNS, rounded up][window * channels]
  const float *bias;                  // [outputs, rounded up to whole panels]
  int64_t channels, reach;            // of what comes in; how many moments before it are needed
  int64_t taps, dilation;             // of the filter
  int64_t window, stride, outputs;    // of the product: moments it sees, from one to the next, numbers it makes of them
  int64_t growth;                     // the numbers are this many moments
  int64_t is_added;                   // to the stage's input
};

struct run {
  const struct stage *stages;
  float *const *memories;          // of each stage: [rows][channels][reach], the inputs before the first
  const int64_t *memory_strides;   // of each stage: floats from row to row
  const float *given;              // [rows][time][channels of the first stage]
  float *made;                     // [rows][moments in the end][outputs of the last stage]
  float *scratch;                  // scratch_floats() of memory, aligned for vectors
  int64_t stage_count, rows, time, threads;
};

// One stage at work. Moments are `time` of each row.
struct work {
  const struct stage *stage;
  int64_t rows, time, reach;
  int64_t moments;    // of each row that are made: time / stride
  const float *x;     // [rows][time][channels], as the stage is given it
  float *past_and_x;  // [rows][reach + time][channels], behind Snake
  float *filtered;    // [rows][time][channels]
  float *made;        // [rows][moments][outputs]
  float *memory;
  int64_t memory_stride;
};

// sin^2 x. The sign of the sine does not matter, so that x may be moved by any multiple of pi; pi is subtracted in three
// parts (Cody and Waite, Software Manual for the Elementary Functions, 1980), and Taylor's series is off by 6e-8 at most.
static inline float squared_sine(float x) {
  const float turns = rintf(x * 0.318309886f);
  const float rest = ((x - turns * 3.140625f) - turns * 9.67502593994140625e-4f) - turns * 1.509957990978376432e-7f;
  const float square = rest * rest;
  float series = -2.5052108385e-8f;
  series = series * square + 2.7557319224e-6f;
  series = series * square - 1.9841269841e-4f;
  series = series * square + 8.3333333333e-3f;
  series = series * square - 1.6666666667e-1f;
  const float sine = rest + rest * square * series;
  return sine * sine;
}

static void bend(const struct snake *snake, const float *restrict x, int64_t channels, float *restrict to) {
  if (!snake->alpha) {
    memcpy(to, x, channels * sizeof(float));
    return;
  }
  for (int64_t channel = 0; channel < channels; channel++)
    to[channel] = x[channel] + squared_sine(snake->alpha[channel] * x[channel]) * snake->inverse[channel];
}

// [rows][channels][reach] in memory, [rows][reach + time][channels] here: first the past, then what is new.
static void lay_behind_past(const struct work *work) {
  const int64_t channels = work->stage->channels, whole = work->reach + work->time;
#pragma omp for collapse(2) schedule(static) nowait
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->reach; at++) {
      const float *past = work->memory + row * work->memory_stride + at;
      float *to = work->past_and_x + (row * whole + at) * channels;
      for (int64_t channel = 0; channel < channels; channel++) to[channel] = past[channel * work->reach];
    }
#pragma omp for collapse(2) schedule(static)
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->time; at++) {
      const float *from = work->x + (row * work->time + at) * channels;
      bend(&work->stage->snake, from, channels, work->past_and_x + (row * whole + work->reach + at) * channels);
    }
}

static void remember(const struct work *work) {
  const int64_t channels = work->stage->channels, whole = work->reach + work->time;
#pragma omp for collapse(2) schedule(static) nowait
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->reach; at++) {
      const float *from = work->past_and_x + (row * whole + work->time + at) * channels;
      float *past = work->memory + row * work->memory_stride + at;
      for (int64_t channel = 0; channel < channels; channel++) past[channel * work->reach] = from[channel];
    }
}

static void filter(const struct work *work) {
  const struct stage *stage = work->stage;
  const int64_t channels = stage->channels, whole = work->reach + work->time;
#pragma omp for collapse(2) schedule(static)
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->time; at++) {
      const float *from = work->past_and_x + (row * whole + at) * channels;
      float *to = work->filtered + (row * work->time + at) * channels, sums[channels] VECTOR;
      memcpy(sums, stage->filter_bias, channels * sizeof(float));
      for (int64_t tap = 0; tap < stage->taps; tap++)
        for (int64_t channel = 0; channel < channels; channel++)
          sums[channel] += stage->filter[tap * channels + channel] * from[tap * stage->dilation * channels + channel];
      bend(&stage->after_filter, sums, channels, to);
    }
}

// Up to FLOAT_ROWS moments of one row with one panel.
static void multiply(const struct work *work, int64_t panel, int64_t row, int64_t start) {
  const struct stage *stage = work->stage;
  const int64_t step = stage->stride * stage->channels, inputs = stage->window * stage->channels;
  const int64_t left = work->moments - start, count = left < FLOAT_ROWS ? left : FLOAT_ROWS;
  const int64_t before = panel * COLUMNS, width = stage->outputs - before < COLUMNS ? stage->outputs - before : COLUMNS;
  const float *from = stage->filter ? work->filtered + row * work->time * stage->channels
                                    : work->past_and_x + row * (work->reach + work->time) * stage->channels;
  columns sums[FLOAT_ROWS];
  multiply_float_blocks[count](stage->panels + panel * inputs, from + start * step, step, inputs, sums);
  for (int64_t moment = 0; moment < count; moment++) {
    float *to = work->made + (row * work->moments + start + moment) * stage->outputs + before;
    for (int64_t column = 0; column < width; column++) {
      const float made = sums[moment][column] + stage->bias[before + column];
      to[column] = stage->is_added ? to[column] + made : made;
    }
  }
}

// A share of the work is GROUP blocks of moments with one panel: the moments stay in the cache for the next panel.
static void product(const struct work *work) {
  enum { GROUP = 32 };
  const int64_t blocks = (work->moments + FLOAT_ROWS - 1) / FLOAT_ROWS, all = work->rows * blocks;
  const int64_t panels = (work->stage->outputs + COLUMNS - 1) / COLUMNS;
#pragma omp for collapse(2) schedule(static)
  for (int64_t group = 0; group < (all + GROUP - 1) / GROUP; group++)
    for (int64_t panel = 0; panel < panels; panel++)
      for (int64_t block = group * GROUP; block < all && block < (group + 1) * GROUP; block++)
        multiply(work, panel, block / blocks, block % blocks * FLOAT_ROWS);
}

static void go_through(const struct work *work) {
  lay_behind_past(work);
  if (work->stage->filter) filter(work);
  remember(work);
  product(work);
}

static int64_t rounded(int64_t floats) { return (floats + COLUMNS - 1) / COLUMNS * COLUMNS; }

// Scratch: two buffers that take turns as what goes in and what comes out, one for the past, one for what was filtered.
struct sizes { int64_t between, past_and_x, filtered; };

static struct sizes sizes_of(const struct run *run) {
  struct sizes sizes = {0};
  int64_t time = run->time;
  for (const struct stage *stage = run->stages; stage < run->stages + run->stage_count; stage++) {
    const int64_t given = run->rows * time * stage->channels;
    time /= stage->stride;
    sizes.between = larger_of(sizes.between, larger_of(given, run->rows * time * stage->outputs));
    sizes.past_and_x = larger_of(sizes.past_and_x, given + run->rows * stage->reach * stage->channels);
    sizes.filtered = larger_of(sizes.filtered, given);
    time *= stage->growth;
  }
  return (struct sizes){rounded(sizes.between), rounded(sizes.past_and_x), rounded(sizes.filtered)};
}

int64_t scratch_floats(const struct run *run) {
  const struct sizes sizes = sizes_of(run);
  return 2 * sizes.between + sizes.past_and_x + sizes.filtered;
}

// Where a stage finds what it is given and puts what it makes.
static struct work work_of(
  const struct run *run, const struct sizes *sizes, int64_t index, const float *x, int64_t time
) {
  const struct stage *stage = run->stages + index;
  float *one = run->scratch, *other = one + sizes->between, *past_and_x = other + sizes->between;
  float *made = index + 1 == run->stage_count ? run->made : stage->is_added ? (float *)x : x == one ? other : one;
  return (struct work){
    .stage = stage, .rows = run->rows, .time = time, .reach = stage->reach, .moments = time / stage->stride, .x = x,
    .past_and_x = past_and_x, .filtered = past_and_x + sizes->past_and_x, .made = made,
    .memory = run->memories[index], .memory_stride = run->memory_strides[index],
  };
}

void run_stages(const struct run *run) {
  const struct sizes sizes = sizes_of(run);
#pragma omp parallel num_threads(run->threads)
  {
    const float *x = run->given;
    int64_t time = run->time;
    for (int64_t index = 0; index < run->stage_count; index++) {
      const struct work work = work_of(run, &sizes, index, x, time);
      go_through(&work);
      x = work.made;
      time = work.moments * work.stage->growth;
    }
  }
}
