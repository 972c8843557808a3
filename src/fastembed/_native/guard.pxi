"""Many readers or one writer of a table: how each call sees one whole version of it.

Everything here changes with the GIL held, which is its lock: between a look at a guard and what is done about it, no
Python code runs and the GIL is not let go. So an uncontended call costs an increment. Who cannot have a guard at once
waits in one queue, first come first served, and is handed it by whoever lets go: neither readers nor writers starve.
A thread takes all its guards together or none, so that no two wait for each other; what it holds already never makes
it wait for itself.
"""

# How a guard is held. Readers let readers in, and one who settles: pays debts, which changes no version. A writer
# lets nobody in.
cdef enum:
    READ = 0
    SETTLE = 1
    WRITE = 2

cdef extern from *:
    """
    struct fe_hold {            // of a thread, on its stack or in an object: what it holds
        PyObject* guards;       // a Guard or a tuple of them, borrowed
        int kind;
        fe_hold* before;
    };
    static thread_local fe_hold* fe_held = nullptr;
    static inline fe_hold* held() { return fe_held; }
    static inline void set_held(fe_hold* hold) { fe_held = hold; }
    """
    ctypedef struct Hold "fe_hold":
        PyObject* guards
        int kind
        Hold* before
    Hold* held() noexcept
    void set_held(Hold* hold) noexcept

cdef extern from "Python.h":
    int check_signals "PyErr_CheckSignals"() except -1

cdef extern from "pythread.h":
    ctypedef void* PyThread_type_lock
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    void PyThread_release_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible) nogil

# How long a wait lasts until it looks whether a signal came.
cdef long long WAIT_MICROSECONDS = 50000

cdef list waiting = []          # of _Turn, in the order of their coming
cdef object live_guards = weakref.WeakSet()


@cython.final
@cython.auto_pickle(False)
cdef class Guard:
    """Guards the array of one weight; `reading`, `settling` and `writing` hold it. A copy or pickle is a fresh one.

    `debtor` is the optimizer's state of the array while rows may lag behind it; it has a method `settle(ids)`.
    """
    cdef object __weakref__
    cdef public object debtor
    cdef int readers
    cdef unsigned long owner        # the thread that settles or writes; 0: none
    cdef int depth                  # how many times over
    cdef bint writing
    cdef int queued                 # how many wait for it
    cdef bint claimed               # while turns are handed out: somebody who came earlier waits for it

    def __cinit__(self):
        live_guards.add(self)

    def __reduce__(self):
        return Guard, ()

    def gather(self, table, ids):
        """`ops.gather(table, ids)` of one version of the table, with what its rows owe paid.

        Raises:
            IndexError, TypeError, ValueError: as `ops.gather`.
        """
        cdef Hold hold
        cdef object debtor
        if not (_exact_table(table) and _exact_ids(ids)):
            from fastembed.ops import _check
            table = _check.table(table)
            ids, _ = _check.ids(ids, len(table), "raise")
        cdef np.ndarray rows = _new_output(np.NPY_FLOAT, ids, np.PyArray_DIMS(<np.ndarray>table)[1])
        hold.guards = <PyObject*>self
        hold.kind = READ
        if self.owner == 0 and self.queued == 0:
            self.readers += 1
            hold.before = held()
            set_held(&hold)
        else:
            _enter(&hold, 0)
        try:
            debtor = self.debtor
            if debtor is not None:
                ids = np.PyArray_NewCopy(<np.ndarray>ids, np.NPY_CORDER)     # those that are paid for are looked up
                debtor.settle(ids)
            _gather(table, ids, rows, None, None, 0, fe_local_threads or default_threads)
        finally:
            if self.queued == 0 and held() == &hold:
                self.readers -= 1
                set_held(hold.before)
            else:
                _leave(&hold)
        return rows


@cython.final
@cython.internal
@cython.auto_pickle(False)
cdef class _Access:
    """The context of `reading`, `settling` and `writing`. For one thread, once."""
    cdef tuple guards
    cdef Hold hold

    def __enter__(self):
        _enter(&self.hold, 0)

    def __exit__(self, kind, value, trace):
        _leave(&self.hold)


cdef _Access _access(guards, int kind):
    cdef _Access access = _Access()
    cdef object guard
    access.guards = guards if type(guards) is tuple else tuple(dict.fromkeys(guards))
    for guard in access.guards:
        if type(guard) is not Guard:
            raise TypeError(f"`guards` must be of Guard. Received: {guard!r}.")
    access.hold.guards = <PyObject*>access.guards
    access.hold.kind = kind
    return access


def reading(guards):
    """A context in which no other thread writes what these guards guard. A tuple must hold each of them once."""
    return _access(guards, READ)


def settling(guards):
    """A context in which no other thread writes or settles; others may read what is settled."""
    return _access(guards, SETTLE)


def writing(guards):
    """A context in which no other thread reads, settles or writes. What this thread itself is reading, it may write."""
    return _access(guards, WRITE)


def holds_any():
    """Whether this thread is inside such a context, or a lookup of `Guard.gather`."""
    return held() != NULL


def holds(tuple guards):
    """Whether this thread is inside such contexts of all these guards."""
    cdef object guard
    for guard in guards:
        if not _holds(<Guard?>guard):
            return False
    return True


@cython.final
@cython.internal
@cython.auto_pickle(False)
cdef class _Turn:
    """One who waits."""
    cdef Hold* hold
    cdef unsigned long thread
    cdef bint nested            # holds something already: goes before those who do not, lest they wait for each other
    cdef bint taken
    cdef bint away              # while its thread runs signal handlers: others go before it
    cdef bint passed            # whether turns were handed out meanwhile
    cdef PyThread_type_lock lock

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no memory for a lock.")
        PyThread_acquire_lock_timed(self.lock, 0, 0)

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_acquire_lock_timed(self.lock, 0, 0)
            PyThread_release_lock(self.lock)        # it must not be held when it goes
            PyThread_free_lock(self.lock)


cdef inline Py_ssize_t _count(const Hold* hold) noexcept:
    return PyTuple_GET_SIZE(<object>hold.guards) if PyTuple_CheckExact(<object>hold.guards) else 1


cdef inline Guard _guard(const Hold* hold, Py_ssize_t k):
    if PyTuple_CheckExact(<object>hold.guards):
        return <Guard>PyTuple_GET_ITEM(<object>hold.guards, k)
    return <Guard>hold.guards


cdef bint _holds(Guard guard):
    cdef const Hold* hold = held()
    cdef Py_ssize_t k
    # one of this thread's signal handlers may run while it waits to write what it reads: others write until its turn
    if guard.writing and guard.owner != PyThread_get_thread_ident():
        return False
    while hold != NULL:
        for k in range(_count(hold)):
            if _guard(hold, k) is guard:
                return True
        hold = hold.before
    return False


cdef int _own_reads(Guard guard, const Hold* hold) noexcept:
    """How many times the holds from this one down read the guard."""
    cdef int reads = 0
    cdef Py_ssize_t k
    while hold != NULL:
        if hold.kind == READ:
            for k in range(_count(hold)):
                reads += _guard(hold, k) is guard
        hold = hold.before
    return reads


cdef bint _free(const Hold* hold, unsigned long thread, bint nested) noexcept:
    """Whether a thread may have what it asks for."""
    cdef Py_ssize_t k
    cdef Guard guard
    for k in range(_count(hold)):
        guard = _guard(hold, k)
        if guard.owner == thread:
            continue
        if guard.claimed and not nested:
            return False
        if guard.owner != 0 and (hold.kind != READ or guard.writing):
            return False
        if hold.kind == WRITE and guard.readers > 0:
            return False
    return True


cdef void _take(const Hold* hold, unsigned long thread) noexcept:
    cdef Py_ssize_t k
    cdef Guard guard
    for k in range(_count(hold)):
        guard = _guard(hold, k)
        if hold.kind == READ:
            guard.readers += 1
        else:
            guard.owner = thread
            guard.depth += 1
            guard.writing = guard.writing or hold.kind == WRITE


cdef void _lend(const Hold* hold, int sign) noexcept:
    """A writer's own reads do not count while it waits and writes, or two who read and want to write never would."""
    cdef Py_ssize_t k
    cdef Guard guard
    if hold.kind == WRITE and hold.before != NULL:
        for k in range(_count(hold)):
            guard = _guard(hold, k)
            guard.readers += sign * _own_reads(guard, hold.before)


cdef int _enter(Hold* hold, int tries) except -1:
    """Takes what the hold names, at once or when its turn comes; raises what a signal handler raised meanwhile.

    `tries`: how often to look for signals before it gives up, which returns 0; 0: for ever.
    """
    cdef unsigned long thread = PyThread_get_thread_ident()
    cdef bint nested = held() != NULL
    cdef bint queued = False
    cdef Py_ssize_t k
    cdef Guard guard
    cdef _Turn turn
    hold.before = held()
    if not nested:
        for k in range(_count(hold)):
            queued = queued or _guard(hold, k).queued > 0
    if not queued:
        _lend(hold, -1)
        if _free(hold, thread, True):
            _take(hold, thread)
            set_held(hold)
            return 1
        _lend(hold, 1)
    turn = _Turn()
    turn.hold = hold
    turn.thread = thread
    turn.nested = nested
    waiting.append(turn)
    _lend(hold, -1)
    for k in range(_count(hold)):
        guard = _guard(hold, k)
        guard.queued += 1
    _hand_out()         # what stood in the way may have gone while the turn was made
    try:
        while not turn.taken:
            with nogil:
                PyThread_acquire_lock_timed(turn.lock, WAIT_MICROSECONDS, 1)
            if turn.taken:
                break
            _run_handlers(turn)
            tries -= 1
            if tries == 0:
                break
    except BaseException:
        if turn.taken:
            set_held(hold)
            _leave(hold)
        else:
            _give_up(turn)
        raise
    if turn.taken:
        set_held(hold)
    else:
        _give_up(turn)
    return turn.taken


cdef int _run_handlers(_Turn turn) except -1:
    """Lets signal handlers run. The turn keeps its place, but does not come: a handler that wants the same would wait
    for ever for what its own thread has."""
    turn.away = True
    _lend(turn.hold, 1)
    try:
        check_signals()
    finally:
        _lend(turn.hold, -1)
        turn.away = False
        if turn.passed:
            turn.passed = False
            _hand_out()
    return 0


cdef int _give_up(_Turn turn) except -1:
    cdef Py_ssize_t k
    cdef Guard guard
    waiting.remove(turn)
    for k in range(_count(turn.hold)):
        guard = _guard(turn.hold, k)
        guard.queued -= 1
    _lend(turn.hold, 1)
    return _hand_out()


cdef int _leave(Hold* hold) except -1:
    cdef Py_ssize_t k
    cdef Guard guard
    cdef Hold* above = held()
    cdef bint wanted = False
    if above == hold:
        set_held(hold.before)
    else:
        while above != NULL and above.before != hold:
            above = above.before
        if above != NULL:
            above.before = hold.before
    for k in range(_count(hold)):
        guard = _guard(hold, k)
        wanted = wanted or guard.queued > 0
        if hold.kind == READ:
            guard.readers -= 1
        else:
            guard.depth -= 1
            if guard.depth == 0:
                guard.owner = 0
                guard.writing = False
    _lend(hold, 1)
    if wanted:
        _hand_out()
    return 0


cdef int _hand_out() except -1:
    """Gives their guards to all whose turn it is: nobody who came earlier waits for one of them."""
    cdef _Turn turn
    cdef Guard guard
    cdef Py_ssize_t k
    cdef Py_ssize_t place = 0
    for turn in waiting:
        if turn.away:
            turn.passed = True
        elif _free(turn.hold, turn.thread, turn.nested):
            _take(turn.hold, turn.thread)
            turn.taken = True
        else:
            for k in range(_count(turn.hold)):
                guard = _guard(turn.hold, k)
                guard.claimed = True
    for turn in waiting:
        for k in range(_count(turn.hold)):
            guard = _guard(turn.hold, k)
            guard.claimed = False
            guard.queued -= turn.taken
    while place < len(waiting):
        turn = <_Turn>waiting[place]
        if turn.taken:
            PyThread_release_lock(turn.lock)
            del waiting[place]
        else:
            place += 1
    return 0


# ── fork ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

cdef dict forking = {}          # by thread


def _before_fork():
    """No other thread may be in the middle of a change when memory is copied: in the child it would never end."""
    cdef _Access access = _access(list(live_guards), SETTLE)
    # a thread that does not end its change within 5 s may be waiting for this one
    if _enter(&access.hold, 100):
        forking[PyThread_get_thread_ident()] = access


def _after_fork_in_parent():
    cdef _Access access = forking.pop(PyThread_get_thread_ident(), None)
    if access is not None:
        access.__exit__(None, None, None)


def _after_fork_in_child():
    """Only this thread is left: what others held or waited for is free."""
    cdef Guard guard
    cdef const Hold* hold
    cdef Py_ssize_t k
    cdef _Turn turn
    cdef unsigned long thread = PyThread_get_thread_ident()
    # this thread may have forked in a signal handler, while it waits
    waiting[:] = [one for one in waiting if (<_Turn>one).thread == thread]
    for guard in list(live_guards):
        guard.queued = 0
    for turn in waiting:
        turn.passed = True
        for k in range(_count(turn.hold)):
            guard = _guard(turn.hold, k)
            guard.queued += 1
    _after_fork_in_parent()
    forking.clear()
    for guard in list(live_guards):
        if guard.owner != thread:
            guard.owner = 0
            guard.depth = 0
            guard.writing = False
        guard.readers = _own_reads(guard, held())
        hold = held()
        while hold != NULL:
            if hold.kind == WRITE:
                for k in range(_count(hold)):
                    if _guard(hold, k) is guard:
                        guard.readers -= _own_reads(guard, hold.before)
            hold = hold.before


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
