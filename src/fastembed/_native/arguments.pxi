"""Which arguments are exact kernel input, and the arrays that results go to."""


cdef inline bint _exact_table(object table) noexcept:
    """float32 (V, D), C-contiguous, aligned, native byte order, and no subclass."""
    return (
        np.PyArray_CheckExact(table)
        and np.PyArray_TYPE(<np.ndarray>table) == np.NPY_FLOAT
        and np.PyArray_NDIM(<np.ndarray>table) == 2
        and np.PyArray_ISCARRAY_RO(<np.ndarray>table)
        and not _may_be_cut_short(<np.ndarray>table)
    )


cdef inline bint _exact_ids(object ids) noexcept:
    """Integers of any width, C-contiguous, aligned, native byte order, and no subclass."""
    return (
        np.PyArray_CheckExact(ids)
        and np.PyArray_ISINTEGER(<np.ndarray>ids)
        and np.PyArray_ISCARRAY_RO(<np.ndarray>ids)
        and not _may_be_cut_short(<np.ndarray>ids)
    )


cdef inline bint _may_be_cut_short(np.ndarray array) noexcept:
    """Whether it is over a mapped file that is not watched yet."""
    return np.PyArray_BASE(array) != NULL and _over_unwatched(array)


cdef bint _over_unwatched(np.ndarray array) noexcept:
    cdef PyObject* base = np.PyArray_BASE(array)
    while base != NULL:
        if np.PyArray_Check(<object>base):
            base = np.PyArray_BASE(<np.ndarray>base)
        elif PyMemoryView_Check(<object>base):
            base = PyMemoryView_GET_BASE(<object>base)
        else:
            return type(<object>base) is MMAP and not _is_mapped(array)
    return False


cdef inline bint _overlap(np.ndarray a, np.ndarray b) noexcept:
    """Whether two contiguous arrays share a byte."""
    cdef const char* start = max(<const char*>np.PyArray_DATA(a), <const char*>np.PyArray_DATA(b))
    return (
        start < <const char*>np.PyArray_DATA(a) + np.PyArray_NBYTES(a)
        and start < <const char*>np.PyArray_DATA(b) + np.PyArray_NBYTES(b)
    )


cdef inline bint _exact_output(object out, int type_number, np.ndarray ids, ptrdiff_t dim, np.ndarray table):
    """Writable, contiguous, of this dtype and of shape ids.shape, then dim unless it is -1; apart from the inputs."""
    if not (
        np.PyArray_CheckExact(out)
        and np.PyArray_TYPE(<np.ndarray>out) == type_number
        and np.PyArray_ISCARRAY(<np.ndarray>out)
    ):
        return False
    cdef int ndim = np.PyArray_NDIM(ids)
    cdef int k
    if np.PyArray_NDIM(<np.ndarray>out) != ndim + (dim >= 0):
        return False
    for k in range(ndim):
        if np.PyArray_DIMS(<np.ndarray>out)[k] != np.PyArray_DIMS(ids)[k]:
            return False
    if dim >= 0 and np.PyArray_DIMS(<np.ndarray>out)[ndim] != dim:
        return False
    return not _overlap(<np.ndarray>out, ids) and not _overlap(<np.ndarray>out, table)


cdef inline np.ndarray _new_output(int type_number, np.ndarray ids, ptrdiff_t dim):
    """An uninitialised array of shape ids.shape, then dim unless it is -1."""
    cdef np.npy_intp shape[np.NPY_MAXDIMS + 1]
    cdef int ndim = np.PyArray_NDIM(ids)
    cdef int k
    for k in range(ndim):
        shape[k] = np.PyArray_DIMS(ids)[k]
    if dim >= 0:
        shape[ndim] = dim
        ndim += 1
    return _new_array(ndim, shape, type_number)


cdef inline np.ndarray _new_array(int ndim, np.npy_intp* shape, int type_number):
    """An uninitialised array; a large float32 one over memory from the recycler."""
    cdef ptrdiff_t items = 1
    cdef int k
    if type_number == np.NPY_FLOAT:
        for k in range(ndim):
            if shape[k] and items > PTRDIFF_MAX // 4 // shape[k]:
                break       # too large for any array: NumPy says so
            items *= shape[k]
        else:
            if items >= RECYCLE_BYTES // 4:
                return _recycled(ndim, shape, items * 4)
    return np.PyArray_EMPTY(ndim, shape, type_number, 0)


def new_table(shape):
    """An uninitialised float32 array for the library's own tables.

    A large one begins on a page: rows of 256 bytes then touch 4 cache lines, where they touch 5 in NumPy's arrays,
    which begin 16 bytes past a line. Lookups from memory take a fifth less.

    Args:
        shape: sequence of integers.
    """
    cdef np.npy_intp dims[np.NPY_MAXDIMS]
    cdef int ndim = 0
    for size in shape:
        if ndim == np.NPY_MAXDIMS or size < 0:
            raise ValueError(f"`shape` must be at most {np.NPY_MAXDIMS} sizes from 0 on. Received: {shape}.")
        dims[ndim] = size
        ndim += 1
    return _new_array(ndim, dims, np.NPY_FLOAT)


@cython.final
@cython.internal
@cython.auto_pickle(False)
cdef class _Lease:
    """Holds a recycler's block for the arrays over it; the last of them gives it back by letting this die."""
    cdef Block block

    def __dealloc__(self):
        if self.block.data != NULL:
            fe_untrack(TRACE_DOMAIN, <uintptr_t>self.block.data)
            cache().give(self.block)

    def __getbuffer__(self, Py_buffer* view, int flags):
        # NumPy asks for it before it lets an array over this memory be made writable again
        PyBuffer_FillInfo(view, self, self.block.data, <Py_ssize_t>self.block.size, False, flags)


cdef np.ndarray _recycled(int ndim, np.npy_intp* shape, size_t nbytes):
    """A float32 array over a block of the recycler."""
    cdef _Lease lease = _Lease()
    lease.block = cache().take(nbytes)
    if lease.block.data == NULL:
        raise MemoryError(f"an output of {nbytes} bytes does not fit in memory.")
    fe_track(TRACE_DOMAIN, <uintptr_t>lease.block.data, nbytes)
    cdef np.ndarray array = np.PyArray_SimpleNewFromData(ndim, shape, np.NPY_FLOAT, lease.block.data)
    np.set_array_base(array, lease)
    return array


cdef inline int _set_padding(Rule* rule, object padding_id, np.ndarray ids) except -1:
    """Fills the rule's padding fields; a padding id that the ids' dtype cannot hold never occurs."""
    cdef int bits = 8 * <int>np.PyArray_ITEMSIZE(ids)
    cdef object span = (<object>1) << bits      # a Python integer: 2**64 overflows C's
    cdef object lowest = -(span >> 1) if np.PyArray_ISSIGNED(ids) else 0
    rule.has_padding = lowest <= padding_id < lowest + span
    rule.padding_id = (padding_id & (span - 1)) if rule.has_padding else 0
    return 0


cdef object _bad_id(BadId* bad, np.ndarray ids, ptrdiff_t num_rows, object word):
    """The worded IndexError for the first bad id; `word` is as `_check.bad_id`."""
    cdef object value = <int64_t>bad.bits() if np.PyArray_ISSIGNED(ids) else bad.bits()
    return word(bad.position(), value, (<object>ids).shape, num_rows)


cdef int _changed() except -1:
    raise ValueError("the shape or dtype of an argument was changed during the call.")


cdef inline int _mode(object mode) except -1:
    """The number of a mode."""
    if mode is RAISE:
        return 0
    number = MODES.get(mode) if isinstance(mode, str) else None
    if number is None:
        from fastembed.ops import _check
        raise _check.bad_mode(mode, list(MODES))
    return number


cdef inline np.ndarray _output(object out, str name, int type_number, ids, ptrdiff_t dim, table):
    """The array to write: a new one for None, else `out` when it fits, else a worded error."""
    if out is None:
        return _new_output(type_number, ids, dim)
    if _exact_output(out, type_number, ids, dim, table):
        return <np.ndarray>out
    from fastembed.ops import _check
    return _check.output(
        name, out, type_number == np.NPY_BOOL, ids.shape + ((dim,) if dim >= 0 else ()),
        "ids.shape + (D,)" if dim >= 0 else "ids.shape", ids=ids, table=table
    )
