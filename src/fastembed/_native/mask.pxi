"""Which ids are not padding."""


cdef struct Mask:
    const char* ids             # (count,) IN
    ptrdiff_t count
    int id_size
    Mark mark
    uint64_t padding_id
    uint8_t* out                # (count,) OUT


cdef void _mask_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef Mask* job = <Mask*>context
    cdef ptrdiff_t claim = CLAIM_BYTES // job.id_size
    cdef ptrdiff_t start = block * claim
    job.mark(job.ids + start * job.id_size, min(claim, job.count - start), job.padding_id, job.out + start)


def mask(ids, padding_id=0, *, out=None, num_threads=None):
    """Marks the ids that are not padding: `ids != padding_id`.

    Example:
        >>> fastembed.mask([[1, 2, 0], [3, 0, 0]])
        array([[ True,  True, False],
               [ True, False, False]])

    Args:
        ids: integers of any width and shape, as for `gather`.
        padding_id: integer; an id that the dtype of `ids` cannot hold never occurs.
        out: bool array of shape ids.shape, C-contiguous and writable, that shares no memory with `ids`.
        num_threads: as for `gather`.

    Returns:
        bool array of shape ids.shape, True where the id is not `padding_id`; `out` when it was given.

    Raises:
        TypeError, ValueError: `ids` or `padding_id` is not of integers; an `out` that does not fit.
    """
    cdef int threads = _threads(num_threads)
    if type(padding_id) is not int:
        from fastembed.ops import _check
        padding_id = _check.integer("padding_id", padding_id)
    if not _exact_ids(ids):
        from fastembed.ops import _check
        _check.apart("out", out, ids=ids)
        ids, padding_id = _check.ids(ids, 0, "zero", padding_id)
    cdef np.ndarray marks = _output(out, "out", np.NPY_BOOL, ids, -1, ids)
    cdef Rule rule
    cdef Mask job
    _set_padding(&rule, padding_id, ids)
    job.ids = <const char*>np.PyArray_DATA(<np.ndarray>ids)
    job.count = np.PyArray_SIZE(<np.ndarray>ids)
    job.id_size = <int>np.PyArray_ITEMSIZE(<np.ndarray>ids)
    job.mark = marker(job.id_size, strcmp(path.name, b"avx2") == 0)
    job.padding_id = rule.padding_id
    job.out = <uint8_t*>np.PyArray_DATA(marks)
    if np.PyArray_NBYTES(marks) != job.count:       # as in _gather: Python code ran after the shapes were compared
        _changed()
    if not rule.has_padding:
        memset(job.out, 1, <size_t>job.count)
    else:
        claim = CLAIM_BYTES // job.id_size
        _run(_mask_block, &job, (job.count + claim - 1) // claim, job.count * (job.id_size + 1), threads)
    _whole(ids)
    return marks if out is None else out
