"""From a job to the pool: how many threads, and what a signal does meanwhile."""

cdef unsigned long main_thread = 0      # Python's number of the thread that runs signal handlers


def note_main_thread():
    """Called at import, and in a forked child, whose main thread is the one that forked."""
    global main_thread
    main_thread = threading.main_thread().ident


note_main_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=note_main_thread)


cdef int _interrupted() noexcept nogil:
    """Whether a signal handler raised (Ctrl-C). For the main thread."""
    with gil:
        return PyErr_CheckSignals() != 0


cdef int _never_interrupted() noexcept nogil:
    """For the other threads: no handler runs there, and to ask for the GIL would be their end when Python is exiting,
    in the middle of a job that workers still write to."""
    return 0


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
    cdef Interrupted interrupted
    if work < GIL_BYTES:
        for block in range(blocks):
            body(job, block)
        return 0
    if work < SHARE_BYTES:
        threads = 1
    elif threads > blocks:      # more would start workers for nothing
        threads = <int>blocks
    interrupted = _interrupted if PyThread_get_thread_ident() == main_thread else _never_interrupted
    with nogil:
        finished = pool_run(body, job, blocks, threads, work >= WAKE_BYTES, interrupted)
    return 0 if finished else -1


def run_capsule():
    """`_run` for the other modules of the cellar, so that a process has one pool of threads."""
    return PyCapsule_New(<void*>_run, "fastembed._native.run", NULL)
