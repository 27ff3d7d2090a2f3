// What all products share: a matrix lies in panels of COLUMNS outputs, each read from end to end.
#pragma once

enum { COLUMNS = 16 };

#define VECTOR __attribute__((aligned(64)))
#define UNROLLED _Pragma("GCC unroll 20")
