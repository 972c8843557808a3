# distutils: language = c++
"""Ragged sequences into the rows of one array: the compiled part of `preprocessing.sequence`."""

cimport numpy as np
from cpython.object cimport PyObject
from libc.string cimport memcpy

np.import_array()

cdef extern from "Python.h":
    PyObject** PySequence_Fast_ITEMS(object sequence) noexcept
    Py_ssize_t PySequence_Fast_GET_SIZE(object sequence) noexcept

cdef extern from "sequences.hpp" namespace "sequences":
    ctypedef struct Writer:
        bint (*items)(PyObject** items, ptrdiff_t count, void* cells) noexcept
        void (*int64)(const char* values, ptrdiff_t count, void* cells) noexcept
    Writer writer(char kind, ptrdiff_t itemsize) noexcept


def fill_rows(tuple sequences not None, np.ndarray out not None, bint keep_start, bint at_start, slow not None):
    """Write each sequence into its row of `out`, which has the padding in it already.

    A sequence longer than a row loses its end if `keep_start`, else its start; a shorter one stands at the row's
    start if `at_start`, else at its end. Lists and tuples of int or float, and 1-D arrays of int64 or of the dtype of
    `out`, are written here; for every other, empty ones excepted, `slow(position, sequence)` is called, in order.

    Args:
        sequences: one for each row.
        out: (len(sequences), width), C-contiguous, of a native dtype; modified.
        keep_start: which end a sequence that is too long loses.
        at_start: where a sequence that is too short stands.
        slow: writes a row itself, or raises.
    """
    if not (out.ndim == 2 and np.PyArray_ISCARRAY(out) and np.PyArray_DIMS(out)[0] == len(sequences)):
        raise ValueError("`out` must be writable, C-contiguous and native, with a row for each sequence.")
    cdef Py_ssize_t width = np.PyArray_DIMS(out)[1]
    cdef Py_ssize_t itemsize = np.PyArray_ITEMSIZE(out)
    cdef int type_number = np.PyArray_TYPE(out)
    cdef Writer write = writer(<char>ord(out.dtype.kind), itemsize)
    cdef char* cells
    cdef Py_ssize_t position, length, count, first
    cdef np.ndarray array
    cdef object sequence
    for position in range(len(sequences)):
        sequence = sequences[position]
        array = None
        if type(sequence) is list or type(sequence) is tuple:
            length = PySequence_Fast_GET_SIZE(sequence)
        elif (
            np.PyArray_CheckExact(sequence)
            and np.PyArray_NDIM(<np.ndarray>sequence) == 1
            and np.PyArray_ISCARRAY_RO(<np.ndarray>sequence)
        ):
            array = <np.ndarray>sequence
            length = np.PyArray_DIMS(array)[0]
        else:
            slow(position, sequence)
            continue
        count = min(length, width)
        if count == 0:
            continue
        first = 0 if keep_start else length - count
        cells = np.PyArray_BYTES(out) + (position * width + (0 if at_start else width - count)) * itemsize
        if array is None:
            if write.items != NULL and write.items(PySequence_Fast_ITEMS(sequence) + first, count, <void*>cells):
                continue
        elif np.PyArray_TYPE(array) == type_number and write.items != NULL:
            memcpy(cells, np.PyArray_BYTES(array) + first * itemsize, count * itemsize)
            continue
        elif np.PyArray_TYPE(array) == np.NPY_INT64 and write.int64 != NULL:
            write.int64(np.PyArray_BYTES(array) + first * 8, count, <void*>cells)
            continue
        slow(position, sequence)
