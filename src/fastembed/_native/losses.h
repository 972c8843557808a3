/* What a loss does to one row of outputs. Plain C; knows neither arrays nor threads. */
#ifndef FASTEMBED_LOSSES_H
#define FASTEMBED_LOSSES_H

#include <stddef.h>

/* The mean of (output - target) ** 2, and gradient[d] = share * 2 / dim * (output[d] - target[d]). Eight sums, by the
   column's number modulo 8, so that all paths and compilers add in one order. */
#define FE_SQUARED_ERROR(name, Target)                                                                                 \
    static inline float name(const float* output, const Target* target, float share, float* gradient, ptrdiff_t dim) { \
        float sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};                                                                      \
        const float factor = share * (float)(2.0 / (double)dim);                                                       \
        ptrdiff_t d = 0;                                                                                               \
        for (; d + 8 <= dim; d += 8) {                                                                                 \
            for (int lane = 0; lane < 8; ++lane) {                                                                     \
                const float apart = output[d + lane] - (float)target[d + lane];                                        \
                sums[lane] += apart * apart;                                                                           \
                gradient[d + lane] = apart * factor;                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        for (; d < dim; ++d) {                                                                                         \
            const float apart = output[d] - (float)target[d];                                                          \
            sums[d & 7] += apart * apart;                                                                              \
            gradient[d] = apart * factor;                                                                              \
        }                                                                                                              \
        return (((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])))             \
            / (float)dim;                                                                                              \
    }

FE_SQUARED_ERROR(fe_squared_error_float, float)
FE_SQUARED_ERROR(fe_squared_error_double, double)

#endif
