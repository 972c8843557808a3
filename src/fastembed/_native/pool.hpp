// The threads: claim a block, do it, stop. Knows nothing of rows.
//
// run() does blocks 0..n-1 of a job on the calling thread and on workers that happen to be free. The caller takes part
// and can finish alone: it never waits for a worker to start, only for one that is inside a block. So a busy machine,
// a worker that could not be created, a second caller (which simply gets no workers) and a fork cost speed, not
// correctness. There is one pool a process; it is never destroyed, so that exiting with threads alive is safe.
#ifndef FASTEMBED_POOL_HPP
#define FASTEMBED_POOL_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#define FASTEMBED_POSIX 1
#include <pthread.h>
#include <signal.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace pool {

constexpr int MAX_THREADS = 256;

// A worker that finds nothing to do polls this long before it sleeps: waking one that polls costs 0.3 us, one that
// sleeps 10-27 us.
constexpr std::chrono::microseconds SPIN{50};

// The caller asks `interrupted` this often, so that Ctrl-C is felt well within 0.2 s.
constexpr std::chrono::milliseconds POLL{50};

using clock = std::chrono::steady_clock;

typedef void (*Body)(void* context, ptrdiff_t block);   // does one block; must not throw
typedef int (*Interrupted)();                           // non-zero: stop

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__ __volatile__("yield");
#endif
}

struct Job {
    Body body;
    void* context;
    ptrdiff_t blocks;
    std::atomic<ptrdiff_t> next{0};
    std::atomic<bool> cancelled{false};

    ptrdiff_t claim() {
        if (cancelled.load(std::memory_order_relaxed))
            return blocks;
        return next.fetch_add(1, std::memory_order_relaxed);
    }
};

// What this thread is at work on, for a block that takes long and asks whether to stop.
struct Current {
    Job* job;
    Interrupted interrupted;        // null in a worker
    clock::time_point asked;

    bool stopped() {
        const clock::time_point now = clock::now();
        if (interrupted && now - asked > POLL) {
            asked = now;
            if (interrupted())
                job->cancelled.store(true, std::memory_order_relaxed);
        }
        return job->cancelled.load(std::memory_order_relaxed);
    }
};

inline Current*& current() {
    static thread_local Current* the_current = nullptr;
    return the_current;
}

// Whether a block should leave its work undone: asked by blocks that may take longer than POLL, every 1 ms or so.
inline bool stopped() { return current() && current()->stopped(); }

class Pool {
public:
    // Blocks 0..blocks-1, on at most `threads` threads; false when `interrupted` said stop.
    bool run(Job& job, int threads, bool wake_sleepers, Interrupted interrupted) {
        const bool shared = threads > 1 && job.blocks > 1 && !taken_.exchange(true, std::memory_order_acquire);
        if (shared)
            open(job, threads, wake_sleepers);
        work_as_caller(job, interrupted);
        if (shared) {
            close(job, interrupted);
            taken_.store(false, std::memory_order_release);
        }
        return !job.cancelled.load(std::memory_order_relaxed);
    }

    // Ends the workers; the next run() that wants them starts new ones. Until resume(), none are started.
    void suspend() {
        lifecycle_.lock();
        stopping_.store(true, std::memory_order_relaxed);
        {
            std::lock_guard<std::mutex> hold(sleep_mutex_);
        }
        wake_.notify_all();
        for (std::thread& worker : workers_)
            worker.join();
        workers_.clear();
        started_.store(0, std::memory_order_relaxed);
    }

    void resume() {
        stopping_.store(false, std::memory_order_relaxed);
        lifecycle_.unlock();
    }

private:
    // One word tells the workers everything: generation of the job | seats left for workers | workers at work.
    static constexpr uint64_t WORKING = 1;
    static constexpr uint64_t SEAT = uint64_t(1) << 16;
    static constexpr uint64_t GENERATION = uint64_t(1) << 32;
    static uint64_t working(uint64_t word) { return word & (SEAT - 1); }
    static uint64_t seats(uint64_t word) { return (word / SEAT) & 0xffff; }
    static uint64_t generation(uint64_t word) { return word / GENERATION; }

    void open(Job& job, int threads, bool wake_sleepers) {
        start_workers(threads - 1);
        job_ = &job;
        const uint64_t next = generation(word_.load(std::memory_order_relaxed)) + 1;
        const uint64_t helpers = static_cast<uint64_t>(threads - 1);
        word_.store(next * GENERATION + helpers * SEAT);
        // A wake-up lost between a worker's last look and its sleep costs this call a helper, nothing else; so no lock.
        if (wake_sleepers)
            for (int n = sleeping_.load(); n > 0 && threads > 1; --n, --threads)
                wake_.notify_one();
    }

    // No worker may join any more; those inside a block are waited for, since they write to the caller's arrays. One
    // that lost its processor to another process comes back sooner when this thread sleeps: the idle processor takes it.
    void close(Job& job, Interrupted interrupted) {
        uint64_t word = word_.fetch_and(~(uint64_t(0xffff) * SEAT), std::memory_order_acq_rel);
        for (int spins = 0; working(word) && spins < 2000; ++spins) {
            relax();
            word = word_.load(std::memory_order_acquire);
        }
        if (!working(word))
            return;
        std::unique_lock<std::mutex> hold(close_mutex_);
        closing_.store(true);
        while (!closed_.wait_for(hold, POLL, [this] { return !working(word_.load()); })) {
            hold.unlock();      // a signal's handler may fork, or call again
            if (!job.cancelled.load(std::memory_order_relaxed) && interrupted())
                job.cancelled.store(true, std::memory_order_relaxed);
            hold.lock();
        }
        closing_.store(false);
    }

    // The other side of close(): this worker no longer touches the job, which may be gone from here on.
    void leave() {
        word_.fetch_sub(WORKING);
        if (closing_.load()) {
            std::lock_guard<std::mutex> hold(close_mutex_);
            closed_.notify_one();
        }
    }

    void work_as_caller(Job& job, Interrupted interrupted) {
        Current here{&job, interrupted, clock::now()};
        Current* const before = current();      // a signal's handler may call from inside a block
        current() = &here;
        for (ptrdiff_t block = job.claim(); block < job.blocks; block = job.claim()) {
            job.body(job.context, block);
            here.stopped();
        }
        current() = before;
    }

    void start_workers(int wanted) {
        if (started_.load(std::memory_order_relaxed) >= wanted)
            return;
        if (!lifecycle_.try_lock())     // a fork is under way: do without
            return;
        std::lock_guard<std::mutex> hold(lifecycle_, std::adopt_lock);
#ifdef FASTEMBED_POSIX
        // Signals are the main thread's; those that a fault raises must reach whoever faulted.
        sigset_t most, before;
        sigfillset(&most);
        for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
            sigdelset(&most, fault);
        pthread_sigmask(SIG_SETMASK, &most, &before);
#endif
        try {
            while (static_cast<int>(workers_.size()) < wanted)
                workers_.emplace_back([this] { worker(); });
        } catch (const std::system_error&) {    // no more threads to be had: do with fewer
        } catch (const std::bad_alloc&) {
        }
        started_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
#ifdef FASTEMBED_POSIX
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
    }

    void worker() {
        uint64_t seen = generation(word_.load(std::memory_order_acquire)) - 1;
        for (;;) {
            if (!wait_for_job(seen))
                return;
            uint64_t word = word_.load(std::memory_order_acquire);
            while (seats(word) && !word_.compare_exchange_weak(word, word - SEAT + WORKING, std::memory_order_acq_rel))
                relax();
            seen = generation(word);
            if (!seats(word))
                continue;
            Job& job = *job_;
            Current here{&job, nullptr, clock::time_point()};
            current() = &here;
            while (!stopping_.load(std::memory_order_relaxed)) {
                const ptrdiff_t block = job.claim();
                if (block >= job.blocks)
                    break;
                job.body(job.context, block);
            }
            current() = nullptr;
            leave();
        }
    }

    // True when there is a job newer than `seen` with a seat; false when the pool is stopping.
    bool wait_for_job(uint64_t seen) {
        const auto ready = [&] {
            const uint64_t word = word_.load();
            return stopping_.load() || (seats(word) && generation(word) != seen);
        };
        const clock::time_point give_up = clock::now() + SPIN;
        do {
            for (int k = 0; k < 32; ++k) {
                if (ready())
                    return !stopping_.load();
                relax();
            }
        } while (clock::now() < give_up);
        std::unique_lock<std::mutex> hold(sleep_mutex_);
        sleeping_.fetch_add(1);
        wake_.wait(hold, ready);
        sleeping_.fetch_sub(1);
        return !stopping_.load();
    }

    std::atomic<uint64_t> word_{0};
    Job* job_ = nullptr;                    // written before word_ is published, read after joining through it
    std::atomic<bool> taken_{false};        // whether some caller has the workers
    std::atomic<bool> stopping_{false};
    std::atomic<int> sleeping_{0};
    std::atomic<int> started_{0};
    std::mutex sleep_mutex_;
    std::condition_variable wake_;
    std::atomic<bool> closing_{false};      // whether the caller sleeps until the last worker leaves
    std::mutex close_mutex_;
    std::condition_variable closed_;
    std::mutex lifecycle_;                  // of workers_
    std::vector<std::thread> workers_;
};

// Set once by set_up() and never freed. A forked child gets a new one: locks of the old may be held by threads it lost.
inline Pool*& instance() {
    static Pool* pool = nullptr;
    return pool;
}

// Called once, when the module is imported. fork() then finds no workers: they end before it and start again at need.
inline void set_up() {
    if (instance())
        return;
    instance() = new Pool;
#ifdef FASTEMBED_POSIX
    pthread_atfork([] { instance()->suspend(); }, [] { instance()->resume(); }, [] { instance() = new Pool; });
#endif
}

inline bool run(Body body, void* context, ptrdiff_t blocks, int threads, bool wake_sleepers, Interrupted interrupted) {
    Job job;
    job.body = body;
    job.context = context;
    job.blocks = blocks;
    return instance()->run(job, threads, wake_sleepers, interrupted);
}

inline void stop() {
    instance()->suspend();
    instance()->resume();
}

}  // namespace pool

#endif
