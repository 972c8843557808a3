# distutils: language = c++
"""Files of word vectors: blocks of bytes in, a growing table and its words out. Knows no file."""

cimport cython
cimport numpy as np
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from libcpp cimport bool as cpp_bool
from libcpp.string cimport string
from libcpp.vector cimport vector

np.import_array()

cdef extern from *:
    """
    #if defined(__linux__)
    #include <sys/mman.h>
    // Fewer page faults; of a table that is not written to its end, at most one huge page too many.
    static void fe_use_huge_pages(void* place, size_t size) {
        const uintptr_t page = 4096, begin = (reinterpret_cast<uintptr_t>(place) + page - 1) / page * page;
        const uintptr_t end = (reinterpret_cast<uintptr_t>(place) + size) / page * page;
        if (end > begin)
            (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
    }
    #else
    static void fe_use_huge_pages(void*, size_t) {}
    #endif
    """
    void use_huge_pages "fe_use_huge_pages"(void* place, size_t size)
    const ptrdiff_t PTRDIFF_MAX

cdef extern from "numpy/arrayobject.h":
    # realloc moves pages instead of copying them, and tracemalloc sees the memory as NumPy's
    void* PyDataMem_RENEW(void* place, size_t size)
    void PyDataMem_FREE(void* place)

cdef extern from "numbers.hpp" namespace "numbers" nogil:
    enum:
        PADDING "numbers::PADDING"

cdef extern from "lines.hpp" namespace "lines" nogil:
    ctypedef struct Span:
        const char* begin
        const char* end
    ctypedef struct Shape:
        ptrdiff_t fields
        ptrdiff_t numbers
        Span before
    Shape shape(const char* begin, const char* end)
    const ptrdiff_t MAX_LINE
    ctypedef enum Fault "lines::Fault":
        pass

cdef extern from "words.hpp" namespace "words" nogil:
    cppclass Words:
        const vector[char]& blob() const
        const vector[int64_t]& offsets() const

cdef extern from "reader.hpp" namespace "reader" nogil:
    enum:
        MAX_WORD "reader::MAX_WORD"
    ctypedef enum Outcome "reader::Outcome":
        pass
    ctypedef struct Row:
        const char* word
        uint32_t size
    cppclass Reader:
        Reader(ptrdiff_t dim, ptrdiff_t limit, cpp_bool strict) except +
        void filter()
        void want(const char* word, ptrdiff_t size) except +
        ptrdiff_t split_text(const char* begin, const char* end) except +
        ptrdiff_t split_binary(const char* begin, const char* end, ptrdiff_t most, cpp_bool last) except +
        ptrdiff_t chunks() const
        Outcome decide() except +
        void decided_as(const char* word, ptrdiff_t size) except +
        Row undecodable() const
        void set_table(float* table)
        ptrdiff_t kept() const
        ptrdiff_t rows() const
        ptrdiff_t wanted() const
        ptrdiff_t duplicates() const
        const string& first_duplicate() const
        ptrdiff_t first_duplicate_row() const
        const Words& words() const
        Fault fault() const
        Span line() const
        Span wrong() const
    void read_chunk "reader::Reader::read"(void* reader, ptrdiff_t k) noexcept
    void copy_chunk "reader::Reader::copy"(void* reader, ptrdiff_t k) noexcept

ctypedef void (*Body)(void* context, ptrdiff_t block) noexcept nogil
ctypedef int (*Run)(Body body, void* job, ptrdiff_t blocks, ptrdiff_t work, int threads) except -1

cdef Run run = NULL     # the kernels' pool

# As the enumerations of lines.hpp and reader.hpp number them.
cdef tuple FAULTS = (
    "none", "number", "few", "many", "blank", "encoding", "long_line",
    "long_word", "cut_word", "cut_vector", "not_finite", "memory",
)
cdef enum:
    MORE, FINISHED, FAULT, UNDECODABLE

# Reading a byte of text takes about as long as copying this many.
cdef ptrdiff_t READING = 8
# Bytes of a wrong line that its error may show.
cdef ptrdiff_t SHOWN = 80


def connect():
    """Called at import: one pool of threads for the whole cellar."""
    global run
    from fastembed._native import kernels
    run = <Run>PyCapsule_GetPointer(kernels.run_capsule(), "fastembed._native.run")


connect()


@cython.final
@cython.auto_pickle(False)
cdef class Memory:
    """The floats of a table that grows. Arrays over it keep it alive; it no longer changes then."""

    cdef float* data
    cdef ptrdiff_t capacity     # in bytes

    def __dealloc__(self):
        PyDataMem_FREE(self.data)

    cdef int resize(self, ptrdiff_t size) except -1:
        cdef void* place = PyDataMem_RENEW(self.data, <size_t>max(size, 1))
        if place == NULL:
            raise MemoryError(f"no memory for a table of {size:,} bytes")
        self.data = <float*>place
        if size > self.capacity:
            use_huge_pages(<char*>place + self.capacity, <size_t>(size - self.capacity))
        self.capacity = size
        return 0


@cython.final
@cython.auto_pickle(False)
cdef class RowReader:
    """Reads the rows of one file from consecutive blocks of it.

    Args:
        dim: numbers of a row.
        limit: rows to read at most.
        errors: what becomes of a word that is not UTF-8: "strict", or a handler for `bytes.decode`.
        wanted: None, or the words to keep, as bytes.
    """

    cdef Reader* reader
    cdef Memory memory
    cdef ptrdiff_t row_bytes
    cdef str errors
    cdef bint done                  # the table is handed out: it must not move
    cdef readonly bint finished     # nothing more is wanted: the limit is reached, or every wanted word found
    cdef readonly object fault      # None, or what is wrong, as a dict

    def __cinit__(self, ptrdiff_t dim, ptrdiff_t limit, str errors, wanted=None):
        cdef bytes word
        self.reader = new Reader(dim, limit, errors == "strict")
        self.memory = Memory()
        self.row_bytes = dim * 4
        self.errors = errors
        if wanted is not None:
            self.reader.filter()
            for word in wanted:
                self.reader.want(word, len(word))

    def __dealloc__(self):
        del self.reader

    def expect(self, rows):
        """Room for so many rows, which costs nothing until they are there."""
        cdef object size = rows * self.row_bytes
        if size > PTRDIFF_MAX:
            raise MemoryError(f"no memory for a table of {size:,} bytes")
        if not self.done and size > self.memory.capacity:
            self.memory.resize(size)

    def feed(self, uint8_t[::1] block, ptrdiff_t start, ptrdiff_t stop, bint last, ptrdiff_t most, int threads):
        """Reads the whole rows of block[start:stop]; returns where the rest begins, which belongs in front of the next.

        The block has at least PADDING + 1 bytes behind `stop`, the first of which is overwritten if `last`: if nothing
        follows. `most`: -1 for text; for word2vec binary the records to come.
        """
        if self.done or not 0 <= start <= stop < block.shape[0] - PADDING:
            raise ValueError("a block needs room for a newline and padding")
        if start == stop:
            return stop
        cdef char* data = <char*>&block[0]
        cdef ptrdiff_t used
        if most < 0:
            if last and data[stop - 1] != b"\n":
                data[stop] = b"\n"
                stop += 1
            used = self.reader.split_text(data + start, data + stop)
        else:
            used = self.reader.split_binary(data + start, data + stop, most, last)
        run(read_chunk, self.reader, self.reader.chunks(), used * READING, threads)
        cdef int outcome = self._decide()
        if outcome == FAULT:
            self._note_fault()
            return start + used
        self.finished = outcome == FINISHED
        cdef ptrdiff_t needed = self.reader.kept() * self.row_bytes
        if needed > self.memory.capacity:
            self.memory.resize(max(needed, self.memory.capacity + self.memory.capacity // 2))
        self.reader.set_table(self.memory.data)
        run(copy_chunk, self.reader, self.reader.chunks(), used, threads)
        return start + used

    cdef int _decide(self) except -1:
        cdef int outcome
        cdef Row row
        cdef bytes word
        while True:
            with nogil:
                outcome = <int>self.reader.decide()
            if outcome != UNDECODABLE:
                return outcome
            row = self.reader.undecodable()
            word = PyBytes_FromStringAndSize(row.word, row.size).decode("utf-8", self.errors).encode("utf-8")
            self.reader.decided_as(word, len(word))

    cdef int _note_fault(self) except -1:
        cdef Span line = self.reader.line(), wrong = self.reader.wrong()
        cdef str kind = FAULTS[<int>self.reader.fault()]
        cdef Shape found, behind
        if kind == "memory":
            raise MemoryError("no memory for the rows of a block")
        found.fields = found.numbers = behind.fields = 0
        if kind in ("number", "few", "many"):       # a line of text, which a newline ends
            found = shape(line.begin, line.end)
            behind = shape(wrong.begin, line.end)
            if 0 < found.numbers == found.fields and line.begin[0] not in (b' ', b'\t'):
                found.numbers -= 1      # the word is a number too; behind a blank, it is empty
        self.fault = {
            "kind": kind,
            "row": self.reader.rows() + 1,
            "numbers": found.numbers,
            "fields": found.fields,
            "wrong": _shown(wrong),
            "line": _shown(line),
            "place": self.row_bytes // 4 - behind.fields + 1,
        }
        return 0

    @property
    def rows(self):
        """Rows of the file read so far."""
        return self.reader.rows()

    @property
    def found(self):
        """Rows kept so far."""
        return self.reader.kept()

    @property
    def wanted(self):
        """How many different words are wanted; -1: all."""
        return self.reader.wanted()

    @property
    def duplicates(self):
        """How many rows were dropped because their word had come before, the first such word, and its row (from 1)."""
        cdef const string* first = &self.reader.first_duplicate()
        return self.reader.duplicates(), bytes(first[0]), self.reader.first_duplicate_row()

    def table(self):
        """The rows kept, float32 (rows, dim); the last call."""
        cdef np.npy_intp[2] dims
        self.done = True
        dims[0], dims[1] = self.reader.kept(), self.row_bytes // 4
        self.memory.resize(self.reader.kept() * self.row_bytes)
        cdef np.ndarray table = np.PyArray_SimpleNewFromData(2, dims, np.NPY_FLOAT32, self.memory.data)
        np.set_array_base(table, self.memory)
        return table

    def words(self):
        """Their words: UTF-8 one after the other, uint8; and where each begins and the last ends, int64."""
        cdef const Words* words = &self.reader.words()
        cdef np.npy_intp[1] size
        size[0] = <np.npy_intp>words.blob().size()
        cdef np.ndarray blob = np.PyArray_SimpleNew(1, size, np.NPY_UINT8)
        if not words.blob().empty():        # whose data may be a null pointer
            memcpy(np.PyArray_DATA(blob), words.blob().data(), words.blob().size())
        size[0] = <np.npy_intp>words.offsets().size()
        cdef np.ndarray offsets = np.PyArray_SimpleNew(1, size, np.NPY_INT64)
        memcpy(np.PyArray_DATA(offsets), words.offsets().data(), words.offsets().size() * sizeof(int64_t))
        return blob, offsets


cdef bytes _shown(Span span):
    return PyBytes_FromStringAndSize(span.begin, min(span.end - span.begin, SHOWN))


def line_shape(bytes line):
    """Fields of a line of text, how many numbers it ends in, and the field in front of those."""
    cdef bytes padded = line + b"\n" + bytes(PADDING)
    cdef const char* begin = padded
    cdef Shape found = shape(begin, begin + len(line))
    return found.fields, found.numbers, _shown(found.before)


def max_line():
    """The most bytes of a line of text."""
    return MAX_LINE


def max_word():
    """The most bytes of a word of a word2vec binary file, its blank included."""
    return MAX_WORD


def padding():
    """Bytes that a block has at least behind its content."""
    return PADDING + 1
