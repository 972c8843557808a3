// Ids brought together: which positions name a row, rows in rising order, positions in theirs.
//
// What writes a table, or sums into one, first takes a private and checked copy of the ids, here as pairs of a row and
// a position in one 64-bit number. A stable radix sort of the pairs, on several threads, makes each row's positions
// neighbours in their first order, so that one thread can add up a row alone, in the order in which a plain loop would.
#ifndef FASTEMBED_GROUPS_HPP
#define FASTEMBED_GROUPS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

#include "buffers.hpp"

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
    // Makes room for pairs of rows in [0, num_rows) and positions in [0, count), in parts of positions, one a thread.
    void reserve(ptrdiff_t count, ptrdiff_t num_rows, int parts = 1) {
        position_bits_ = bits_of(static_cast<uint64_t>(count > 0 ? count - 1 : 0));
        row_bits_ = bits_of(static_cast<uint64_t>(num_rows > 0 ? num_rows - 1 : 0));
        if (position_bits_ + row_bits_ > 64)
            throw std::invalid_argument("too many ids for a table of so many rows: pass fewer at a time.");
        if (count > PTRDIFF_MAX / static_cast<ptrdiff_t>(sizeof(uint64_t)))
            throw std::bad_alloc();
        const size_t bytes = static_cast<size_t>(count) * sizeof(uint64_t);
        pairs_ = static_cast<uint64_t*>(rooms_[0].reserve(bytes));
        spare_ = static_cast<uint64_t*>(rooms_[1].reserve(bytes));
        passes_ = (row_bits_ + DIGIT - 1) / DIGIT;
        digit_ = passes_ ? (row_bits_ + passes_ - 1) / passes_ : 0;
        parts_.resize(static_cast<size_t>(parts));
        counts_.assign(parts_.size() << digit_, 0);
        spread(count);
        for (Part& part : parts_)
            part.end = part.begin;
        pass_ = 0;
        count_ = 0;
        stage_ = ADD;
    }

    int parts() const { return static_cast<int>(parts_.size()); }
    // the first position of a part; of the part behind the last one: `count`
    static ptrdiff_t first_of(int part, int parts, ptrdiff_t count) {
        return count / parts * part + std::min<ptrdiff_t>(part, count % parts);
    }

    // Positions rise within a part, and from part to part. Each part has one thread at a time.
    void add(ptrdiff_t row, ptrdiff_t position, int part = 0) {
        const uint64_t pair = pack(row) | static_cast<uint64_t>(position);
        pairs_[parts_[static_cast<size_t>(part)].end++] = pair;
        ++counts_of(part)[digit_of(pair, 0)];
    }

    // The sort goes in stages: `begin_stage`, which says whether there is one more, then `work` for each part, by any
    // threads. `work` leaves undone what is left where `stopped` says so, which is asked now and then.
    bool begin_stage() {
        switch (stage_) {
        case ADD:
        case TALLY:
            place();
            stage_ = MOVE;
            return true;
        case MOVE:
            std::swap(pairs_, spare_);
            spread(size_);
            if (++pass_ < passes_) {
                std::fill(counts_.begin(), counts_.end(), 0);
                stage_ = TALLY;
            } else {
                stage_ = MARK;
            }
            return true;
        case MARK:
            for (Part& part : parts_) {
                part.first_group = count_;
                count_ += part.groups;
            }
            stage_ = WRITE;
            return true;
        default:
            return false;
        }
    }

    void work(int number, bool (*stopped)()) {
        Part part = parts_[static_cast<size_t>(number)];
        ptrdiff_t* counts = counts_of(number);
        const int shift = position_bits_ + pass_ * digit_;
        const uint64_t mask = (uint64_t{1} << digit_) - 1;
        const uint64_t* pairs = pairs_;
        uint64_t* spare = spare_;
        for (ptrdiff_t begin = part.begin; begin < part.end; begin += ASK) {
            if (begin > part.begin && stopped())
                return;
            const ptrdiff_t end = std::min(begin + ASK, part.end);
            switch (stage_) {
            case TALLY:
                for (ptrdiff_t k = begin; k < end; ++k)
                    ++counts[pairs[k] >> shift & mask];
                break;
            case MOVE:
                for (ptrdiff_t k = begin; k < end; ++k)
                    spare[counts[pairs[k] >> shift & mask]++] = pairs[k];
                break;
            case MARK:
                for (ptrdiff_t k = begin; k < end; ++k)
                    part.groups += starts_group(k);
                break;
            default:
                // WRITE. spare_ is free now: it takes the groups' starts, of which there are at most as many as pairs
                for (ptrdiff_t k = begin; k < end; ++k) {
                    if (starts_group(k))
                        spare[part.first_group++] = static_cast<uint64_t>(k);
                }
            }
        }
        if (stage_ == MARK)
            parts_[static_cast<size_t>(number)].groups = part.groups;
    }

    ptrdiff_t size() const { return size_; }        // pairs
    ptrdiff_t count() const { return count_; }      // groups, U
    ptrdiff_t row(ptrdiff_t k) const { return static_cast<ptrdiff_t>(pairs_[k] >> position_bits_); }
    ptrdiff_t position(ptrdiff_t k) const { return static_cast<ptrdiff_t>(pairs_[k] & position_mask()); }
    // the pairs of a group: start(group)..start(group + 1)
    ptrdiff_t start(ptrdiff_t group) const {
        return group < count_ ? static_cast<ptrdiff_t>(spare_[group]) : size_;
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

    enum Stage { ADD, TALLY, MOVE, MARK, WRITE };

    // Pairs begin..end of pairs_, a thread's. One cache line each.
    struct Part {
        ptrdiff_t begin, end;
        ptrdiff_t groups, first_group;      // that start in it; the number of the first
        char apart[32];
    };

    // Shares `size` pairs out among the parts.
    void spread(ptrdiff_t size) {
        for (int number = 0; number < parts(); ++number)
            parts_[static_cast<size_t>(number)] = {
                first_of(number, parts(), size), first_of(number + 1, parts(), size), 0, 0, {}
            };
    }

    // From how often each part has each digit to where the part's first pair with it goes: a stable order.
    void place() {
        size_ = 0;
        for (size_t digit = 0; digit < size_t{1} << digit_; ++digit) {
            for (int part = 0; part < parts(); ++part) {
                const ptrdiff_t here = counts_of(part)[digit];
                counts_of(part)[digit] = size_;
                size_ += here;
            }
        }
    }

    ptrdiff_t* counts_of(int part) { return counts_.data() + (static_cast<size_t>(part) << digit_); }
    size_t digit_of(uint64_t pair, int pass) const {
        return static_cast<size_t>(row_bits(pair, pass * digit_) & ((uint64_t{1} << digit_) - 1));
    }
    bool starts_group(ptrdiff_t k) const { return k == 0 || row(k) != row(k - 1); }

    // position_bits_ <= 63, as a ptrdiff_t has
    uint64_t row_bits(uint64_t pair, int from) const { return pair >> (position_bits_ + from); }
    uint64_t pack(ptrdiff_t row) const { return static_cast<uint64_t>(row) << position_bits_; }
    uint64_t position_mask() const { return (uint64_t{1} << position_bits_) - 1; }

    buffers::Scratch rooms_[2];
    uint64_t *pairs_ = nullptr, *spare_ = nullptr;
    std::vector<Part> parts_;
    std::vector<ptrdiff_t> counts_;     // (parts, digits)
    std::vector<Claim> claims_;
    Stage stage_ = ADD;
    int passes_ = 0, pass_ = 0, digit_ = 0;
    ptrdiff_t size_ = 0, count_ = 0;
    int position_bits_ = 0, row_bits_ = 0;
};

}  // namespace groups

#endif
