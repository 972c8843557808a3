# distutils: language = c++
"""Which rows, which thread: the compiled loops behind `fastembed.ops`.

A public function here takes exact arguments (see `_exact_table`, `_exact_ids`) straight to its loop. Anything else is
handed to `fastembed.ops._check`, which converts what may be converted and refuses the rest in words.

One module, so that there is one pool of threads; one included file a subject.
"""

import mmap
import os
import threading
import weakref

cimport cython
cimport numpy as np
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_New
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.errno cimport EIO
from libc.math cimport sqrtf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset, strcmp
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

np.import_array()

cdef extern from "Python.h":
    # as C has it: with cpython.exc's "except -1" Cython would print the exception inside _interrupted and drop it
    int PyErr_CheckSignals() noexcept
    unsigned long PyThread_get_thread_ident() noexcept
    bint PyMemoryView_Check(object) noexcept
    PyObject* PyMemoryView_GET_BASE(object) noexcept

cdef extern from *:
    """
    // CPython 3.11 declares these without extern "C": other names for the same symbols get around it.
    #if defined(__GNUC__)
    #define FE_STRINGIFY_LABEL_(x) #x
    #define FE_STRINGIFY_LABEL(x) FE_STRINGIFY_LABEL_(x)
    #define FE_LABEL(name) __asm__(FE_STRINGIFY_LABEL(__USER_LABEL_PREFIX__) name)
    extern "C" int fe_track(unsigned int domain, uintptr_t place, size_t size) FE_LABEL("PyTraceMalloc_Track");
    extern "C" int fe_untrack(unsigned int domain, uintptr_t place) FE_LABEL("PyTraceMalloc_Untrack");
    #else
    static int fe_track(unsigned int, uintptr_t, size_t) { return 0; }
    static int fe_untrack(unsigned int, uintptr_t) { return 0; }
    #endif
    """
    int fe_track(unsigned int domain, uintptr_t place, size_t size)
    int fe_untrack(unsigned int domain, uintptr_t place)

cdef extern from "pool.hpp" namespace "pool" nogil:
    const int MAX_THREADS
    ctypedef void (*Body)(void* context, ptrdiff_t block) noexcept nogil
    ctypedef int (*Interrupted)() noexcept nogil
    void pool_set_up "pool::set_up"()
    void pool_stop "pool::stop"()
    cpp_bool pool_stopped "pool::stopped"() noexcept
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
        const void* ids, ptrdiff_t count, const Rule& rule, ptrdiff_t* rows, uint8_t* mask, uint64_t* bad_bits,
        cpp_bool* has_zeros
    ) noexcept nogil
    Load loader(int itemsize, cpp_bool is_signed)
    ctypedef ptrdiff_t (*CopyNarrow)(
        const void* ids, ptrdiff_t count, ptrdiff_t num_rows, const float* table, float* out
    ) noexcept nogil
    CopyNarrow narrow_copier(int itemsize, cpp_bool is_signed, ptrdiff_t dim)
    ctypedef void (*Mark)(const void* ids, ptrdiff_t count, uint64_t padding_id, uint8_t* mask) noexcept nogil
    Mark marker(int itemsize, cpp_bool avx2)

cdef extern from "buffers.hpp" namespace "buffers":
    ctypedef struct Block:
        void* data
        size_t size
    cppclass Cache:
        Block take(size_t bytes)
        void give(Block block)
        void clear()
        void set_limit(size_t limit)
        size_t limit()
        size_t kept()
    Cache& cache()

cdef extern from "groups.hpp" namespace "groups" nogil:
    ctypedef struct Claim:
        ptrdiff_t first
        ptrdiff_t last
        ptrdiff_t begin
        ptrdiff_t end
    cppclass Groups:
        void reserve(ptrdiff_t count, ptrdiff_t num_rows, int parts) except +
        int parts() const
        ptrdiff_t first_of(int part, int parts, ptrdiff_t count) const
        void add(ptrdiff_t row, ptrdiff_t position, int part)
        cpp_bool begin_stage()
        void work(int part, cpp_bool (*stopped)() noexcept nogil)
        ptrdiff_t size() const
        ptrdiff_t count() const
        ptrdiff_t row(ptrdiff_t k) const
        ptrdiff_t position(ptrdiff_t k) const
        ptrdiff_t start(ptrdiff_t group) const
        void claim(ptrdiff_t row_bytes, ptrdiff_t dim, ptrdiff_t bytes, ptrdiff_t giant, ptrdiff_t columns) except +
        const vector[Claim]& claims() const

cdef extern from "rows.h" nogil:
    ctypedef void (*CopyRows "fe_copy_rows_function")(
        float* out, const float* table, const ptrdiff_t* rows, ptrdiff_t count, ptrdiff_t dim, ptrdiff_t ahead,
        ptrdiff_t lines, int with_zeros
    ) noexcept nogil
    ctypedef void (*ReduceRows "fe_reduce_rows_function")(
        float* acc, const float* const* rows, const float* weights, ptrdiff_t count, ptrdiff_t begin, ptrdiff_t end,
        int kind, ptrdiff_t known
    ) noexcept nogil
    ctypedef void (*AddToZeros "fe_add_to_zeros_function")(
        float* out, const float* const* rows, ptrdiff_t count, ptrdiff_t dim, ptrdiff_t known, ptrdiff_t ahead,
        ptrdiff_t lines
    ) noexcept nogil
    void maximum_with_position "fe_maximum_with_position"(
        float* acc, ptrdiff_t* which, const float* row, ptrdiff_t position, ptrdiff_t begin, ptrdiff_t end
    )
    void add_where_chosen "fe_add_where_chosen"(
        float* acc, const float* grad, const ptrdiff_t* which, ptrdiff_t position, ptrdiff_t begin, ptrdiff_t end
    )
    void divide_row "fe_divide_row"(float* row, float divisor, ptrdiff_t begin, ptrdiff_t end)
    ctypedef struct Path "fe_path":
        const char* name
        CopyRows copy_rows
        CopyRows stream_rows
        ReduceRows reduce_rows
        AddToZeros add_to_zeros
        AddToZeros stream_to_zeros
    void finish_stores "fe_finish_stores"()
    const Path paths "fe_paths"[]
    const int PATH_COUNT "FE_PATH_COUNT"
    int path_runs_here "fe_path_runs_here"(int k)
    int streaming_pays "fe_streaming_pays"()

cdef extern from "losses.h" nogil:
    float squared_error_float "fe_squared_error_float"(
        const float* output, const float* target, float share, float* gradient, ptrdiff_t dim)
    float squared_error_double "fe_squared_error_double"(
        const float* output, const double* target, float share, float* gradient, ptrdiff_t dim)

cdef extern from "updates.h" nogil:
    enum:
        FE_TERMS
        FE_ROWS_KNOWN
    ctypedef struct Numbers "fe_numbers":
        pass
    ctypedef struct Step "fe_step":
        int rule
        float* table
        float* state
        ptrdiff_t states
        ptrdiff_t num_rows
        ptrdiff_t dim
        const uint8_t* frozen
        const ptrdiff_t* rows
        ptrdiff_t count
        const ptrdiff_t* grad_rows
        ptrdiff_t grad_count
        const float* grads
        int prepare
        float l1
        float l2
        float scale
        float clip
        int32_t* last
        int32_t now
        int owes
        const Numbers* numbers
        const double* powers
        const double* series
        int32_t series_from
        ptrdiff_t cutoff
        const float* zeros
        int non_negative
        int norm
        float norm_low
        float norm_high
        float norm_rate
        int (*stopped)() noexcept nogil
    ctypedef struct UpdatesPath "fe_updates_path":
        void (*step_rows)(const Step* job, ptrdiff_t begin, ptrdiff_t end) noexcept nogil
        void (*settle_rows)(const Step* job, ptrdiff_t begin, ptrdiff_t end) noexcept nogil
        void (*settle_listed)(const Step* job, const ptrdiff_t* rows, ptrdiff_t count) noexcept nogil
        void (*column_squares)(
            const float* table, const uint8_t* frozen, ptrdiff_t dim, ptrdiff_t begin, ptrdiff_t end, double* squares
        ) noexcept nogil
        void (*scale_columns)(
            float* table, const uint8_t* frozen, ptrdiff_t dim, ptrdiff_t begin, ptrdiff_t end, const float* factors,
            int divide
        ) noexcept nogil
    const UpdatesPath updates_paths "fe_updates_paths"[]

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
    #include <vector>
    static thread_local int fe_local_threads = 0;   // of `with num_threads(n)`; 0: none
    static thread_local std::vector<int> fe_threads_before;     // of those around it
    """
    const ptrdiff_t PTRDIFF_MAX
    const char* FE_COMPILER
    const char* CYTHON_VERSION "FE_CYTHON_VERSION"
    int fe_local_threads
    vector[int] fe_threads_before


# Work under this many bytes stays in the calling thread, and keeps the GIL: releasing and taking it costs 0.1 us.
cdef ptrdiff_t GIL_BYTES = 16 * 1024
# Work from this many bytes is shared with workers that are awake, and from WAKE_BYTES sleeping ones are woken for it.
cdef ptrdiff_t SHARE_BYTES = 128 * 1024
cdef ptrdiff_t WAKE_BYTES = 1024 * 1024
# Output bytes a thread claims at a time.
cdef ptrdiff_t CLAIM_BYTES = 64 * 1024

cdef str RAISE = "raise"
cdef type MMAP = mmap.mmap
# Rows of tables over this many bytes are prefetched.
cdef ptrdiff_t PREFETCH_BYTES = 512 * 1024
# Lookups, and sums of gradients, write outputs from this many bytes, of rows of so many columns at least, past the
# caches, where that pays: from 16 MiB on a lookup and reading its rows afterwards together take less time, up to 8 MiB
# more, on a Zen 3 with 32 MiB of third-level cache (benchmarks/README.md).
cdef ptrdiff_t STREAM_BYTES = 16 * 1024 * 1024
cdef ptrdiff_t STREAM_DIM = 32
# Outputs from this many bytes come from the recycler.
cdef ptrdiff_t RECYCLE_BYTES = 1024 * 1024

# Where tracemalloc counts them: NumPy's number for the memory of arrays.
cdef unsigned int TRACE_DOMAIN = 389047

cdef dict MODES = {"raise": 0, "clip": 1, "wrap": 2, "zero": 3}

cdef int default_threads = 1
cdef const Path* path = &paths[PATH_COUNT - 1]
cdef ptrdiff_t stream_bytes = STREAM_BYTES if streaming_pays() else PTRDIFF_MAX
cdef ptrdiff_t stream_dim = STREAM_DIM

pool_set_up()

include "settings.pxi"
include "arguments.pxi"
include "threads.pxi"
include "mapped.pxi"
include "gather.pxi"
include "mask.pxi"
include "bag.pxi"
include "grad.pxi"
include "optimizer.pxi"
include "losses.pxi"
include "guard.pxi"
