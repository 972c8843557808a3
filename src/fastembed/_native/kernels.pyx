# distutils: language = c++
"""Which rows, which thread: the compiled loops behind `fastembed.ops`.

A public function here takes exact arguments (see `_exact_table`, `_exact_ids`) straight to its loop. Anything else is
handed to `fastembed.ops._check`, which converts what may be converted and refuses the rest in words.
"""

import os

cimport numpy as np
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp cimport bool as cpp_bool

np.import_array()

cdef extern from "Python.h":
    # as C has it: with cpython.exc's "except -1" Cython would print the exception inside _interrupted and drop it
    int PyErr_CheckSignals() noexcept

cdef extern from "pool.hpp" namespace "pool" nogil:
    const int MAX_THREADS
    ctypedef void (*Body)(void* context, ptrdiff_t block) noexcept nogil
    ctypedef int (*Interrupted)() noexcept nogil
    void pool_set_up "pool::set_up"()
    void pool_stop "pool::stop"()
    cpp_bool pool_run "pool::run"(
        Body body, void* context, ptrdiff_t blocks, int threads, cpp_bool wake_sleepers, Interrupted interrupted
    )

cdef extern from "ids.hpp" namespace "ids" nogil:
    enum:
        IDS_BLOCK "ids::BLOCK"
    ctypedef struct Rule:
        ptrdiff_t num_rows
        int mode
        cpp_bool has_padding
        uint64_t padding_id
    cppclass BadId:
        void report(ptrdiff_t position, uint64_t bits)
        cpp_bool found()
        ptrdiff_t position()
        uint64_t bits()
    ctypedef ptrdiff_t (*Load)(
        const void* ids, ptrdiff_t count, const Rule& rule, ptrdiff_t* rows, uint8_t* mask, uint64_t* bad_bits
    ) noexcept nogil
    Load loader(int itemsize, cpp_bool is_signed)

cdef extern from "rows.h" nogil:
    ctypedef void (*CopyRows "fe_copy_rows_function")(
        float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count, ptrdiff_t dim, ptrdiff_t ahead,
        ptrdiff_t lines
    ) noexcept nogil
    ctypedef struct Path "fe_path":
        const char* name
        CopyRows copy_rows
    const Path paths "fe_paths"[]
    const int PATH_COUNT "FE_PATH_COUNT"
    int path_runs_here "fe_path_runs_here"(int k)

cdef extern from *:
    """
    #ifdef __clang__
    #define FE_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FE_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define FE_STRINGIFY_(x) #x
    #define FE_STRINGIFY(x) FE_STRINGIFY_(x)
    #define FE_COMPILER "MSVC " FE_STRINGIFY(_MSC_VER)
    #else
    #define FE_COMPILER "unknown"
    #endif
    #define FE_CYTHON_VERSION CYTHON_ABI
    static thread_local int fe_local_threads = 0;   // of `with num_threads(n)`; 0: none
    """
    const char* FE_COMPILER
    const char* CYTHON_VERSION "FE_CYTHON_VERSION"
    int fe_local_threads


# Work under this many bytes stays in the calling thread, and keeps the GIL: releasing and taking it costs 0.1 us.
cdef ptrdiff_t GIL_BYTES = 16 * 1024
# Work from this many bytes is shared with workers that are awake, and from WAKE_BYTES sleeping ones are woken for it.
cdef ptrdiff_t SHARE_BYTES = 128 * 1024
cdef ptrdiff_t WAKE_BYTES = 1024 * 1024
# Output bytes a thread claims at a time.
cdef ptrdiff_t CLAIM_BYTES = 64 * 1024

cdef str RAISE = "raise"
cdef dict MODES = {"raise": 0, "clip": 1, "wrap": 2, "zero": 3}

cdef int default_threads = 1
cdef const Path* path = &paths[PATH_COUNT - 1]

pool_set_up()


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────

def set_default_threads(int threads):
    """Threads of a call that names none, outside `with num_threads(n)`."""
    global default_threads
    default_threads = threads


def set_local_threads(int threads):
    """Threads of this thread's calls that name none; 0 takes the default again. Returns the value before."""
    global fe_local_threads
    cdef int before = fe_local_threads
    fe_local_threads = threads
    return before


def current_threads():
    """Threads of a call from this thread that names none."""
    return fe_local_threads or default_threads


def default_threads_now():
    """What `set_default_threads` last set."""
    return default_threads


def max_threads():
    """The most threads a call may ask for."""
    return MAX_THREADS


def stop_workers():
    """Ends the worker threads; a later call starts them again."""
    with nogil:
        pool_stop()


def use_path(str name=None):
    """Chooses the instruction path: the best that runs on this CPU, or the one named. Returns its name."""
    global path
    cdef int k
    for k in range(PATH_COUNT):
        if path_runs_here(k) and (name is None or paths[k].name.decode() == name):
            path = &paths[k]
            return path.name.decode()
    raise ValueError(
        f"`FASTEMBED_CPU`, the instruction path, must be one of those that run here: {available_paths()}. "
        f"Received: {name!r}."
    )


def available_paths():
    """Names of the instruction paths that run on this CPU, best first."""
    return [paths[k].name.decode() for k in range(PATH_COUNT) if path_runs_here(k)]


use_path(os.environ.get("FASTEMBED_CPU") or None)


def build_info():
    """What this module was built with and which instruction path it uses."""
    return {
        "compiler": FE_COMPILER.decode(),
        "cython": CYTHON_VERSION.decode().replace("_", "."),
        "cpu_path": path.name.decode(),
        "cpu_paths": available_paths(),
    }


# ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────────────

cdef inline bint _exact_table(object table) noexcept:
    """float32 (V, D), C-contiguous, aligned, native byte order, and no subclass."""
    return (
        np.PyArray_CheckExact(table)
        and np.PyArray_TYPE(<np.ndarray>table) == np.NPY_FLOAT
        and np.PyArray_NDIM(<np.ndarray>table) == 2
        and np.PyArray_ISCARRAY_RO(<np.ndarray>table)
    )


cdef inline bint _exact_ids(object ids) noexcept:
    """Integers of any width, C-contiguous, aligned, native byte order, and no subclass."""
    return (
        np.PyArray_CheckExact(ids)
        and np.PyArray_ISINTEGER(<np.ndarray>ids)
        and np.PyArray_ISCARRAY_RO(<np.ndarray>ids)
    )


cdef inline bint _overlap(np.ndarray a, np.ndarray b) noexcept:
    """Whether two contiguous arrays share a byte."""
    cdef const char* a_start = <const char*>np.PyArray_DATA(a)
    cdef const char* b_start = <const char*>np.PyArray_DATA(b)
    return a_start < b_start + np.PyArray_NBYTES(b) and b_start < a_start + np.PyArray_NBYTES(a)


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
    return np.PyArray_EMPTY(ndim, shape, type_number, 0)


cdef inline int _set_padding(Rule* rule, object padding_id, np.ndarray ids) except -1:
    """Fills the rule's padding fields; a padding id that the ids' dtype cannot hold never occurs."""
    cdef int bits = 8 * <int>np.PyArray_ITEMSIZE(ids)
    cdef object span = (<object>1) << bits      # a Python integer: 2**64 overflows C's
    cdef object lowest = -(span >> 1) if np.PyArray_ISSIGNED(ids) else 0
    rule.has_padding = lowest <= padding_id < lowest + span
    rule.padding_id = (padding_id & (span - 1)) if rule.has_padding else 0
    return 0


cdef object _bad_id(BadId* bad, np.ndarray ids, ptrdiff_t num_rows):
    """The worded IndexError for the first bad id."""
    from fastembed.ops import _check
    cdef object value = <int64_t>bad.bits() if np.PyArray_ISSIGNED(ids) else bad.bits()
    return _check.bad_id(bad.position(), value, (<object>ids).shape, num_rows)


# ── threads ─────────────────────────────────────────────────────────────────────────────────────────────────────────

cdef int _interrupted() noexcept nogil:
    """Whether a signal handler raised (Ctrl-C); only the main thread runs handlers."""
    with gil:
        return PyErr_CheckSignals() != 0


cdef inline int _threads(object num_threads) except -1:
    """Threads this call may use."""
    if num_threads is None:
        return fe_local_threads or default_threads
    from fastembed.ops import _threads
    return _threads.checked(num_threads)


cdef inline int _run(Body body, void* job, ptrdiff_t blocks, ptrdiff_t work, int threads) except -1:
    """Runs the blocks of `work` bytes in all; raises what a signal handler raised meanwhile."""
    cdef ptrdiff_t block
    cdef cpp_bool finished
    if work < GIL_BYTES:
        for block in range(blocks):
            body(job, block)
        return 0
    if work < SHARE_BYTES:
        threads = 1
    with nogil:
        finished = pool_run(body, job, blocks, threads, work >= WAKE_BYTES, _interrupted)
    return 0 if finished else -1


# ── gather ──────────────────────────────────────────────────────────────────────────────────────────────────────────

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
    ptrdiff_t ahead         # rows prefetched before their turn
    ptrdiff_t lines         # cache lines prefetched of each
    ptrdiff_t claim         # ids a thread claims at a time
    BadId* bad


cdef void _gather_block(void* context, ptrdiff_t block) noexcept nogil:
    # for each IDS_BLOCK of the claim: rows = ids, each loaded once and checked; out = table[rows]
    cdef Gather* job = <Gather*>context
    cdef ptrdiff_t rows[IDS_BLOCK]
    cdef uint64_t bad_bits = 0
    cdef ptrdiff_t start = block * job.claim
    cdef ptrdiff_t stop = min(start + job.claim, job.count)
    cdef ptrdiff_t count, settled
    while start < stop and start < job.bad.position():
        count = min(stop - start, IDS_BLOCK)
        settled = job.load(
            job.ids + start * job.id_size, count, job.rule, rows, job.mask + start if job.mask else NULL, &bad_bits
        )
        if settled < count:
            job.bad.report(start + settled, bad_bits)
            return
        job.copy_rows(job.out + start * job.dim, job.table, rows, count, job.dim, job.ahead, job.lines)
        start += count


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
    job.copy_rows = path.copy_rows
    row_bytes = job.dim * 4
    job.ahead = 16 if row_bytes <= 64 else 8
    job.lines = min((row_bytes + 63) // 64, <ptrdiff_t>24)
    job.claim = max(CLAIM_BYTES // (row_bytes + job.id_size), <ptrdiff_t>1)
    job.bad = &bad
    work = job.count * (row_bytes + job.id_size)
    _run(_gather_block, &job, (job.count + job.claim - 1) // job.claim, work, threads)
    if bad.found():
        raise _bad_id(&bad, ids, job.rule.num_rows)
    return 0


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
    return _check.output(name, out, type_number == np.NPY_BOOL, ids.shape + ((dim,) if dim >= 0 else ()), table, ids)


def gather(table, ids, *, out=None, mode="raise", num_threads=None):
    """Looks up rows of a table: `rows[i, j] = table[ids[i, j]]`.

    Example:
        >>> table = np.eye(6, 2, dtype=np.float32)              # (V, D) = (6, 2)
        >>> fastembed.gather(table, [[1, 2, 3], [0, 0, 5]]).shape
        (2, 3, 2)

    Args:
        table: float32 array (V, D), C-contiguous, aligned; may be read-only or memory-mapped. Never copied.
        ids: integers of any width, an array of any shape and strides, or nested lists; 0-d and empty ones too.
            Contiguous arrays are used in place. bool and float ids are refused.
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

    Note:
        No id makes this read outside the table, even when another thread rewrites `ids` during the call.
    """
    cdef int mode_number = _mode(mode)
    cdef int threads = _threads(num_threads)
    if not (_exact_table(table) and _exact_ids(ids)):
        from fastembed.ops import _check
        table = _check.table(table)
        ids = _check.ids(ids, len(table), mode)
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
        ids = _check.ids(ids, len(table), mode, padding_id)
    cdef np.ndarray rows = _output(out, "out", np.NPY_FLOAT, ids, np.PyArray_DIMS(<np.ndarray>table)[1], table)
    cdef np.ndarray mask = _output(mask_out, "mask_out", np.NPY_BOOL, ids, -1, table)
    if mask_out is not None and out is not None and _overlap(rows, mask):
        from fastembed.ops import _check
        raise _check.outputs_overlap()
    _gather(table, ids, rows, mask, padding_id, mode_number, threads)
    return (rows if out is None else out, mask if mask_out is None else mask_out)
