/* What the memory allows: T_lim = read the rows that a workload names, storing nothing, + fill its output, reading
   nothing. Both with prefetching, in blocks that the threads claim as they go, between threads that spin. */
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BLOCK ((ptrdiff_t)65536)
#define WRITE_AHEAD 2048

typedef struct {
    const char* table; ptrdiff_t row_bytes;             /* (V, row_bytes) IN */
    const int64_t* ids; ptrdiff_t count;                /* (count,) IN */
    char* out; ptrdiff_t out_bytes;                     /* (out_bytes,) OUT */
    const char* evictor; ptrdiff_t evictor_bytes;       /* read between the phases, unless it has 0 bytes */
    int threads, rounds;
    double* seconds;                                    /* (rounds,) OUT */
    atomic_ptrdiff_t next;
    atomic_int arrived, phase;
    _Atomic float sink;
} Task;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* All threads leave together; it yields, so that it also ends where there are more threads than CPUs. */
static void barrier(Task* task) {
    const int phase = atomic_load(&task->phase);
    if (atomic_fetch_add(&task->arrived, 1) + 1 == task->threads) {
        atomic_store(&task->next, 0);
        atomic_store(&task->arrived, 0);
        atomic_fetch_add(&task->phase, 1);
        return;
    }
    for (int spins = 0; atomic_load(&task->phase) == phase; ++spins)
        if (spins > 10000) sched_yield(); else _mm_pause();
}

static float read_row(const char* row, ptrdiff_t bytes) {
    __m256 a = _mm256_setzero_ps(), b = a;
    ptrdiff_t k = 0;
    for (; k + 64 <= bytes; k += 64) {
        a = _mm256_or_ps(a, _mm256_loadu_ps((const float*)(row + k)));
        b = _mm256_or_ps(b, _mm256_loadu_ps((const float*)(row + k + 32)));
    }
    float rest = 0;
    for (; k + 4 <= bytes; k += 4)
        rest += *(const float*)(row + k);
    return rest + _mm256_cvtss_f32(_mm256_or_ps(a, b));
}

static void read_rows(Task* task) {
    const ptrdiff_t claim = BLOCK / task->row_bytes > 0 ? BLOCK / task->row_bytes : 1;
    const ptrdiff_t ahead = task->row_bytes <= 64 ? 16 : task->row_bytes < 2048 ? 8 : 2;
    float sum = 0;
    for (;;) {
        const ptrdiff_t start = atomic_fetch_add(&task->next, claim);
        if (start >= task->count)
            break;
        const ptrdiff_t stop = start + claim < task->count ? start + claim : task->count;
        for (ptrdiff_t k = start; k < stop; ++k) {
            if (k + ahead < task->count) {
                const char* row = task->table + task->ids[k + ahead] * task->row_bytes;
                for (ptrdiff_t byte = 0; byte < task->row_bytes; byte += 64)
                    _mm_prefetch(row + byte, _MM_HINT_T0);
                _mm_prefetch(row + task->row_bytes - 1, _MM_HINT_T0);
            }
            sum += read_row(task->table + task->ids[k] * task->row_bytes, task->row_bytes);
        }
    }
    atomic_store(&task->sink, sum);
}

/* Through the caches or past them, which spares some processors a read of each line: the quicker of the two counts. */
static void fill(Task* task, int past_caches) {
    const __m256 value = _mm256_set1_ps(1.5f);
    for (;;) {
        ptrdiff_t k = atomic_fetch_add(&task->next, BLOCK);
        if (k >= task->out_bytes)
            break;
        const ptrdiff_t stop = k + BLOCK < task->out_bytes ? k + BLOCK : task->out_bytes;
        if (past_caches) {
            for (; k < stop && (size_t)(task->out + k) % 32; ++k)
                task->out[k] = 1;
            for (; k + 32 <= stop; k += 32)
                _mm256_stream_ps((float*)(task->out + k), value);
        }
        for (; k + 64 <= stop; k += 64) {
            __builtin_prefetch(task->out + k + WRITE_AHEAD, 1);
            _mm256_storeu_ps((float*)(task->out + k), value);
            _mm256_storeu_ps((float*)(task->out + k + 32), value);
        }
        for (; k < stop; ++k)
            task->out[k] = 1;
    }
    _mm_sfence();
}

static void evict(Task* task) {
    int64_t sum = 0;
    for (ptrdiff_t k = 0; k < task->evictor_bytes; k += 64)
        sum += task->evictor[k];
    atomic_store(&task->sink, (float)sum);
}

static void* work(void* argument) {
    Task* task = *(Task**)argument;
    const int first = ((Task**)argument)[1] != NULL;
    for (int round = 0; round < task->rounds; ++round) {
        double seconds[3];
        for (int phase = 0; phase < 3; ++phase) {
            if (first && task->evictor_bytes)
                evict(task);
            barrier(task);
            const double started = now();
            if (phase == 0) read_rows(task); else fill(task, phase == 2);
            barrier(task);
            seconds[phase] = now() - started;
        }
        if (first)
            task->seconds[round] = seconds[0] + (seconds[1] < seconds[2] ? seconds[1] : seconds[2]);
    }
    return NULL;
}

/* seconds[round] = T_lim, for each round. Returns 0, or -1 when a thread cannot be created. */
int limit(const char* table, ptrdiff_t row_bytes, const int64_t* ids, ptrdiff_t count, char* out, ptrdiff_t out_bytes,
          const char* evictor, ptrdiff_t evictor_bytes, int threads, int rounds, double* seconds) {
    Task task = {.table = table, .row_bytes = row_bytes, .ids = ids, .count = count, .out = out,
                 .out_bytes = out_bytes, .evictor = evictor, .evictor_bytes = evictor_bytes,
                 .threads = threads, .rounds = rounds, .seconds = seconds};
    pthread_t others[256];
    Task* as_other[2] = {&task, NULL};
    Task* as_first[2] = {&task, &task};
    int started = 0;
    if (threads > 256)
        return -1;
    for (; started < threads - 1; ++started)
        if (pthread_create(&others[started], NULL, work, as_other))
            break;
    if (started < threads - 1)      /* those that started wait at a barrier for ever: the caller exits */
        return -1;
    work(as_first);
    for (int k = 0; k < started; ++k)
        pthread_join(others[k], NULL);
    return 0;
}
