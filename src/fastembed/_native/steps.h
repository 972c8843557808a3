/* What an optimizer's step does to one row of a table. Plain C; knows neither ids nor threads. */
#ifndef FASTEMBED_STEPS_H
#define FASTEMBED_STEPS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "vectors.h"

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
    int (*stopped)(void);       /* whether to leave the rows that are left as they are; or NULL */
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

#endif
