# distutils: language = c++
"""The hash index over packed keys, for `fastembed.io.keys`."""

cimport cython
cimport numpy as np
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

import numpy

np.import_array()

cdef extern from "keys.hpp" namespace "keys" nogil:
    ctypedef struct Packed:
        const uint8_t* bytes
        ptrdiff_t size
        const int64_t* offsets
        ptrdiff_t count
    uint64_t _siphash "keys::siphash"(const uint8_t* data, ptrdiff_t size, uint64_t seed)
    ptrdiff_t _find "keys::find"(
        const Packed& keys, const uint64_t* index, ptrdiff_t slots, uint64_t seed, const uint8_t* key, ptrdiff_t size,
        ptrdiff_t* steps
    )
    cpp_bool _has_long_run "keys::has_long_run"(const uint64_t* index, ptrdiff_t slots)
    cpp_bool _build "keys::build"(
        const Packed& keys, uint64_t* index, ptrdiff_t slots, uint64_t seed, ptrdiff_t patience, ptrdiff_t* row,
        vector[int64_t]& repeated
    ) except +
    cpp_bool _place "keys::place"(const Packed& keys, ptrdiff_t row, ptrdiff_t* begin, ptrdiff_t* end)

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

# Slots that a long call looks at until it asks whether a signal came: some 50 ms of a large index.
cdef ptrdiff_t PATIENCE = 1 << 20


cdef inline void _check(object array, int type_number, str name) except *:
    if not (
        np.PyArray_CheckExact(array)
        and np.PyArray_TYPE(<np.ndarray>array) == type_number
        and np.PyArray_NDIM(<np.ndarray>array) == 1
        and np.PyArray_ISCARRAY_RO(<np.ndarray>array)
    ):
        raise TypeError(f"`{name}` must be a contiguous 1-D array of {np.PyArray_DescrFromType(type_number)}.")


cdef Packed _packed(object blob, object offsets) except *:
    cdef Packed packed
    _check(blob, np.NPY_UINT8, "blob")
    _check(offsets, np.NPY_INT64, "offsets")
    if np.PyArray_SIZE(offsets) == 0:
        raise ValueError("`offsets` must have one number more than there are keys. Received: none.")
    packed.bytes = <const uint8_t*>np.PyArray_DATA(<np.ndarray>blob)
    packed.size = np.PyArray_SIZE(blob)
    packed.offsets = <const int64_t*>np.PyArray_DATA(<np.ndarray>offsets)
    packed.count = np.PyArray_SIZE(offsets) - 1
    return packed


def siphash(const uint8_t[::1] data, uint64_t seed):
    """SipHash-2-4 of bytes under the key (seed, 0)."""
    return _siphash(&data[0] if data.shape[0] else NULL, data.shape[0], seed)


def build_index(blob, offsets, index, uint64_t seed):
    """Fill an index of zeros, a power of two of slots and more than there are keys.

    Returns:
        How many keys were taken in, and the rows whose key an earlier row has. Fewer than all when the offsets of the
        next key are wrong, or its chain is too long.
    """
    cdef Packed packed = _packed(blob, offsets)
    cdef vector[int64_t] repeated
    cdef ptrdiff_t slots
    cdef ptrdiff_t taken = 0
    cdef bint good = True
    cdef size_t k
    cdef uint64_t* entries
    _check_index(index)
    slots = np.PyArray_SIZE(index)
    if slots <= packed.count or not np.PyArray_ISWRITEABLE(<np.ndarray>index):
        raise ValueError("`index` must be writable and have more slots than there are keys.")
    entries = <uint64_t*>np.PyArray_DATA(<np.ndarray>index)
    while good and taken < packed.count:
        with nogil:
            good = _build(packed, entries, slots, seed, PATIENCE, &taken, repeated)
        PyErr_CheckSignals()
    if good and _has_long_run(entries, slots):
        taken -= 1
    rows = numpy.empty(repeated.size(), numpy.int64)
    cdef int64_t[::1] view = rows
    for k in range(repeated.size()):
        view[k] = repeated[k]
    return taken, rows


cdef void _check_index(object index) except *:
    _check(index, np.NPY_UINT64, "index")
    cdef ptrdiff_t slots = np.PyArray_SIZE(index)
    if slots < 1 or slots & (slots - 1):
        raise ValueError(f"`index` must have a power of two of slots. Received: {slots}.")


@cython.final
@cython.auto_pickle(False)
cdef class Finder:
    """Finds rows by key: in keys (blob, offsets) by an index that `build_index` filled, or a file's."""
    cdef Packed packed
    cdef const uint64_t* index
    cdef ptrdiff_t slots
    cdef uint64_t seed
    cdef object arrays      # whose memory this reads

    def __cinit__(self, blob, offsets, index, uint64_t seed):
        self.packed = _packed(blob, offsets)
        _check_index(index)
        self.index = <const uint64_t*>np.PyArray_DATA(<np.ndarray>index)
        self.slots = np.PyArray_SIZE(index)
        self.seed = seed
        self.arrays = (blob, offsets, index)

    def find(self, str word not None):
        """The row of a word; -1 if there is none, -2 if the index or the offsets are damaged.

        Raises:
            UnicodeEncodeError: UTF-8 has no such word.
        """
        cdef Py_ssize_t size
        cdef ptrdiff_t steps
        cdef const char* text = PyUnicode_AsUTF8AndSize(word, &size)
        return _find(self.packed, self.index, self.slots, self.seed, <const uint8_t*>text, size, &steps)

    def find_many(self, blob, offsets):
        """The rows of packed words, int64, each as from `find`."""
        cdef Packed words = _packed(blob, offsets)
        rows = numpy.empty(words.count, numpy.int64)
        cdef int64_t[::1] view = rows
        cdef ptrdiff_t k = 0
        cdef ptrdiff_t begin, end, steps, left
        while k < words.count:
            left = PATIENCE
            with nogil:
                while k < words.count and left > 0:
                    if _place(words, k, &begin, &end):
                        view[k] = _find(
                            self.packed, self.index, self.slots, self.seed, words.bytes + begin, end - begin, &steps
                        )
                        left -= steps
                    else:
                        view[k] = -2
                    k += 1
            PyErr_CheckSignals()
        return rows
