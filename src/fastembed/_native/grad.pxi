"""The way back: gradients of looked-up rows, summed for each row of the table that they came from."""


cdef struct SumRows:
    const Groups* groups
    const float* grads          # (rows of them, dim) IN
    ptrdiff_t dim
    const ptrdiff_t* bags       # (N,) IN: the row of `grads` for each position; or NULL
    ptrdiff_t length            # when bags is NULL: positions that share a row of `grads`
    const float* weights        # (N,) IN: a factor for each position; or NULL
    const float* scales         # (rows of `grads`,) IN: a factor for each of them; or NULL
    float alpha                 # a factor for all
    const ptrdiff_t* which      # as `grads`: the position that a number goes to, with "max"; or NULL
    float* out                  # (U, dim) OUT, or, for `into_table`, the table, (V, dim) IN and OUT
    bint into_table
    bint streams                # whether add_to_zeros writes past the caches
    ReduceRows reduce_rows
    AddToZeros add_to_zeros
    ptrdiff_t ahead
    ptrdiff_t lines


cdef inline ptrdiff_t _grad_row(const SumRows* job, ptrdiff_t position) noexcept nogil:
    if job.bags:
        return job.bags[position]
    if job.length == 1:
        return position
    # the ids of a batch nearly always fit into 32 bits, where dividing is twice as fast
    if (<uint64_t>(position | job.length)) >> 32 == 0:      # uncounted: sorting more ids takes 64 GiB
        return <ptrdiff_t>(<uint32_t>position // <uint32_t>job.length)
    return position // job.length


cdef void _sum_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef SumRows* job = <SumRows*>context
    cdef Claim claim = job.groups.claims()[<size_t>block]
    _sum_groups(job, claim, job.out, 0, job.groups.start(claim.last))
    if job.streams:
        finish_stores()


cdef bint _sum_groups(const SumRows* job, Claim claim, float* out, ptrdiff_t base, ptrdiff_t known) noexcept nogil:
    # for each group of the claim: out[group - base] = (0 or the table's row) + factor * grads, position by position.
    # Positions are taken IDS_BLOCK at a time whatever the groups, so that rows are prefetched across their ends; those
    # up to the pair `known` will be wanted. False when a signal ended it.
    cdef const Groups* groups = job.groups
    cdef const float* rows[IDS_BLOCK]
    cdef float factors[IDS_BLOCK]
    cdef bint scaled = job.weights != NULL or job.scales != NULL or job.alpha != 1
    cdef ptrdiff_t asked = 0
    cdef ptrdiff_t chunk = 0, chunk_end = 0         # pairs whose gradients are at hand
    cdef ptrdiff_t last_pair = groups.start(claim.last)
    cdef ptrdiff_t group = claim.first, run
    cdef ptrdiff_t pair = groups.start(group)
    cdef ptrdiff_t group_end, stop, k, position, row
    cdef bint plain = not (scaled or job.which or job.into_table) and claim.end - claim.begin == job.dim
    cdef float* acc
    while group < claim.last:
        group_end = groups.start(group + 1)
        if job.into_table:
            acc = out + groups.row(pair) * job.dim
        else:
            acc = out + (group - base) * job.dim
        if plain and group_end == pair + 1:
            # most rows of a large table occur once in a batch: several such at a time
            if pair >= chunk_end:
                chunk = pair
                chunk_end = min(pair + IDS_BLOCK, known)
                _load_gradients(job, chunk, chunk_end, scaled, rows, factors)
            run = 1
            while pair + run < min(chunk_end, last_pair) and groups.start(group + run + 1) == pair + run + 1:
                run += 1
            job.add_to_zeros(
                acc, rows + (pair - chunk), run, job.dim, chunk_end - pair, job.ahead, job.lines
            )
            group += run
            pair += run
            continue
        if not job.into_table:
            memset(acc + claim.begin, 0, <size_t>(claim.end - claim.begin) * sizeof(float))
        while pair < group_end:
            if pair >= chunk_end:
                asked += 1
                if asked % (ASK_IDS // IDS_BLOCK) == 0 and pool_stopped():
                    return False
                chunk = pair
                chunk_end = min(pair + IDS_BLOCK, known)
                _load_gradients(job, chunk, chunk_end, scaled, rows, factors)
            stop = min(group_end, chunk_end)
            if job.which:
                for k in range(pair, stop):
                    position = groups.position(k)
                    row = _grad_row(job, position)
                    add_where_chosen(
                        acc, job.grads + row * job.dim, job.which + row * job.dim, position, claim.begin, claim.end
                    )
            else:
                job.reduce_rows(
                    acc, rows + (pair - chunk), factors + (pair - chunk), stop - pair, claim.begin, claim.end,
                    1 if scaled else 0, chunk_end - pair
                )
            pair = stop
        group += 1
    return True


cdef inline void _load_gradients(
    const SumRows* job, ptrdiff_t begin, ptrdiff_t end, bint scaled, const float** rows, float* factors
) noexcept nogil:
    # rows, factors: of the pairs begin..end
    cdef ptrdiff_t k, position, row
    for k in range(end - begin):
        position = job.groups.position(begin + k)
        row = _grad_row(job, position)
        rows[k] = job.grads + row * job.dim
        if scaled:
            factors[k] = job.alpha
            if job.weights:
                factors[k] *= job.weights[position]
            if job.scales:
                factors[k] *= job.scales[row]


cdef inline ptrdiff_t _sum_bytes(const SumRows* job, const Groups* groups) noexcept:
    """What summing reads and writes."""
    return (groups.size() + groups.count()) * job.dim * 4


cdef int _share_sums(SumRows* job, Groups* groups, int threads) except -1:
    """Shares the groups out in claims, and fills in what summing them takes."""
    cdef ptrdiff_t row_bytes = job.dim * 4
    cdef ptrdiff_t giant = PTRDIFF_MAX
    cdef ptrdiff_t columns = job.dim
    job.groups = groups
    if row_bytes == 0:
        return 0        # no claims
    if threads > 1 and job.dim >= 32:
        giant = max(GIANT_BAG_BYTES, _sum_bytes(job, groups) // (2 * threads)) // row_bytes
        columns = max((job.dim // (2 * threads) + 15) // 16 * 16, <ptrdiff_t>16)
    groups.claim(row_bytes, job.dim, BAG_CLAIM_BYTES, giant, columns)
    job.reduce_rows = path.reduce_rows
    job.add_to_zeros = path.add_to_zeros
    job.ahead = 8
    job.lines = min((row_bytes + 63) // 64 + 1, <ptrdiff_t>24)
    return 0


cdef int _run_sums(SumRows* job, int threads) except -1:
    return _run(_sum_block, job, <ptrdiff_t>job.groups.claims().size(), _sum_bytes(job, job.groups), threads)


# Ids that one thread brings together; twice as many are shared.
cdef ptrdiff_t GROUP_IDS = 16 * 1024


cdef struct Collect:
    const char* ids         # (count,) IN
    ptrdiff_t count
    int id_size
    Load load
    Rule rule
    Groups* groups
    BadId* bad


cdef void _collect(void* context, ptrdiff_t part) noexcept nogil:
    # a part of the groups' pairs = the rows of the ids that are not padding, each loaded once, with their positions
    cdef Collect* job = <Collect*>context
    cdef ptrdiff_t rows[IDS_BLOCK]
    cdef uint8_t keep[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef cpp_bool has_zeros = False
    cdef int parts = job.groups.parts()
    cdef ptrdiff_t start = job.groups.first_of(<int>part, parts, job.count)
    cdef ptrdiff_t end = job.groups.first_of(<int>part + 1, parts, job.count)
    cdef ptrdiff_t asked = 0
    cdef ptrdiff_t count, settled, k
    while start < end:
        count = min(end - start, IDS_BLOCK)
        settled = job.load(job.ids + start * job.id_size, count, job.rule, rows, keep, &bad_bits, &has_zeros)
        if settled < count:
            job.bad.report(start + settled, bad_bits)
            return
        for k in range(count):
            if keep[k]:
                job.groups.add(rows[k], start + k, <int>part)
        start += count
        asked += 1
        if asked % (ASK_IDS // IDS_BLOCK) == 0 and pool_stopped():
            return


cdef void _sort_part(void* context, ptrdiff_t part) noexcept nogil:
    (<Collect*>context).groups.work(<int>part, pool_stopped)


cdef int _group(
    np.ndarray ids, ptrdiff_t num_rows, object padding_id, Groups* groups, int threads, object word
) except -1:
    """groups of the ids, which are exact; an error, of `word`, for one outside [0, num_rows) that is not padding."""
    cdef BadId bad
    cdef Collect job
    cdef ptrdiff_t count = np.PyArray_SIZE(ids)
    job.ids = <const char*>np.PyArray_DATA(ids)
    job.count = count
    job.id_size = <int>np.PyArray_ITEMSIZE(ids)
    job.load = loader(job.id_size, np.PyArray_ISSIGNED(ids))
    job.rule.num_rows = num_rows
    job.rule.mode = 0
    job.rule.has_padding = False
    if padding_id is not None:
        _set_padding(&job.rule, padding_id, ids)
    job.groups = groups
    job.bad = &bad
    if count < 2 * GROUP_IDS:
        threads = 1
    groups.reserve(count, num_rows, <int>min(<ptrdiff_t>threads, count // GROUP_IDS + 1))
    _run(_collect, &job, groups.parts(), _product(count, 32), threads)
    _whole(ids)
    if bad.found():
        raise _bad_id(&bad, ids, num_rows, word)
    while groups.begin_stage():
        _run(_sort_part, &job, groups.parts(), _product(count, 32), threads)
    return 0


cdef np.ndarray _group_rows(const Groups* groups):
    """The groups' rows, in rising order."""
    cdef np.npy_intp count = groups.count()
    cdef np.ndarray indices = np.PyArray_EMPTY(1, &count, np.NPY_INTP, 0)
    cdef np.npy_intp* rows = <np.npy_intp*>np.PyArray_DATA(indices)
    cdef ptrdiff_t group
    with nogil:
        for group in range(count):
            rows[group] = groups.row(groups.start(group))
    return indices


@cython.final
@cython.auto_pickle(False)
cdef class RowSums:
    """The gradient of looked-up rows, whose sums for each row of the table are still to be made.

    An optimizer makes each while it takes the row's step, where `fits_step` allows that; `summed` makes all. What the
    gradient came as is read then.
    """
    cdef Groups groups
    cdef SumRows job
    cdef np.ndarray grads, weights
    cdef tuple arrays           # others that `job` points to
    cdef ptrdiff_t num_rows, grad_rows
    cdef int threads
    cdef bint fits_step         # whole rows, of memory that stays: no error can come once a step has begun

    def __cinit__(self):
        self.job.groups = &self.groups

    @property
    def dense_shape(self):
        """The table's shape, (V, D)."""
        return self.num_rows, self.job.dim

    @property
    def indices(self):
        """The rows that there will be sums for, rising: a new array (U,) of intp."""
        return _group_rows(&self.groups)

    def summed(self):
        """The sums, as IndexedSlices.

        Raises:
            OSError: the mapped file of the gradient was cut short.
        """
        slices = self._empty_slices()
        cdef SumRows job = self.job     # other threads may be summing too
        job.out = <float*>np.PyArray_DATA(<np.ndarray>slices.values)
        job.streams = _streams(np.PyArray_NBYTES(<np.ndarray>slices.values), job.dim)
        if job.streams:
            job.add_to_zeros = path.stream_to_zeros
        _run_sums(&job, self.threads)
        _whole(self.grads)
        _whole(self.weights)
        return slices

    cdef object _empty_slices(self):
        """IndexedSlices with room for the sums."""
        from fastembed.ops import _slices
        cdef np.npy_intp shape[2]
        shape[0] = self.groups.count()
        shape[1] = self.job.dim
        return _slices.IndexedSlices(
            _new_array(2, shape, np.NPY_FLOAT), _group_rows(&self.groups), (self.num_rows, self.job.dim)
        )

    def to_dense(self):
        """The whole gradient, zeros included."""
        return self.summed().to_dense()

    def reads(self, np.ndarray array not None):
        """Whether it may have bytes in common with an array."""
        return _may_overlap(self.grads, array) or (self.weights is not None and _may_overlap(self.weights, array))

    cdef int _share(self) except -1:
        """The last part of making one. After that nothing of it changes: several threads may use it."""
        cdef size_t k
        # Python code ran since the shapes were compared
        if np.PyArray_NBYTES(self.grads) != self.grad_rows * self.job.dim * 4:
            _changed()
        self.job.grads = <const float*>np.PyArray_DATA(self.grads)
        _share_sums(&self.job, &self.groups, self.threads)
        self.fits_step = self.job.dim > 0 and not (_is_mapped(self.grads) or _is_mapped(self.weights))
        for k in range(self.groups.claims().size()):
            if self.groups.claims()[k].end - self.groups.claims()[k].begin != self.job.dim:
                self.fits_step = False
        return 0


cdef inline bint _may_overlap(np.ndarray one, np.ndarray other) noexcept:
    """Whether C-contiguous arrays have bytes in common."""
    cdef const char* begin = <const char*>np.PyArray_DATA(one)
    cdef const char* other_begin = <const char*>np.PyArray_DATA(other)
    return begin < other_begin + np.PyArray_NBYTES(other) and other_begin < begin + np.PyArray_NBYTES(one)


def embedding_row_sums(
    ids, output_grad, num_rows, *, padding_id=None, num_threads=None, function="embedding_grad"
):
    """`embedding_grad` with the sums left to whoever takes them: a RowSums. `function`: see `_check.bad_id_at`."""
    from fastembed.ops import _bags, _check
    cdef RowSums sums = RowSums()
    cdef object word = _bags.wording(None, function)
    sums.threads = _threads(num_threads)
    sums.num_rows = _check.size("num_rows", num_rows)
    if padding_id is not None:
        padding_id = _check.integer("padding_id", padding_id)
    if _exact_ids(ids):
        ids = ids.view()        # whose shape and dtype nobody else can assign to
    else:
        ids, padding_id = _check.ids(ids, sums.num_rows, "raise", padding_id, word)
    sums.grads = _check.grads("output_grad", output_grad, (<object>ids).shape)
    _group(ids, sums.num_rows, padding_id, &sums.groups, sums.threads, word)
    sums.job.dim = np.PyArray_DIMS(sums.grads)[np.PyArray_NDIM(sums.grads) - 1]
    sums.job.length = 1
    sums.job.alpha = 1
    sums.grad_rows = np.PyArray_SIZE(ids)
    sums._share()
    return sums


def embedding_grad(ids, output_grad, num_rows, *, padding_id=None, num_threads=None):
    """Sums the gradient of looked-up rows for each row of the table: the gradient of `gather` for its table.

    Example:
        >>> grad = np.ones((1, 3, 2), dtype=np.float32)             # ids.shape + (D,)
        >>> fastembed.embedding_grad([[1, 2, 1]], grad, num_rows=6)
        IndexedSlices(values=array([[2., 2.],
               [1., 1.]], dtype=float32), indices=array([1, 2]), dense_shape=(6, 2))

    Args:
        ids: integers of any shape, as for `gather`.
        output_grad: floats of shape ids.shape + (D,), the gradient of the rows; float32 and contiguous is used in
            place, anything else is converted first.
        num_rows: integer, V: the number of rows of the table.
        padding_id: integer; ids that equal it give nothing, whether inside the table or not. None: no id is padding.
        num_threads: as for `gather`.

    Returns:
        IndexedSlices: values float32 (U, D) and indices intp (U,), the rows that the ids name, rising; and dense_shape
        (V, D). Each row is summed in float32 in the order of the ids: to the bit what `np.add.at` makes of zeros, for
        any number of threads. No memory of the table's size is needed.

    Raises:
        IndexError: an id is outside [0, V) and not `padding_id`.
        TypeError, ValueError, OSError: as `gather`; also an `output_grad` that is no array of floats of that shape.

    Note:
        The ids are copied once and checked before anything is summed, so that no id makes this read outside the arrays.
    """
    return embedding_row_sums(ids, output_grad, num_rows, padding_id=padding_id, num_threads=num_threads).summed()


cdef int _bag_scales(
    np.ndarray ids, np.ndarray starts, np.ndarray weights, object padding_id, int reduce, np.ndarray bags,
    np.ndarray scales
) except -1:
    """bags[position] = the bag it is in; scales[bag] = 1 over the bag's divisor. `scales` may be None."""
    cdef ptrdiff_t total = np.PyArray_SIZE(ids)
    cdef const ptrdiff_t* begin = <const ptrdiff_t*>np.PyArray_DATA(starts)
    cdef ptrdiff_t count = np.PyArray_SIZE(starts) - 1
    cdef ptrdiff_t* bag_of = <ptrdiff_t*>np.PyArray_DATA(bags)
    cdef float* scale = NULL
    cdef const float* weight = NULL
    cdef Rule rule
    cdef Load load = loader(<int>np.PyArray_ITEMSIZE(ids), np.PyArray_ISSIGNED(ids))
    cdef const char* data = <const char*>np.PyArray_DATA(ids)
    cdef int id_size = <int>np.PyArray_ITEMSIZE(ids)
    cdef ptrdiff_t rows[IDS_BLOCK]
    cdef uint8_t keep[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef cpp_bool has_zeros = False
    cdef ptrdiff_t bag, k, start, stop, kept, asked = 0
    cdef float divisor
    if scales is not None:
        scale = <float*>np.PyArray_DATA(scales)
    if weights is not None:
        weight = <const float*>np.PyArray_DATA(weights)
    rule.num_rows = 0
    rule.mode = 3               # any id: they are checked where they are used
    rule.has_padding = False
    if padding_id is not None:
        _set_padding(&rule, padding_id, ids)
    if begin[count] > total:
        _changed()
    with nogil:
        for bag in range(count):
            kept = 0
            divisor = 0
            start = begin[bag]
            while start < begin[bag + 1]:
                stop = min(start + IDS_BLOCK, begin[bag + 1])
                load(data + start * id_size, stop - start, rule, rows, keep, &bad_bits, &has_zeros)
                for k in range(stop - start):
                    bag_of[start + k] = bag
                    kept += keep[k]
                    if weight and keep[k]:
                        divisor += weight[start + k] * weight[start + k] if reduce == 3 else weight[start + k]
                asked += stop - start
                start = stop
                if asked > 1024 * ASK_IDS:
                    asked = 0
                    with gil:
                        check_signals()
            if scale:
                if not weight:
                    divisor = <float>kept
                scale[bag] = <float>1 / (sqrtf(divisor) if reduce == 3 else divisor)
    return 0


def embedding_bag_row_sums(
    ids, output_grad, num_rows, reduce="mean", offsets=None, lengths=None, weights=None, padding_id=None,
    include_last_offset=None, table=None, num_threads=None
):
    """`embedding_bag_grad` with the sums left to whoever takes them: a RowSums."""
    from fastembed.ops import _bags, _check
    cdef object number = REDUCTIONS.get(reduce) if isinstance(reduce, str) else None
    if number is None:
        raise _check.bad_reduce(reduce, None, list(REDUCTIONS))
    cdef RowSums sums = RowSums()
    cdef SumRows* job = &sums.job
    sums.threads = _threads(num_threads)
    cdef ptrdiff_t rows = _check.size("num_rows", num_rows)
    sums.num_rows = rows
    if padding_id is not None:
        padding_id = _check.integer("padding_id", padding_id)
    ids, starts, weights, padding_id, listed = _bags.bags(
        ids, offsets, lengths, weights, include_last_offset, reduce, rows, "raise", padding_id, None,
        "embedding_bag_grad"
    )
    cdef object word = _bags.wording(starts if listed else None, "embedding_bag_grad")
    cdef int last_axis = np.PyArray_NDIM(<np.ndarray>ids) - 1
    cdef tuple shape = (<object>ids).shape[:last_axis] if starts is None else (len(starts) - 1,)
    sums.grads = _check.grads("output_grad", output_grad, shape)
    cdef ptrdiff_t dim = np.PyArray_DIMS(sums.grads)[np.PyArray_NDIM(sums.grads) - 1]
    cdef object which = None
    if reduce == "max":
        table = _check.max_table(table, rows, dim)
    _group(ids, rows, padding_id, &sums.groups, sums.threads, word)     # first, for its errors
    if reduce == "max":
        places = {} if starts is None else {"offsets": starts, "include_last_offset": True}
        _, which = embedding_bag_max_positions(table, ids, padding_id=padding_id, num_threads=num_threads, **places)
    job.dim = dim
    job.alpha = 1
    cdef ptrdiff_t bag_count = 1
    for size in shape:
        bag_count *= size
    if which is not None and np.PyArray_SIZE(which) != bag_count * dim:
        _changed()
    if starts is None:
        job.length = np.PyArray_DIMS(<np.ndarray>ids)[last_axis]
        starts = np.PyArray_Arange(0, bag_count + 1, 1, np.NPY_INTP) * job.length
    cdef np.npy_intp total = np.PyArray_SIZE(ids)
    cdef np.npy_intp bags_shape = bag_count
    cdef np.ndarray bags = None
    cdef np.ndarray scales = None
    if job.length == 0 or number == 1 or number == 3:
        bags = np.PyArray_EMPTY(1, &total, np.NPY_INTP, 0)
        if number == 1 or number == 3:
            scales = np.PyArray_EMPTY(1, &bags_shape, np.NPY_FLOAT, 0)
        _bag_scales(ids, starts, weights, padding_id, <int>number, bags, scales)
        job.bags = <const ptrdiff_t*>np.PyArray_DATA(bags)
        if scales is not None:
            job.scales = <const float*>np.PyArray_DATA(scales)
    if weights is not None:
        job.weights = <const float*>np.PyArray_DATA(<np.ndarray>weights)
    if which is not None:
        job.which = <const ptrdiff_t*>np.PyArray_DATA(<np.ndarray>which)
    sums.weights = weights
    sums.arrays = (bags, scales, which)
    sums.grad_rows = bag_count
    sums._share()
    return sums


def embedding_bag_grad(
    ids, output_grad, num_rows, *, reduce="mean", offsets=None, lengths=None, weights=None, padding_id=None,
    include_last_offset=None, table=None, num_threads=None
):
    """Sums the gradient of pooled bags for each row of the table: the gradient of `embedding_bag` for its table.

    Args:
        ids, reduce, offsets, lengths, weights, padding_id, include_last_offset: as for `embedding_bag`.
        output_grad: floats of the shape of the bags' rows, ids.shape[:-1] + (D,) or (B, D).
        num_rows: integer, V: the number of rows of the table.
        table: the table itself, float32 (V, D), for reduce="max": each number of a bag's gradient goes to the first
            id whose row has the largest number there. Other reductions do not need it.
        num_threads: as for `gather`.

    Returns:
        IndexedSlices, as of `embedding_grad`: for each row that an id names, padding left out, the sum of weight *
        (1 / divisor) * gradient over its occurrences, in float32 in the order of the ids.

    Raises:
        IndexError, TypeError, ValueError, OSError: as `embedding_bag` and `embedding_grad`; also a ValueError for
            reduce="max" without `table`.
    """
    return embedding_bag_row_sums(
        ids, output_grad, num_rows, reduce, offsets, lengths, weights, padding_id, include_last_offset, table,
        num_threads
    ).summed()


def scatter_add(table, ids, values, alpha=1.0, *, num_threads=None):
    """Adds rows to rows of a table, in place: `table[ids[k]] += alpha * values[k]`, for ids that occur twice also.

    Example:
        >>> table = np.zeros((6, 2), dtype=np.float32)
        >>> fastembed.scatter_add(table, [1, 2, 1], np.ones((3, 2), dtype=np.float32), alpha=-0.1)
        >>> table[1]
        array([-0.2, -0.2], dtype=float32)

    Args:
        table: float32 array (V, D), C-contiguous, aligned and writable.
        ids: integers of any shape, as for `gather`.
        values: floats of shape ids.shape + (D,), which share no memory with `table`; float32 and contiguous is used in
            place, anything else is converted first.
        alpha: number, rounded to float32, that each value is multiplied with.
        num_threads: as for `gather`.

    Raises:
        IndexError: an id is outside [0, V); the table has not changed then.
        TypeError, ValueError: as `gather`; also values of another shape, or a read-only table.
        OSError: the mapped file of `values` or `table` was cut short; rows may have been added to.

    Note:
        Each row is added to in float32 in the order of the ids, to the bit as `np.add.at` does, for any number of
        threads. Other threads must not read or write the table meanwhile. Ctrl-C during a long call leaves the rows
        that were reached added to.
    """
    from fastembed.ops import _bags, _check
    cdef int threads = _threads(num_threads)
    cdef Groups groups
    cdef SumRows job
    table = _check.writable_table(table)
    cdef object word = _bags.wording(None, "")
    if _exact_ids(ids):
        ids = ids.view()        # as in embedding_row_sums
    else:
        ids, _ = _check.ids(ids, len(table), "raise", None, word)
    cdef np.ndarray grads = _check.grads("values", values, (<object>ids).shape)
    memset(&job, 0, sizeof(job))
    job.dim = np.PyArray_DIMS(grads)[np.PyArray_NDIM(grads) - 1]
    _check.same_dim(table, job.dim)
    _check.apart("values", grads, table=table)
    job.alpha = _check.number("alpha", alpha)
    cdef ptrdiff_t rows = np.PyArray_DIMS(<np.ndarray>table)[0]
    _group(ids, rows, None, &groups, threads, word)
    if (
        np.PyArray_NBYTES(grads) != np.PyArray_SIZE(ids) * job.dim * 4
        or np.PyArray_NBYTES(<np.ndarray>table) != rows * job.dim * 4
    ):
        _changed()
    job.length = 1
    job.grads = <const float*>np.PyArray_DATA(grads)
    job.out = <float*>np.PyArray_DATA(<np.ndarray>table)
    job.into_table = True
    _share_sums(&job, &groups, threads)
    _run_sums(&job, threads)
    _whole(grads)
    _whole(table)
