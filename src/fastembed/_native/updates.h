/* What an optimizer's step does to one row of a table, and what a row owes for the steps it was left out of. Plain C;
   knows neither ids nor threads.

   A step without a gradient still moves a row under most optimizers, and decays its state. Both are known in advance
   and are paid when the row is visited next: at once where there is a closed form or a series, else step by step.

   As in rows.h, every function exists once for each instruction path, and all paths give the same bits. */
#ifndef FASTEMBED_UPDATES_H
#define FASTEMBED_UPDATES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

#if defined(__clang__)
#define FE_COLUMNS _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FE_COLUMNS _Pragma("GCC ivdep")
#else
#define FE_COLUMNS
#endif

/* The optimizers. In each comment: the state's rows. */
enum {
    FE_PLAIN = 0,       /* SGD without momentum: none */
    FE_MOMENTUM = 1,    /* velocity */
    FE_RMSPROP = 2,     /* average of squares */
    FE_ADAGRAD = 3,     /* sum of squares */
    FE_ADADELTA = 4,    /* averages of squares, of gradients and of moves */
    FE_ADAM = 5,        /* averages of gradients and of squares */
    FE_AMSGRAD = 6,     /* as FE_ADAM, and the largest average of squares */
    FE_ADAMAX = 7,      /* average of gradients, decaying maximum */
    FE_NADAM = 8,       /* as FE_ADAM */
    FE_ROWWISE = 9      /* one number a row: sum of mean squares */
};

/* The numbers of one step, as optimizers.py makes them. */
typedef struct {
    float rate, b1, c1, b2, c2, epsilon, more, unbias;
} fe_numbers;

#define FE_TERMS 6

enum { FE_NO_NORM = 0, FE_SCALE_NORM = 1, FE_UNIT_NORM = 2 };

/* A step, or the payment of debts, of a table or a part of it. */
typedef struct {
    int rule;
    float* table;               /* (V, dim) IN and OUT */
    float* state;               /* (V, states, dim) IN and OUT; (V,) for FE_ROWWISE */
    ptrdiff_t states;
    ptrdiff_t num_rows;
    ptrdiff_t dim;
    const uint8_t* frozen;      /* (V,) IN: rows left alone; or NULL */
    /* the gradient */
    const ptrdiff_t* rows;      /* (count,) IN, rising; NULL: all rows in order */
    ptrdiff_t count;            /* of rows, or num_rows */
    const ptrdiff_t* grad_rows; /* for all rows: those that `grads` has, rising; NULL: `grads` has all */
    ptrdiff_t grad_count;
    const float* grads;         /* (count, dim) or (grad_count, dim) IN */
    int prepare;                /* whether what follows changes the gradient */
    float l1, l2;               /* l1 * sign(p) + l2 * p is added */
    float scale;                /* then it is multiplied with this */
    float clip;                 /* then cut to [-clip, clip] */
    /* debts */
    int32_t* last;              /* (V,) IN and OUT: clock of a row's last visit, 0: never, its state is zeros; or NULL */
    int32_t now;                /* the clock of this step; of the last one, in payments */
    int owes;                   /* whether state decays or rows move without a gradient */
    const fe_numbers* numbers;  /* (now + 1,) IN: of each step by its clock; without `last`: of this step */
    const double* powers;       /* (now, 3) IN, by steps owed: factors of the state's rows, and of row 0 for the table */
    const double* series;       /* (now + 1, FE_TERMS) IN, by the clock of the last visit; or NULL */
    int32_t series_from;        /* the first such clock from which the series holds; earlier debts are paid by steps */
    ptrdiff_t cutoff;           /* steps after which paying step by step moves a row no more */
    const float* zeros;         /* (dim,) IN */
    /* constraints */
    int non_negative;
    int norm;                   /* of each row: FE_NO_NORM, ... */
    float norm_low, norm_high, norm_rate;
} fe_step;

/* One step of a row's columns begin..end, with its gradient there. */
FE_INLINE void fe_update_row(int rule, float* p, float* s, ptrdiff_t stride, const float* g, ptrdiff_t begin,
                             ptrdiff_t end, const fe_numbers* n) {
    const float rate = n->rate, b1 = n->b1, c1 = n->c1, b2 = n->b2, c2 = n->c2, epsilon = n->epsilon;
    const float more = n->more, unbias = n->unbias;
    float* s1 = s + stride;
    float* s2 = s + 2 * stride;
    switch (rule) {
    case FE_PLAIN:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d)
            p[d] -= rate * g[d];
        break;
    case FE_MOMENTUM:
        if (more != 0) {    /* Nesterov's */
            FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
                const float v = b1 * s[d] - rate * g[d];
                s[d] = v;
                p[d] += b1 * v - rate * g[d];
            }
        } else {
            FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
                const float v = b1 * s[d] - rate * g[d];
                s[d] = v;
                p[d] += v;
            }
        }
        break;
    case FE_RMSPROP:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float a = b1 * s[d] + c1 * (g[d] * g[d]);
            s[d] = a;
            p[d] -= rate * g[d] / (sqrtf(a) + epsilon);
        }
        break;
    case FE_ADAGRAD:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float a = s[d] + g[d] * g[d];
            s[d] = a;
            p[d] -= rate * g[d] / (sqrtf(a) + epsilon);
        }
        break;
    case FE_ADADELTA:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float a = b1 * s[d] + c1 * (g[d] * g[d]);
            const float u = g[d] * sqrtf(s1[d] + epsilon) / sqrtf(a + epsilon);
            s[d] = a;
            s1[d] = b1 * s1[d] + c1 * (u * u);
            p[d] -= rate * u;
        }
        break;
    case FE_ADAM:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float m = b1 * s[d] + c1 * g[d];
            const float v = b2 * s1[d] + c2 * (g[d] * g[d]);
            s[d] = m;
            s1[d] = v;
            p[d] -= rate * m / (sqrtf(v) + epsilon);
        }
        break;
    case FE_AMSGRAD:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float m = b1 * s[d] + c1 * g[d];
            const float v = b2 * s1[d] + c2 * (g[d] * g[d]);
            const float largest = v > s2[d] ? v : s2[d];
            s[d] = m;
            s1[d] = v;
            s2[d] = largest;
            p[d] -= rate * m / (sqrtf(largest) + epsilon);
        }
        break;
    case FE_ADAMAX:
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float m = b1 * s[d] + c1 * g[d];
            const float decayed = b2 * s1[d], size = fabsf(g[d]);
            const float u = size > decayed ? size : decayed;
            s[d] = m;
            s1[d] = u;
            p[d] -= rate * m / (u + epsilon);
        }
        break;
    default:    /* FE_NADAM */
        FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
            const float m = b1 * s[d] + c1 * g[d];
            const float v = b2 * s1[d] + c2 * (g[d] * g[d]);
            s[d] = m;
            s1[d] = v;
            p[d] -= (rate * g[d] + more * m) / (sqrtf(v * unbias) + epsilon);
        }
    }
}

/* What a row owes for the steps after `from` up to and with `to`. */
FE_INLINE void fe_pay_row(const fe_step* job, float* p, float* s, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t dim = job->dim;
    const ptrdiff_t owed = to - from;
    float* s1 = s + dim;
    if (job->series && from >= job->series_from) {
        const double* power = job->powers + 3 * owed;
        const double* sums = job->series + FE_TERMS * from;
        const float f0 = (float)power[0], f1 = (float)power[1], epsilon = job->numbers[to].epsilon;
        const float t0 = (float)sums[0], t1 = (float)sums[1], t2 = (float)sums[2], t3 = (float)sums[3];
        const float t4 = (float)sums[4], t5 = (float)sums[5];
        if (job->rule == FE_AMSGRAD) {
            const float* s2 = s + 2 * dim;
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d) {
                p[d] -= s[d] / (sqrtf(s2[d]) + epsilon) * t0;
                s[d] *= f0;
                s1[d] *= f1;
            }
        } else if (job->rule == FE_ADAMAX) {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d) {
                const float a = s1[d] + epsilon, r = s1[d] / a;
                p[d] -= s[d] / a * (t0 + r * (t1 + r * (t2 + r * (t3 + r * (t4 + r * t5)))));
                s[d] *= f0;
                s1[d] *= f1;
            }
        } else {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d) {
                const float root = sqrtf(s1[d]), a = root + epsilon, r = root / a;
                p[d] -= s[d] / a * (t0 + r * (t1 + r * (t2 + r * (t3 + r * (t4 + r * t5)))));
                s[d] *= f0;
                s1[d] *= f1;
            }
        }
    } else if (job->rule >= FE_ADAM) {      /* not FE_ROWWISE, which owes nothing */
        const ptrdiff_t steps = owed < job->cutoff ? owed : job->cutoff;
        for (ptrdiff_t step = 1; step <= steps; ++step)
            fe_update_row(job->rule, p, s, dim, job->zeros, 0, dim, job->numbers + from + step);
        if (steps < owed) {
            const float f0 = (float)job->powers[3 * (owed - steps)], f1 = (float)job->powers[3 * (owed - steps) + 1];
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d) {
                s[d] *= f0;
                s1[d] *= f1;
            }
        }
    } else {
        const double* power = job->powers + 3 * owed;
        const float f0 = (float)power[0], push = (float)power[2];
        if (job->rule == FE_MOMENTUM) {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d) {
                p[d] += s[d] * push;
                s[d] *= f0;
            }
        } else {
            /* all of the state's rows decay alike */
            for (ptrdiff_t d = 0; d < job->states * dim; ++d)
                s[d] *= f0;
        }
    }
    if (job->non_negative) {
        FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
            p[d] = p[d] < 0 ? 0 : p[d];
    }
}

/* The gradient with its penalty, scaled and clipped. */
FE_INLINE void fe_prepare(const fe_step* job, float* out, const float* p, const float* g, ptrdiff_t begin,
                          ptrdiff_t end) {
    const float l1 = job->l1, l2 = job->l2, scale = job->scale, clip = job->clip;
    FE_COLUMNS for (ptrdiff_t d = begin; d < end; ++d) {
        const float sign = p[d] > 0 ? 1.0f : p[d] < 0 ? -1.0f : p[d];      /* of a NaN: NaN */
        float value = g[d];
        if (l1 != 0)
            value += l1 * sign;
        if (l2 != 0)
            value += l2 * p[d];
        value *= scale;
        value = value > clip ? clip : value;
        out[d - begin] = value < -clip ? -clip : value;
    }
}

#define FE_PART 512

FE_INLINE void fe_step_row(const fe_step* job, float* p, float* s, const float* g, const fe_numbers* n) {
    float part[FE_PART];
    const ptrdiff_t dim = job->dim;
    if (job->rule == FE_ROWWISE) {
        float squares = 0;
        for (ptrdiff_t begin = 0; begin < dim; begin += FE_PART) {
            const ptrdiff_t end = begin + FE_PART < dim ? begin + FE_PART : dim;
            fe_prepare(job, part, p, g, begin, end);
            for (ptrdiff_t d = 0; d < end - begin; ++d)
                squares += part[d] * part[d];
        }
        *s += squares / (float)(dim > 0 ? dim : 1);
        const float rate = n->rate / (sqrtf(*s) + n->epsilon);
        for (ptrdiff_t begin = 0; begin < dim; begin += FE_PART) {
            const ptrdiff_t end = begin + FE_PART < dim ? begin + FE_PART : dim;
            fe_prepare(job, part, p, g, begin, end);
            FE_COLUMNS for (ptrdiff_t d = 0; d < end - begin; ++d)
                p[begin + d] -= rate * part[d];
        }
    } else if (job->prepare) {
        for (ptrdiff_t begin = 0; begin < dim; begin += FE_PART) {
            const ptrdiff_t end = begin + FE_PART < dim ? begin + FE_PART : dim;
            fe_prepare(job, part, p, g, begin, end);
            fe_update_row(job->rule, p + begin, s + begin, dim, part, 0, end - begin, n);
        }
    } else {
        fe_update_row(job->rule, p, s, dim, g, 0, dim, n);
    }
    if (job->non_negative) {
        FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
            p[d] = p[d] < 0 ? 0 : p[d];
    }
    if (job->norm) {
        double sums[4] = {0, 0, 0, 0};
        for (ptrdiff_t d = 0; d < dim; ++d)
            sums[d & 3] += (double)(p[d] * p[d]);
        const float norm = (float)sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
        const float low = norm < job->norm_low ? job->norm_low : norm;
        const float wanted = job->norm_rate * (low > job->norm_high ? job->norm_high : low)
            + (1.0f - job->norm_rate) * norm;
        const float divisor = 1e-7f + norm, factor = wanted / divisor;
        if (job->norm == FE_UNIT_NORM) {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
                p[d] /= divisor;
        } else {
            FE_COLUMNS for (ptrdiff_t d = 0; d < dim; ++d)
                p[d] *= factor;
        }
    }
}

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

/* The step of the rows begin..end of the job's list; rows behind are asked for, FE_ROWS_KNOWN of them at most. */
FE_INLINE void fe_step_rows_inline(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t dim = job->dim;
    const ptrdiff_t state_floats = job->rule == FE_ROWWISE ? 1 : job->states * dim;
    const fe_numbers* n = job->numbers + (job->last ? job->now : 0);
    ptrdiff_t next = 0;         /* in grad_rows */
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
    for (ptrdiff_t k = begin; k < end; ++k) {
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
            if (job->owes && job->last[row] && job->last[row] < job->now - 1)
                fe_pay_row(job, p, s, job->last[row], job->now - 1);
            job->last[row] = job->now;
        }
        fe_step_row(job, p, s, g, n);
    }
}

/* Pays what rows begin..end of the table owe. */
FE_INLINE void fe_settle_rows_inline(const fe_step* job, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t row = begin; row < end; ++row) {
        const int32_t from = job->last[row];
        if (from == 0 || from >= job->now)
            continue;
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
    for (ptrdiff_t k = 0; k < count; ++k) {
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
FE_UPDATES_PATH(avx2, __attribute__((target("avx2,prfchw"))))
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
