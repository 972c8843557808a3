/* One row into another: sums, weighted sums and maxima of rows, and the way back. Plain C; knows neither ids nor
   threads. */
#ifndef FASTEMBED_SUMS_H
#define FASTEMBED_SUMS_H

#include <stddef.h>

#include "vectors.h"

enum { FE_SUM = 0, FE_WEIGHTED_SUM = 1, FE_MAX = 2 };

/* acc as NumPy's maximum has it: a NaN wins and stays; of equals the first stays. */
FE_INLINE float fe_maximum(float acc, float value) {
    return value > acc || (value != value && acc == acc) ? value : acc;
}

/* acc[d] = acc[d] (+ or maximum) rows[k][d], k in order, for begin <= d < end. */
FE_INLINE void fe_reduce_columns_plain(
    float* acc,                 /* (dim,) IN and OUT */
    const float* const* rows,   /* (count,) pointers to (dim,) IN */
    const float* weights,       /* (count,) IN; FE_WEIGHTED_SUM only */
    ptrdiff_t count,
    ptrdiff_t begin,
    ptrdiff_t end,
    int kind
) {
    for (ptrdiff_t k = 0; k < count; ++k)
        for (ptrdiff_t d = begin; d < end; ++d)
            acc[d] = kind == FE_SUM ? acc[d] + rows[k][d]
                : kind == FE_MAX ? fe_maximum(acc[d], rows[k][d])
                : acc[d] + weights[k] * rows[k][d];
}

/* Rows are asked for so many before their turn. */
enum { FE_ROWS_AHEAD = 8 };

#if defined(__GNUC__)
typedef int fe_bits __attribute__((vector_size(32), aligned(4), may_alias));

/* sum = sum (+ or maximum) eight columns of a row. */
FE_INLINE void fe_fold(fe_vector* sum, const float* row, const float* weight, int kind) {
    const fe_vector value = *(const fe_vector*)row;
    if (kind == FE_SUM) {
        *sum += value;
    } else if (kind == FE_WEIGHTED_SUM) {
        *sum += value * *weight;
    } else {
        const fe_bits better = (value > *sum) | ((value != value) & (*sum == *sum));
        *sum = (fe_vector)(((fe_bits)value & better) | ((fe_bits)*sum & ~better));
    }
}

/* As fe_reduce_columns_plain for 8 * vectors columns from `begin`, with the sums in registers over all rows. `vectors`
   is a constant where this is inlined. The rows up to `known` >= count are asked for before their turn. */
FE_INLINE void fe_reduce_vectors(float* acc, const float* const* rows, const float* weights, ptrdiff_t count,
                                 ptrdiff_t begin, int vectors, int kind, ptrdiff_t known) {
    fe_vector sums[8];
    for (int v = 0; v < vectors; ++v)
        sums[v] = *(const fe_vector*)(acc + begin + 8 * v);
    for (ptrdiff_t k = 0; k < count; ++k) {
        if (k + FE_ROWS_AHEAD < known) {
            const float* next = rows[k + FE_ROWS_AHEAD] + begin;
            for (int v = 0; v < vectors; v += 2)
                FE_PREFETCH_READ(next + 8 * v);
            FE_PREFETCH_READ(next + 8 * vectors - 1);
        }
        for (int v = 0; v < vectors; ++v)
            fe_fold(&sums[v], rows[k] + begin + 8 * v, weights + k, kind);
    }
    for (int v = 0; v < vectors; ++v)
        *(fe_vector*)(acc + begin + 8 * v) = sums[v];
}

/* As fe_reduce_columns_plain for `count` rows, a constant where this is inlined: along the columns, all rows at a time,
   asking for the same columns of the rows `next`. */
FE_INLINE void fe_reduce_group(float* acc, const float* const* rows, const float* weights, int count, ptrdiff_t begin,
                               ptrdiff_t end, int kind, const float* const* next) {
    ptrdiff_t d = begin;
    for (; d + 32 <= end; d += 32) {
        fe_vector sums[4];
        for (int v = 0; v < 4; ++v)
            sums[v] = *(const fe_vector*)(acc + d + 8 * v);
        for (int k = 0; k < count; ++k) {
            FE_PREFETCH_READ(next[k] + d);
            FE_PREFETCH_READ(next[k] + d + 16);
            for (int v = 0; v < 4; ++v)
                fe_fold(&sums[v], rows[k] + d + 8 * v, weights + k, kind);
        }
        for (int v = 0; v < 4; ++v)
            *(fe_vector*)(acc + d + 8 * v) = sums[v];
    }
    for (int k = 0; k < count; ++k)
        FE_PREFETCH_READ(next[k] + end - 1);
    for (; d + 8 <= end; d += 8) {
        fe_vector sum = *(const fe_vector*)(acc + d);
        for (int k = 0; k < count; ++k)
            fe_fold(&sum, rows[k] + d, weights + k, kind);
        *(fe_vector*)(acc + d) = sum;
    }
    fe_reduce_columns_plain(acc, rows, weights, count, d, end, kind);
}

/* Rows of more columns than fit into registers, `group` at a time: each row is then read in one go, as the processor's
   own prefetcher has it: 1.6 to 1.8 times as fast as passes over blocks of columns on rows of 3 and 4 KB, a tenth
   faster on 1,200 bytes (python -m benchmarks --only W5 W3), 5 % slower on rows that fit into registers. Returns how
   many rows were done: those that make whole groups. */
FE_INLINE ptrdiff_t fe_reduce_groups(float* acc, const float* const* rows, const float* weights, ptrdiff_t count,
                                     ptrdiff_t begin, ptrdiff_t end, int kind, ptrdiff_t known, int group) {
    ptrdiff_t k = 0;
    for (; k + group <= count; k += group) {
        const float* next[FE_ROWS_AHEAD];   /* where none is known, one that is here already */
        for (int i = 0; i < group; ++i)
            next[i] = rows[k + FE_ROWS_AHEAD + i < known ? k + FE_ROWS_AHEAD + i : k + i];
        fe_reduce_group(acc, rows + k, weights + k, group, begin, end, kind, next);
    }
    return k;
}
#endif

FE_INLINE void fe_reduce_kind(float* acc, const float* const* rows, const float* weights, ptrdiff_t count,
                              ptrdiff_t begin, ptrdiff_t end, int kind, ptrdiff_t known) {
    ptrdiff_t d = begin;
#if defined(__GNUC__)
    if (end - begin > 64) {
        ptrdiff_t k = fe_reduce_groups(acc, rows, weights, count, begin, end, kind, known, 8);
        k += fe_reduce_groups(acc, rows + k, weights + k, count - k, begin, end, kind, known - k, 4);
        fe_reduce_groups(acc, rows + k, weights + k, count - k, begin, end, kind, known - k, 1);
        return;
    }
    for (; d + 64 <= end; d += 64)
        fe_reduce_vectors(acc, rows, weights, count, d, 8, kind, known);
    for (; d + 32 <= end; d += 32)
        fe_reduce_vectors(acc, rows, weights, count, d, 4, kind, known);
    for (; d + 8 <= end; d += 8)
        fe_reduce_vectors(acc, rows, weights, count, d, 1, kind, known);
#endif
    fe_reduce_columns_plain(acc, rows, weights, count, d, end, kind);
}

/* acc[d] = acc[d] (+ or maximum) rows[k][d] for begin <= d < end: the same bits for every path, since each column is
   one sum in the order of the rows. */
FE_INLINE void fe_reduce_rows_inline(float* acc, const float* const* rows, const float* weights, ptrdiff_t count,
                                     ptrdiff_t begin, ptrdiff_t end, int kind, ptrdiff_t known) {
    if (kind == FE_SUM)
        fe_reduce_kind(acc, rows, weights, count, begin, end, FE_SUM, known);
    else if (kind == FE_WEIGHTED_SUM)
        fe_reduce_kind(acc, rows, weights, count, begin, end, FE_WEIGHTED_SUM, known);
    else
        fe_reduce_kind(acc, rows, weights, count, begin, end, FE_MAX, known);
}

/* out[k] = 0 + rows[k], for k < count: what a sum of one row alone is, its negative zeros made positive. Rows up to
   `known` >= count are prefetched `ahead` rows before their turn. */
FE_INLINE void fe_add_to_zeros_inline(float* out, const float* const* rows, ptrdiff_t count, ptrdiff_t dim,
                                      ptrdiff_t known, ptrdiff_t ahead, ptrdiff_t lines) {
    for (ptrdiff_t k = 0; k < count; ++k) {
        if (k + ahead < known)
            fe_ask_for(rows[k + ahead], lines);
        const float* row = rows[k];
        float* place = out + k * dim;
        ptrdiff_t d = 0;
#if defined(__GNUC__)
        for (; d + 16 <= dim; d += 16) {
            FE_PREFETCH_WRITE((const char*)(place + d) + FE_WRITE_AHEAD);
            *(fe_vector*)(place + d) = *(const fe_vector*)(row + d) + 0.0f;
            *(fe_vector*)(place + d + 8) = *(const fe_vector*)(row + d + 8) + 0.0f;
        }
#endif
        for (; d < dim; ++d)
            place[d] = row[d] + 0.0f;
    }
}

/* acc[d] = maximum(acc[d], row[d]) and which[d] = position where row[d] won. */
static inline void fe_maximum_with_position(float* acc, ptrdiff_t* which, const float* row, ptrdiff_t position,
                                            ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t d = begin; d < end; ++d) {
        if (row[d] > acc[d] || (row[d] != row[d] && acc[d] == acc[d])) {
            acc[d] = row[d];
            which[d] = position;
        }
    }
}

/* acc[d] += grad[d] where which[d] == position: the way back of fe_maximum_with_position. */
static inline void fe_add_where_chosen(float* acc, const float* grad, const ptrdiff_t* which, ptrdiff_t position,
                                       ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t d = begin; d < end; ++d)
        if (which[d] == position)
            acc[d] += grad[d];
}

static inline void fe_divide_row(float* row, float divisor, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t d = begin; d < end; ++d)
        row[d] /= divisor;
}

#ifdef FE_HAVE_AVX2
/* As fe_add_to_zeros_inline, past the caches where rows are whole vectors; not there for others before
   fe_finish_stores. */
FE_AVX2 static void fe_stream_to_zeros_avx2(float* out, const float* const* rows, ptrdiff_t count, ptrdiff_t dim,
                                            ptrdiff_t known, ptrdiff_t ahead, ptrdiff_t lines) {
    const __m256 zeros = _mm256_setzero_ps();
    if (dim % 8 || (size_t)out % 32) {
        fe_add_to_zeros_inline(out, rows, count, dim, known, ahead, lines);
        return;
    }
    for (ptrdiff_t k = 0; k < count; ++k) {
        if (k + ahead < known)
            fe_ask_for(rows[k + ahead], lines);
        for (ptrdiff_t d = 0; d < dim; d += 8)
            _mm256_stream_ps(out + k * dim + d, _mm256_add_ps(_mm256_loadu_ps(rows[k] + d), zeros));
    }
}
#endif

#endif
