// Rows of a file of word vectors, from blocks of its bytes: cut into chunks, which threads read; then, in order, each
// word is kept or not; then threads copy the kept rows to the table. Knows no file, no table's allocation, no Python.
//
//     used = split_text(...) or split_binary(...)
//     read(chunk) for every chunk, on any thread
//     while decide() stops at a word that is not UTF-8: decided_as(...)
//     copy(chunk) for every chunk, on any thread, once the table has room for kept() rows
#ifndef FASTEMBED_READER_HPP
#define FASTEMBED_READER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "lines.hpp"
#include "words.hpp"

namespace reader {

using lines::Fault;
using lines::Span;

// Text that one thread reads at a time: its numbers stay in the cache of its core, and at the end of a block no thread
// waits long for another: a file takes a fifth less time than with chunks four times as large.
constexpr ptrdiff_t CHUNK_BYTES = 64 * 1024;

// A word of a word2vec binary file must end within this many bytes; those of real files stay below 1,000.
constexpr ptrdiff_t MAX_WORD = 64 * 1024;

enum class Outcome : int { more, finished, fault, undecodable };

struct Row {
    const char* word;
    uint32_t size;          // of the word
    bool skipped;           // nobody wants it: its numbers were not read
    bool undecodable;
};

struct Run {
    ptrdiff_t first, count; // rows that follow each other, among those that were read
};

struct Chunk {
    const char* begin;
    const char* end;
    std::vector<Row> rows;
    std::vector<Run> kept;
    ptrdiff_t kept_from;            // the first one's place in the table
    ptrdiff_t blanks;               // empty lines after the rows
    std::unique_ptr<float[]> values;
    ptrdiff_t capacity = 0;
    Fault fault;                    // of the row after the last one
    Span line, wrong;
};

class Reader {
public:
    // limit: rows to read at most. strict: a word that is not UTF-8 is a fault.
    Reader(ptrdiff_t dim, ptrdiff_t limit, bool strict) : dim_(dim), limit_(limit), strict_(strict) {}

    // From now on only wanted words are kept.
    void filter() { filtered_ = true; }
    void want(const char* word, ptrdiff_t size) {
        wanted_.add(word, static_cast<size_t>(size));
        first_fields_.add(word, static_cast<size_t>(lines::first_blank(word, word + size) - word));
    }

    // Whole lines of [begin, end), the last of which ends in a newline: how many bytes they take.
    ptrdiff_t split_text(const char* begin, const char* end) {
        start(true);
        const char* p = begin;
        while (p < end) {
            const char* stop = end - p > CHUNK_BYTES ? p + CHUNK_BYTES : end;
            const char* line_end = stop;
            while (line_end > p && line_end[-1] != '\n')
                --line_end;
            if (line_end == p) {        // a line longer than a chunk
                line_end = static_cast<const char*>(std::memchr(stop, '\n', static_cast<size_t>(end - stop)));
                if (!line_end++)
                    break;
            }
            add_chunk(p, line_end);
            p = line_end;
        }
        return p - begin;
    }

    // Whole records of [begin, end), at most `most` of them: a word, a blank, dim little-endian floats. `last`: nothing
    // follows, so that what is left is cut off.
    ptrdiff_t split_binary(const char* begin, const char* end, ptrdiff_t most, bool last) {
        start(false);
        const ptrdiff_t vector_bytes = dim_ * 4;
        const char* p = begin;
        Chunk* chunk = nullptr;
        while (most > 0) {
            const char* word = p;
            while (word < end && *word == '\n')     // some writers end a record with one
                ++word;
            if (word == end) {
                p = word;
                break;
            }
            const size_t reach = static_cast<size_t>(std::min<ptrdiff_t>(end - word, MAX_WORD));
            const char* const blank = static_cast<const char*>(std::memchr(word, ' ', reach));
            const bool whole = blank && end - blank > vector_bytes;
            if (!whole && !last && (blank || reach < static_cast<size_t>(MAX_WORD)))
                break;
            if (!chunk || word - chunk->begin > CHUNK_BYTES)
                chunk = add_chunk(word, word);
            if (!whole) {
                chunk->fault = blank ? Fault::cut_vector : end - word >= MAX_WORD ? Fault::long_word : Fault::cut_word;
                chunk->line = Span{word, blank ? blank : word + std::min<size_t>(reach, 80)};
                p = end;
                break;
            }
            chunk->rows.push_back(Row{word, static_cast<uint32_t>(blank - word), false, false});
            p = chunk->end = blank + 1 + vector_bytes;
            --most;
        }
        return p - begin;
    }

    ptrdiff_t chunks() const { return count_; }

    static void read(void* self, ptrdiff_t k) {
        Reader& reader = *static_cast<Reader*>(self);
        Chunk& chunk = *reader.chunks_[static_cast<size_t>(k)];
        try {
            if (reader.text_)
                reader.read_lines(chunk);
            else
                reader.check_records(chunk);
        } catch (const std::bad_alloc&) {
            chunk.fault = Fault::memory;
            chunk.line = chunk.wrong = Span{chunk.begin, chunk.begin};
        }
    }

    // Goes on deciding which rows to keep, in the order of the file.
    Outcome decide() {
        for (; deciding_ < count_; ++deciding_, row_ = slot_ = 0) {
            Chunk& chunk = *chunks_[static_cast<size_t>(deciding_)];
            if (row_ == 0)
                chunk.kept_from = kept_;
            if (blanks_ && (!chunk.rows.empty() || chunk.fault != Fault::none)) {
                fault_ = Fault::blank;
                line_ = wrong_ = Span{chunk.begin, chunk.begin};
                return Outcome::fault;
            }
            while (row_ < static_cast<ptrdiff_t>(chunk.rows.size())) {
                const Row& row = chunk.rows[static_cast<size_t>(row_)];
                if (finished())
                    return Outcome::finished;
                if (row.undecodable && !row.skipped)
                    return Outcome::undecodable;
                decided_as(row.word, row.size);
            }
            if (finished())
                return Outcome::finished;
            if (chunk.fault != Fault::none) {
                fault_ = chunk.fault;
                line_ = chunk.line;
                wrong_ = chunk.wrong;
                return Outcome::fault;
            }
            blanks_ += chunk.blanks;
        }
        return finished() ? Outcome::finished : Outcome::more;
    }

    // The row at which decide() stands has this word.
    void decided_as(const char* word, ptrdiff_t size) {
        Chunk& chunk = *chunks_[static_cast<size_t>(deciding_)];
        const Row& row = chunk.rows[static_cast<size_t>(row_++)];
        ++rows_;
        if (row.skipped)
            return;
        const ptrdiff_t slot = slot_++;
        if (filtered_ && wanted_.find(word, static_cast<size_t>(size)) < 0)
            return;
        if (!words_.add(word, static_cast<size_t>(size))) {
            if (!duplicates_++) {
                first_duplicate_.assign(word, static_cast<size_t>(size));
                first_duplicate_row_ = rows_;
            }
            return;
        }
        ++kept_;
        if (chunk.kept.empty() || chunk.kept.back().first + chunk.kept.back().count != slot)
            chunk.kept.push_back(Run{slot, 0});
        ++chunk.kept.back().count;
    }

    Row undecodable() const {
        return chunks_[static_cast<size_t>(deciding_)]->rows[static_cast<size_t>(row_)];
    }

    static void copy(void* self, ptrdiff_t k) {
        const Reader& reader = *static_cast<const Reader*>(self);
        const Chunk& chunk = *reader.chunks_[static_cast<size_t>(k)];
        const size_t row_bytes = static_cast<size_t>(reader.dim_) * 4;
        float* out = reader.table_ + chunk.kept_from * reader.dim_;
        if (reader.text_) {
            for (const Run& run : chunk.kept) {
                const size_t count = static_cast<size_t>(run.count);
                std::memcpy(out, chunk.values.get() + run.first * reader.dim_, count * row_bytes);
                out += run.count * reader.dim_;
            }
            return;
        }
        ptrdiff_t row = -1, slot = -1;
        for (const Run& run : chunk.kept) {
            for (ptrdiff_t end = run.first + run.count; slot + 1 < end;) {
                const Row& next = chunk.rows[static_cast<size_t>(++row)];
                if (next.skipped || ++slot < run.first)
                    continue;
                copy_floats(next.word + next.size + 1, out, reader.dim_);
                out += reader.dim_;
            }
        }
    }

    void set_table(float* table) { table_ = table; }
    ptrdiff_t kept() const { return kept_; }                // rows in the table
    ptrdiff_t rows() const { return rows_; }                // rows of the file so far
    ptrdiff_t blanks() const { return blanks_; }            // empty lines after them
    ptrdiff_t wanted() const { return filtered_ ? wanted_.size() : -1; }
    ptrdiff_t duplicates() const { return duplicates_; }
    const std::string& first_duplicate() const { return first_duplicate_; }
    ptrdiff_t first_duplicate_row() const { return first_duplicate_row_; }
    const words::Words& words() const { return words_; }
    Fault fault() const { return fault_; }
    Span line() const { return line_; }
    Span wrong() const { return wrong_; }

private:
    void start(bool text) {
        text_ = text;
        count_ = deciding_ = row_ = slot_ = 0;
    }

    // Chunks are used again for the next block: their memory too.
    Chunk* add_chunk(const char* begin, const char* end) {
        if (count_ == static_cast<ptrdiff_t>(chunks_.size()))
            chunks_.push_back(std::make_unique<Chunk>());
        Chunk* const chunk = chunks_[static_cast<size_t>(count_++)].get();
        chunk->begin = begin;
        chunk->end = end;
        chunk->rows.clear();
        chunk->kept.clear();
        chunk->kept_from = chunk->blanks = 0;
        chunk->fault = Fault::none;
        chunk->line = chunk->wrong = Span{begin, begin};
        return chunk;
    }

    bool finished() const { return rows_ >= limit_ || (filtered_ && words_.size() == wanted_.size()); }

    bool is_wanted_start(const Row& row) const {
        return first_fields_.find(row.word, row.size) >= 0 || (!strict_ && !words::is_utf8(row.word, row.word + row.size));
    }

    void read_lines(Chunk& chunk) {
        // no line has more numbers than half its bytes
        const ptrdiff_t needed = (chunk.end - chunk.begin) / 2 + 1;
        if (chunk.capacity < needed) {
            chunk.capacity = 0;
            chunk.values.reset();
            chunk.values.reset(new float[static_cast<size_t>(needed)]);
            chunk.capacity = needed;
        }
        float* values = chunk.values.get();
        for (const char* next = chunk.begin; next < chunk.end;) {
            const char* const begin = next;
            const char* const newline =
                static_cast<const char*>(std::memchr(begin, '\n', static_cast<size_t>(chunk.end - begin)));
            next = newline + 1;
            const char* const end = lines::trimmed(begin, newline);
            if (begin == end) {
                ++chunk.blanks;
                continue;
            }
            Span wrong{begin, begin}, word{begin, begin};
            Fault fault = chunk.blanks ? Fault::blank : newline - begin > lines::MAX_LINE ? Fault::long_line : Fault::none;
            Row row{begin, 0, false, false};
            if (fault == Fault::none && filtered_) {
                row.size = static_cast<uint32_t>(lines::first_blank(begin, end) - begin);
                row.skipped = !is_wanted_start(row);
            }
            if (fault == Fault::none && !row.skipped) {
                fault = lines::read(begin, end, dim_, values, &word, &wrong);
                row.size = static_cast<uint32_t>(word.end - word.begin);
                row.undecodable = !words::is_utf8(word.begin, word.end);
                if (fault == Fault::none && row.undecodable && strict_) {
                    fault = Fault::encoding;
                    wrong = word;
                }
                values += dim_;
            }
            if (fault != Fault::none) {
                chunk.fault = fault;
                chunk.line = Span{begin, end};
                chunk.wrong = wrong;
                return;
            }
            chunk.rows.push_back(row);
        }
    }

    void check_records(Chunk& chunk) {
        for (size_t k = 0; k < chunk.rows.size(); ++k) {
            Row& row = chunk.rows[k];
            const char* const word_end = row.word + row.size;
            row.undecodable = !words::is_utf8(row.word, word_end);
            row.skipped = filtered_ && (strict_ || !row.undecodable) && wanted_.find(row.word, row.size) < 0;
            if (row.skipped)
                continue;
            const bool finite = all_finite(word_end + 1, dim_);
            if (finite && !(strict_ && row.undecodable))
                continue;
            chunk.fault = finite ? Fault::encoding : Fault::not_finite;
            chunk.line = chunk.wrong = Span{row.word, word_end};
            chunk.rows.resize(k);
            return;
        }
    }

    static uint32_t load(const char* bytes) {
        uint32_t bits;
        std::memcpy(&bits, bytes, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        bits = __builtin_bswap32(bits);
#endif
        return bits;
    }

    static bool all_finite(const char* bytes, ptrdiff_t count) {
        uint32_t bad = 0;
        for (ptrdiff_t k = 0; k < count; ++k)
            bad |= (load(bytes + 4 * k) & 0x7f800000u) == 0x7f800000u;
        return !bad;
    }

    static void copy_floats(const char* bytes, float* out, ptrdiff_t count) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        for (ptrdiff_t k = 0; k < count; ++k) {
            const uint32_t bits = load(bytes + 4 * k);
            std::memcpy(out + k, &bits, 4);
        }
#else
        std::memcpy(out, bytes, static_cast<size_t>(count) * 4);
#endif
    }

    const ptrdiff_t dim_, limit_;
    const bool strict_;
    bool filtered_ = false, text_ = true;
    words::Words words_, wanted_, first_fields_;        // first fields: of wanted words, up to the first blank
    std::vector<std::unique_ptr<Chunk>> chunks_;
    ptrdiff_t count_ = 0;                               // chunks of this block
    ptrdiff_t deciding_ = 0, row_ = 0, slot_ = 0;       // where decide() stands: chunk, row, row that was read
    ptrdiff_t rows_ = 0, kept_ = 0, blanks_ = 0, duplicates_ = 0, first_duplicate_row_ = 0;
    std::string first_duplicate_;
    float* table_ = nullptr;
    Fault fault_ = Fault::none;
    Span line_{nullptr, nullptr}, wrong_{nullptr, nullptr};
};

}  // namespace reader

#endif
