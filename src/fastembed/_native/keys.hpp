// A hash index over packed keys: which row has this key. Knows nothing of Python and nothing of files.
//
// Keys are one run of bytes and n + 1 offsets. The index is open addressing with linear probing in 2^k slots of 64
// bits: 0 is an empty slot, else the upper half of the key's hash in the upper 32 bits and row + 1 in the lower 32. The
// hash is SipHash-2-4 of the key's bytes under the 128-bit key (seed, 0). All of it may come from a file that somebody
// else wrote: every number is checked where it is used, and each is loaded once.
#ifndef FASTEMBED_KEYS_HPP
#define FASTEMBED_KEYS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace keys {

constexpr ptrdiff_t MISSING = -1;
constexpr ptrdiff_t DAMAGED = -2;

// The index of n keys is at most two thirds full. A good hash then needs some hundreds of steps at worst; keys that need
// more than this were chosen to collide, and another seed parts them. An index with longer chains is damaged.
constexpr ptrdiff_t LONGEST_CHAIN = 1000;

struct Packed {
    const uint8_t* bytes;
    ptrdiff_t size;
    const int64_t* offsets;     // (count + 1,)
    ptrdiff_t count;
};

inline uint64_t rotated(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

inline uint64_t siphash(const uint8_t* data, ptrdiff_t size, uint64_t seed) {
    uint64_t v0 = UINT64_C(0x736f6d6570736575) ^ seed;
    uint64_t v1 = UINT64_C(0x646f72616e646f6d);
    uint64_t v2 = UINT64_C(0x6c7967656e657261) ^ seed;
    uint64_t v3 = UINT64_C(0x7465646279746573);
    const auto mix = [&](int rounds) {
        while (rounds--) {
            v0 += v1, v1 = rotated(v1, 13) ^ v0, v0 = rotated(v0, 32);
            v2 += v3, v3 = rotated(v3, 16) ^ v2;
            v0 += v3, v3 = rotated(v3, 21) ^ v0;
            v2 += v1, v1 = rotated(v1, 17) ^ v2, v2 = rotated(v2, 32);
        }
    };
    const auto word = [&](ptrdiff_t from, ptrdiff_t bytes) {
        uint64_t value = 0;
        for (ptrdiff_t k = 0; k < bytes; ++k)
            value |= static_cast<uint64_t>(data[from + k]) << (8 * k);
        return value;
    };
    const ptrdiff_t whole = size / 8 * 8;
    for (ptrdiff_t from = 0; from < whole; from += 8) {
        const uint64_t m = word(from, 8);
        v3 ^= m;
        mix(2);
        v0 ^= m;
    }
    const uint64_t last = word(whole, size - whole) | static_cast<uint64_t>(size) << 56;
    v3 ^= last;
    mix(2);
    v0 ^= last;
    v2 ^= 0xff;
    mix(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

// Where key `row` begins and ends; false when the offsets leave the bytes or run backwards.
inline bool place(const Packed& keys, ptrdiff_t row, ptrdiff_t* begin, ptrdiff_t* end) {
    const int64_t first = keys.offsets[row], last = keys.offsets[row + 1];
    if (first < 0 || last < first || last > keys.size)
        return false;
    *begin = static_cast<ptrdiff_t>(first);
    *end = static_cast<ptrdiff_t>(last);
    return true;
}

// Follows the chain of a hash. Returns the row that has the key, MISSING with `slot` at the empty slot that ended the
// search, or DAMAGED for an index that names rows there are not, or has too long a chain. `steps`: slots looked at.
inline ptrdiff_t follow(
    const Packed& keys, const uint64_t* index, ptrdiff_t slots, const uint8_t* key, ptrdiff_t size, uint64_t hash,
    ptrdiff_t* slot, ptrdiff_t* steps
) {
    const uint64_t mask = static_cast<uint64_t>(slots) - 1;
    const ptrdiff_t longest = slots < LONGEST_CHAIN ? slots : LONGEST_CHAIN;
    for (*steps = 1; *steps <= longest; ++*steps) {
        *slot = static_cast<ptrdiff_t>((hash + static_cast<uint64_t>(*steps) - 1) & mask);
        const uint64_t entry = index[*slot];
        if (entry == 0)
            return MISSING;
        if (entry >> 32 != hash >> 32)
            continue;
        const uint64_t number = entry & UINT32_MAX;
        ptrdiff_t begin, end;
        if (number == 0 || number > static_cast<uint64_t>(keys.count))
            return DAMAGED;
        const ptrdiff_t row = static_cast<ptrdiff_t>(number) - 1;
        if (!place(keys, row, &begin, &end))
            return DAMAGED;
        if (end - begin == size && (size == 0 || std::memcmp(keys.bytes + begin, key, static_cast<size_t>(size)) == 0))
            return row;
    }
    return DAMAGED;
}

inline ptrdiff_t find(
    const Packed& keys, const uint64_t* index, ptrdiff_t slots, uint64_t seed, const uint8_t* key, ptrdiff_t size,
    ptrdiff_t* steps
) {
    ptrdiff_t slot;
    return follow(keys, index, slots, key, size, siphash(key, size, seed), &slot, steps);
}

// Whether so many slots follow each other without an empty one that a key which is missing has a chain too long.
inline bool has_long_run(const uint64_t* index, ptrdiff_t slots) {
    ptrdiff_t run = 0;
    for (ptrdiff_t k = 0; k < slots + LONGEST_CHAIN && run < LONGEST_CHAIN; ++k)
        run = index[k & (slots - 1)] ? run + 1 : 0;
    return run >= LONGEST_CHAIN;
}

// Puts rows from `*row` on into `index`, which has room: the first row of each key; the other rows go to `repeated`.
// Stops after some `patience` slots, with `*row` at the next. False when that one is DAMAGED, or its chain too long.
inline bool build(
    const Packed& keys, uint64_t* index, ptrdiff_t slots, uint64_t seed, ptrdiff_t patience, ptrdiff_t* row,
    std::vector<int64_t>& repeated
) {
    for (; *row < keys.count && patience > 0; ++*row) {
        ptrdiff_t begin, end, slot, steps;
        if (!place(keys, *row, &begin, &end))
            return false;
        const uint8_t* const key = keys.bytes + begin;
        const uint64_t hash = siphash(key, end - begin, seed);
        const ptrdiff_t found = follow(keys, index, slots, key, end - begin, hash, &slot, &steps);
        if (found == DAMAGED)
            return false;
        if (found == MISSING)
            index[slot] = (hash >> 32 << 32) | static_cast<uint64_t>(*row + 1);
        else
            repeated.push_back(*row);
        patience -= steps;
    }
    return true;
}

}  // namespace keys

#endif
