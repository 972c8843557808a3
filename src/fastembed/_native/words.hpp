// Words as bytes, each once, in the order in which they came; and what is checked of a word.
#ifndef FASTEMBED_WORDS_HPP
#define FASTEMBED_WORDS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace words {

// Whether Python's strict decoder takes the bytes: no surrogates, nothing overlong, nothing beyond U+10FFFF.
inline bool is_utf8(const char* begin, const char* end) {
    const unsigned char* p = reinterpret_cast<const unsigned char*>(begin);
    const unsigned char* const stop = reinterpret_cast<const unsigned char*>(end);
    while (p < stop) {
        const unsigned first = *p++;
        if (first < 0x80)
            continue;
        if (first < 0xc2 || first > 0xf4)
            return false;
        const int more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (stop - p < more)
            return false;
        const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (*p < low || *p > high)
            return false;
        for (int k = 1; k < more; ++k)
            if ((p[k] & 0xc0) != 0x80)
                return false;
        p += more;
    }
    return true;
}

inline uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

// SipHash-1-3, as Python hashes strings: with a secret seed no file can be written whose words all collide.
struct Seed {
    uint64_t first, second;

    static Seed random() {
        std::random_device source;
        const auto word = [&source] { return uint64_t(source()) << 32 | source(); };
        return Seed{word(), word()};
    }

    uint64_t hash(const char* bytes, size_t size) const {
        uint64_t a = first ^ 0x736f6d6570736575u, b = second ^ 0x646f72616e646f6du;
        uint64_t c = first ^ 0x6c7967656e657261u, d = second ^ 0x7465646279746573u;
        const auto mix = [&] {
            a += b; b = rotated(b, 13) ^ a; a = rotated(a, 32);
            c += d; d = rotated(d, 16) ^ c;
            a += d; d = rotated(d, 21) ^ a;
            c += b; b = rotated(b, 17) ^ c; c = rotated(c, 32);
        };
        size_t k = 0;
        uint64_t word;
        for (; k + 8 <= size; k += 8) {
            std::memcpy(&word, bytes + k, 8);
            d ^= word;
            mix();
            a ^= word;
        }
        word = uint64_t(size) << 56;
        for (size_t shift = 0; k < size; ++k, shift += 8)
            word |= uint64_t(static_cast<unsigned char>(bytes[k])) << shift;
        d ^= word;
        mix();
        a ^= word;
        c ^= 0xff;
        mix();
        mix();
        mix();
        return a ^ b ^ c ^ d;
    }
};

class Words {
public:
    Words() : seed_(Seed::random()), offsets_(1, 0), slots_(16, 0) {}

    ptrdiff_t size() const { return static_cast<ptrdiff_t>(offsets_.size()) - 1; }
    const std::vector<char>& blob() const { return blob_; }             // one word after the other, UTF-8
    const std::vector<int64_t>& offsets() const { return offsets_; }    // word k: from offsets[k] to offsets[k + 1]

    // The word's number, or -1.
    ptrdiff_t find(const char* bytes, size_t size) const {
        const uint64_t slot = slots_[place(bytes, size, seed_.hash(bytes, size))];
        return static_cast<ptrdiff_t>(slot & NUMBER) - 1;
    }

    // Adds a word; false when it was there already.
    bool add(const char* bytes, size_t size) {
        const uint64_t hash = seed_.hash(bytes, size);
        size_t k = place(bytes, size, hash);
        if (slots_[k])
            return false;
        blob_.insert(blob_.end(), bytes, bytes + size);
        offsets_.push_back(static_cast<int64_t>(blob_.size()));
        slots_[k] = (hash & ~NUMBER) | (offsets_.size() - 1);
        if (offsets_.size() * 2 > slots_.size())
            grow();
        return true;
    }

private:
    // A slot holds the number of a word, from 1 on, and above it the top of its hash; 0: none.
    static constexpr uint64_t NUMBER = (uint64_t(1) << 40) - 1;

    // Where the word is, or the free slot for it.
    size_t place(const char* bytes, size_t size, uint64_t hash) const {
        const size_t mask = slots_.size() - 1;
        for (size_t k = static_cast<size_t>(hash) & mask;; k = (k + 1) & mask) {
            const uint64_t slot = slots_[k];
            if (!slot)
                return k;
            if ((slot ^ hash) & ~NUMBER)
                continue;
            const size_t number = static_cast<size_t>(slot & NUMBER) - 1;
            const size_t begin = static_cast<size_t>(offsets_[number]);
            if (static_cast<size_t>(offsets_[number + 1]) - begin == size
                && (size == 0 || std::memcmp(blob_.data() + begin, bytes, size) == 0))
                return k;
        }
    }

    void grow() {
        std::vector<uint64_t> wider(slots_.size() * 2, 0);
        const size_t mask = wider.size() - 1;
        for (size_t number = 0; number + 1 < offsets_.size(); ++number) {
            const size_t begin = static_cast<size_t>(offsets_[number]);
            const uint64_t hash = seed_.hash(blob_.data() + begin, static_cast<size_t>(offsets_[number + 1]) - begin);
            size_t k = static_cast<size_t>(hash) & mask;
            while (wider[k])
                k = (k + 1) & mask;
            wider[k] = (hash & ~NUMBER) | (number + 1);
        }
        slots_.swap(wider);
    }

    Seed seed_;
    std::vector<char> blob_;
    std::vector<int64_t> offsets_;
    std::vector<uint64_t> slots_;       // a power of two of them, at most half taken
};

}  // namespace words

#endif
