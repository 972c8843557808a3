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


def join(tuple parts not None):
    """The items of sequences one after the other, (N,), and how many each has, intp (B,).

    None where NumPy must judge them: sequences are exact 1-D arrays of one integer dtype, contiguous and native, or
    lists and tuples of int within 64 bits, which become int64; and there is at least one item.
    """
    cdef np.npy_intp count = len(parts)
    cdef np.npy_intp total = 0
    cdef np.npy_intp length
    cdef Py_ssize_t position
    cdef bint of_arrays = count > 0 and np.PyArray_CheckExact(parts[0])
    cdef int type_number = np.PyArray_TYPE(<np.ndarray>parts[0]) if of_arrays else np.NPY_INT64
    cdef np.ndarray lengths = np.PyArray_EMPTY(1, &count, np.NPY_INTP, 0)
    cdef np.npy_intp* sizes = <np.npy_intp*>np.PyArray_DATA(lengths)
    cdef Writer write = writer(c"i", 8)
    cdef object part
    cdef np.ndarray flat
    cdef char* cells
    if not np.PyTypeNum_ISINTEGER(type_number):
        return None
    for position in range(count):
        part = parts[position]
        if of_arrays:
            if not (
                np.PyArray_CheckExact(part) and np.PyArray_NDIM(<np.ndarray>part) == 1
                and np.PyArray_TYPE(<np.ndarray>part) == type_number and np.PyArray_ISCARRAY_RO(<np.ndarray>part)
            ):
                return None
            length = np.PyArray_DIMS(<np.ndarray>part)[0]
        elif type(part) is list or type(part) is tuple:
            length = PySequence_Fast_GET_SIZE(part)
        else:
            return None
        sizes[position] = length
        total += length
    if total == 0:
        return None
    flat = np.PyArray_EMPTY(1, &total, type_number, 0)
    cells = np.PyArray_BYTES(flat)
    for position in range(count):
        part = parts[position]
        length = sizes[position]
        if of_arrays:
            memcpy(cells, np.PyArray_DATA(<np.ndarray>part), length * np.PyArray_ITEMSIZE(flat))
        elif PySequence_Fast_GET_SIZE(part) != length or not write.items(PySequence_Fast_ITEMS(part), length, cells):
            return None
        cells += length * np.PyArray_ITEMSIZE(flat)
    return flat, lengths
