"""Mapped files that are cut short while they are read: an OSError instead of the end of the process."""

cdef extern from "mapped.hpp" namespace "mapped" nogil:
    cppclass Slot:
        pass
    Slot* mapped_watch "mapped::watch"(uintptr_t start, size_t nbytes)
    void mapped_forget "mapped::forget"(Slot* slot)
    cpp_bool mapped_lost "mapped::lost"(const void* place, size_t nbytes)
    cpp_bool mapped_watched "mapped::watched"(const void* place, size_t nbytes)


def watch(mapping):
    """Lets the process live on when the file behind a mapping is cut short; `check_whole` then says so.

    The first call installs a handler of SIGBUS, which hands on what is none of ours.

    Args:
        mapping: an object with a buffer that begins where its memory was mapped, an `mmap.mmap`.

    Returns:
        What to give to `forget` before the memory is unmapped.
    """
    cdef Py_buffer place
    cdef Slot* slot
    PyObject_GetBuffer(mapping, &place, PyBUF_SIMPLE)
    slot = mapped_watch(<uintptr_t>place.buf, <size_t>place.len)
    PyBuffer_Release(&place)
    if slot == NULL:
        raise MemoryError("no memory to note a mapped file.")
    return <uintptr_t>slot


def forget(uintptr_t token):
    """The mapping is about to go."""
    if token:
        mapped_forget(<Slot*>token)


def check_whole(*arrays):
    """Raises OSError for an array over a mapped file that was cut short: some of what was read of it was not there."""
    for array in arrays:
        if np.PyArray_Check(array):
            _whole(<np.ndarray>array)


cdef inline bint _is_mapped(np.ndarray array) noexcept:
    """Whether it is over a mapped file, which may be cut short at any time."""
    return array is not None and mapped_watched(np.PyArray_DATA(array), np.PyArray_NBYTES(array))


cdef inline int _whole(np.ndarray array) except -1:
    if array is not None and mapped_lost(np.PyArray_DATA(array), np.PyArray_NBYTES(array)):
        raise OSError(
            EIO,
            "a mapped file was cut short while it was in use: part of the array is gone. Replace such a file by "
            "renaming a new one over it, and readers keep the old"
        )
    return 0
