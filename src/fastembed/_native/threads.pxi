"""From a job to the pool: how many threads, and what a signal does meanwhile."""


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
    elif threads > blocks:      # more would start workers for nothing
        threads = <int>blocks
    with nogil:
        finished = pool_run(body, job, blocks, threads, work >= WAKE_BYTES, _interrupted)
    return 0 if finished else -1
