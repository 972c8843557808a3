"""An optimizer's step over the rows of a table, and the payment of what rows owe for steps they were left out of."""

RULES = {
    "plain": (0, 0), "sgd": (1, 1), "rmsprop": (2, 1), "adagrad": (3, 1), "adadelta": (4, 2), "adam": (5, 2),
    "amsgrad": (6, 3), "adamax": (7, 2), "nadam": (8, 2), "rowwise_adagrad": (9, 1),
}       # number, rows of state
SERIES_TERMS = FE_TERMS

# Bytes of table, state and gradient that a thread claims at a time.
cdef ptrdiff_t STEP_CLAIM_BYTES = 128 * 1024

# Rows whose gradients are summed before their steps are taken: the sums are on a thread's stack, and in its cache.
cdef enum:
    SUMS_ROWS = 64
    SUMS_FLOATS = 8192


def rising_rows(np.ndarray indices not None, ptrdiff_t num_rows):
    """A private copy of the indices, when they rise and are rows of a table; else None."""
    if not (_exact_ids(indices) and np.PyArray_TYPE(indices) == np.NPY_INTP and np.PyArray_NDIM(indices) == 1):
        return None
    cdef np.npy_intp count = np.PyArray_SIZE(indices)
    cdef np.ndarray copy = np.PyArray_EMPTY(1, &count, np.NPY_INTP, 0)
    cdef np.npy_intp* rows = <np.npy_intp*>np.PyArray_DATA(copy)
    if np.PyArray_NBYTES(indices) != np.PyArray_NBYTES(copy):
        return None
    memcpy(rows, np.PyArray_DATA(indices), np.PyArray_NBYTES(copy))
    cdef ptrdiff_t before = -1
    cdef ptrdiff_t k
    for k in range(count):
        if rows[k] <= before:
            return None
        before = rows[k]
    return copy if before < num_rows else None


def stays(np.ndarray array not None, list tables not None):
    """Whether a C-contiguous array keeps its numbers while these are written: it shares no bytes with one of them, and
    no file is under it, which may be cut short."""
    cdef np.ndarray table
    for table in tables:
        if _may_overlap(array, table):
            return False
    return not _is_mapped(array)


def copy_all(list outs not None, list arrays not None):
    """Copies each array into the one at its place. No signal keeps it from copying them all, nor does an error, a
    warning made one: the first is raised in the end."""
    cdef object error = None
    cdef Py_ssize_t k
    for k in range(len(outs)):
        try:
            np.PyArray_CopyInto(<np.ndarray?>outs[k], <np.ndarray?>arrays[k])
        except BaseException as raised:
            error = error or raised
    if error is not None:
        raise error


cdef struct StepJob:
    Step step
    ptrdiff_t claim         # rows a thread claims at a time
    const SumRows* sums     # what makes `step.grads`, by groups; or NULL
    float* kept             # (U, dim) OUT: those sums, where somebody wants them later; or NULL
    # payment of the rows of ids
    const char* ids
    ptrdiff_t count
    int id_size
    Load load
    Rule rule
    BadId* bad
    # columns
    double* squares         # (blocks, dim) OUT
    const float* factors    # (dim,) IN
    int divide


cdef inline const UpdatesPath* _updates() noexcept nogil:
    return &updates_paths[path - &paths[0]]


cdef int _stopped() noexcept nogil:
    return pool_stopped()


cdef int _run_steps(Body body, StepJob* job, ptrdiff_t blocks, ptrdiff_t work, int threads) except -1:
    """`_run`, also stopped between two rows of a block, where paying what they owe takes long."""
    job.step.stopped = NULL
    if work >= GIL_BYTES:       # shorter runs have no job of the pool to ask about
        job.step.stopped = _stopped
    return _run(body, job, blocks, work, threads)


cdef void _step_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef StepJob* job = <StepJob*>context
    cdef ptrdiff_t begin = block * job.claim
    _updates().step_rows(&job.step, begin, min(begin + job.claim, job.step.count))


cdef void _sum_and_step_block(void* context, ptrdiff_t block) noexcept nogil:
    # the sums of a few rows, then their steps: the gradient stays in the cache
    cdef StepJob* job = <StepJob*>context
    cdef const Groups* groups = job.sums.groups
    cdef Claim claim = groups.claims()[<size_t>block]
    cdef Claim part = claim
    cdef float room[SUMS_FLOATS]
    cdef float* values = room
    cdef ptrdiff_t rows[SUMS_ROWS + FE_ROWS_KNOWN]
    cdef Step step = job.step
    cdef ptrdiff_t most = min(<ptrdiff_t>SUMS_ROWS, SUMS_FLOATS // step.dim)
    cdef ptrdiff_t k, known
    step.rows = rows
    while part.first < claim.last:
        part.last = min(part.first + most, claim.last)
        known = min(part.last + FE_ROWS_KNOWN, claim.last)
        step.count = known - part.first
        for k in range(step.count):
            rows[k] = groups.row(groups.start(part.first + k))
        if job.kept:
            values = job.kept + part.first * step.dim
        step.grads = values
        if not _sum_groups(job.sums, part, values, part.first, groups.start(known)):
            return
        _updates().step_rows(&step, 0, part.last - part.first)
        if step.stopped and step.stopped():
            return
        part.first = part.last


cdef void _settle_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef StepJob* job = <StepJob*>context
    cdef ptrdiff_t begin = block * job.claim
    _updates().settle_rows(&job.step, begin, min(begin + job.claim, job.step.num_rows))


cdef void _settle_ids_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef StepJob* job = <StepJob*>context
    cdef ptrdiff_t rows[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef cpp_bool has_zeros = False
    cdef ptrdiff_t start = block * IDS_BLOCK
    cdef ptrdiff_t count = min(job.count - start, IDS_BLOCK)
    cdef ptrdiff_t settled = job.load(job.ids + start * job.id_size, count, job.rule, rows, NULL, &bad_bits, &has_zeros)
    if settled < count:
        job.bad.report(start + settled, bad_bits)
    _updates().settle_listed(&job.step, rows, settled)


cdef void _squares_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef StepJob* job = <StepJob*>context
    cdef ptrdiff_t begin = block * job.claim
    _updates().column_squares(
        job.step.table, job.step.frozen, job.step.dim, begin, min(begin + job.claim, job.step.num_rows),
        job.squares + block * job.step.dim
    )


cdef void _columns_block(void* context, ptrdiff_t block) noexcept nogil:
    cdef StepJob* job = <StepJob*>context
    cdef ptrdiff_t begin = block * job.claim
    _updates().scale_columns(
        job.step.table, job.step.frozen, job.step.dim, begin, min(begin + job.claim, job.step.num_rows), job.factors,
        job.divide
    )


cdef int _fits(np.ndarray array, int type_number, ptrdiff_t items) except -1:
    """Raises unless a kernel may use this many items of the array."""
    if not (
        np.PyArray_TYPE(array) == type_number and np.PyArray_ISCARRAY_RO(array)
        and np.PyArray_NBYTES(array) == items * np.PyArray_ITEMSIZE(array)
    ):
        raise ValueError("the shape or dtype of an array of the optimizer was changed.")
    return 0


cdef inline void* _data(np.ndarray array) noexcept:
    return NULL if array is None else np.PyArray_DATA(array)


cdef int _table_of_step(Step* step, np.ndarray table, np.ndarray frozen) except -1:
    """The table as (V, dim), whatever its axes; a 1-D weight is one row."""
    cdef int ndim = np.PyArray_NDIM(table)
    step.num_rows = np.PyArray_DIMS(table)[0] if ndim > 1 else 1
    step.dim = np.PyArray_SIZE(table) // max(step.num_rows, <ptrdiff_t>1)
    _fits(table, np.NPY_FLOAT, step.num_rows * step.dim)
    if not np.PyArray_ISWRITEABLE(table):
        raise ValueError("a read-only weight cannot be trained.")
    step.table = <float*>np.PyArray_DATA(table)
    if frozen is not None:
        _fits(frozen, np.NPY_BOOL, step.num_rows)
    step.frozen = <const uint8_t*>_data(frozen)
    return 0


@cython.final
@cython.internal
@cython.auto_pickle(False)
cdef class _Debts:
    """What TableState keeps beside the state: see updates.h for the arrays' shapes."""
    cdef Step step

    cdef int fill(
        self, table, state, frozen, str rule, np.ndarray last, ptrdiff_t now, np.ndarray numbers, np.ndarray powers,
        np.ndarray series, ptrdiff_t series_from, ptrdiff_t cutoff, np.ndarray zeros, bint non_negative
    ) except -1:
        cdef Step* step = &self.step
        memset(step, 0, sizeof(Step))
        step.rule, step.states = RULES[rule]
        _table_of_step(step, table, frozen)
        if step.states:
            _fits(state, np.NPY_FLOAT, step.num_rows * (1 if step.rule == 9 else step.states * step.dim))
            step.state = <float*>_data(state)
        else:
            step.state = step.table     # never used; but a null pointer must not be moved
        if last is not None:
            _fits(last, np.NPY_INT32, step.num_rows)
            if np.PyArray_DIMS(numbers)[0] <= now:
                raise ValueError("the history of an optimizer is too short.")
            if powers is not None and np.PyArray_DIMS(powers)[0] <= now:
                raise ValueError("the history of an optimizer is too short.")
            if series is not None:
                _fits(series, np.NPY_DOUBLE, np.PyArray_DIMS(numbers)[0] * FE_TERMS)
        step.last = <int32_t*>_data(last)
        step.now = <int32_t>now
        step.owes = powers is not None
        step.numbers = <const Numbers*>_data(numbers)
        step.powers = <const double*>_data(powers)
        step.series = <const double*>_data(series)
        step.series_from = <int32_t>series_from
        step.cutoff = cutoff
        _fits(zeros, np.NPY_FLOAT, step.dim)
        step.zeros = <const float*>_data(zeros)
        step.non_negative = non_negative
        return 0


@cython.final
@cython.internal
@cython.auto_pickle(False)
cdef class _Update:
    """A step of one table that nothing can keep from being taken any more, but for a signal while it is."""
    cdef tuple arrays           # keeps alive what `job` points to
    cdef readonly object gradient   # an array; or IndexedSlices, once the step is taken; or None: not wanted
    cdef StepJob job
    cdef int threads
    cdef double* sums           # (count,) IN and OUT: what the debts' sums gain by the step
    cdef const double* gains    # (count,) IN
    cdef ptrdiff_t count


def prepare_update(
    table, state, frozen, rule, last, now, numbers, powers, series, series_from, cutoff, zeros, non_negative,
    gradient, bint every_row, l1, l2, scale, clip, norm, np.ndarray sums, np.ndarray gains
):
    """One step, for `run_updates`. `gradient` is an array of the table's shape, IndexedSlices whose indices are from
    `rising_rows`, or RowSums; `every_row`: others move too; `gains` are added to `sums` when the step is done."""
    cdef _Debts debts = _Debts()
    cdef _Update update = _Update()
    cdef StepJob* job = &update.job
    debts.fill(
        table, state, frozen, rule, last, now, numbers, powers, series, series_from, cutoff, zeros, non_negative
    )
    memset(job, 0, sizeof(StepJob))
    job.step = debts.step
    update.threads = _threads(None)
    cdef RowSums row_sums = None
    if type(gradient) is RowSums:
        row_sums = gradient
        # a table without rows has no columns here
        if every_row or job.step.num_rows == 0 or job.step.dim > SUMS_FLOATS or not row_sums.fits_step:
            gradient = row_sums.summed()
            row_sums = None
        elif row_sums.num_rows != job.step.num_rows or row_sums.job.dim != job.step.dim:
            raise ValueError("the gradient has another shape than the weight.")
    if row_sums is None:
        _gradient_of_step(&job.step, gradient, every_row)
        update.gradient = gradient
    else:
        job.sums = &row_sums.job
        if job.step.rule == 0:      # SGD keeps its last gradient, from which a velocity can be made
            update.gradient = row_sums._empty_slices()
            job.kept = <float*>np.PyArray_DATA(<np.ndarray>update.gradient.values)
    update.arrays = (table, state, frozen, last, numbers, powers, series, zeros, gradient, sums, gains)
    job.step.l1, job.step.l2, job.step.scale, job.step.clip = l1, l2, scale, clip
    job.step.prepare = l1 != 0 or l2 != 0 or scale != 1 or clip != float("inf")
    job.step.norm, job.step.norm_low, job.step.norm_high, job.step.norm_rate = norm
    job.claim = max(STEP_CLAIM_BYTES // max(_step_bytes(&job.step), <ptrdiff_t>1), <ptrdiff_t>1)
    update.count = 0
    if sums is not None:
        update.count = np.PyArray_SIZE(sums)
        _fits(sums, np.NPY_DOUBLE, update.count)
        _fits(gains, np.NPY_DOUBLE, update.count)
        update.sums = <double*>np.PyArray_DATA(sums)
        update.gains = <const double*>np.PyArray_DATA(gains)
    return update


cdef int _gradient_of_step(Step* step, object gradient, bint every_row) except -1:
    cdef bint sparse = not np.PyArray_Check(gradient)
    cdef np.ndarray grads = gradient.values if sparse else gradient
    cdef np.ndarray rows = gradient.indices if sparse else None
    cdef ptrdiff_t count = np.PyArray_SIZE(rows) if sparse else step.num_rows
    _fits(grads, np.NPY_FLOAT, count * step.dim)
    step.grads = <const float*>np.PyArray_DATA(grads)
    step.count = count
    if sparse and every_row:
        step.count = step.num_rows
        step.grad_rows = <const ptrdiff_t*>np.PyArray_DATA(rows)
        step.grad_count = count
    elif sparse:
        step.rows = <const ptrdiff_t*>np.PyArray_DATA(rows)
    return 0


cdef inline ptrdiff_t _step_bytes(const Step* step) noexcept:
    """What a row of a step moves."""
    return step.dim * 4 * (2 + 2 * step.states)


def run_updates(list updates not None, list done not None):
    """Takes steps that `prepare_update` prepared, then calls what is in `done`: nothing of that takes memory."""
    cdef _Update update
    cdef StepJob* job
    cdef ptrdiff_t k
    for update in updates:
        job = &update.job
        if job.sums != NULL:
            _run_steps(
                _sum_and_step_block, job, <ptrdiff_t>job.sums.groups.claims().size(),
                _sum_bytes(job.sums, job.sums.groups) + job.sums.groups.count() * _step_bytes(&job.step), update.threads
            )
        elif job.step.dim:
            _run_steps(
                _step_block, job, (job.step.count + job.claim - 1) // job.claim,
                job.step.count * _step_bytes(&job.step), update.threads
            )
        for k in range(update.count):
            update.sums[k] += update.gains[k]
    for call in done:
        call()


def settle_rows(
    table, state, frozen, rule, last, now, numbers, powers, series, series_from, cutoff, zeros, non_negative, ids
):
    """Pays what the rows of the ids owe; all rows for None."""
    cdef _Debts debts = _Debts()
    cdef StepJob job
    cdef BadId bad
    if ids is not None and not _exact_ids(ids):
        from fastembed.ops import _check
        ids, _ = _check.ids(ids, len(table), "raise")
    debts.fill(
        table, state, frozen, rule, last, now, numbers, powers, series, series_from, cutoff, zeros, non_negative
    )
    memset(&job, 0, sizeof(job))
    job.step = debts.step
    cdef ptrdiff_t row_bytes = job.step.dim * 4 * (1 + job.step.states)
    if row_bytes == 0 or not job.step.owes:
        return
    if ids is None:
        job.claim = max(STEP_CLAIM_BYTES // row_bytes, <ptrdiff_t>1)
        _run_steps(
            _settle_block, &job, (job.step.num_rows + job.claim - 1) // job.claim, job.step.num_rows * row_bytes,
            _threads(None)
        )
        return
    job.ids = <const char*>np.PyArray_DATA(<np.ndarray>ids)
    job.count = np.PyArray_SIZE(<np.ndarray>ids)
    job.id_size = <int>np.PyArray_ITEMSIZE(<np.ndarray>ids)
    job.load = loader(job.id_size, np.PyArray_ISSIGNED(<np.ndarray>ids))
    job.rule.num_rows = job.step.num_rows
    job.bad = &bad
    _run_steps(
        _settle_ids_block, &job, (job.count + IDS_BLOCK - 1) // IDS_BLOCK, job.count * row_bytes, _threads(None)
    )
    if bad.found():
        from fastembed.ops import _check
        raise _bad_id(&bad, ids, job.step.num_rows, _check.bad_id)


def column_squares(table, frozen):
    """The sum of squares of each column, float64 (dim,), over the rows that are not frozen."""
    cdef StepJob job
    memset(&job, 0, sizeof(job))
    _table_of_step(&job.step, table, frozen)
    cdef np.npy_intp shape[2]
    # 64 parts whatever the threads, so that the sums are the same for any number of them
    job.claim = max((job.step.num_rows + 63) // 64, <ptrdiff_t>256)
    shape[0] = (job.step.num_rows + job.claim - 1) // job.claim
    shape[1] = job.step.dim
    cdef np.ndarray squares = np.PyArray_ZEROS(2, shape, np.NPY_DOUBLE, 0)
    job.squares = <double*>np.PyArray_DATA(squares)
    _run(_squares_block, &job, shape[0], job.step.num_rows * job.step.dim * 4, _threads(None))
    return (<object>squares).sum(0)


def scale_columns(table, frozen, np.ndarray factors not None, bint divide):
    """Multiplies each column with its factor, or divides it by that, in the rows that are not frozen."""
    cdef StepJob job
    memset(&job, 0, sizeof(job))
    _table_of_step(&job.step, table, frozen)
    _fits(factors, np.NPY_FLOAT, job.step.dim)
    job.factors = <const float*>np.PyArray_DATA(factors)
    job.divide = divide
    if job.step.dim == 0:
        return
    job.claim = max(STEP_CLAIM_BYTES // (job.step.dim * 8), <ptrdiff_t>1)
    _run(
        _columns_block, &job, (job.step.num_rows + job.claim - 1) // job.claim, job.step.num_rows * job.step.dim * 8,
        _threads(None)
    )
