"""Rows of a table by ids, one output row an id."""


cdef struct Gather:
    const float* table      # (V, dim) IN
    ptrdiff_t dim
    const char* ids         # (count,) IN
    ptrdiff_t count
    int id_size
    Load load
    Rule rule
    float* out              # (count, dim) OUT
    uint8_t* mask           # (count,) OUT, or NULL
    CopyRows copy_rows
    bint streams            # whether copy_rows writes past the caches
    CopyNarrow copy_narrow  # NULL where rows are not narrow, or ids have to be compared with padding
    ptrdiff_t ahead         # rows prefetched before their turn
    ptrdiff_t lines         # cache lines prefetched of each
    ptrdiff_t claim         # ids a thread claims at a time
    BadId* bad


cdef void _gather_block(void* context, ptrdiff_t block) noexcept nogil:
    # for each IDS_BLOCK of the claim: rows = ids, each loaded once and checked; out = table[rows]
    cdef Gather* job = <Gather*>context
    cdef ptrdiff_t rows[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef cpp_bool has_zeros = False
    cdef ptrdiff_t start = block * job.claim
    cdef ptrdiff_t stop = min(start + job.claim, job.count)
    cdef ptrdiff_t count, settled
    while start < stop and start < job.bad.position():
        if job.copy_narrow:
            start += job.copy_narrow(
                job.ids + start * job.id_size, stop - start, job.rule.num_rows, job.table, job.out + start * job.dim
            )
        count = min(stop - start, IDS_BLOCK)
        settled = job.load(
            job.ids + start * job.id_size, count, job.rule, rows, job.mask + start if job.mask else NULL, &bad_bits,
            &has_zeros
        )
        if settled < count:
            job.bad.report(start + settled, bad_bits)
            break
        job.copy_rows(job.out + start * job.dim, job.table, rows, count, job.dim, job.ahead, job.lines, has_zeros)
        start += count
    if job.streams:
        finish_stores()


cdef inline bint _streams(ptrdiff_t nbytes, ptrdiff_t dim) noexcept:
    """Whether an output of rows is written past the caches."""
    return path.stream_rows != NULL and nbytes >= stream_bytes and dim >= stream_dim


cdef int _gather(
    np.ndarray table,       # (V, D) IN
    np.ndarray ids,         # (...) IN
    np.ndarray out,         # (..., D) OUT
    np.ndarray mask,        # (...) OUT, or None
    object padding_id,
    int mode,
    int threads,
) except -1:
    """out = table[ids], mask = ids != padding_id; all arguments exact, out and mask new or checked."""
    cdef BadId bad
    cdef Gather job
    cdef ptrdiff_t row_bytes, work
    # Where an argument was not exact, or a guard was waited for, other code ran after some of the checks: another
    # thread may have assigned a shape or a dtype in the meantime. Nothing can from here on.
    if np.PyArray_NDIM(table) != 2:
        _changed()
    job.table = <const float*>np.PyArray_DATA(table)
    job.dim = np.PyArray_DIMS(table)[1]
    job.ids = <const char*>np.PyArray_DATA(ids)
    job.count = np.PyArray_SIZE(ids)
    job.id_size = <int>np.PyArray_ITEMSIZE(ids)
    job.load = loader(job.id_size, np.PyArray_ISSIGNED(ids))
    job.rule.num_rows = np.PyArray_DIMS(table)[0]
    job.rule.mode = mode
    job.rule.has_padding = False
    job.out = <float*>np.PyArray_DATA(out)
    job.mask = NULL
    if mask is not None:
        job.mask = <uint8_t*>np.PyArray_DATA(mask)
        _set_padding(&job.rule, padding_id, ids)
    job.streams = _streams(np.PyArray_NBYTES(out), job.dim)
    job.copy_rows = path.stream_rows if job.streams else path.copy_rows
    job.copy_narrow = NULL
    if mask is None:
        job.copy_narrow = narrow_copier(job.id_size, np.PyArray_ISSIGNED(ids), job.dim)
    row_bytes = job.dim * 4
    job.ahead = 16 if row_bytes <= 64 else 8
    # a table that the cache nearest to the core holds needs none
    job.lines = 0
    if job.rule.num_rows * row_bytes > PREFETCH_BYTES:
        job.lines = min((row_bytes + 63) // 64, <ptrdiff_t>24)
    job.claim = max(CLAIM_BYTES // (row_bytes + job.id_size), <ptrdiff_t>1)
    job.bad = &bad
    if np.PyArray_NBYTES(out) != job.count * row_bytes or (mask is not None and np.PyArray_NBYTES(mask) != job.count):
        _changed()
    if job.load == NULL:        # rows without columns do not tell how many ids there were
        _changed()
    work = job.count * (row_bytes + job.id_size)
    _run(_gather_block, &job, (job.count + job.claim - 1) // job.claim, work, threads)
    _whole(table)
    _whole(ids)
    if bad.found():
        from fastembed.ops import _check
        raise _bad_id(&bad, ids, job.rule.num_rows, _check.bad_id)
    return 0


def gather(table, ids, *, out=None, mode="raise", num_threads=None):
    """Looks up rows of a table: `rows[i, j] = table[ids[i, j]]`.

    Example:
        >>> table = np.eye(6, 2, dtype=np.float32)              # (V, D) = (6, 2)
        >>> fastembed.gather(table, [[1, 2, 3], [0, 0, 5]]).shape
        (2, 3, 2)

    Args:
        table: float32 array (V, D), C-contiguous, aligned; may be read-only or memory-mapped. Never copied.
        ids: integers of any width, an array of any shape and strides, or nested lists; 0-d and empty ones too.
            Contiguous arrays are used in place. bool and float ids are refused (in a list NumPy makes
            1 of a True among integers).
        out: float32 array of shape ids.shape + (D,), C-contiguous and writable, that shares no memory with `table` or
            `ids`, to write to; None makes a new one. After an IndexError its contents are unspecified.
        mode: what an id outside [0, V) does. "raise" raises IndexError; "clip" takes the nearest row (0 or V - 1);
            "wrap" takes row id % V; "zero" gives a row of zeros.
        num_threads: most threads to use; None takes the setting (see `set_num_threads`). Small calls stay on one.
            The result is the same to the bit for any number.

    Returns:
        float32 array of shape ids.shape + (D,); `out` when it was given. Empty ids give an empty array.

    Raises:
        IndexError: an id is outside the table in mode "raise" (negative ids are outside), or the table has no rows in
            mode "clip" or "wrap". The first such id in C order is named.
        TypeError: `table`, `ids` or `out` has a wrong dtype or is no array.
        ValueError: a wrong shape or layout; an `out` that overlaps an input; an unknown mode.
        OSError: a mapped file was cut short: `table` or `ids` is over memory whose file has ended.

    Note:
        No id makes this read outside the table, even when another thread rewrites `ids` during the call. When another
        thread writes `table` during the call, a row may come out half old and half new: an array cannot tell who is
        writing to it. Calls of an `Embedding` layer see one version of its table.
    """
    cdef int mode_number = _mode(mode)
    cdef int threads = _threads(num_threads)
    if not (_exact_table(table) and _exact_ids(ids)):
        from fastembed.ops import _check
        table = _check.table(table)
        _check.apart("out", out, ids=ids)       # `ids` itself: what _check.ids returns may be a copy
        ids, _ = _check.ids(ids, len(table), mode)
    cdef np.ndarray rows = _output(out, "out", np.NPY_FLOAT, ids, np.PyArray_DIMS(<np.ndarray>table)[1], table)
    _gather(table, ids, rows, None, None, mode_number, threads)
    return rows if out is None else out


def gather_with_mask(table, ids, *, padding_id=0, out=None, mask_out=None, mode="raise", num_threads=None):
    """Looks up rows of a table and marks padding, in one pass: `(table[ids], ids != padding_id)`.

    Example:
        >>> table = np.eye(6, 2, dtype=np.float32)
        >>> rows, mask = fastembed.gather_with_mask(table, [[1, 2, 0], [3, 0, 0]])
        >>> mask
        array([[ True,  True, False],
               [ True, False, False]])

    Args:
        table, ids, out, mode, num_threads: as in `gather`.
        padding_id: integer; the id that stands for padding. Inside the table it is looked up like any other (as Keras
            does with `mask_zero`); outside it (-1, say) its row is zeros, in every mode, and never an error.
        mask_out: bool array of shape ids.shape, C-contiguous and writable, that shares no memory with the inputs or
            `out`, to write the mask to; None makes a new one.

    Returns:
        (rows, mask): float32 array of shape ids.shape + (D,) and bool array of shape ids.shape, True where the id is
        not `padding_id`; `out` and `mask_out` when they were given.

    Raises:
        IndexError, TypeError, ValueError: as `gather`; also TypeError when `padding_id` is no integer.
    """
    cdef int mode_number = _mode(mode)
    cdef int threads = _threads(num_threads)
    if type(padding_id) is not int:
        from fastembed.ops import _check
        padding_id = _check.integer("padding_id", padding_id)
    if not (_exact_table(table) and _exact_ids(ids)):
        from fastembed.ops import _check
        table = _check.table(table)
        _check.apart("out", out, ids=ids)
        _check.apart("mask_out", mask_out, ids=ids)
        ids, padding_id = _check.ids(ids, len(table), mode, padding_id)
    cdef np.ndarray rows = _output(out, "out", np.NPY_FLOAT, ids, np.PyArray_DIMS(<np.ndarray>table)[1], table)
    cdef np.ndarray mask = _output(mask_out, "mask_out", np.NPY_BOOL, ids, -1, table)
    if mask_out is not None and out is not None and _overlap(rows, mask):
        from fastembed.ops import _check
        raise _check.outputs_overlap()
    _gather(table, ids, rows, mask, padding_id, mode_number, threads)
    return (rows if out is None else out, mask if mask_out is None else mask_out)
