// The encoder or the decoder of the audio codec in one call, with activations as [rows][time][channels].
//
// Channels are innermost, so that a dense convolution is a matrix product over consecutive numbers. A chain of stages is
// run; each stage is an optional Snake, an optional depthwise convolution (the filter) with an optional Snake after it,
// and a dense convolution (the product). Everything is float32. Rows are computed independently: the bits of one do not
// depend on another.
//
// One OpenMP team runs all stages. Every function with `omp for` is called by the whole team, divides its loop among the
// threads and ends with a barrier. struct stage and struct run are mirrored in codec.py.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "float_blocks.h"

// x + sin^2(alpha x) / alpha (arXiv:2006.08195), or the identity if alpha is null.
struct snake { const float *alpha, *inverse; };  // [channels] each

struct stage {
  struct snake snake;
  const float *filter, *filter_bias;  // [taps][channels] and [channels], or null
  struct snake after_filter;
  const columns *panels;              // [outputs / COLUMNS, rounded up][kernel * channels]
  const float *bias;                  // [outputs, rounded up to whole panels]
  int64_t channels, left_context;     // of the input; time steps before the input that the first output needs
  int64_t taps, dilation;             // of the filter
  int64_t kernel, stride, outputs;    // of the product; outputs = upsampling * output channels
  int64_t upsampling;                 // output time steps per row of the product
  int64_t is_residual;                // the product is added to the stage's input
};

struct run {
  const struct stage *stages;
  float *const *states;          // of each stage: [rows][channels][left_context], the inputs before this call's
  const int64_t *state_strides;  // of each stage: floats from row to row
  const float *input;            // [rows][time][channels of the first stage]
  float *output;                 // [rows][out_time of the last stage][outputs of the last stage]
  float *scratch;                // scratch_floats() floats, aligned for vectors
  int64_t stage_count, rows, time, threads;
};

// The arguments of one stage's functions.
struct work {
  const struct stage *stage;
  int64_t rows, time, left_context;
  int64_t out_time;  // rows of the product per row of the batch: time / stride
  const float *x;    // [rows][time][channels], the stage's input
  float *extended;   // [rows][left_context + time][channels], after Snake
  float *filtered;   // [rows][time][channels]
  float *output;     // [rows][out_time][outputs]
  float *state;
  int64_t state_stride;
};

// sin^2 x. The sign of the sine does not matter, so x is reduced by any multiple of pi. The multiple is subtracted in three
// parts (Cody and Waite, Software Manual for the Elementary Functions, 1980); Taylor's series is off by at most 6e-8.
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

static void apply_snake(const struct snake *snake, const float *restrict x, int64_t channels, float *restrict to) {
  if (!snake->alpha) {
    memcpy(to, x, channels * sizeof(float));
    return;
  }
  for (int64_t channel = 0; channel < channels; channel++)
    to[channel] = x[channel] + squared_sine(snake->alpha[channel] * x[channel]) * snake->inverse[channel];
}

// Fills `extended` with the state, transposed from [channels][left_context], and the new input after Snake. The state
// was stored after Snake as well.
static void concatenate_context(const struct work *work) {
  const int64_t channels = work->stage->channels, whole = work->left_context + work->time;
#pragma omp for collapse(2) schedule(static) nowait
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->left_context; at++) {
      const float *context = work->state + row * work->state_stride + at;
      float *to = work->extended + (row * whole + at) * channels;
      for (int64_t channel = 0; channel < channels; channel++) to[channel] = context[channel * work->left_context];
    }
#pragma omp for collapse(2) schedule(static)
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->time; at++) {
      const float *from = work->x + (row * work->time + at) * channels;
      apply_snake(&work->stage->snake, from, channels, work->extended + (row * whole + work->left_context + at) * channels);
    }
}

// Keeps the last left_context time steps for the next call.
static void store_context(const struct work *work) {
  const int64_t channels = work->stage->channels, whole = work->left_context + work->time;
#pragma omp for collapse(2) schedule(static) nowait
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->left_context; at++) {
      const float *from = work->extended + (row * whole + work->time + at) * channels;
      float *context = work->state + row * work->state_stride + at;
      for (int64_t channel = 0; channel < channels; channel++) context[channel * work->left_context] = from[channel];
    }
}

// The depthwise convolution: each channel is a dot product of `taps` numbers that are `dilation` time steps apart.
static void filter(const struct work *work) {
  const struct stage *stage = work->stage;
  const int64_t channels = stage->channels, whole = work->left_context + work->time;
#pragma omp for collapse(2) schedule(static)
  for (int64_t row = 0; row < work->rows; row++)
    for (int64_t at = 0; at < work->time; at++) {
      const float *from = work->extended + (row * whole + at) * channels;
      float *to = work->filtered + (row * work->time + at) * channels, sums[channels] VECTOR;
      memcpy(sums, stage->filter_bias, channels * sizeof(float));
      for (int64_t tap = 0; tap < stage->taps; tap++)
        for (int64_t channel = 0; channel < channels; channel++)
          sums[channel] += stage->filter[tap * channels + channel] * from[tap * stage->dilation * channels + channel];
      apply_snake(&stage->after_filter, sums, channels, to);
    }
}

// Up to FLOAT_ROWS time steps of one row with one panel of outputs.
static void multiply(const struct work *work, int64_t panel, int64_t row, int64_t start) {
  const struct stage *stage = work->stage;
  const int64_t step = stage->stride * stage->channels, inputs = stage->kernel * stage->channels;
  const int64_t left = work->out_time - start, count = left < FLOAT_ROWS ? left : FLOAT_ROWS;
  const int64_t before = panel * COLUMNS, width = stage->outputs - before < COLUMNS ? stage->outputs - before : COLUMNS;
  const float *from = stage->filter ? work->filtered + row * work->time * stage->channels
                                    : work->extended + row * (work->left_context + work->time) * stage->channels;
  columns sums[FLOAT_ROWS];
  multiply_float_blocks[count](stage->panels + panel * inputs, from + start * step, step, inputs, sums);
  for (int64_t at = 0; at < count; at++) {
    float *to = work->output + (row * work->out_time + start + at) * stage->outputs + before;
    for (int64_t column = 0; column < width; column++) {
      const float output = sums[at][column] + stage->bias[before + column];
      to[column] = stage->is_residual ? to[column] + output : output;
    }
  }
}

// The dense convolution. A unit of work is GROUP blocks of time steps with one panel: the threads that take the next
// panels find the same time steps in the cache.
static void product(const struct work *work) {
  enum { GROUP = 32 };
  const int64_t blocks = (work->out_time + FLOAT_ROWS - 1) / FLOAT_ROWS, all = work->rows * blocks;
  const int64_t panels = (work->stage->outputs + COLUMNS - 1) / COLUMNS;
#pragma omp for collapse(2) schedule(static)
  for (int64_t group = 0; group < (all + GROUP - 1) / GROUP; group++)
    for (int64_t panel = 0; panel < panels; panel++)
      for (int64_t block = group * GROUP; block < all && block < (group + 1) * GROUP; block++)
        multiply(work, panel, block / blocks, block % blocks * FLOAT_ROWS);
}

static void run_stage(const struct work *work) {
  concatenate_context(work);
  if (work->stage->filter) filter(work);
  store_context(work);
  product(work);
}

static int64_t rounded(int64_t floats) { return (floats + COLUMNS - 1) / COLUMNS * COLUMNS; }

// Scratch: two activation buffers, alternately input and output of a stage, and the buffers `extended` and `filtered`.
struct sizes { int64_t activations, extended, filtered; };

static struct sizes sizes_of(const struct run *run) {
  struct sizes sizes = {0};
  int64_t time = run->time;
  for (const struct stage *stage = run->stages; stage < run->stages + run->stage_count; stage++) {
    const int64_t input = run->rows * time * stage->channels;
    time /= stage->stride;
    sizes.activations = max_int(sizes.activations, max_int(input, run->rows * time * stage->outputs));
    sizes.extended = max_int(sizes.extended, input + run->rows * stage->left_context * stage->channels);
    sizes.filtered = max_int(sizes.filtered, input);
    time *= stage->upsampling;
  }
  return (struct sizes){rounded(sizes.activations), rounded(sizes.extended), rounded(sizes.filtered)};
}

int64_t scratch_floats(const struct run *run) {
  const struct sizes sizes = sizes_of(run);
  return 2 * sizes.activations + sizes.extended + sizes.filtered;
}

// Selects the buffers of a stage. A residual stage adds to its input in place; the last stage writes the run's output.
static struct work work_of(
  const struct run *run, const struct sizes *sizes, int64_t index, const float *x, int64_t time
) {
  const struct stage *stage = run->stages + index;
  float *one = run->scratch, *other = one + sizes->activations, *extended = other + sizes->activations;
  float *output = index + 1 == run->stage_count ? run->output : stage->is_residual ? (float *)x : x == one ? other : one;
  return (struct work){
    .stage = stage, .rows = run->rows, .time = time, .left_context = stage->left_context,
    .out_time = time / stage->stride, .x = x,
    .extended = extended, .filtered = extended + sizes->extended, .output = output,
    .state = run->states[index], .state_stride = run->state_strides[index],
  };
}

void run_stages(const struct run *run) {
  const struct sizes sizes = sizes_of(run);
#pragma omp parallel num_threads(run->threads)
  {
    const float *x = run->input;
    int64_t time = run->time;
    for (int64_t index = 0; index < run->stage_count; index++) {
      const struct work work = work_of(run, &sizes, index, x, time);
      run_stage(&work);
      x = work.output;
      time = work.out_time * work.stage->upsampling;
    }
  }
}
