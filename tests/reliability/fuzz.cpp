// Random calls of the kernels' C and C++ parts, each against a plain loop, for AddressSanitizer and
// UndefinedBehaviorSanitizer: every array is a heap block of exactly its size. `fuzz CALLS [SEED]`.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "groups.hpp"
#include "ids.hpp"
#include "rows.h"
#include "updates.h"

namespace {

uint64_t state;

uint64_t draw() {       // splitmix64
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
ptrdiff_t below(ptrdiff_t n) {  // the high half of a product, as a remainder takes longer than all else here
    return static_cast<ptrdiff_t>(static_cast<unsigned __int128>(draw()) * static_cast<uint64_t>(n) >> 64);
}
// mostly few: what goes wrong goes wrong at the ends
ptrdiff_t some_count(ptrdiff_t most) { return below(below(4) ? std::min<ptrdiff_t>(most, 20) + 1 : most + 1); }
float number() { return static_cast<float>(static_cast<double>(draw() >> 40) / (1 << 23) - 1.0); }

// exactly so many, so that the sanitizer sees a step past the end
template <typename T> struct Array {
    std::unique_ptr<T[]> data;
    ptrdiff_t size;
    explicit Array(ptrdiff_t n) : data(new T[static_cast<size_t>(n)]()), size(n) {}
    Array(const Array& other) : Array(other.size) {     // the sanitizer's memmove takes a byte at a time
        std::memcpy(get(), other.get(), static_cast<size_t>(size) * sizeof(T));
    }
    T* get() const { return data.get(); }
    T& operator[](ptrdiff_t k) const { return data[static_cast<size_t>(k)]; }
};

// Rows that begin on any float, between others that must stay: gcc's sanitizer does not see stores past the caches.
struct Window {
    ptrdiff_t count, begin;
    Array<float> all;
    explicit Window(ptrdiff_t n) : count(n), begin(16 + below(9)), all(begin + n + 16) {
        std::fill(all.get(), all.get() + all.size, 7.5f);
    }
    float* get() const { return all.get() + begin; }
    bool holds(const Array<float>& expected) const {
        for (ptrdiff_t k = 0; k < all.size; ++k)
            if ((k < begin || k >= begin + count) && all[k] != 7.5f)
                return false;
        return std::memcmp(get(), expected.get(), static_cast<size_t>(count) * sizeof(float)) == 0;
    }
};

Array<float> numbers(ptrdiff_t n) {     // drawn once: from another place on each time
    static const std::vector<float> drawn = [] {
        std::vector<float> made(1 << 16);
        std::generate(made.begin(), made.end(), number);
        return made;
    }();
    Array<float> array(n);
    std::memcpy(array.get(), &drawn[static_cast<size_t>(below((1 << 16) - n))], static_cast<size_t>(n) * sizeof(float));
    return array;
}

void check(bool good, const char* what) {
    if (!good) {
        std::fprintf(stderr, "wrong: %s\n", what);
        std::abort();
    }
}

bool same(const Array<float>& a, const Array<float>& b) {
    return std::memcmp(a.get(), b.get(), static_cast<size_t>(a.size) * sizeof(float)) == 0;
}

const ptrdiff_t DIMS[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 72, 100};
ptrdiff_t some_dim() { return DIMS[below(20)]; }
int some_path() {
    const int k = static_cast<int>(below(FE_PATH_COUNT));
    return fe_path_runs_here(k) ? k : FE_PATH_COUNT - 1;
}

// What a mode makes of an id, in plain words; -1: zeros; -2: refused.
ptrdiff_t settled(__int128 id, ptrdiff_t num_rows, int mode, bool has_padding, __int128 padding) {
    if (id >= 0 && id < num_rows)
        return static_cast<ptrdiff_t>(id);
    if (has_padding && id == padding)
        return -1;
    if (mode == ids::ZERO)
        return -1;
    if (mode == ids::RAISE || num_rows == 0)
        return -2;
    if (mode == ids::CLIP)
        return id < 0 ? 0 : num_rows - 1;
    const __int128 rest = id % num_rows;
    return static_cast<ptrdiff_t>(rest < 0 ? rest + num_rows : rest);
}

template <typename T> void look_up() {
    const ptrdiff_t num_rows = below(8) ? 1 + below(40) : 0, dim = some_dim(), count = some_count(ids::BLOCK);
    const int mode = static_cast<int>(below(4)), path = some_path();
    const Array<float> table = numbers(num_rows * dim);
    Array<T> given(count);
    for (ptrdiff_t k = 0; k < count; ++k) {
        const ptrdiff_t kind = below(12);
        given[k] = kind == 0 ? static_cast<T>(draw()) : static_cast<T>(below(num_rows + (kind == 1 ? 3 : 0) + !num_rows));
    }
    ids::Rule rule{num_rows, mode, below(3) == 0, 0};
    const T padding = static_cast<T>(below(6) ? below(num_rows + 2) : -1);
    rule.padding_id = static_cast<uint64_t>(padding);
    Array<ptrdiff_t> rows(count);
    Array<uint8_t> mask(count);
    const bool masked = below(2) != 0;
    uint64_t bad_bits = 0;
    bool has_zeros = false;
    const ptrdiff_t done = ids::loader(sizeof(T), std::is_signed<T>::value)(
        given.get(), count, rule, rows.get(), masked ? mask.get() : nullptr, &bad_bits, &has_zeros);
    ptrdiff_t k = 0;
    bool zeros = false;
    for (; k < count; ++k) {
        const ptrdiff_t row = settled(given[k], num_rows, mode, rule.has_padding, padding);
        if (row == -2) {
            check(static_cast<T>(bad_bits) == given[k], "the id that is named");
            break;
        }
        zeros |= row == -1;
        check(rows[k] == row, "row of an id");
        check(!masked || mask[k] == !(rule.has_padding && given[k] == padding), "mask of an id");
    }
    check(done == k && (has_zeros == zeros || done < count), "ids settled");
    if (done < count)
        return;
    Array<float> out(count * dim), expected(count * dim);
    for (k = 0; k < count; ++k)
        if (rows[k] >= 0)
            std::memcpy(expected.get() + k * dim, table.get() + rows[k] * dim, static_cast<size_t>(dim) * sizeof(float));
    fe_paths[path].copy_rows(out.get(), table.get(), rows.get(), count, dim, 8, below(2) ? (dim * 4 + 63) / 64 : 0,
                             has_zeros);
    check(same(out, expected), "rows copied");
    if (fe_paths[path].stream_rows) {
        const Window streamed(count * dim);
        fe_paths[path].stream_rows(streamed.get(), table.get(), rows.get(), count, dim, 8,
                                   below(2) ? (dim * 4 + 63) / 64 : 0, has_zeros);
        check(streamed.holds(expected), "rows streamed");
    }
    if (const ids::CopyNarrow copy = ids::narrow_copier(sizeof(T), std::is_signed<T>::value, dim)) {
        Array<float> narrow(count * dim);
        const ptrdiff_t copied = copy(given.get(), count, num_rows, table.get(), narrow.get());
        for (k = 0; k < copied; ++k)
            check(given[k] >= 0 && static_cast<uint64_t>(given[k]) < static_cast<uint64_t>(num_rows), "narrow id");
        check(std::memcmp(narrow.get(), expected.get(), static_cast<size_t>(copied * dim) * 4) == 0, "narrow rows");
    }
    Array<uint8_t> marks(count);
    ids::marker(sizeof(T), path == 0 && FE_PATH_COUNT > 1)(given.get(), count, rule.padding_id, marks.get());
    for (k = 0; k < count; ++k)
        check(marks[k] == (given[k] != padding), "marks");
}

void pool_bag() {
    const ptrdiff_t num_rows = 1 + below(30), dim = some_dim(), count = some_count(39);
    const int kind = static_cast<int>(below(3));
    const Array<float> table = numbers(num_rows * dim), weights = numbers(count);
    for (ptrdiff_t k = 0; k < table.size; k += 1 + below(40))
        table[k] = -0.0f;
    const ptrdiff_t known = count + below(12);
    Array<const float*> rows(known);
    for (ptrdiff_t k = 0; k < known; ++k)
        rows[k] = table.get() + below(num_rows) * dim;
    const ptrdiff_t begin = dim ? below(dim + 1) : 0, end = begin + (dim - begin ? below(dim - begin + 1) : 0);
    Array<float> acc = numbers(dim), expected = acc;
    for (ptrdiff_t k = 0; k < count; ++k)
        for (ptrdiff_t d = begin; d < end; ++d)
            expected[d] = kind == FE_SUM ? expected[d] + rows[k][d]
                : kind == FE_MAX ? std::max(expected[d], rows[k][d]) : expected[d] + weights[k] * rows[k][d];
    fe_paths[some_path()].reduce_rows(acc.get(), rows.get(), weights.get(), count, begin, end, kind, known);
    check(same(acc, expected), "rows reduced");
    Array<float> out(count * dim), copied(count * dim);
    for (ptrdiff_t k = 0; k < count * dim; ++k)
        copied[k] = 0.0f + rows[k / dim][k % dim];
    fe_paths[some_path()].add_to_zeros(out.get(), rows.get(), count, dim, known, 8, 2);
    check(same(out, copied), "rows added to zeros");
    const fe_path& path = fe_paths[some_path()];
    if (path.stream_to_zeros) {
        const Window streamed(count * dim);
        path.stream_to_zeros(streamed.get(), rows.get(), count, dim, known, 8, 2);
        check(streamed.holds(copied), "rows streamed to zeros");
    }
    Array<ptrdiff_t> which(dim);
    for (ptrdiff_t d = 0; d < dim; ++d)
        which[d] = -1;
    Array<float> largest = numbers(dim), before = largest;
    for (ptrdiff_t k = 0; k < count; ++k)
        fe_maximum_with_position(largest.get(), which.get(), rows[k], k, 0, dim);
    for (ptrdiff_t d = 0; d < dim; ++d)
        check(largest[d] == (which[d] < 0 ? before[d] : rows[which[d]][d]), "position of the maximum");
}

bool never() { return false; }

void group() {
    const ptrdiff_t num_rows = below(6) ? 1 + below(below(4) ? 20 : 100000) : 1, count = some_count(59);
    groups::Groups made;
    const int parts = 1 + static_cast<int>(below(5));
    made.reserve(count, num_rows, parts);
    std::map<ptrdiff_t, std::vector<ptrdiff_t>> expected;
    int part = 0;
    for (ptrdiff_t k = 0; k < count; ++k) {
        while (k >= made.first_of(part + 1, parts, count))
            ++part;
        if (below(9) == 0)      // padding
            continue;
        const ptrdiff_t row = below(num_rows);
        made.add(row, k, part);
        expected[row].push_back(k);
    }
    while (made.begin_stage()) {
        for (part = parts; part-- > 0;)     // in any order
            made.work(part, never);
    }
    check(made.count() == static_cast<ptrdiff_t>(expected.size()), "number of groups");
    ptrdiff_t number = 0;
    for (const auto& one : expected) {
        ptrdiff_t pair = made.start(number++);
        check(made.row(pair) == one.first, "row of a group");
        for (const ptrdiff_t position : one.second)
            check(made.row(pair) == one.first && made.position(pair++) == position, "positions of a group");
        check(pair == made.start(number), "end of a group");
    }
    const ptrdiff_t dim = 1 + below(80);
    made.claim(dim * 4, dim, 1 + below(2000), 1 + below(20), 16);
    std::vector<int> covered(static_cast<size_t>(made.count() * dim));
    for (const groups::Claim& claim : made.claims())
        for (ptrdiff_t g = claim.first; g < claim.last; ++g)
            for (ptrdiff_t d = claim.begin; d < claim.end; ++d)
                ++covered.at(static_cast<size_t>(g * dim + d));
    check(std::count(covered.begin(), covered.end(), 1) == made.count() * dim, "claims cover all, and once");
}

// One number of a step, written once more.
void plain_step(const fe_step& job, float& p, float* s[3], float g, const fe_numbers& n) {
    if (job.prepare) {
        const float sign = p > 0 ? 1.0f : p < 0 ? -1.0f : 0.0f;
        if (job.l1 != 0)
            g = g + job.l1 * sign;
        if (job.l2 != 0)
            g = g + job.l2 * p;
        g = g * job.scale;
        g = std::max(-job.clip, std::min(job.clip, g));
    }
    const float zero = 0;
    float& a = s[0] ? *s[0] : const_cast<float&>(zero);
    switch (job.rule) {
    case FE_PLAIN: p = p - n.rate * g; break;
    case FE_MOMENTUM:
        a = n.b1 * a - n.rate * g;
        p = n.more != 0 ? p + (n.b1 * a - n.rate * g) : p + a;
        break;
    case FE_RMSPROP: a = n.b1 * a + n.c1 * (g * g); p = p - n.rate * g / (std::sqrt(a) + n.epsilon); break;
    case FE_ADAGRAD: a = a + g * g; p = p - n.rate * g / (std::sqrt(a) + n.epsilon); break;
    case FE_ADADELTA: {
        a = n.b1 * a + n.c1 * (g * g);
        const float u = g * std::sqrt(*s[1] + n.epsilon) / std::sqrt(a + n.epsilon);
        *s[1] = n.b1 * *s[1] + n.c1 * (u * u);
        p = p - n.rate * u;
        break;
    }
    case FE_ADAMAX:
        a = n.b1 * a + n.c1 * g;
        *s[1] = std::max(n.b2 * *s[1], std::fabs(g));
        p = p - n.rate * a / (*s[1] + n.epsilon);
        break;
    default:
        a = n.b1 * a + n.c1 * g;
        *s[1] = n.b2 * *s[1] + n.c2 * (g * g);
        if (job.rule == FE_ADAM)
            p = p - n.rate * a / (std::sqrt(*s[1]) + n.epsilon);
        else if (job.rule == FE_AMSGRAD) {
            *s[2] = std::max(*s[2], *s[1]);
            p = p - n.rate * a / (std::sqrt(*s[2]) + n.epsilon);
        } else
            p = p - (n.rate * g + n.more * a) / (std::sqrt(*s[1] * n.unbias) + n.epsilon);
    }
    if (job.non_negative && p < 0)
        p = 0;
}

void optimize() {
    static const ptrdiff_t STATES[] = {0, 1, 1, 1, 2, 2, 3, 2, 2};
    fe_step job = {};
    job.rule = static_cast<int>(below(9));
    job.states = STATES[job.rule];
    job.num_rows = 1 + below(12);
    job.dim = 1 + some_count(69);
    Array<float> table = numbers(job.num_rows * job.dim), state_rows = numbers(job.num_rows * job.states * job.dim);
    for (ptrdiff_t k = 0; k < state_rows.size; ++k)
        state_rows[k] = std::fabs(state_rows[k]);
    Array<uint8_t> frozen(job.num_rows);
    std::vector<ptrdiff_t> chosen;
    for (ptrdiff_t row = 0; row < job.num_rows; ++row) {
        frozen[row] = below(6) == 0;
        if (below(2))
            chosen.push_back(row);
    }
    Array<ptrdiff_t> rows(static_cast<ptrdiff_t>(chosen.size()));
    std::copy(chosen.begin(), chosen.end(), rows.get());
    const bool sparse = below(2) != 0, every_row = below(2) != 0;
    job.count = sparse && !every_row ? rows.size : job.num_rows;
    const Array<float> grads = numbers((sparse ? rows.size : job.num_rows) * job.dim), zeros(job.dim);
    const fe_numbers n = {0.1f, 0.9f, 0.1f, 0.99f, 0.01f, 1e-7f, below(2) ? 0.3f : 0.0f, 1.5f};
    // with a clock, whether or not rows were visited lately: where nothing is owed, nothing is paid
    job.now = static_cast<int32_t>(below(2) ? 1 + below(9) : 0);
    Array<fe_numbers> by_clock(job.now + 1);
    by_clock[job.now] = n;
    Array<int32_t> last(job.num_rows);
    for (ptrdiff_t row = 0; row < job.num_rows; ++row)
        last[row] = static_cast<int32_t>(below(job.now + 1));
    const Array<int32_t> visited = last;
    job.last = job.now ? last.get() : nullptr;
    job.table = table.get();
    job.state = job.states ? state_rows.get() : table.get();
    job.frozen = below(2) ? frozen.get() : nullptr;
    job.rows = sparse && !every_row ? rows.get() : nullptr;
    job.grad_rows = sparse && every_row ? rows.get() : nullptr;
    job.grad_count = rows.size;
    job.grads = grads.get();
    job.numbers = by_clock.get();
    job.zeros = zeros.get();
    job.scale = below(2) ? 0.5f : 1.0f;
    job.clip = below(2) ? 0.3f : INFINITY;
    job.l1 = below(2) ? 0.01f : 0.0f;
    job.l2 = below(2) ? 0.02f : 0.0f;
    job.prepare = job.l1 != 0 || job.l2 != 0 || job.scale != 1 || !std::isinf(job.clip);
    job.non_negative = below(3) == 0;
    Array<float> expected = table, expected_state = state_rows;
    for (ptrdiff_t row = 0; row < job.num_rows; ++row) {
        const ptrdiff_t place = std::lower_bound(chosen.begin(), chosen.end(), row) - chosen.begin();
        const bool named = place < rows.size && rows[place] == row;
        if ((sparse && !every_row && !named) || (job.frozen && frozen[row]))
            continue;
        for (ptrdiff_t d = 0; d < job.dim; ++d) {
            float* s[3];
            for (ptrdiff_t k = 0; k < 3; ++k)
                s[k] = k < job.states ? &expected_state[(row * job.states + k) * job.dim + d] : nullptr;
            const float g = !sparse ? grads[row * job.dim + d] : named ? grads[place * job.dim + d] : 0.0f;
            plain_step(job, expected[row * job.dim + d], s, g, n);
        }
        visited[row] = job.now;
    }
    const int path = some_path();
    const ptrdiff_t middle = below(job.count + 1);
    fe_updates_paths[path].step_rows(&job, 0, middle);
    fe_updates_paths[path].step_rows(&job, middle, job.count);
    check(same(table, expected), "a step's table");
    check(same(state_rows, expected_state), "a step's state");
    check(std::equal(last.get(), last.get() + last.size, visited.get()), "the clocks of the rows");
}

// What rows owe under momentum, paid at once and step by step.
void settle() {
    fe_step job = {};
    job.rule = FE_MOMENTUM;
    job.states = 1;
    job.num_rows = 1 + below(12);
    job.dim = 1 + below(40);
    job.now = static_cast<int32_t>(1 + below(30));
    job.owes = 1;
    Array<float> table = numbers(job.num_rows * job.dim), velocity = numbers(job.num_rows * job.dim);
    Array<double> powers(3 * (job.now + 1));
    double sum = 0, power = 1;
    for (ptrdiff_t k = 0; k <= job.now; ++k, power *= 0.9) {
        sum += k ? power : 0;
        powers[3 * k] = powers[3 * k + 1] = power;
        powers[3 * k + 2] = sum;
    }
    Array<int32_t> last(job.num_rows);
    Array<double> expected(table.size);
    for (ptrdiff_t row = 0; row < job.num_rows; ++row) {
        last[row] = static_cast<int32_t>(below(job.now + 1));
        for (ptrdiff_t d = row * job.dim; d < (row + 1) * job.dim; ++d) {
            expected[d] = static_cast<double>(table[d]);
            double v = static_cast<double>(velocity[d]);
            for (int32_t step = last[row]; last[row] && step < job.now; ++step)
                expected[d] += v *= 0.9;
        }
    }
    job.table = table.get();
    job.state = velocity.get();
    job.last = last.get();
    job.powers = powers.get();
    if (below(2)) {
        fe_updates_paths[some_path()].settle_rows(&job, 0, job.num_rows);
    } else {
        Array<ptrdiff_t> rows(job.num_rows * 2);
        for (ptrdiff_t k = 0; k < rows.size; ++k)
            rows[k] = k % job.num_rows;
        fe_updates_paths[some_path()].settle_listed(&job, rows.get(), rows.size);
    }
    for (ptrdiff_t k = 0; k < table.size; ++k)
        check(std::fabs(static_cast<double>(table[k]) - expected[k]) < 1e-4, "what a row owes");
}

// The smallest of the positions reported, in whatever order, with its bits.
void report() {
    ids::BadId bad;
    check(!bad.found(), "no bad id");
    ptrdiff_t smallest = PTRDIFF_MAX;
    uint64_t bits = 0;
    for (ptrdiff_t k = 1 + below(5); k > 0; --k) {
        const ptrdiff_t position = below(100);
        const uint64_t of_it = static_cast<uint64_t>(position) * 3;
        bad.report(position, of_it);
        if (position < smallest) {
            smallest = position;
            bits = of_it;
        }
        check(bad.found() && bad.position() == smallest && bad.bits() == bits, "the first bad id");
    }
}

// Ids that another thread rewrites meanwhile, from 1 to 120 and back: each is read once, so that no row is past the
// table of 100, the mask tells of the id that was looked up, and a refused one was bad.
void race(long calls) {
    const ptrdiff_t num_rows = 100, count = ids::BLOCK;
    Array<int32_t> raced(count);
    Array<float> table(200 * 2), out(count * 2);
    std::fill(table.get(), table.get() + num_rows * 2, 1.0f);
    Array<ptrdiff_t> rows(count);
    Array<uint8_t> mask(count);
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (long sweep = 0; !done.load(); ++sweep)     // each id for a moment, all of them for a while, or the first
            for (ptrdiff_t k = 0; k < count; ++k)
                for (int32_t id : {sweep % 4 == 1 ? 1 : 120, sweep % 4 == 0 ? 120 : 1})
                    __atomic_store_n(&raced[sweep % 8 < 4 ? k : 0], id, __ATOMIC_RELAXED);
    });
    uint64_t bits = 0;
    bool zeros = false;
    for (long call = 0; call < calls; ++call) {
        const bool masked = call % 2;
        const ids::Rule zero = {num_rows, ids::ZERO, masked, 120}, raise = {num_rows, ids::RAISE, false, 0};
        ids::load<int32_t>(raced.get(), count, zero, rows.get(), masked ? mask.get() : nullptr, &bits, &zeros);
        for (ptrdiff_t k = 0; k < count; ++k) {
            check(rows[k] < num_rows, "a raced row");
            check(!masked || (rows[k] == ids::ZEROS) == !mask[k], "a raced mask");
        }
        for (int again = 0; again < 400; ++again) {
            const ptrdiff_t few = again ? 1 : count;
            const ptrdiff_t settled = ids::load<int32_t>(raced.get(), few, raise, rows.get(), nullptr, &bits, &zeros);
            check(settled == few || bits == 120, "the value of a raced bad id");
        }
        for (int again = 0; again < 8; ++again) {
            const ptrdiff_t copied = ids::copy_narrow<int32_t, 2>(raced.get(), count, num_rows, table.get(), out.get());
            check(std::count(out.get(), out.get() + copied * 2, 1.0f) == copied * 2, "a raced narrow row");
        }
    }
    done.store(true);
    writer.join();
}

void one_call() {
    switch (below(13)) {
    case 0: look_up<int8_t>(); break;
    case 1: look_up<uint8_t>(); break;
    case 2: look_up<int16_t>(); break;
    case 3: look_up<uint16_t>(); break;
    case 4: look_up<int32_t>(); break;
    case 5: look_up<uint32_t>(); break;
    case 6: look_up<int64_t>(); break;
    case 7: look_up<uint64_t>(); break;
    case 8: pool_bag(); break;
    case 9: group(); break;
    case 10: optimize(); break;
    case 11: report(); break;
    default: settle();
    }
}

}  // namespace

int main(int count, char** arguments) {
    const long calls = count > 1 ? std::atol(arguments[1]) : 100000;
    state = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0;
    const auto began = std::chrono::steady_clock::now();
    race(10000);
    for (long call = 0; call < calls; ++call)
        one_call();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("%ld calls, %.1f us each\n", calls, calls ? 1e6 * seconds / static_cast<double>(calls) : 0);
    return 0;
}
