/* What a row owes for the steps it was left out of. Plain C; knows neither ids nor threads.

   A step without a gradient still moves a row under most optimizers, and decays its state. Both are known in advance
   and are paid when the row is visited next: at once where there is a closed form or a series, else step by step. */
#ifndef FASTEMBED_DEBTS_H
#define FASTEMBED_DEBTS_H

#include <math.h>
#include <stddef.h>

#include "steps.h"

/* The steps that fe_pay_row takes one by one; 1 where it pays at once. */
FE_INLINE ptrdiff_t fe_steps_to_pay(const fe_step* job, ptrdiff_t from, ptrdiff_t to) {
    if (job->rule < FE_ADAM || (job->series && from >= job->series_from))
        return 1;
    return to - from < job->cutoff ? to - from : job->cutoff;
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
        const ptrdiff_t steps = fe_steps_to_pay(job, from, to);
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

#endif
