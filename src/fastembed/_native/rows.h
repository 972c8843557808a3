/* What happens to one row, and to a block of them. Plain C; knows neither ids nor threads.

   Every function here exists once for each instruction path: the same source compiled for the baseline of the
   platform (SSE2 on x86-64, NEON on aarch64) and, on x86-64 with gcc or clang, for AVX2. All paths give the same bits:
   vectors run across columns, never across rows, and no multiplication is fused with an addition. */
#ifndef FASTEMBED_ROWS_H
#define FASTEMBED_ROWS_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__)
#ifdef FASTEMBED_COVERAGE       /* one copy of each function, so that its branches are counted together */
#define FE_INLINE static inline
#else
#define FE_INLINE static inline __attribute__((always_inline))
#endif
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
#define FE_AVX2 __attribute__((target("avx2,prfchw")))
#include <immintrin.h>
#endif

/* How far ahead of the store the destination's lines are asked for, in bytes. */
#define FE_WRITE_AHEAD 2048

/* ── Copying ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

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
   before their turn, `lines` cache lines of each; none are when lines is 0. `wide` and `with_zeros` are constants where
   this is inlined. */
FE_INLINE void fe_copy_rows_inline(
    float* out,             /* (count, dim) OUT */
    const float* table,     /* (V, dim) IN */
    const ptrdiff_t* rows,  /* (count,) IN, each in [-1, V) */
    ptrdiff_t count,
    ptrdiff_t dim,
    ptrdiff_t ahead,
    ptrdiff_t lines,
    int wide,
    int with_zeros
) {
    ptrdiff_t k = 0;
    if (lines) {
        for (; k + ahead < count; ++k) {
            if (!with_zeros || rows[k + ahead] >= 0) {
                const char* next = (const char*)(table + rows[k + ahead] * dim);
                for (ptrdiff_t line = 0; line < lines; ++line)
                    FE_PREFETCH_READ(next + line * 64);
                FE_PREFETCH_READ(next + dim * 4 - 1);   /* NumPy's tables sit 16 bytes past a line: one line more */
            }
            if (with_zeros && rows[k] < 0)
                memset(out + k * dim, 0, (size_t)dim * sizeof(float));
            else if (wide)
                fe_copy_wide_row(out + k * dim, table + rows[k] * dim, dim);
            else
                fe_copy_row(out + k * dim, table + rows[k] * dim, dim);
        }
    }
    for (; k < count; ++k) {
        if (with_zeros && rows[k] < 0)
            memset(out + k * dim, 0, (size_t)dim * sizeof(float));
        else if (wide)
            fe_copy_wide_row(out + k * dim, table + rows[k] * dim, dim);
        else
            fe_copy_row(out + k * dim, table + rows[k] * dim, dim);
    }
}

/* The widths of narrow tables as constants, so that a row is one or two moves. */
FE_INLINE void fe_copy_rows_by_width(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,
                                     ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines, int with_zeros) {
#define FE_WIDTH(width) \
    case width: fe_copy_rows_inline(out, table, rows, count, width, ahead, lines, width >= 64, 0); break;
    if (with_zeros) {
        fe_copy_rows_inline(out, table, rows, count, dim, ahead, lines, 0, 1);
        return;
    }
    switch (dim) {
    case 0: break;
    FE_WIDTH(1)
    FE_WIDTH(2)
    FE_WIDTH(3)
    FE_WIDTH(4)
    FE_WIDTH(8)
    FE_WIDTH(16)
    FE_WIDTH(32)
    FE_WIDTH(64)
    default:
        if (dim >= 64)
            fe_copy_rows_inline(out, table, rows, count, dim, ahead, lines, 1, 0);
        else
            fe_copy_rows_inline(out, table, rows, count, dim, ahead, lines, 0, 0);
    }
#undef FE_WIDTH
}

#ifdef FE_HAVE_AVX2
FE_AVX2 static inline void fe_stream_one(float* out, const float* value) {
    int bits;
    memcpy(&bits, value, sizeof bits);
    _mm_stream_si32((int*)out, bits);
}

/* Where the rows of an output begin: anywhere, or each of them on a vector of 32 bytes, or in the middle of one, as in
   NumPy's large arrays. */
enum { FE_ANYWHERE, FE_ON_VECTOR, FE_MID_VECTOR };

/* As fe_copy_row, past the caches: no line of `out` is read before it is written, or kept. */
FE_AVX2 FE_INLINE void fe_stream_row(float* out, const float* row, ptrdiff_t dim, int begins) {
    ptrdiff_t d = 0;
    if (begins == FE_ANYWHERE)
        for (; d < dim && (size_t)(out + d) % 16; ++d)
            fe_stream_one(out + d, row + d);
    if (begins == FE_MID_VECTOR || (begins == FE_ANYWHERE && d + 4 <= dim && (size_t)(out + d) % 32)) {
        _mm_stream_ps(out + d, _mm_loadu_ps(row + d));
        d += 4;
    }
    for (; d + 8 <= dim; d += 8)
        _mm256_stream_ps(out + d, _mm256_loadu_ps(row + d));
    if (begins == FE_MID_VECTOR || (begins == FE_ANYWHERE && d + 4 <= dim)) {
        _mm_stream_ps(out + d, _mm_loadu_ps(row + d));
        d += 4;
    }
    if (begins == FE_ANYWHERE)
        for (; d < dim; ++d)
            fe_stream_one(out + d, row + d);
}

/* As fe_copy_rows_inline, past the caches, but for rows of zeros. */
FE_AVX2 FE_INLINE void fe_stream_rows_inline(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,
                                             ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines, int begins) {
    for (ptrdiff_t k = 0; k < count; ++k) {
        if (lines && k + ahead < count && rows[k + ahead] >= 0) {
            const char* next = (const char*)(table + rows[k + ahead] * dim);
            for (ptrdiff_t line = 0; line < lines; ++line)
                FE_PREFETCH_READ(next + line * 64);
            FE_PREFETCH_READ(next + dim * 4 - 1);
        }
        if (rows[k] < 0)
            memset(out + k * dim, 0, (size_t)dim * sizeof(float));
        else
            fe_stream_row(out + k * dim, table + rows[k] * dim, dim, begins);
    }
}

/* The same for any width; not there for other threads before fe_finish_stores. */
FE_AVX2 static void fe_stream_rows_avx2(float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count,
                                        ptrdiff_t dim, ptrdiff_t ahead, ptrdiff_t lines, int with_zeros) {
    const int even = dim && dim % 8 == 0 && (size_t)out % 16 == 0;
    const int begins = !even ? FE_ANYWHERE : (size_t)out % 32 ? FE_MID_VECTOR : FE_ON_VECTOR;
    (void)with_zeros;
    if (begins == FE_ANYWHERE)
        fe_stream_rows_inline(out, table, rows, count, dim, ahead, lines, FE_ANYWHERE);
    else if (dim == 64 && begins == FE_ON_VECTOR)
        fe_stream_rows_inline(out, table, rows, count, 64, ahead, lines, FE_ON_VECTOR);
    else if (dim == 64)
        fe_stream_rows_inline(out, table, rows, count, 64, ahead, lines, FE_MID_VECTOR);
    else if (begins == FE_ON_VECTOR)
        fe_stream_rows_inline(out, table, rows, count, dim, ahead, lines, FE_ON_VECTOR);
    else
        fe_stream_rows_inline(out, table, rows, count, dim, ahead, lines, FE_MID_VECTOR);
}
#endif

/* ── Pooling ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

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
        if (k + ahead < known) {
            const char* next = (const char*)rows[k + ahead];
            for (ptrdiff_t line = 0; line < lines; ++line)
                FE_PREFETCH_READ(next + line * 64);
        }
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
        if (k + ahead < known) {
            const char* next = (const char*)rows[k + ahead];
            for (ptrdiff_t line = 0; line < lines; ++line)
                FE_PREFETCH_READ(next + line * 64);
        }
        for (ptrdiff_t d = 0; d < dim; d += 8)
            _mm256_stream_ps(out + k * dim + d, _mm256_add_ps(_mm256_loadu_ps(rows[k] + d), zeros));
    }
}
#endif

/* What this thread wrote past the caches is there for other threads. */
static inline void fe_finish_stores(void) {
#ifdef FE_HAVE_AVX2
    _mm_sfence();
#endif
}

/* ── Paths ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

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
