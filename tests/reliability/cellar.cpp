// What random calls do not reach of the kernels' C++ parts: threads that come and go, memory that runs out, signals.
// Each check is a promise of the header it is about.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "buffers.hpp"
#include "groups.hpp"
#include "ids.hpp"
#include "mapped.hpp"
#include "pool.hpp"
#include "rows.h"
#include "updates.h"

namespace {

bool no_memory = false;

#define CHECK(good) check((good), #good, __LINE__)
void check(bool good, const char* what, int line) {
    if (!good) {
        std::fprintf(stderr, "line %d, wrong: %s\n", line, what);
        std::abort();
    }
}

void sleep(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

int go_on() { return 0; }
int stop() { return 1; }

// ── ids.hpp ──

void the_first_bad_id_is_kept() {
    ids::BadId bad;
    CHECK(!bad.found());
    bad.report(5, 50);
    bad.report(9, 90);
    CHECK(bad.position() == 5 && bad.bits() == 50);
    bad.report(3, 30);
    CHECK(bad.found() && bad.position() == 3 && bad.bits() == 30);
}

void no_function_for_ids_of_other_sizes() {
    for (int size : {0, 3, 16}) {
        CHECK(!ids::loader(size, true) && !ids::marker(size, false));
        for (ptrdiff_t dim = 1; dim <= 4; ++dim)
            CHECK(!ids::narrow_copier(size, false, dim));
    }
}

// ── groups.hpp ──

void too_many_pairs_are_refused() {
    groups::Groups made;
    bool refused = false;
    try {
        made.reserve(ptrdiff_t(1) << 33, ptrdiff_t(1) << 33);
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    CHECK(refused);
    refused = false;
    try {
        made.reserve(ptrdiff_t(1) << 62, 1);
    } catch (const std::bad_alloc&) {
        refused = true;
    }
    CHECK(refused);
}

int questions = 0, patience = 0;
bool enough() { return ++questions == patience; }

void sort(groups::Groups& made) {
    while (made.begin_stage()) {
        for (int part = 0; part < made.parts(); ++part)
            made.work(part, enough);
    }
}

// Two million pairs: each of the three stages that they take asks once, and leaves the rest undone where told to.
void a_sort_stops_when_told() {
    const ptrdiff_t count = ptrdiff_t(1) << 21;
    groups::Groups made;
    for (patience = 1; patience <= 4; ++patience) {
        made.reserve(count, 3);
        for (ptrdiff_t k = 0; k < count; ++k)
            made.add(k % 3, k);
        questions = 0;
        sort(made);
        CHECK(questions == 3);
        if (patience > 1)
            CHECK(made.count() == (patience > 2 ? 3 : 0) && (made.start(2) == 1398102) == (patience > 3));
    }
    CHECK(made.count() == 3 && made.row(0) == 0 && made.position(1) == 3 && made.row(count - 1) == 2);
}

// Parts of any sizes, some of them without a pair: the same order and the same groups.
void a_sort_in_parts_is_the_same() {
    for (int parts = 1; parts <= 9; ++parts) {
        const ptrdiff_t count = 70;
        for (ptrdiff_t num_rows : {ptrdiff_t(1), ptrdiff_t(5), ptrdiff_t(5000), ptrdiff_t(1) << 40}) {
            groups::Groups made, plain;
            made.reserve(count, num_rows, parts);
            plain.reserve(count, num_rows);
            for (int part = 0; part < parts; ++part) {
                for (ptrdiff_t k = made.first_of(part, parts, count); k < made.first_of(part + 1, parts, count); ++k) {
                    if (k < 20)     // padding
                        continue;
                    made.add(k * k * 7919 % num_rows, k, part);
                    plain.add(k * k * 7919 % num_rows, k);
                }
            }
            sort(made);
            sort(plain);
            CHECK(made.parts() == parts && made.size() == 50 && plain.size() == 50 && made.count() == plain.count());
            for (ptrdiff_t k = 0; k < 50; ++k)
                CHECK(made.row(k) == plain.row(k) && made.position(k) == plain.position(k));
            for (ptrdiff_t group = 0; group <= made.count(); ++group)
                CHECK(made.start(group) == plain.start(group));
        }
    }
}

// ── buffers.hpp ──

void scratch_of_some_size_is_kept() {
    buffers::Cache& cache = buffers::cache();
    cache.clear();
    void* place = nullptr;
    {
        buffers::Scratch small, large;
        CHECK(small.reserve(0) && small.reserve(100));
        place = large.reserve(100000);
    }
    CHECK(cache.kept() >= 100000 && cache.kept() < 200000);
    {
        buffers::Scratch again;
        CHECK(again.reserve(100000) == place && cache.kept() == 0);
        CHECK(again.reserve(10) && cache.kept() >= 100000);
    }
    bool refused = false;
    buffers::Scratch none;
    try {
        none.reserve(PTRDIFF_MAX);
    } catch (const std::bad_alloc&) {
        refused = true;
    }
    CHECK(refused);
    cache.clear();
}

void blocks_are_kept_within_the_limit() {
    buffers::Cache& cache = buffers::cache();
    CHECK(&cache == &buffers::cache() && cache.kept() == 0);
    size_t before = 0;
    for (size_t bytes = 1; bytes < size_t(1) << 40; bytes += bytes / 3 + 1) {
        const size_t size = buffers::size_class(bytes);
        CHECK(size >= bytes && size >= before && size <= bytes + std::max(bytes / 4, buffers::PAGE));
        before = size;
    }
    const size_t some = 6 * buffers::HUGE_PAGE;
    cache.set_limit(2 * some);
    buffers::Block first = cache.take(some);
    std::memset(first.data, 1, some);
#ifdef FASTEMBED_MMAP
    CHECK(reinterpret_cast<uintptr_t>(first.data) % buffers::HUGE_PAGE == 0);
#endif
    cache.give(first);
    CHECK(cache.kept() == first.size);
    const buffers::Block half = cache.take(some / 2);
    CHECK(half.data != first.data && cache.take(some).data == first.data && cache.kept() == 0);
    cache.give(half);
    cache.clear();
    cache.give(first);
    CHECK(!cache.take(SIZE_MAX / 2 - 1).data && cache.kept() == 0);      // what was kept is let go first
    CHECK(!cache.take(SIZE_MAX / 2 - 1).data);
    cache.give(cache.take(some / 2));
    const size_t kept = cache.kept();
    buffers::Block large = cache.take(3 * some);
    cache.give(large);
    CHECK(kept > 0 && cache.kept() == kept);    // what is larger than the limit drives nothing out
    cache.clear();
    buffers::Block blocks[3];
    for (buffers::Block& block : blocks)
        block = cache.take(some);
    for (const buffers::Block& block : blocks)
        cache.give(block);
    CHECK(cache.kept() == blocks[1].size + blocks[2].size && cache.take(some).data == blocks[2].data);
    cache.give(blocks[2]);
    cache.clear();
    CHECK(cache.kept() == 0);
}

// ── pool.hpp ──

struct Work {
    std::vector<std::atomic<int>> done;
    std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> helped{false};
    std::atomic<int> asked{0};
    explicit Work(ptrdiff_t blocks) : done(static_cast<size_t>(blocks)) {}
};

void once(void* context, ptrdiff_t block) { ++static_cast<Work*>(context)->done[static_cast<size_t>(block)]; }

void every_block_is_done_once() {
    CHECK(!pool::stopped());        // there is no job
    for (int threads = 1; threads <= 5; ++threads) {
        for (ptrdiff_t blocks : {0, 1, 2, 7, 3000}) {
            Work work(blocks);
            CHECK(pool::run(once, &work, blocks, threads, blocks % 2 == 0, go_on));
            for (const std::atomic<int>& times : work.done)
                CHECK(times == 1);
        }
    }
}

void inside(void* context, ptrdiff_t block) {
    Work other(50);
    CHECK(pool::run(once, &other, 50, 3, true, go_on));
    for (const std::atomic<int>& times : other.done)
        CHECK(times == 1);
    once(context, block);
}

void a_job_inside_a_job_goes_without_workers() {
    Work work(20);
    CHECK(pool::run(inside, &work, 20, 3, true, go_on));
    for (const std::atomic<int>& times : work.done)
        CHECK(times == 1);
}

// The caller waits for a helper, which stays in its block for long; Ctrl-C comes meanwhile.
void held_up(void* context, ptrdiff_t) {
    Work& work = *static_cast<Work*>(context);
    if (std::this_thread::get_id() != work.caller) {
        work.helped = true;
        sleep(250);
        work.asked += pool::stopped();
    } else {
        for (int turn = 0; turn < 5000 && !work.helped; ++turn)
            sleep(1);
    }
}

void ctrl_c_reaches_the_helpers() {
    Work work(2);
    CHECK(!pool::run(held_up, &work, 2, 2, true, stop));
    CHECK(work.helped && work.asked == 1);
    Work other(2);
    CHECK(pool::run(held_up, &other, 2, 2, true, go_on));
    CHECK(other.helped && other.asked == 0);
}

void slow(void* context, ptrdiff_t block) {
    sleep(5);
    once(context, block);
}

void ctrl_c_ends_a_job_between_blocks() {
    Work work(1000);
    CHECK(!pool::run(slow, &work, 1000, 1, false, stop));
    CHECK(work.done[0] == 1 && work.done[999] == 0);
}

void without_workers_the_caller_works_alone() {
    pool::Pool* const before = pool::instance();
    pool::set_up();
    CHECK(pool::instance() == before);
    pool::stop();
    std::thread([] {
        pool::instance()->suspend();
        std::thread([] {
            Work work(9);
            CHECK(pool::run(once, &work, 9, 3, true, go_on));
            for (const std::atomic<int>& times : work.done)
                CHECK(times == 1);
        }).join();
        pool::instance()->resume();
    }).join();
    every_block_is_done_once();
}

// ── updates.h ──

// Rows that two threads look up at once, again and again: each is paid by one of them.
void a_row_is_paid_once() {
    const ptrdiff_t rows = 20000;
    std::vector<ptrdiff_t> every(rows);
    for (ptrdiff_t row = 0; row < rows; ++row)
        every[static_cast<size_t>(row)] = row;
    const double powers[] = {1, 1, 0, 0.5, 0.5, 0.5};
    for (int turn = 0; turn < 50; ++turn) {
        std::vector<float> table(rows, 1.0f), velocity(rows, 8.0f);
        std::vector<int32_t> last(rows, 1);
        fe_step job = {};
        job.rule = FE_MOMENTUM;
        job.states = job.dim = 1;
        job.num_rows = rows;
        job.now = 2;
        job.table = table.data();
        job.state = velocity.data();
        job.last = last.data();
        job.powers = powers;
        std::atomic<int> ready{0};
        const auto pay = [&] {
            for (++ready; ready < 2;) {
            }
            fe_updates_paths[FE_PATH_COUNT - 1].settle_listed(&job, every.data(), rows);
        };
        std::thread other(pay);
        pay();
        other.join();
        for (size_t row = 0; row < rows; ++row)
            CHECK(table[row] == 5 && velocity[row] == 4 && last[row] == 2);
    }
}

// ── mapped.hpp ──

int handed_on = 0;
void plain_handler(int) { ++handed_on; }
void handler(int number, siginfo_t* info, void* context) {
    ++handed_on;
    mapped::on_fault(number, info, context);        // as one that was there before us, and hands on to us
}

struct sigaction installed() {
    struct sigaction now;
    sigaction(SIGBUS, nullptr, &now);
    return now;
}

// A fault outside the watched mappings, when `before` was the handler before us.
void fault_elsewhere(const struct sigaction& before) {
    sigaction(SIGBUS, &before, nullptr);
    mapped::install();
    CHECK(installed().sa_sigaction == mapped::on_fault);
    mapped::install();                              // a second time changes nothing
    CHECK(mapped::previous().sa_handler == before.sa_handler);
    siginfo_t info = {};
    info.si_addr = &info;
    errno = 77;
    mapped::on_fault(SIGBUS, &info, nullptr);
    CHECK(errno == 77);
}

void other_faults_are_handed_on() {
    struct sigaction before = {};
    before.sa_handler = plain_handler;
    fault_elsewhere(before);
    CHECK(handed_on == 1 && installed().sa_sigaction == mapped::on_fault);
    before.sa_flags = SA_SIGINFO;
    before.sa_sigaction = handler;
    fault_elsewhere(before);
    CHECK(handed_on == 2 && installed().sa_handler == SIG_DFL);
    for (int flags : {0, SA_SIGINFO}) {
        before.sa_flags = flags;
        before.sa_handler = SIG_DFL;
        fault_elsewhere(before);
        CHECK(handed_on == 2 && installed().sa_handler == SIG_DFL);
    }
    before.sa_flags = 0;
    before.sa_handler = SIG_IGN;
    fault_elsewhere(before);
    CHECK(handed_on == 2 && installed().sa_handler == SIG_DFL);
}

void what_is_lost_reads_as_zeros() {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), size = 4 * page;
    char* place = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(place, 1, size);
    const uintptr_t start = reinterpret_cast<uintptr_t>(place);
    CHECK(!mapped::cover(start));                   // nobody watches it
    no_memory = true;
    CHECK(!mapped::watch(start, size));
    no_memory = false;
    mapped::Slot* const first = mapped::watch(start, 2 * page);
    mapped::Slot* const second = mapped::watch(start + 2 * page, 2 * page);
    CHECK(first && second && first != second);
    CHECK(!mapped::cover(start - 1) && !mapped::cover(start + size));
    CHECK(!mapped::lost(place, size));
    CHECK(mapped::watched(place, 1) && mapped::watched(place - 1, 2) && mapped::watched(place + size - 1, 1));
    CHECK(!mapped::watched(place - 1, 1) && !mapped::watched(place + size, 1));
#ifdef __linux__     // others do not keep to the limit
    rlimit limit, none;
    getrlimit(RLIMIT_AS, &limit);
    none = limit;
    none.rlim_cur = page;
    setrlimit(RLIMIT_AS, &none);
    const bool covered = mapped::cover(start + page);
    setrlimit(RLIMIT_AS, &limit);
    CHECK(!covered && !mapped::lost(place, size) && place[page] == 1);
#endif
    CHECK(mapped::cover(start + page + 5) && mapped::cover(start + page));      // the second time by another thread
    CHECK(place[page - 1] == 1 && place[page] == 0 && place[2 * page - 1] == 0 && place[2 * page] == 1);
    CHECK(mapped::lost(place, 1) && mapped::lost(place - 1, 2) && mapped::lost_count() == 1);
    CHECK(!mapped::lost(place - 1, 1) && !mapped::lost(place + 2 * page, 1));
    siginfo_t info = {};
    info.si_addr = place + 3 * page;
    errno = 77;
    mapped::on_fault(SIGBUS, &info, nullptr);
    CHECK(errno == 77 && mapped::lost(place + 2 * page, 1) && place[3 * page] == 0 && place[3 * page - 1] == 1);
    mapped::forget(first);
    CHECK(!mapped::lost(place, 1) && mapped::lost_count() == 1);
    CHECK(mapped::watch(start, page) == first && !mapped::lost(place, 1));      // its slot is used again
    mapped::forget(first);
    mapped::forget(second);
    CHECK(mapped::lost_count() == 0 && !mapped::cover(start) && !mapped::lost(place, size));
    CHECK(!mapped::watched(place, size));
    munmap(place, size);
}

}  // namespace

// never inlined: gcc would take std::free for a mistake behind a new that it does not see through
#define REPLACED __attribute__((noinline))
REPLACED void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return no_memory ? nullptr : std::malloc(size);
}
REPLACED void operator delete(void* place) noexcept { std::free(place); }
REPLACED void operator delete(void* place, size_t) noexcept { std::free(place); }
REPLACED void* operator new(size_t size) {
    if (void* place = std::malloc(size ? size : 1))
        return place;
    throw std::bad_alloc();
}

int main() {
    pool::set_up();
    the_first_bad_id_is_kept();
    no_function_for_ids_of_other_sizes();
    too_many_pairs_are_refused();
    a_sort_stops_when_told();
    a_sort_in_parts_is_the_same();
    scratch_of_some_size_is_kept();
    blocks_are_kept_within_the_limit();
    every_block_is_done_once();
    a_job_inside_a_job_goes_without_workers();
    ctrl_c_reaches_the_helpers();
    ctrl_c_ends_a_job_between_blocks();
    without_workers_the_caller_works_alone();
    a_row_is_paid_once();
    other_faults_are_handed_on();
    what_is_lost_reads_as_zeros();
    std::puts("right");
    return 0;
}
