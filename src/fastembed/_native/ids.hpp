// What happens to one id: it is loaded once into a register, checked there, and turned into a row number.
//
// Another thread may rewrite the ids while a kernel runs (the GIL is released), so no element is ever read twice: not
// for a prefetch, not for the error message. The rows come out in a block private to the calling thread; only that
// block is used to form addresses.
#ifndef FASTEMBED_IDS_HPP
#define FASTEMBED_IDS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <type_traits>

#if defined(__GNUC__) && defined(__x86_64__) && !defined(FASTEMBED_BASELINE)
#define FASTEMBED_MARK_AVX2 1
#include <immintrin.h>
#endif

namespace ids {

enum Mode : int { RAISE = 0, CLIP = 1, WRAP = 2, ZERO = 3 };

// A row number that means "a row of zeros".
constexpr ptrdiff_t ZEROS = -1;

// Ids loaded at a time: 2 KB of row numbers, which stay in the first-level cache beside the rows they name.
constexpr ptrdiff_t BLOCK = 256;

// How ids become rows, the same for a whole call.
struct Rule {
    ptrdiff_t num_rows;     // V
    int mode;               // a Mode
    bool has_padding;       // whether padding_id can occur at all: false when the ids' dtype cannot hold it
    uint64_t padding_id;    // its two's complement bits, cut to the ids' width
};

// The first bad id of a call, in C order, whichever thread meets it.
class BadId {
public:
    void report(ptrdiff_t position, uint64_t bits) {
        std::lock_guard<std::mutex> hold(mutex_);
        if (position < position_.load(std::memory_order_relaxed)) {
            position_.store(position, std::memory_order_relaxed);
            bits_ = bits;
        }
    }
    bool found() const { return position() != PTRDIFF_MAX; }
    ptrdiff_t position() const { return position_.load(std::memory_order_relaxed); }
    uint64_t bits() const { return bits_; }

private:
    std::atomic<ptrdiff_t> position_{PTRDIFF_MAX};
    uint64_t bits_ = 0;
    std::mutex mutex_;
};

template <typename T> inline T load_once(const T* place) {
#if defined(__GNUC__)
    return __atomic_load_n(place, __ATOMIC_RELAXED);
#else
    return *static_cast<const volatile T*>(place);
#endif
}

// A signed id is widened with its sign, so that as an unsigned number a negative one is past every table.
template <typename T> inline uint64_t widen(T id) {
    return std::is_signed<T>::value ? static_cast<uint64_t>(static_cast<int64_t>(id)) : static_cast<uint64_t>(id);
}

// Out of the table: what the mode makes of it. num_rows > 0.
template <typename T> inline ptrdiff_t settle(T id, const Rule& rule) {
    const bool negative = std::is_signed<T>::value && static_cast<int64_t>(widen(id)) < 0;
    if (rule.mode == CLIP)
        return negative ? 0 : rule.num_rows - 1;
    if (rule.mode == WRAP) {
        if (!negative)
            return static_cast<ptrdiff_t>(widen(id) % static_cast<uint64_t>(rule.num_rows));
        const int64_t rest = static_cast<int64_t>(widen(id)) % static_cast<int64_t>(rule.num_rows);
        return static_cast<ptrdiff_t>(rest < 0 ? rest + rule.num_rows : rest);
    }
    return ZEROS;
}

// load() with or without what only a mask or a padding id needs: without, an id costs half.
template <typename T, bool MARKED>
inline ptrdiff_t load_loop(const T* ids, ptrdiff_t count, const Rule& rule, ptrdiff_t* rows, uint8_t* mask,
                           uint64_t* bad_bits, bool* has_zeros) {
    const uint64_t num_rows = static_cast<uint64_t>(rule.num_rows);
    const bool refuse = rule.mode == RAISE || (rule.num_rows == 0 && rule.mode != ZERO);
    const T padding_id = static_cast<T>(rule.padding_id);
    const bool has_padding = MARKED && rule.has_padding;
    for (ptrdiff_t k = 0; k < count; ++k) {
        const T id = load_once(ids + k);
        const uint64_t wide = widen(id);
        const bool padding = has_padding && id == padding_id;
        if (MARKED && mask)
            mask[k] = !padding;
        if (wide < num_rows) {
            rows[k] = static_cast<ptrdiff_t>(wide);
            continue;
        }
        if (!padding && refuse) {
            *bad_bits = wide;
            return k;
        }
        rows[k] = padding ? ZEROS : settle(id, rule);
        *has_zeros |= rows[k] == ZEROS;
    }
    return count;
}

// rows[k] = the row of ids[k]; mask[k] = ids[k] != padding_id (when mask is given), for k < count <= BLOCK.
// Returns the number of ids settled: less than count when ids[that one] is bad; its bits are then in *bad_bits.
// A padding id outside the table is a row of zeros in every mode.
template <typename T>
ptrdiff_t load(
    const void* ids,        // (count,) IN
    ptrdiff_t count,
    const Rule& rule,
    ptrdiff_t* rows,        // (count,) OUT
    uint8_t* mask,          // (count,) OUT, or null
    uint64_t* bad_bits,     // OUT
    bool* has_zeros         // OUT: whether some row is ZEROS
) {
    const T* source = static_cast<const T*>(ids);
    *has_zeros = false;
    if (mask || rule.has_padding)
        return load_loop<T, true>(source, count, rule, rows, mask, bad_bits, has_zeros);
    return load_loop<T, false>(source, count, rule, rows, mask, bad_bits, has_zeros);
}

typedef ptrdiff_t (*Load)(const void*, ptrdiff_t, const Rule&, ptrdiff_t*, uint8_t*, uint64_t*, bool*);

// The loader for integers of this size and signedness; null when there is none.
inline Load loader(int itemsize, bool is_signed) {
    switch (itemsize) {
    case 1: return is_signed ? load<int8_t> : load<uint8_t>;
    case 2: return is_signed ? load<int16_t> : load<uint16_t>;
    case 4: return is_signed ? load<int32_t> : load<uint32_t>;
    case 8: return is_signed ? load<int64_t> : load<uint64_t>;
    default: return nullptr;
    }
}

// out[k] = table[ids[k]] for narrow rows, where the way over a block of row numbers would cost as much again as the
// copy. Stops before an id outside the table, for load() to judge; returns how many were done.
template <typename T, ptrdiff_t DIM>
ptrdiff_t copy_narrow(
    const void* ids,        // (count,) IN
    ptrdiff_t count,
    ptrdiff_t num_rows,
    const float* table,     // (num_rows, DIM) IN
    float* out              // (count, DIM) OUT
) {
    const T* source = static_cast<const T*>(ids);
    for (ptrdiff_t k = 0; k < count; ++k) {
        const uint64_t wide = widen(load_once(source + k));
        if (wide >= static_cast<uint64_t>(num_rows))
            return k;
        std::memcpy(out + k * DIM, table + static_cast<ptrdiff_t>(wide) * DIM, DIM * sizeof(float));
    }
    return count;
}

typedef ptrdiff_t (*CopyNarrow)(const void*, ptrdiff_t, ptrdiff_t, const float*, float*);

template <ptrdiff_t DIM> inline CopyNarrow narrow_copier_of(int itemsize, bool is_signed) {
    switch (itemsize) {
    case 1: return is_signed ? copy_narrow<int8_t, DIM> : copy_narrow<uint8_t, DIM>;
    case 2: return is_signed ? copy_narrow<int16_t, DIM> : copy_narrow<uint16_t, DIM>;
    case 4: return is_signed ? copy_narrow<int32_t, DIM> : copy_narrow<uint32_t, DIM>;
    case 8: return is_signed ? copy_narrow<int64_t, DIM> : copy_narrow<uint64_t, DIM>;
    default: return nullptr;
    }
}

// The copier for these integers and rows; null when rows are not narrow.
inline CopyNarrow narrow_copier(int itemsize, bool is_signed, ptrdiff_t dim) {
    switch (dim) {
    case 1: return narrow_copier_of<1>(itemsize, is_signed);
    case 2: return narrow_copier_of<2>(itemsize, is_signed);
    case 3: return narrow_copier_of<3>(itemsize, is_signed);
    case 4: return narrow_copier_of<4>(itemsize, is_signed);
    default: return nullptr;
    }
}

// mask[k] = ids[k] != padding_id. No address is formed from these ids, so they are read as fast as memory allows.
#define FASTEMBED_MARK(name, target)                                                                                   \
    template <typename T>                                                                                              \
    target void name(const void* ids, ptrdiff_t count, uint64_t padding_id, uint8_t* mask) {                           \
        const T* source = static_cast<const T*>(ids);                                                                  \
        const T padding = static_cast<T>(padding_id);                                                                  \
        for (ptrdiff_t k = 0; k < count; ++k)                                                                          \
            mask[k] = source[k] != padding;                                                                            \
    }

FASTEMBED_MARK(mark, )
#ifdef FASTEMBED_MARK_AVX2
// SSE2 cannot compare 64 bits at once: 4 times as slow
FASTEMBED_MARK(mark_avx2, __attribute__((target("avx2"))))

// 64-bit ids, 32 at a time. A compiler orders the lanes after each of the seven packs; once, after the last, is enough:
// 1.2 to 1.5 times as fast, from 4,096 ids in the cache to a million in memory.
template <>
__attribute__((target("avx2"))) inline void mark_avx2<uint64_t>(
    const void* ids, ptrdiff_t count, uint64_t padding_id, uint8_t* mask
) {
    const uint64_t* source = static_cast<const uint64_t*>(ids);
    const __m256i padding = _mm256_set1_epi64x(static_cast<long long>(padding_id));
    const __m256i lanes = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i bytes = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,
                                           0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    ptrdiff_t k = 0;
    for (; k + 32 <= count; k += 32) {
        __m256i same[8];
        for (int v = 0; v < 8; ++v) {
            const __m256i* place = reinterpret_cast<const __m256i*>(source + k + 4 * v);
            same[v] = _mm256_cmpeq_epi64(_mm256_loadu_si256(place), padding);
        }
        for (int v = 0; v < 4; ++v)
            same[v] = _mm256_packs_epi32(same[2 * v], same[2 * v + 1]);
        for (int v = 0; v < 2; ++v)
            same[v] = _mm256_packs_epi32(same[2 * v], same[2 * v + 1]);
        const __m256i packed = _mm256_packs_epi16(same[0], same[1]);
        const __m256i ordered = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(packed, lanes), bytes);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(mask + k), _mm256_andnot_si256(ordered, _mm256_set1_epi8(1)));
    }
    mark<uint64_t>(source + k, count - k, padding_id, mask + k);
}
#else
FASTEMBED_MARK(mark_avx2, )
#endif
#undef FASTEMBED_MARK

typedef void (*Mark)(const void*, ptrdiff_t, uint64_t, uint8_t*);

// The marker for integers of this size, on this instruction path.
inline Mark marker(int itemsize, bool avx2) {
    switch (itemsize) {
    case 1: return avx2 ? mark_avx2<uint8_t> : mark<uint8_t>;
    case 2: return avx2 ? mark_avx2<uint16_t> : mark<uint16_t>;
    case 4: return avx2 ? mark_avx2<uint32_t> : mark<uint32_t>;
    case 8: return avx2 ? mark_avx2<uint64_t> : mark<uint64_t>;
    default: return nullptr;
    }
}

}  // namespace ids

#endif
