/* Steps and payments of many rows (one row: steps.h, debts.h), and constraints over columns. Plain C; knows neither ids
   nor threads. As in rows.h, every function exists once for each instruction path, and all paths give the same bits. */
#ifndef FASTEMBED_UPDATES_H
#define FASTEMBED_UPDATES_H

#include <stddef.h>
#include <stdint.h>

#include "debts.h"
#include "steps.h"
#include "vectors.h"

/* Asks for a row of the table and of its state, which will be written. */
FE_INLINE void fe_ask_for_row(const fe_step* job, ptrdiff_t row, ptrdiff_t state_floats) {
    const char* p = (const char*)(job->table + row * job->dim);
    const char* s = (const char*)(job->state + row * state_floats);
    ptrdiff_t lines = (job->dim * 4 + 63) / 64;
    lines = lines < 12 ? lines : 12;
    for (ptrdiff_t line = 0; line < lines; ++line)
        FE_PREFETCH_WRITE(p + 64 * line);
    FE_PREFETCH_WRITE(p + job->dim * 4 - 1);
    if (state_floats) {
        lines = (state_floats * 4 + 63) / 64;
        lines = lines < 24 ? lines : 24;
        for (ptrdiff_t line = 0; line < lines; ++line)
            FE_PREFETCH_WRITE(s + 64 * line);
        FE_PREFETCH_WRITE(s + state_floats * 4 - 1);
    }
}

#define FE_ROWS_KNOWN 16

/* Columns times steps of payments between two questions whether to stop. */
#define FE_ASK_COLUMNS (1 << 18)

/* Whether to stop before the next row, after payments of `paid` columns times steps since it asked last. */
FE_INLINE int fe_stops(const fe_step* job, ptrdiff_t* paid) {
    if (*paid < FE_ASK_COLUMNS)
        return 0;
    *paid = 0;
    return job->stopped && job->stopped();
}

/* The step of the rows begin..end of the job's list; rows behind are asked for, FE_ROWS_KNOWN of them at most. */
FE_INLINE void fe_step_rows_inline(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t dim = job->dim;
    const ptrdiff_t state_floats = job->rule == FE_ROWWISE ? 1 : job->states * dim;
    const fe_numbers* n = job->numbers + (job->last ? job->now : 0);
    ptrdiff_t next = 0;         /* in grad_rows */
    ptrdiff_t paid = 0;
    if (job->grad_rows) {
        ptrdiff_t high = job->grad_count;
        while (next < high) {
            const ptrdiff_t middle = next + (high - next) / 2;
            if (job->grad_rows[middle] < begin)
                next = middle + 1;
            else
                high = middle;
        }
    }
    for (ptrdiff_t k = begin; k < end && !fe_stops(job, &paid); ++k) {
        const ptrdiff_t row = job->rows ? job->rows[k] : k;
        const float* g = job->zeros;
        if (!job->grad_rows)
            g = job->grads + k * dim;
        else if (next < job->grad_count && job->grad_rows[next] == row)
            g = job->grads + next++ * dim;
        if (job->rows) {
            if (job->last && k + FE_ROWS_KNOWN < job->count)
                FE_PREFETCH_WRITE(job->last + job->rows[k + FE_ROWS_KNOWN]);
            if (k + 6 < job->count)
                fe_ask_for_row(job, job->rows[k + 6], state_floats);
        }
        if (job->frozen && job->frozen[row])
            continue;
        float* p = job->table + row * dim;
        float* s = job->state + row * state_floats;
        if (job->last) {
            if (job->owes && job->last[row] && job->last[row] < job->now - 1) {
                paid += fe_steps_to_pay(job, job->last[row], job->now - 1) * dim;
                fe_pay_row(job, p, s, job->last[row], job->now - 1);
            }
            job->last[row] = job->now;
        }
        fe_step_row(job, p, s, g, n);
    }
}

/* Pays what rows begin..end of the table owe. */
FE_INLINE void fe_settle_rows_inline(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {
    ptrdiff_t paid = 0;
    for (ptrdiff_t row = begin; row < end && !fe_stops(job, &paid); ++row) {
        const int32_t from = job->last[row];
        if (from == 0 || from >= job->now)
            continue;
        paid += fe_steps_to_pay(job, from, job->now) * job->dim;
        job->last[row] = job->now;
        fe_pay_row(job, job->table + row * job->dim, job->state + row * job->states * job->dim, from, job->now);
    }
}

#if defined(_MSC_VER)
#include <intrin.h>
#define FE_TAKE(place, from, to) (_InterlockedCompareExchange((volatile long*)(place), (to), (from)) == (from))
#else
static inline int fe_take(int32_t* place, int32_t from, int32_t to) {
    return __atomic_compare_exchange_n(place, &from, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
#define FE_TAKE(place, from, to) fe_take((place), (from), (to))
#endif

/* Pays what the listed rows owe. A row that other threads have too is paid by the one that takes it. */
FE_INLINE void fe_settle_listed_inline(const fe_step* job, const ptrdiff_t* rows, ptrdiff_t count) {
    ptrdiff_t paid = 0;
    for (ptrdiff_t k = 0; k < count && !fe_stops(job, &paid); ++k) {
        const ptrdiff_t row = rows[k];
        if (k + 16 < count)
            FE_PREFETCH_WRITE(job->last + rows[k + 16]);
        if (k + 8 < count)
            fe_ask_for_row(job, rows[k + 8], job->states * job->dim);
#if defined(_MSC_VER)
        const int32_t from = *(const volatile int32_t*)(job->last + row);
#else
        const int32_t from = __atomic_load_n(job->last + row, __ATOMIC_RELAXED);
#endif
        if (from == 0 || from >= job->now || !FE_TAKE(job->last + row, from, job->now))
            continue;
        paid += fe_steps_to_pay(job, from, job->now) * job->dim;
        fe_pay_row(job, job->table + row * job->dim, job->state + row * job->states * job->dim, from, job->now);
    }
}

/* ── Constraints over columns ────────────────────────────────────────────────────────────────────────────────────── */

/* squares[d] = sum of table[row][d] ** 2 over the rows begin..end that are not frozen. */
FE_INLINE void fe_column_squares_inline(const float* table, const uint8_t* frozen, ptrdiff_t dim, ptrdiff_t begin,
                                        ptrdiff_t end, double* squares) {
    for (ptrdiff_t d = 0; d < dim; ++d)
        squares[d] = 0;
    for (ptrdiff_t row = begin; row < end; ++row) {
        if (frozen && frozen[row])
            continue;
        const float* p = table + row * dim;
        FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
            squares[d] += (double)(p[d] * p[d]);
    }
}

/* table[row][d] = table[row][d] * factors[d], or over them, for the rows begin..end that are not frozen. */
FE_INLINE void fe_scale_columns_inline(float* table, const uint8_t* frozen, ptrdiff_t dim, ptrdiff_t begin,
                                       ptrdiff_t end, const float* factors, int divide) {
    for (ptrdiff_t row = begin; row < end; ++row) {
        if (frozen && frozen[row])
            continue;
        float* p = table + row * dim;
        if (divide) {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
                p[d] /= factors[d];
        } else {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
                p[d] *= factors[d];
        }
    }
}

/* ── Paths ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

#define FE_UPDATES_PATH(name, target)                                                                                  \
    target static void fe_step_rows_##name(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {                       \
        fe_step_rows_inline(job, begin, end);                                                                          \
    }                                                                                                                  \
    target static void fe_settle_rows_##name(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {                     \
        fe_settle_rows_inline(job, begin, end);                                                                        \
    }                                                                                                                  \
    target static void fe_settle_listed_##name(const fe_step* job, const ptrdiff_t* rows, ptrdiff_t count) {           \
        fe_settle_listed_inline(job, rows, count);                                                                     \
    }                                                                                                                  \
    target static void fe_column_squares_##name(const float* table, const uint8_t* frozen, ptrdiff_t dim,              \
                                                ptrdiff_t begin, ptrdiff_t end, double* squares) {                     \
        fe_column_squares_inline(table, frozen, dim, begin, end, squares);                                             \
    }                                                                                                                  \
    target static void fe_scale_columns_##name(float* table, const uint8_t* frozen, ptrdiff_t dim, ptrdiff_t begin,    \
                                               ptrdiff_t end, const float* factors, int divide) {                      \
        fe_scale_columns_inline(table, frozen, dim, begin, end, factors, divide);                                      \
    }

FE_UPDATES_PATH(baseline, )
#ifdef FE_HAVE_AVX2
FE_UPDATES_PATH(avx2, FE_AVX2)
#endif

/* The functions of one instruction path, in the order of fe_paths. */
typedef struct {
    void (*step_rows)(const fe_step*, ptrdiff_t, ptrdiff_t);
    void (*settle_rows)(const fe_step*, ptrdiff_t, ptrdiff_t);
    void (*settle_listed)(const fe_step*, const ptrdiff_t*, ptrdiff_t);
    void (*column_squares)(const float*, const uint8_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t, double*);
    void (*scale_columns)(float*, const uint8_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float*, int);
} fe_updates_path;

#define FE_UPDATES_OF(name)                                                                                            \
    {fe_step_rows_##name, fe_settle_rows_##name, fe_settle_listed_##name, fe_column_squares_##name,                    \
     fe_scale_columns_##name}

static const fe_updates_path fe_updates_paths[] = {
#ifdef FE_HAVE_AVX2
    FE_UPDATES_OF(avx2),
#endif
    FE_UPDATES_OF(baseline),
};

#endif
