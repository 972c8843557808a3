// Ids brought together: which positions name a row, rows in rising order, positions in theirs.
//
// What writes a table, or sums into one, first takes a private and checked copy of the ids, here as pairs of a row and
// a position in one 64-bit number. A stable radix sort of the pairs makes each row's positions neighbours in their
// first order, so that one thread can add up a row alone, in the order in which a plain loop would.
#ifndef FASTEMBED_GROUPS_HPP
#define FASTEMBED_GROUPS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <vector>

namespace groups {

// Groups first..last of the columns begin..end: what a thread does at a time.
struct Claim {
    ptrdiff_t first, last;
    ptrdiff_t begin, end;
};

inline int bits_of(uint64_t largest) {
    int bits = 0;
    for (; largest; largest >>= 1)
        ++bits;
    return bits;
}

class Groups {
public:
    // Makes room for pairs of rows in [0, num_rows) and positions in [0, count).
    void reserve(ptrdiff_t count, ptrdiff_t num_rows) {
        position_bits_ = bits_of(static_cast<uint64_t>(count > 0 ? count - 1 : 0));
        row_bits_ = bits_of(static_cast<uint64_t>(num_rows > 0 ? num_rows - 1 : 0));
        if (position_bits_ + row_bits_ > 64)
            throw std::invalid_argument("too many ids for a table of so many rows: pass fewer at a time.");
        for (auto* room : {&pairs_, &spare_})
            room->reset(new uint64_t[static_cast<size_t>(count)]);
        passes_ = (row_bits_ + DIGIT - 1) / DIGIT;
        digit_ = passes_ ? (row_bits_ + passes_ - 1) / passes_ : 0;
        counts_.assign(passes_ ? static_cast<size_t>(passes_) << digit_ : 0, 0);
        size_ = 0;
    }

    void add(ptrdiff_t row, ptrdiff_t position) {
        pairs_.get()[size_++] = pack(row) | static_cast<uint64_t>(position);
    }

    // Sorts the pairs and finds the groups; leaves that undone where `stopped` says so, which is asked now and then.
    void sort(bool (*stopped)()) {
        const int passes = passes_, digit = digit_;
        if (passes) {
            const uint64_t mask = (uint64_t{1} << digit) - 1;
            for (ptrdiff_t k = 0; k < size_; ++k) {
                if (k % ASK == ASK - 1 && stopped())
                    return;
                for (int pass = 0; pass < passes; ++pass)
                    ++counts_[(static_cast<size_t>(pass) << digit) + (row_bits(pairs_.get()[k], pass * digit) & mask)];
            }
            for (int pass = 0; pass < passes; ++pass) {
                ptrdiff_t* places = counts_.data() + (static_cast<size_t>(pass) << digit);
                ptrdiff_t before = 0;
                for (size_t value = 0; value <= mask; ++value) {
                    const ptrdiff_t here = places[value];
                    places[value] = before;
                    before += here;
                }
                for (ptrdiff_t k = 0; k < size_; ++k) {
                    if (k % ASK == ASK - 1 && stopped())
                        return;
                    spare_.get()[places[row_bits(pairs_.get()[k], pass * digit) & mask]++] = pairs_.get()[k];
                }
                std::swap(pairs_, spare_);
            }
        }
        // spare_ is free now: it takes the groups' starts, of which there are at most as many as pairs
        count_ = 0;
        for (ptrdiff_t k = 0; k < size_; ++k) {
            spare_.get()[count_] = static_cast<uint64_t>(k);
            count_ += k == 0 || row(k) != row(k - 1);
        }
    }

    ptrdiff_t size() const { return size_; }        // pairs
    ptrdiff_t count() const { return count_; }      // groups, U
    ptrdiff_t row(ptrdiff_t k) const { return static_cast<ptrdiff_t>(pairs_.get()[k] >> position_bits_); }
    ptrdiff_t position(ptrdiff_t k) const { return static_cast<ptrdiff_t>(pairs_.get()[k] & position_mask()); }
    // the pairs of a group: start(group)..start(group + 1)
    ptrdiff_t start(ptrdiff_t group) const {
        return group < count_ ? static_cast<ptrdiff_t>(spare_.get()[group]) : size_;
    }

    // Shares the groups out in claims of about `bytes` of rows; a group of more than `giant` pairs by columns.
    void claim(ptrdiff_t row_bytes, ptrdiff_t dim, ptrdiff_t bytes, ptrdiff_t giant, ptrdiff_t columns) {
        claims_.clear();
        ptrdiff_t first = 0, held = 0;
        for (ptrdiff_t group = 0; group < count_; ++group) {
            const ptrdiff_t length = start(group + 1) - start(group);
            if (length > giant) {
                if (first < group)
                    claims_.push_back({first, group, 0, dim});
                for (ptrdiff_t begin = 0; begin < dim; begin += columns)
                    claims_.push_back({group, group + 1, begin, std::min(begin + columns, dim)});
                first = group + 1;
                held = 0;
                continue;
            }
            held += (length + 1) * row_bytes;
            if (held >= bytes) {
                claims_.push_back({first, group + 1, 0, dim});
                first = group + 1;
                held = 0;
            }
        }
        if (first < count_)
            claims_.push_back({first, count_, 0, dim});
    }
    const std::vector<Claim>& claims() const { return claims_; }

private:
    static constexpr int DIGIT = 11;    // 2048 counters stay in the first-level cache
    static constexpr ptrdiff_t ASK = ptrdiff_t(1) << 20;    // pairs between two questions: about 5 ms

    // position_bits_ <= 63, as a ptrdiff_t has
    uint64_t row_bits(uint64_t pair, int from) const { return pair >> (position_bits_ + from); }
    uint64_t pack(ptrdiff_t row) const { return static_cast<uint64_t>(row) << position_bits_; }
    uint64_t position_mask() const { return (uint64_t{1} << position_bits_) - 1; }

    std::unique_ptr<uint64_t[]> pairs_, spare_;
    std::vector<ptrdiff_t> counts_;
    std::vector<Claim> claims_;
    int passes_ = 0, digit_ = 0;
    ptrdiff_t size_ = 0, count_ = 0;
    int position_bits_ = 0, row_bits_ = 0;
};

}  // namespace groups

#endif
