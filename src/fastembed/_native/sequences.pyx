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
        void (*repeat)(const void* value, ptrdiff_t count, void* cells) noexcept
    Writer writer(char kind, ptrdiff_t itemsize) noexcept


def is_compiled(dtype):
    """Whether `fill_rows` takes arrays of a dtype."""
    return dtype.isnative and writer(<char>ord(dtype.kind), dtype.itemsize).items != NULL


def fill_rows(
    tuple sequences not None,
    np.ndarray out not None,
    np.ndarray padding not None,
    bint keep_start,
    bint at_start,
    slow not None,
):
    """Write each sequence into its row of `out`, and the padding beside it.

    A sequence longer than a row loses its end if `keep_start`, else its start; a shorter one stands at the row's
    start if `at_start`, else at its end. Lists and tuples of int or float, and 1-D arrays of int64 or of the dtype of
    `out`, are written here; for every other its row is padded and `slow(position, sequence)` is called, in order.

    Args:
        sequences: one for each row.
        out: (len(sequences), width), C-contiguous, of a dtype for which `is_compiled`; modified.
        padding: the padding, (1,) of the dtype of `out`.
        keep_start: which end a sequence that is too long loses.
        at_start: where a sequence that is too short stands.
        slow: writes a row itself, or raises.
    """
    if not (out.ndim == 2 and np.PyArray_ISCARRAY(out) and np.PyArray_DIMS(out)[0] == len(sequences)):
        raise ValueError("`out` must be writable, C-contiguous and native, with a row for each sequence.")
    if not (is_compiled(out.dtype) and padding.dtype == out.dtype and padding.ndim == 1 and len(padding) == 1):
        raise ValueError("`out` must be of a compiled dtype, and `padding` one number of it.")
    cdef Py_ssize_t width = np.PyArray_DIMS(out)[1]
    cdef Py_ssize_t itemsize = np.PyArray_ITEMSIZE(out)
    cdef int type_number = np.PyArray_TYPE(out)
    cdef Writer write = writer(<char>ord(out.dtype.kind), itemsize)
    cdef char* row
    cdef char* cells
    cdef Py_ssize_t position, length, count, first
    cdef bint written
    cdef np.ndarray array
    cdef object sequence
    for position in range(len(sequences)):
        sequence = sequences[position]
        row = np.PyArray_BYTES(out) + position * width * itemsize
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
            write.repeat(np.PyArray_DATA(padding), width, <void*>row)
            slow(position, sequence)
            continue
        count = min(length, width)
        first = 0 if keep_start else length - count
        cells = row if at_start else row + (width - count) * itemsize
        if array is None:
            written = write.items(PySequence_Fast_ITEMS(sequence) + first, count, <void*>cells)
        elif np.PyArray_TYPE(array) == type_number:
            memcpy(cells, np.PyArray_BYTES(array) + first * itemsize, count * itemsize)
            written = True
        elif np.PyArray_TYPE(array) == np.NPY_INT64:
            write.int64(np.PyArray_BYTES(array) + first * 8, count, <void*>cells)
            written = True
        else:
            written = False
        if written:
            write.repeat(
                np.PyArray_DATA(padding), width - count, <void*>(row + count * itemsize if at_start else row)
            )
        else:
            write.repeat(np.PyArray_DATA(padding), width, <void*>row)
            slow(position, sequence)
