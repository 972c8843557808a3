/* What happens to one row, and to a block of them: copies.h, sums.h, and here a copy of each for every instruction path.

   The same source is compiled for the baseline of the platform (SSE2 on x86-64, NEON on aarch64) and, on x86-64 with
   gcc or clang, for AVX2. All paths give the same bits: vectors run across columns, never across rows, and no
   multiplication is fused with an addition. */
#ifndef FASTEMBED_ROWS_H
#define FASTEMBED_ROWS_H

#include <stddef.h>
#include <string.h>

#include "copies.h"
#include "sums.h"
#include "vectors.h"

#define FE_PATH(name, target)                                                                                          \
    target static void fe_copy_rows_##name(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,     \
                                           ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines, int with_zeros) {          \
        fe_copy_rows_by_width(out, table, rows, count, dim, ahead, lines, with_zeros);                                 \
    }                                                                                                                  \
    target static void fe_reduce_rows_##name(float* acc, const float* const* rows, const float* weights,               \
                                             ptrdiff_t count, ptrdiff_t begin, ptrdiff_t end, int kind,                \
                                             ptrdiff_t known) {                                                        \
        fe_reduce_rows_inline(acc, rows, weights, count, begin, end, kind, known);                                     \
    }                                                                                                                  \
    target static void fe_add_to_zeros_##name(float* out, const float* const* rows, ptrdiff_t count, ptrdiff_t dim,    \
                                              ptrdiff_t known, ptrdiff_t ahead, ptrdiff_t lines) {                     \
        fe_add_to_zeros_inline(out, rows, count, dim, known, ahead, lines);                                            \
    }

FE_PATH(baseline, )
#ifdef FE_HAVE_AVX2
FE_PATH(avx2, FE_AVX2)
#endif

typedef void (*fe_copy_rows_function)(float*, const float*, const ptrdiff_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                                      ptrdiff_t, int);
typedef void (*fe_reduce_rows_function)(float*, const float* const*, const float*, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                                        int, ptrdiff_t);
typedef void (*fe_add_to_zeros_function)(float*, const float* const*, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                                         ptrdiff_t);

/* The functions of one instruction path. */
typedef struct {
    const char* name;
    fe_copy_rows_function copy_rows;
    fe_copy_rows_function stream_rows;      /* NULL where there are no such stores */
    fe_reduce_rows_function reduce_rows;
    fe_add_to_zeros_function add_to_zeros;
    fe_add_to_zeros_function stream_to_zeros;   /* NULL where there are no such stores */
} fe_path;

static const fe_path fe_paths[] = {
#ifdef FE_HAVE_AVX2
    {"avx2", fe_copy_rows_avx2, fe_stream_rows_avx2, fe_reduce_rows_avx2, fe_add_to_zeros_avx2, fe_stream_to_zeros_avx2},
#endif
    {"baseline", fe_copy_rows_baseline, NULL, fe_reduce_rows_baseline, fe_add_to_zeros_baseline, NULL},
};
#define FE_PATH_COUNT ((int)(sizeof fe_paths / sizeof fe_paths[0]))

/* Whether this CPU has what fe_paths[k] needs. */
static inline int fe_path_runs_here(int k) {
#ifdef FE_HAVE_AVX2
    if (strcmp(fe_paths[k].name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") != 0;
#endif
    (void)k;
    return 1;
}

/* Whether stores past the caches make large outputs faster on this CPU. AMD's Zen 3: 1.2 to 1.8 times, which is what
   reading each line of the output before it is written costs there; AMD's others were not measured. Intel's Cascade Lake
   and Sapphire Rapids: no. */
static inline int fe_streaming_pays(void) {
#ifdef FE_HAVE_AVX2
    return __builtin_cpu_is("amd") != 0;
#else
    return 0;
#endif
}

#endif
