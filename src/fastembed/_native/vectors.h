/* What compilers and processors offer the functions of one row: inlining, asking for memory early, vectors of eight. */
#ifndef FASTEMBED_VECTORS_H
#define FASTEMBED_VECTORS_H

#include <stddef.h>

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

/* Asks for `lines` cache lines from `place` on, to read them soon. */
FE_INLINE void fe_ask_for(const void* place, ptrdiff_t lines) {
    for (ptrdiff_t line = 0; line < lines; ++line)
        FE_PREFETCH_READ((const char*)place + line * 64);
}

/* What this thread wrote past the caches is there for other threads. */
static inline void fe_finish_stores(void) {
#ifdef FE_HAVE_AVX2
    _mm_sfence();
#endif
}

#endif
