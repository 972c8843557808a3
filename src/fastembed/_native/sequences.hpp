// One ragged sequence into the cells of a row: numbers that need no judgement. Whatever does is left to NumPy.
#pragma once

#include <Python.h>
#if PY_VERSION_HEX < 0x030B0000
#include <longintrepr.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace sequences {

// Whole numbers that every double holds exactly: NumPy takes a Python int to a float dtype through a double.
constexpr long long EXACT = 1LL << 53;

// An int's value, and whether it has one within 64 bits. Most ints have one digit, which is read in place: a call of
// CPython's function for each would take three times as long.
inline long long value_of(PyObject* number, bool& known) {
    known = true;
#if PY_VERSION_HEX >= 0x030C0000
    PyLongObject* digits = reinterpret_cast<PyLongObject*>(number);
    if (PyUnstable_Long_IsCompact(digits)) {
        return PyUnstable_Long_CompactValue(digits);
    }
#else
    if (Py_SIZE(number) == 1) {
        return reinterpret_cast<PyLongObject*>(number)->ob_digit[0];
    }
#endif
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    known = overflow == 0;
    return value;
}

template <typename T> bool fits(long long value) {
    if constexpr (std::is_floating_point_v<T>) {
        return -EXACT <= value && value <= EXACT;
    } else if constexpr (std::is_signed_v<T>) {
        return std::numeric_limits<T>::min() <= value && value <= std::numeric_limits<T>::max();
    } else {
        return value >= 0 && static_cast<unsigned long long>(value) <= std::numeric_limits<T>::max();
    }
}

// Writes `count` Python numbers. False, with nothing promised of the cells, at the first that is not an int (or, for
// a float T, a float) of exactly that class which T holds. Runs no Python code, so no list changes meanwhile.
template <typename T>
bool write_items(
    PyObject* const* items,     // (count,) IN
    ptrdiff_t count,
    void* cells                 // (count,) OUT
) {
    T* out = static_cast<T*>(cells);
    for (ptrdiff_t i = 0; i < count; ++i) {
        PyObject* item = items[i];
        if (PyLong_CheckExact(item)) {
            bool known;
            const long long value = value_of(item, known);
            if (!known || !fits<T>(value)) {
                return false;
            }
            out[i] = static_cast<T>(value);
        } else if (std::is_floating_point_v<T> && PyFloat_CheckExact(item)) {
            const double value = PyFloat_AS_DOUBLE(item);
            // NumPy warns of a finite number that becomes infinite
            if (std::isfinite(value) && std::fabs(value) > static_cast<double>(std::numeric_limits<T>::max())) {
                return false;
            }
            out[i] = static_cast<T>(value);
        } else {
            return false;
        }
    }
    return true;
}

// Writes `count` int64, as NumPy's cast does: integers keep their low bits.
template <typename T>
void write_int64(
    const char* values,         // (count,) IN, possibly unaligned
    ptrdiff_t count,
    void* cells                 // (count,) OUT
) {
    T* out = static_cast<T*>(cells);
    for (ptrdiff_t i = 0; i < count; ++i) {
        int64_t value;
        std::memcpy(&value, values + i * 8, 8);
        out[i] = static_cast<T>(value);
    }
}

// Writes the one value `value` to `count` cells.
template <typename T> void repeat(const void* value, ptrdiff_t count, void* cells) {
    T* out = static_cast<T*>(cells);
    std::fill(out, out + count, *static_cast<const T*>(value));
}

// How a row of one dtype is written; null pointers for a dtype that only NumPy writes.
struct Writer {
    bool (*items)(PyObject* const*, ptrdiff_t, void*) = nullptr;
    void (*int64)(const char*, ptrdiff_t, void*) = nullptr;
    void (*repeat)(const void*, ptrdiff_t, void*) = nullptr;
};

template <typename T> Writer writer_of() {
    Writer writer;
    writer.items = write_items<T>;
    writer.int64 = write_int64<T>;
    writer.repeat = repeat<T>;
    return writer;
}

// kind: NumPy's letter, 'i', 'u' or 'f'.
inline Writer writer(char kind, ptrdiff_t itemsize) {
    if (kind == 'i') {
        switch (itemsize) {
            case 1: return writer_of<int8_t>();
            case 2: return writer_of<int16_t>();
            case 4: return writer_of<int32_t>();
            case 8: return writer_of<int64_t>();
        }
    } else if (kind == 'u') {
        switch (itemsize) {
            case 1: return writer_of<uint8_t>();
            case 2: return writer_of<uint16_t>();
            case 4: return writer_of<uint32_t>();
            case 8: return writer_of<uint64_t>();
        }
    } else if (kind == 'f') {
        switch (itemsize) {
            case 4: return writer_of<float>();
            case 8: return writer_of<double>();
        }
    }
    return Writer();
}

}  // namespace sequences
