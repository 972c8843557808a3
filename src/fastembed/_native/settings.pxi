"""Settings and what the module says of itself."""


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


@cython.auto_pickle(False)
cdef class LocalThreads:
    """A context in which this thread's calls that name none have so many threads.

    In C, as no signal handler runs between the setting and what undoes it.
    """
    cdef int threads

    def __init__(self, int threads):
        self.threads = threads

    def __enter__(self):
        global fe_local_threads
        fe_threads_before.push_back(fe_local_threads)
        fe_local_threads = self.threads

    def __exit__(self, kind, value, trace):
        global fe_local_threads
        if fe_threads_before.empty():
            raise RuntimeError("a `num_threads` context is left that this thread has not entered.")
        fe_local_threads = fe_threads_before.back()
        fe_threads_before.pop_back()


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


def set_output_cache(nbytes):
    """Sets how much memory of outputs that are no longer used is kept for new ones, in the whole process.

    A large output (1 MiB or more) is made over a block of memory that returns here when the last array over it is gone,
    and is handed to a later output of about the same size: fresh memory from the system costs a page fault and zeroing
    each time, which is most of what a large lookup takes. Such an array does not own its memory (`flags.owndata` is
    False, `resize` is refused); nothing else sets it apart.

    Args:
        nbytes: most bytes to keep while no array uses them; 0 keeps none. 256 MiB at first. What is kept beyond it is
            let go at once.

    Raises:
        TypeError: not an integer. ValueError: negative.
    """
    from fastembed.ops import _check
    cdef object number = _check.integer("nbytes", nbytes)
    if number < 0:
        raise ValueError(f"`nbytes` must not be negative. Received: {number}.")
    cache().set_limit(<size_t>min(number, PTRDIFF_MAX))


def clear_output_cache():
    """Gives the memory that `set_output_cache` speaks of back to the system. Arrays in use are not affected."""
    cache().clear()


def output_cache_bytes():
    """Bytes kept now, and the most that may be."""
    return cache().kept(), cache().limit()


def set_streaming(ptrdiff_t nbytes, ptrdiff_t dim):
    """Makes lookups, and gradients of rows that come once, write outputs from so many bytes, of rows from so many
    columns, past the caches, where the instruction path can. Returns the two numbers before."""
    global stream_bytes, stream_dim
    before = stream_bytes, stream_dim
    stream_bytes, stream_dim = nbytes, dim
    return before


def streams(ptrdiff_t nbytes, ptrdiff_t dim):
    """Whether an output of so many bytes, of rows of so many columns, is written past the caches."""
    return _streams(nbytes, dim)


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
