// One decimal number of a text, as the float that Python's float() of it gives when rounded to 32 bits.
//
// The grammar is [+-] digits [. digits] [e [+-] digits] with a digit somewhere before the exponent: what float() takes
// but for nan, inf, underscores and blanks. Rounded twice on purpose, to double and then to float: in rare cases that
// is not the float nearest to the text, but it is what Python and NumPy give.
#ifndef FASTEMBED_NUMBERS_HPP
#define FASTEMBED_NUMBERS_HPP

#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>

#if !defined(FASTEMBED_STRTOD) && (!defined(__cpp_lib_to_chars) || __cpp_lib_to_chars < 201611L)
#define FASTEMBED_STRTOD 1      // a standard library without from_chars for double
#endif
#ifdef FASTEMBED_STRTOD
#include <locale.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace numbers {

// Bytes that may be looked at behind the character that ends a number, or a line of them.
constexpr ptrdiff_t PADDING = 64;

// Halfway between the largest float and the next that there would be: from here on rounding gives infinity.
constexpr double TOO_LARGE = 3.4028235677973366e38;

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

#if (defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) || defined(_WIN32)
#define FASTEMBED_LITTLE_ENDIAN 1
inline int low_zeros(uint64_t bits) {   // of bits != 0
#if defined(_MSC_VER)
    unsigned long place;
    _BitScanForward64(&place, bits);
    return static_cast<int>(place);
#else
    return __builtin_ctzll(bits);
#endif
}

// A high bit for each byte that is no digit. Exact up to the first such byte: sums and differences of whole words only
// spoil the bytes behind it.
inline uint64_t others(uint64_t bytes) {
    return ((bytes + 0x4646464646464646u) | (bytes - 0x3030303030303030u)) & 0x8080808080808080u;
}

// The number of eight digits, each the value of a byte: pairs, fours and all eight are joined.
inline uint32_t joined(uint64_t bytes) {
    bytes = (bytes * 10 + (bytes >> 8)) & 0x00ff00ff00ff00ffu;
    bytes = (bytes * 100 + (bytes >> 16)) & 0x0000ffff0000ffffu;
    return static_cast<uint32_t>(bytes * 10000 + (bytes >> 32));
}

// Digits from p on join `total`, eight at a time; returns the end.
inline const char* read_digits(const char* p, uint64_t* total) {
    static constexpr uint64_t POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    for (;;) {
        uint64_t bytes;
        std::memcpy(&bytes, p, 8);
        const uint64_t none = others(bytes);
        const int count = none ? low_zeros(none) / 8 : 8;
        if (count == 0)
            return p;
        // zeros come in front of the digits
        *total = *total * POWERS[count] + joined((bytes & 0x0f0f0f0f0f0f0f0fu) << (64 - 8 * count));
        p += count;
        if (count < 8)
            return p;
    }
}
#else
inline const char* read_digits(const char* p, uint64_t* total) {
    for (; is_digit(*p); ++p)
        *total = *total * 10 + static_cast<uint64_t>(*p - '0');
    return p;
}
#endif

// The exponent behind an 'e', and its end; null when there are no digits. Stops counting far beyond every double.
inline const char* read_exponent(const char* p, ptrdiff_t* exponent) {
    const bool negative = *p == '-';
    p += negative || *p == '+';
    if (!is_digit(*p))
        return nullptr;
    ptrdiff_t value = 0;
    for (; is_digit(*p); ++p)
        if (value < 100000000)
            value = value * 10 + (*p - '0');
    *exponent = negative ? -value : value;
    return p;
}

#ifdef FASTEMBED_STRTOD
inline double nearest_double(const char* begin, const char* end) {
    static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);     // other locales have a decimal comma
    return strtod_l(std::string(begin, end).c_str(), nullptr, plain);
}
#else
// Whether the first digit that is not 0 stands before the decimal point.
inline bool is_large(const char* p, const char* end, ptrdiff_t exponent) {
    ptrdiff_t place = 0;    // of the digit behind p, counted from the point
    for (const char* q = p; q < end && is_digit(*q); ++q)
        ++place;
    for (; p < end && (*p == '0' || *p == '.'); ++p)
        place -= *p == '0';
    return place + exponent > 0;
}

inline double nearest_double(const char* begin, const char* end, ptrdiff_t exponent) {
    const bool negative = *begin == '-';
    begin += negative || *begin == '+';
    double value = 0.0;
    if (std::from_chars(begin, end, value).ec == std::errc::result_out_of_range)
        value = is_large(begin, end, exponent) ? HUGE_VAL : 0.0;
    return negative ? -value : value;
}
#endif

// A number that begins at p: writes it and returns its end; null when there is none, or none that a finite float can
// hold. Behind p there must be a byte that ends every number, such as a newline, and PADDING readable bytes behind it.
inline const char* read(const char* p, float* value) {
    static constexpr double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    static constexpr double SIGNS[] = {1.0, -1.0};
    const char* const begin = p;
    const bool negative = *p == '-';
    p += int(negative) | int(*p == '+');    // no branch: a processor guesses signs wrong half of the time
    uint64_t digits = 0;
    const char* const whole = p;
    for (; is_digit(*p); ++p)       // mostly one digit
        digits = digits * 10 + static_cast<uint64_t>(*p - '0');
    ptrdiff_t count = p - whole, power = 0, exponent = 0;
    if (*p == '.') {
        const char* const fraction = ++p;
        p = read_digits(p, &digits);
        power = fraction - p;
        count -= power;
    }
    if (count == 0)
        return nullptr;
    if (*p == 'e' || *p == 'E') {
        p = read_exponent(p + 1, &exponent);
        if (!p)
            return nullptr;
        power += exponent;
    }
    double nearest;
    // Digits and power are exact doubles, so that one operation rounds once. Up to 19 digits fit into 64 bits.
    if (FLT_EVAL_METHOD == 0 && count <= 19 && digits <= uint64_t(1) << 53 && power >= -22 && power <= 22) {
        nearest = static_cast<double>(static_cast<int64_t>(digits));
        nearest = power < 0 ? nearest / POWERS[-power] : nearest * POWERS[power];
        nearest *= SIGNS[negative];
    } else {
#ifdef FASTEMBED_STRTOD
        nearest = nearest_double(begin, p);
#else
        nearest = nearest_double(begin, p, exponent);
#endif
        if (std::fabs(nearest) >= TOO_LARGE)
            return nullptr;
    }
    *value = static_cast<float>(nearest);
    return p;
}

// The number that is [begin, end); false when that is none, or none that a finite float can hold. `end` is a blank or the
// end of a line. That the end is known before the number is read lets a processor work on several numbers at once.
inline bool read_field(const char* begin, const char* end, float* value) {
#ifdef FASTEMBED_LITTLE_ENDIAN
    // a digit, a point and 1 to 8 digits, as nearly all are
    static constexpr double POWERS[] = {1e0, -1e0, 1e1, -1e1, 1e2, -1e2, 1e3, -1e3, 1e4,
                                        -1e4, 1e5, -1e5, 1e6, -1e6, 1e7, -1e7, 1e8, -1e8};
    static constexpr uint32_t WHOLE[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const size_t negative = *begin == '-';
    const char* const first = begin + negative;
    const size_t count = static_cast<size_t>(end - first) - 2;
    uint16_t whole;
    uint64_t bytes;
    std::memcpy(&whole, first, 2);
    std::memcpy(&bytes, first + 2, 8);
    const uint32_t digit = uint32_t(whole) - ('.' << 8 | '0');
    // what is no digit is above 9, and zeros come in for what is behind the number
    bytes = (bytes ^ 0x3030303030303030u) << ((0 - 8 * count) & 63);
    if (FLT_EVAL_METHOD == 0 && count - 1 < 8 && digit < 10
        && !(((bytes + 0x0606060606060606u) | bytes) & 0xf0f0f0f0f0f0f0f0u)) {
        const int32_t digits = static_cast<int32_t>(digit * WHOLE[count] + joined(bytes));
        *value = static_cast<float>(static_cast<double>(digits) / POWERS[2 * count + negative]);
        return true;
    }
#endif
    return read(begin, value) == end;
}

}  // namespace numbers

#endif
