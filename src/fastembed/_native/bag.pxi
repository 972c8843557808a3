"""Rows of a table by ids, pooled: one output row a bag of ids."""

cdef dict REDUCTIONS = {"sum": 0, "mean": 1, "max": 2, "sqrtn": 3}

# Row bytes a thread claims at a time.
cdef ptrdiff_t BAG_CLAIM_BYTES = 128 * 1024
# A bag of more row bytes than this, and than a thread's share of the work, is split by columns.
cdef ptrdiff_t GIANT_BAG_BYTES = 1024 * 1024
# Ids of a giant bag that are checked together, then read by all threads.
cdef ptrdiff_t GIANT_BLOCK = 16 * 1024
# Ids between two questions of a long block whether it should stop.
cdef ptrdiff_t ASK_IDS = 4096
# A bag of more row bytes than this is done in steps whatever the threads, so that Ctrl-C is felt between them.
cdef ptrdiff_t LONG_BAG_BYTES = 64 * 1024 * 1024


cdef struct Bag:
    const float* table          # (V, dim) IN
    ptrdiff_t dim
    const char* ids             # (count,) IN
    int id_size
    Load load
    Rule rule
    const float* weights        # (count,) IN, or NULL
    const ptrdiff_t* starts     # (bags + 1,) IN: bag b is ids starts[b]..starts[b+1], a private copy; or NULL
    ptrdiff_t length            # ids of every bag when starts is NULL
    ptrdiff_t bags
    int reduce                  # a value of REDUCTIONS
    float* out                  # (bags, dim) OUT
    ptrdiff_t* which            # (bags, dim) OUT: for "max", the position of the id that gave each; or NULL
    const float* zeros          # (dim,): the row of an id that mode "zero" lets pass
    ReduceRows reduce_rows
    ptrdiff_t giant             # bags of more ids than this are left to _giant_bag
    const ptrdiff_t* claims     # (blocks + 1,) first bags of the blocks
    BadId* bad


cdef struct Tally:
    # what the divisor of a bag is made of
    ptrdiff_t kept              # ids that are not padding
    float weight                # sum of their weights, or of the squares for "sqrtn"


cdef inline ptrdiff_t _product(ptrdiff_t a, ptrdiff_t b) noexcept nogil:
    """a * b, or the largest number instead of one past it; a >= 0, b > 0."""
    return PTRDIFF_MAX if a > PTRDIFF_MAX // b else a * b     # uncounted: ids and rows past 2**63 bytes fit no machine


cdef inline ptrdiff_t _bag_start(const Bag* job, ptrdiff_t bag) noexcept nogil:
    return job.starts[bag] if job.starts else bag * job.length


cdef inline ptrdiff_t _load_rows(
    const Bag* job, ptrdiff_t start, ptrdiff_t count, const float** rows, float* weights, ptrdiff_t* before
) noexcept nogil:
    # rows, weights: of the ids start..start+count that are not padding; before[k]: how many of the first k those are.
    # Each id is loaded once. Returns how many there are, or -1 after a bad id.
    cdef ptrdiff_t numbers[IDS_BLOCK]
    cdef uint8_t keep[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef cpp_bool has_zeros = False
    cdef ptrdiff_t settled, k, kept = 0
    settled = job.load(job.ids + start * job.id_size, count, job.rule, numbers, keep, &bad_bits, &has_zeros)
    if settled < count:
        job.bad.report(start + settled, bad_bits)
        return -1
    for k in range(count):
        before[k] = kept
        if keep[k]:
            rows[kept] = job.table + numbers[k] * job.dim if numbers[k] >= 0 else job.zeros
            if job.weights:
                weights[kept] = job.weights[start + k]
            kept += 1
    before[count] = kept
    return kept


cdef inline void _add_rows(
    const Bag* job, float* acc, Tally* tally, const float** rows, const float* weights, ptrdiff_t count,
    ptrdiff_t begin, ptrdiff_t end, ptrdiff_t known
) noexcept nogil:
    # acc[begin:end] = acc (+ or maximum) rows, in order; the first row of a maximum is taken as it is
    cdef int kind = 0
    if count == 0:
        return
    if job.reduce == 2:
        kind = 2
        if tally.kept == 0:
            memcpy(acc + begin, rows[0] + begin, <size_t>(end - begin) * sizeof(float))
    elif job.weights:
        kind = 1
    job.reduce_rows(acc, rows, weights, count, begin, end, kind, known)


cdef inline void _count_rows(const Bag* job, Tally* tally, const float* weights, ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t k
    tally.kept += count
    if job.weights:
        if job.reduce == 3:
            for k in range(count):
                tally.weight += weights[k] * weights[k]
        else:
            for k in range(count):
                tally.weight += weights[k]


cdef inline void _finish(const Bag* job, float* acc, const Tally* tally) noexcept nogil:
    # the mean or its like of a bag's sum; an empty bag stays zeros
    cdef float divisor
    if tally.kept == 0 or job.reduce == 0 or job.reduce == 2:
        return
    divisor = tally.weight if job.weights else <float>tally.kept
    divide_row(acc, sqrtf(divisor) if job.reduce == 3 else divisor, 0, job.dim)


cdef void _bag_block(void* context, ptrdiff_t block) noexcept nogil:
    # for each bag of the block: out[bag] = reduce of table[ids of the bag], padding left out.
    # Ids are taken IDS_BLOCK at a time whatever the bags, so that rows are prefetched across the ends of bags.
    cdef Bag* job = <Bag*>context
    cdef const float* rows[IDS_BLOCK]
    cdef float weights[IDS_BLOCK]
    cdef ptrdiff_t before[IDS_BLOCK + 1]
    cdef Tally tally
    cdef ptrdiff_t bag, begin, end, start, stop, first, last
    cdef ptrdiff_t kept = 0
    cdef ptrdiff_t asked = 0
    cdef ptrdiff_t chunk = 0, chunk_end = 0         # ids whose rows are at hand
    cdef ptrdiff_t block_end = _bag_start(job, job.claims[block + 1])
    for bag in range(job.claims[block], job.claims[block + 1]):
        begin = _bag_start(job, bag)
        end = _bag_start(job, bag + 1)
        if end - begin > job.giant:
            continue
        memset(job.out + bag * job.dim, 0, <size_t>job.dim * sizeof(float))
        tally.kept = 0
        tally.weight = 0
        start = begin
        while start < end:
            if start >= chunk_end:
                if start >= job.bad.position():
                    return
                chunk = start
                chunk_end = min(start + IDS_BLOCK, block_end)
                asked += 1
                if asked % (ASK_IDS // IDS_BLOCK) == 0 and pool_stopped():
                    return
                kept = _load_rows(job, chunk, chunk_end - chunk, rows, weights, before)
                if kept < 0:
                    return
            stop = min(end, chunk_end)
            first = before[start - chunk]
            last = before[stop - chunk]
            if job.which:
                _add_with_positions(job, bag, &tally, rows, before, chunk, start, stop)
            else:
                _add_rows(
                    job, job.out + bag * job.dim, &tally, rows + first, weights + first, last - first,
                    0, job.dim, kept - first
                )
            _count_rows(job, &tally, weights + first, last - first)
            start = stop
        _finish(job, job.out + bag * job.dim, &tally)


cdef void _add_with_positions(
    const Bag* job, ptrdiff_t bag, const Tally* tally, const float** rows, const ptrdiff_t* before, ptrdiff_t chunk,
    ptrdiff_t start, ptrdiff_t stop
) noexcept nogil:
    # as _add_rows for "max", noting for each column the position of the id that gave it
    cdef float* acc = job.out + bag * job.dim
    cdef ptrdiff_t* which = job.which + bag * job.dim
    cdef bint fresh = tally.kept == 0
    cdef ptrdiff_t position, d
    for position in range(start, stop):
        if before[position - chunk] == before[position - chunk + 1]:
            continue
        if fresh:
            memcpy(acc, rows[before[position - chunk]], <size_t>job.dim * sizeof(float))
            for d in range(job.dim):
                which[d] = position
            fresh = False
        else:
            maximum_with_position(acc, which, rows[before[position - chunk]], position, 0, job.dim)


cdef struct GiantBlock:
    # a part of a giant bag whose ids are checked; its columns are shared out
    const Bag* job
    float* acc
    Tally* tally
    const float** rows
    const float* weights
    ptrdiff_t count
    ptrdiff_t columns           # a claim


cdef void _giant_columns(void* context, ptrdiff_t block) noexcept nogil:
    cdef GiantBlock* part = <GiantBlock*>context
    cdef ptrdiff_t begin = block * part.columns
    cdef ptrdiff_t end = min(begin + part.columns, part.job.dim)
    cdef Tally tally
    cdef ptrdiff_t k = 0
    # IDS_BLOCK rows at a time, which stay in the cache from one of _add_rows's passes over them to the next
    while k < part.count:
        tally.kept = part.tally.kept + k
        _add_rows(
            part.job, part.acc, &tally, part.rows + k, part.weights + k, min(part.count - k, IDS_BLOCK), begin, end,
            part.count - k
        )
        k += IDS_BLOCK


cdef ptrdiff_t _load_giant_block(
    const Bag* job, ptrdiff_t start, ptrdiff_t stop, const float** rows, float* weights
) noexcept nogil:
    # _load_rows for more than IDS_BLOCK ids
    cdef ptrdiff_t before[IDS_BLOCK + 1]
    cdef ptrdiff_t kept, count = 0
    while start < stop:
        kept = _load_rows(job, start, min(stop - start, IDS_BLOCK), rows + count, weights + count, before)
        if kept < 0:
            return -1
        count += kept
        start += IDS_BLOCK
    return count


cdef int _giant_bag(Bag* job, ptrdiff_t bag, int threads) except -1:
    """A bag too large for a block: its ids are checked once, into private memory, and its columns are shared out."""
    cdef ptrdiff_t begin = _bag_start(job, bag)
    cdef ptrdiff_t end = _bag_start(job, bag + 1)
    cdef ptrdiff_t start, stop, count
    cdef Tally tally
    cdef GiantBlock part
    cdef const float** rows = <const float**>PyMem_Malloc(GIANT_BLOCK * sizeof(float*))
    cdef float* weights = <float*>PyMem_Malloc(GIANT_BLOCK * sizeof(float))
    if rows == NULL or weights == NULL:
        PyMem_Free(rows)
        PyMem_Free(weights)
        raise MemoryError("no memory for the ids of a bag.")
    tally.kept = 0
    tally.weight = 0
    memset(job.out + bag * job.dim, 0, <size_t>job.dim * sizeof(float))
    part.job = job
    part.acc = job.out + bag * job.dim
    part.tally = &tally
    part.rows = rows
    part.weights = weights
    # two claims a thread, so that a late one is made up for; not under two cache lines, where the rows have more
    part.columns = job.dim
    if threads > 1:
        part.columns = max((job.dim // (2 * threads) + 15) // 16 * 16, <ptrdiff_t>(32 if job.dim >= 64 else 16))
    try:
        start = begin
        while start < end and start < job.bad.position():
            stop = min(start + GIANT_BLOCK, end)
            with nogil:
                count = _load_giant_block(job, start, stop, rows, weights)
            if count < 0:
                break
            part.count = count
            if job.dim:
                _run(
                    _giant_columns, &part, (job.dim + part.columns - 1) // part.columns,
                    count * job.dim * 4, threads
                )
            if PyErr_CheckSignals():        # each run is too short to ask
                return -1
            _count_rows(job, &tally, weights, count)
            start = stop
        _finish(job, part.acc, &tally)
    finally:
        PyMem_Free(rows)
        PyMem_Free(weights)
    return 0


cdef int _bag(
    np.ndarray table,       # (V, D) IN
    np.ndarray ids,         # (N,) or (..., L) IN
    np.ndarray starts,      # (B + 1,) intp IN, private; or None: bags are the last axis of ids
    np.ndarray weights,     # as ids, float32 IN; or None
    np.ndarray out,         # (B, D) OUT
    np.ndarray which,       # (B, D) intp OUT, or None
    object padding_id,
    int reduce,
    int mode,
    int threads,
    bint listed,            # whether the bags came as a list, by which an error names an id
) except -1:
    """out = the bags' reductions; all arguments exact, out and which new or checked."""
    cdef BadId bad
    cdef Bag job
    cdef ptrdiff_t total = np.PyArray_SIZE(ids)
    cdef ptrdiff_t row_bytes, bag, length, target, blocks = 0, held = 0
    cdef bint any_giant = False
    cdef int axis
    if np.PyArray_NDIM(table) != 2:     # as in _gather: Python code ran after the shapes were compared
        _changed()
    job.table = <const float*>np.PyArray_DATA(table)
    job.dim = np.PyArray_DIMS(table)[1]
    job.ids = <const char*>np.PyArray_DATA(ids)
    job.id_size = <int>np.PyArray_ITEMSIZE(ids)
    job.load = loader(job.id_size, np.PyArray_ISSIGNED(ids))
    job.rule.num_rows = np.PyArray_DIMS(table)[0]
    job.rule.mode = mode
    job.rule.has_padding = False
    if padding_id is not None:
        _set_padding(&job.rule, padding_id, ids)
    job.weights = NULL
    if weights is not None:
        job.weights = <const float*>np.PyArray_DATA(weights)
    job.starts = NULL
    if starts is None:
        axis = np.PyArray_NDIM(ids) - 1
        job.length = np.PyArray_DIMS(ids)[axis] if axis >= 0 else 0
        job.bags = 1
        for axis in range(axis):
            job.bags *= np.PyArray_DIMS(ids)[axis]
    else:
        job.starts = <const ptrdiff_t*>np.PyArray_DATA(starts)
        job.bags = np.PyArray_SIZE(starts) - 1
    if (
        job.load == NULL
        or np.PyArray_NBYTES(out) != job.bags * job.dim * 4
        or (starts is not None and job.starts[job.bags] > total)
        or (weights is not None and np.PyArray_SIZE(weights) != total)
    ):
        _changed()
    if total == 0:
        np.PyArray_FILLWBYTE(out, 0)
        return 0
    job.reduce = reduce
    job.out = <float*>np.PyArray_DATA(out)
    job.which = NULL
    if which is not None:
        job.which = <ptrdiff_t*>np.PyArray_DATA(which)
    job.zeros = NULL
    job.reduce_rows = path.reduce_rows
    row_bytes = job.dim * 4
    job.bad = &bad
    job.giant = PTRDIFF_MAX
    if which is None:
        job.giant = LONG_BAG_BYTES
        if threads > 1 and job.dim >= 32:
            job.giant = min(job.giant, max(GIANT_BAG_BYTES, _product(total, row_bytes) // (2 * threads)))
        job.giant //= max(row_bytes, <ptrdiff_t>64)
    # blocks: runs of bags of about BAG_CLAIM_BYTES of rows; a bag weighs an id more, for its output
    target = max(BAG_CLAIM_BYTES // max(row_bytes, <ptrdiff_t>64), <ptrdiff_t>1)
    cdef ptrdiff_t most = min(job.bags, (total + job.bags) // target + 1)
    cdef ptrdiff_t* claims = <ptrdiff_t*>PyMem_Malloc(<size_t>(most + 2) * sizeof(ptrdiff_t))
    cdef float* zeros = <float*>PyMem_Calloc(<size_t>max(job.dim, <ptrdiff_t>1), sizeof(float))
    if claims == NULL or zeros == NULL:
        PyMem_Free(claims)
        PyMem_Free(zeros)
        raise MemoryError("no memory for the list of bags.")
    job.zeros = zeros
    job.claims = claims
    try:
        claims[0] = 0
        for bag in range(job.bags):
            length = _bag_start(&job, bag + 1) - _bag_start(&job, bag)
            if length > job.giant:
                any_giant = True
                length = 0
            held += length + 1
            if held >= target:
                blocks += 1
                claims[blocks] = bag + 1
                held = 0
        if claims[blocks] < job.bags:
            blocks += 1
            claims[blocks] = job.bags
        _run(_bag_block, &job, blocks, _product(total + job.bags, max(row_bytes, <ptrdiff_t>job.id_size)), threads)
        if any_giant:
            for bag in range(job.bags):
                if _bag_start(&job, bag + 1) - _bag_start(&job, bag) > job.giant:
                    _giant_bag(&job, bag, threads)
    finally:
        PyMem_Free(claims)
        PyMem_Free(zeros)
    _whole(table)
    _whole(ids)
    _whole(weights)
    if bad.found():
        from fastembed.ops import _bags
        raise _bad_id(&bad, ids, job.rule.num_rows, _bags.wording(starts if listed else None))
    return 0


def embedding_bag(
    table, ids, *, reduce="mean", offsets=None, lengths=None, weights=None, padding_id=None, include_last_offset=None,
    out=None, mode="raise", num_threads=None
):
    """Looks up bags of ids and pools each bag's rows into one, without making the rows in between.

    Example:
        >>> table = np.arange(12, dtype=np.float32).reshape(6, 2)           # (V, D) = (6, 2)
        >>> fastembed.embedding_bag(table, [[1, 2, 0], [5, 0, 0]], padding_id=0)
        array([[ 3.,  4.],
               [10., 11.]], dtype=float32)
        >>> fastembed.embedding_bag(table, [1, 2, 5], lengths=[2, 1], reduce="sum")
        array([[ 6.,  8.],
               [10., 11.]], dtype=float32)

    Args:
        table: float32 array (V, D), as for `gather`. Never copied.
        ids: integers: an array (..., L), whose last axis is the bags; or a 1-D array with `offsets` or `lengths`; or a
            list of B sequences of different lengths (a tokeniser's output).
        reduce: how a bag's rows become one. "sum"; "mean", the sum over the number of ids; "sqrtn", the sum over the
            square root of that number; "max", the largest of each column.
        offsets: integers (B,), from 0 up to len(ids): the position in `ids` where each bag begins, as in torch.
        lengths: integers (B,): the number of ids of each bag; their sum is len(ids).
        weights: floats of the shape of `ids`: what each row is multiplied with. "mean" then divides by the sum of the
            weights, "sqrtn" by the square root of the sum of their squares; "max" has no weights.
        padding_id: integer; ids that equal it are left out: neither read, nor added, nor counted, whether inside the
            table or not. None: no id is padding.
        include_last_offset: whether `offsets` has one number more, the end of the last bag. None: so if `out` has a
            row less than `offsets` has numbers; else not.
        out: float32 array of the result's shape, C-contiguous and writable, that shares no memory with the inputs.
        mode, num_threads: as for `gather`; the row of an id that mode "zero" lets pass is zeros, and counts.

    Returns:
        float32 array of shape ids.shape[:-1] + (D,), or (B, D); `out` when it was given. A bag without ids (or with
        padding alone) gives zeros. Rows are added in the order of the ids, in float32: the result is the same to the
        bit for any number of threads. NaN and infinity go through as in NumPy.

    Raises:
        IndexError: as `gather`.
        TypeError, ValueError: as `gather`; also an unknown `reduce`, weights with "max" or of another shape, offsets
            that do not begin with 0 or decrease or pass the end, lengths that are negative or do not add up.
    """
    return _embedding_bag(
        table, ids, reduce, offsets, lengths, weights, padding_id, include_last_offset, out, mode, num_threads, False
    )


def embedding_bag_max_positions(
    table, ids, *, offsets=None, lengths=None, padding_id=None, include_last_offset=None, mode="raise",
    num_threads=None
):
    """`embedding_bag(reduce="max")` and, for the gradient, which id gave each number.

    Returns:
        (rows, positions): float32 (B, D) and intp (B, D) positions in the flattened ids, -1 in an empty bag.
    """
    return _embedding_bag(
        table, ids, "max", offsets, lengths, None, padding_id, include_last_offset, None, mode, num_threads, True
    )


cdef object _embedding_bag(
    table, ids, reduce, offsets, lengths, weights, padding_id, include_last_offset, out, mode, num_threads,
    bint with_positions
):
    cdef object number = REDUCTIONS.get(reduce) if isinstance(reduce, str) else None
    if number is None or (isinstance(mode, str) and mode in REDUCTIONS):
        from fastembed.ops import _check
        raise _check.bad_reduce(reduce, mode, list(REDUCTIONS))
    cdef int mode_number = _mode(mode)
    cdef int threads = _threads(num_threads)
    if padding_id is not None and type(padding_id) is not int:
        from fastembed.ops import _check
        padding_id = _check.integer("padding_id", padding_id)
    cdef object starts = None
    cdef bint listed = False
    if not (
        _exact_table(table) and _exact_ids(ids) and np.PyArray_NDIM(<np.ndarray>ids) > 1
        and offsets is None and lengths is None and weights is None and include_last_offset is None
    ):
        from fastembed.ops import _bags, _check
        table = _check.table(table)
        ids, starts, weights, padding_id, listed = _bags.bags(
            ids, offsets, lengths, weights, include_last_offset, reduce, len(table), mode, padding_id, out
        )
    cdef np.npy_intp shape[np.NPY_MAXDIMS]
    cdef int ndim = 2 if starts is not None else np.PyArray_NDIM(<np.ndarray>ids)
    cdef int axis
    for axis in range(ndim - 1):
        shape[axis] = np.PyArray_DIMS(<np.ndarray>ids)[axis] if starts is None else len(starts) - 1
    shape[ndim - 1] = np.PyArray_DIMS(<np.ndarray>table)[1]
    cdef np.ndarray rows
    if out is None:
        rows = _new_array(ndim, shape, np.NPY_FLOAT)
    else:
        from fastembed.ops import _check
        rows = _check.output(
            "out", out, False, tuple([shape[axis] for axis in range(ndim)]),
            "ids.shape[:-1] + (D,)" if starts is None else "(B, D)", table=table, ids=ids, weights=weights
        )
    cdef np.ndarray which = None
    if with_positions:
        which = np.PyArray_EMPTY(ndim, shape, np.NPY_INTP, 0)
        np.PyArray_FILLWBYTE(which, 0xff)       # -1 everywhere
    _bag(table, ids, starts, weights, rows, which, padding_id, <int>number, mode_number, threads, listed)
    if with_positions:
        return rows, which
    return rows if out is None else out
