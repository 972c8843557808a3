// One line of a text of word vectors: a word, then `dim` numbers, with blanks between them.
#ifndef FASTEMBED_LINES_HPP
#define FASTEMBED_LINES_HPP

#include <algorithm>
#include <cstddef>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "numbers.hpp"

namespace lines {

// A line has at most this many bytes: room for 100,000 numbers, written with all their digits.
constexpr ptrdiff_t MAX_LINE = ptrdiff_t(2) << 20;

// What is wrong with a row; the names in parsers.pyx follow this order.
enum class Fault : int {
    none,
    number,         // a field where a number must be is none, or one that no finite float can hold
    few,            // fewer fields than numbers
    many,           // a word that ends in a number: more numbers than others have
    blank,          // an empty line, and rows after it
    encoding,       // the word is not UTF-8
    long_line,
    long_word,      // word2vec binary: no blank after so many bytes
    cut_word,       // word2vec binary: the file ends inside a word
    cut_vector,     // word2vec binary: the file ends inside a vector
    not_finite,     // word2vec binary: nan or inf
    memory,
};

struct Span {
    const char* begin;
    const char* end;
};

inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Without blanks, and the carriage return of other systems, at the end. Blanks in front belong to the word.
inline const char* trimmed(const char* begin, const char* end) {
    while (end > begin && (is_blank(end[-1]) || end[-1] == '\r'))
        --end;
    return end;
}

inline const char* first_blank(const char* p, const char* end) {
    while (p < end && !is_blank(*p))
        ++p;
    return p;
}

// The start of the last field of [begin, end), which is trimmed and not empty.
inline const char* last_field(const char* begin, const char* end) {
    while (end > begin && !is_blank(end[-1]))
        --end;
    return end;
}

inline bool is_number(Span field) {
    float ignored;
    return field.begin < field.end && numbers::read(field.begin, &ignored) == field.end;
}

// Whether a field is what some programs write for numbers that are none: no word of several ends in one.
inline bool is_nan_or_inf(Span field) {
    const char* p = field.begin;
    p += p < field.end && (*p == '-' || *p == '+');
    for (const char* name : {"nan", "inf", "infinity"}) {
        const size_t size = std::strlen(name);
        if (static_cast<size_t>(field.end - p) == size
            && std::equal(p, field.end, name, [](char a, char b) { return (a | 0x20) == b; }))
            return true;
    }
    return false;
}

// How many fields a line has, how many numbers it ends in, and the field in front of those.
struct Shape {
    ptrdiff_t fields, numbers;
    Span before;
};

inline Shape shape(const char* begin, const char* end) {
    Shape found{0, 0, {begin, begin}};
    end = trimmed(begin, end);
    bool all = true;
    while (begin < end) {
        const Span field{last_field(begin, end), end};
        ++found.fields;
        all = all && is_number(field);
        if (all)
            ++found.numbers;
        else if (found.before.begin == found.before.end)
            found.before = field;
        end = field.begin;
        while (end > begin && is_blank(end[-1]))
            --end;
    }
    return found;
}

// Words may contain blanks, so that the numbers are the last `dim` fields. Finds the word's end and the first field
// that is wrong; the numbers of a line that is right are read.
inline Fault read_from_behind(const char* begin, const char* end, ptrdiff_t dim, float* values, Span* word, Span* wrong) {
    const char* p = end;
    for (ptrdiff_t k = 0; k < dim; ++k) {
        while (p > begin && is_blank(p[-1]))
            --p;
        p = last_field(begin, p);
        if (p == begin)
            return Fault::few;
    }
    const char* word_end = p;
    while (word_end > begin && is_blank(word_end[-1]))
        --word_end;
    *word = Span{begin, word_end};
    for (ptrdiff_t k = 0; k < dim; ++k) {
        while (is_blank(*p))
            ++p;
        const char* const field_end = first_blank(p, end);
        const char* const read = numbers::read(p, values + k);
        if (read != field_end) {
            *wrong = Span{p, field_end};
            return Fault::number;
        }
        p = field_end;
    }
    const Span last{last_field(begin, word_end), word_end};
    if (last.begin > begin && (is_number(last) || is_nan_or_inf(last)))
        return Fault::many;
    return Fault::none;
}

#ifdef FASTEMBED_LITTLE_ENDIAN
// A bit for each of 64 bytes: whether it is a blank.
inline uint64_t blanks(const char* p) {
    uint64_t found = 0;
#ifdef __SSE2__
    for (int k = 0; k < 64; k += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + k));
        found |= uint64_t(static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '))))) << k;
    }
#else
    for (int k = 0; k < 64; k += 8) {
        uint64_t bytes;
        std::memcpy(&bytes, p + k, 8);
        bytes ^= 0x2020202020202020u;       // blanks become zeros: the bytes to which 0x7f may be added without a high bit
        bytes = ~(((bytes & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu) | bytes) & 0x8080808080808080u;
        found |= ((bytes >> 7) * 0x0102040810204080u >> 56) << k;
    }
#endif
    return found;
}

// Whether [begin, end) is `dim` numbers with one blank between each two, as most lines are: they are read then.
inline bool read_plain(const char* begin, const char* end, ptrdiff_t dim, float* values) {
    ptrdiff_t k = 0;
    for (const char* block = begin; block <= end; block += 64) {
        uint64_t ends = blanks(block);
        if (end - block < 64) {
            const uint64_t last = uint64_t(1) << (end - block);
            ends = (ends & (last - 1)) | last;
        }
        for (; ends; ends &= ends - 1) {
            const char* const field_end = block + numbers::low_zeros(ends);
            if (k == dim || !numbers::read_field(begin, field_end, values + k))
                return false;
            ++k;
            begin = field_end + 1;
        }
    }
    return k == dim;
}
#endif

// The row of a trimmed line that is not empty, followed by a byte that ends numbers and numbers::PADDING bytes. Writes
// at most (end - begin) / 2 values: each takes a blank and a character.
inline Fault read(const char* begin, const char* end, ptrdiff_t dim, float* values, Span* word, Span* wrong) {
    const char* p = first_blank(begin, end);
    *word = Span{begin, p};
#ifdef FASTEMBED_LITTLE_ENDIAN
    if (p < end && read_plain(p + 1, end, dim, values))
        return Fault::none;
#endif
    for (ptrdiff_t k = 0; k < dim; ++k) {
        if (p == end)
            return Fault::few;
        while (is_blank(*p))
            ++p;
        const char* const read = numbers::read(p, values + k);
        if (!read || (read < end && !is_blank(*read)))
            return read_from_behind(begin, end, dim, values, word, wrong);
        p = read;
    }
    return p == end ? Fault::none : read_from_behind(begin, end, dim, values, word, wrong);
}

}  // namespace lines

#endif
