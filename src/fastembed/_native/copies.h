/* One row to another place, and rows of a table to an output, through the caches and past them. Plain C; knows neither
   ids nor threads. */
#ifndef FASTEMBED_COPIES_H
#define FASTEMBED_COPIES_H

#include <stddef.h>
#include <string.h>

#include "vectors.h"

/* Asks for a row. NumPy's tables sit 16 bytes past a line, so that its end can lie on one line more. */
FE_INLINE void fe_ask_for_source(const float* row, ptrdiff_t dim, ptrdiff_t lines) {
    fe_ask_for(row, lines);
    FE_PREFETCH_READ((const char*)row + dim * 4 - 1);
}

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
            if (!with_zeros || rows[k + ahead] >= 0)
                fe_ask_for_source(table + rows[k + ahead] * dim, dim, lines);
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
        if (lines && k + ahead < count && rows[k + ahead] >= 0)
            fe_ask_for_source(table + rows[k + ahead] * dim, dim, lines);
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

#endif
