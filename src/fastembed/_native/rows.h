/* What happens to one row, and to a block of them. Plain C; knows neither ids nor threads.

   Every function here exists once for each instruction path: the same source compiled for the baseline of the
   platform (SSE2 on x86-64, NEON on aarch64) and, on x86-64 with gcc or clang, for AVX2. They copy, so all paths give
   the same bits. */
#ifndef FASTEMBED_ROWS_H
#define FASTEMBED_ROWS_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__)
#define FE_INLINE static inline __attribute__((always_inline))
#define FE_PREFETCH_READ(place) __builtin_prefetch((place), 0, 3)
#define FE_PREFETCH_WRITE(place) __builtin_prefetch((place), 1, 3)
typedef float fe_vector __attribute__((vector_size(32), aligned(4), may_alias));
#define FE_COPY8(out, row) (*(fe_vector*)(out) = *(const fe_vector*)(row))
#else
#define FE_INLINE static inline
#define FE_PREFETCH_READ(place) ((void)(place))
#define FE_PREFETCH_WRITE(place) ((void)(place))
#define FE_COPY8(out, row) memcpy((out), (row), 32)
#endif

#if defined(__GNUC__) && defined(__x86_64__) && !defined(FASTEMBED_BASELINE)
#define FE_HAVE_AVX2 1
#endif

/* How far ahead of the store the destination's lines are asked for, in bytes. */
#define FE_WRITE_AHEAD 2048

/* out[0:dim] = row[0:dim]; the last store overlaps the one before it, never the next row. */
FE_INLINE void fe_copy_row(
    float* out,         /* (dim,) OUT */
    const float* row,   /* (dim,) IN */
    ptrdiff_t dim
) {
    ptrdiff_t d = 0;
    if (dim >= 8) {
        for (; d + 8 <= dim; d += 8)
            FE_COPY8(out + d, row + d);
        if (d < dim)
            FE_COPY8(out + dim - 8, row + dim - 8);
    } else if (dim >= 4) {
        memcpy(out, row, 16);
        memcpy(out + dim - 4, row + dim - 4, 16);
    } else {
        for (; d < dim; ++d)
            out[d] = row[d];
    }
}

/* As fe_copy_row, asking for the destination's lines before they are stored to. */
FE_INLINE void fe_copy_wide_row(float* out, const float* row, ptrdiff_t dim) {
    ptrdiff_t d = 0;
    for (; d + 16 <= dim; d += 16) {
        FE_PREFETCH_WRITE((const char*)(out + d) + FE_WRITE_AHEAD);
        FE_COPY8(out + d, row + d);
        FE_COPY8(out + d + 8, row + d + 8);
    }
    fe_copy_row(out + d, row + d, dim - d);
}

/* out[k] = table[rows[k]], or zeros where rows[k] is negative, for k < count. The rows are prefetched `ahead` rows
   before their turn, `lines` cache lines of each. */
FE_INLINE void fe_copy_rows_inline(
    float* out,             /* (count, dim) OUT */
    const float* table,     /* (V, dim) IN */
    const ptrdiff_t* rows,  /* (count,) IN, each in [-1, V) */
    ptrdiff_t count,
    ptrdiff_t dim,
    ptrdiff_t ahead,
    ptrdiff_t lines,
    int wide
) {
    for (ptrdiff_t k = 0; k < count; ++k) {
        if (lines && k + ahead < count && rows[k + ahead] >= 0) {
            const char* next = (const char*)(table + rows[k + ahead] * dim);
            for (ptrdiff_t line = 0; line < lines; ++line)
                FE_PREFETCH_READ(next + line * 64);
            FE_PREFETCH_READ(next + dim * 4 - 1);   /* NumPy's tables sit 16 bytes past a line: one line more */
        }
        if (rows[k] < 0)
            memset(out + k * dim, 0, (size_t)dim * sizeof(float));
        else if (wide)
            fe_copy_wide_row(out + k * dim, table + rows[k] * dim, dim);
        else
            fe_copy_row(out + k * dim, table + rows[k] * dim, dim);
    }
}

/* The widths of narrow tables as constants, so that a row is one or two moves. */
FE_INLINE void fe_copy_rows_by_width(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,
                                     ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines) {
    switch (dim) {
    case 0: break;
    case 1: fe_copy_rows_inline(out, table, rows, count, 1, ahead, lines, 0); break;
    case 2: fe_copy_rows_inline(out, table, rows, count, 2, ahead, lines, 0); break;
    case 3: fe_copy_rows_inline(out, table, rows, count, 3, ahead, lines, 0); break;
    case 4: fe_copy_rows_inline(out, table, rows, count, 4, ahead, lines, 0); break;
    case 8: fe_copy_rows_inline(out, table, rows, count, 8, ahead, lines, 0); break;
    case 16: fe_copy_rows_inline(out, table, rows, count, 16, ahead, lines, 0); break;
    case 32: fe_copy_rows_inline(out, table, rows, count, 32, ahead, lines, 0); break;
    case 64: fe_copy_rows_inline(out, table, rows, count, 64, ahead, lines, 1); break;
    default: fe_copy_rows_inline(out, table, rows, count, dim, ahead, lines, dim >= 64); break;
    }
}

static void fe_copy_rows_baseline(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,
                                  ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines) {
    fe_copy_rows_by_width(out, table, rows, count, dim, ahead, lines);
}

#ifdef FE_HAVE_AVX2
__attribute__((target("avx2,prfchw"))) static void fe_copy_rows_avx2(
    float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count, ptrdiff_t dim, ptrdiff_t ahead,
    ptrdiff_t lines) {
    fe_copy_rows_by_width(out, table, rows, count, dim, ahead, lines);
}
#endif

typedef void (*fe_copy_rows_function)(float*, const float*, const ptrdiff_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                                      ptrdiff_t);

/* The functions of one instruction path. */
typedef struct {
    const char* name;
    fe_copy_rows_function copy_rows;
} fe_path;

static const fe_path fe_paths[] = {
#ifdef FE_HAVE_AVX2
    {"avx2", fe_copy_rows_avx2},
#endif
    {"baseline", fe_copy_rows_baseline},
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

#endif
