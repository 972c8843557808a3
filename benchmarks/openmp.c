/* A gather on OpenMP's threads, to compare threads with: the same loop over rows, prefetched, and the same check. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static int row(const char* table, ptrdiff_t rows, ptrdiff_t row_bytes, const int64_t* ids, ptrdiff_t count,
               ptrdiff_t k, char* out) {
    if (k + 8 < count && ids[k + 8] >= 0 && ids[k + 8] < rows)
        for (ptrdiff_t byte = 0; byte < row_bytes; byte += 64)
            __builtin_prefetch(table + ids[k + 8] * row_bytes + byte);
    if (ids[k] < 0 || ids[k] >= rows)
        return 1;
    memcpy(out + k * row_bytes, table + ids[k] * row_bytes, (size_t)row_bytes);
    return 0;
}

int gather_static(const char* table, ptrdiff_t rows, ptrdiff_t row_bytes, const int64_t* ids, ptrdiff_t count,
                  char* out, int threads) {
    int bad = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(|:bad)
    for (ptrdiff_t k = 0; k < count; ++k)
        bad |= row(table, rows, row_bytes, ids, count, k, out);
    return bad;
}

int gather_dynamic(const char* table, ptrdiff_t rows, ptrdiff_t row_bytes, const int64_t* ids, ptrdiff_t count,
                   char* out, int threads) {
    const ptrdiff_t chunk = 65536 / row_bytes + 1;
    int bad = 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(|:bad)
    for (ptrdiff_t start = 0; start < count; start += chunk)
        for (ptrdiff_t k = start; k < start + chunk && k < count; ++k)
            bad |= row(table, rows, row_bytes, ids, count, k, out);
    return bad;
}
