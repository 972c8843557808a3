"""The bugs: a file, a piece of one of its lines that occurs there once, what it becomes, and the tests that must fail.

Known to survive, as nothing changes but the way: a header of .npy whose tokens are not looked at first (the parser
after it refuses the same ones), and the clock of frozen rows that is not set back (their state is zeros, so that they
owe nothing).

Fixed by the text of the line, so that a line that changes is noticed: `test_mutants.py` checks that each is found once.
"""

from __future__ import annotations

from typing import NamedTuple

OPS = "tests/ops/test_gather.py tests/ops/test_properties.py tests/ops/test_arguments.py tests/ops/test_mask.py"
BAG = "tests/ops/test_bag.py tests/ops/test_bag_arguments.py"
GRAD = "tests/ops/test_grad.py"
STEP = "tests/keras/test_optimizers.py tests/keras/test_table_updates.py"
FUZZ = "tests/reliability/test_native.py"
POOL = "tests/ops/test_threads.py tests/ops/test_process.py"
VERSIONS = "tests/reliability/test_versions.py"
MAPPED = "tests/reliability/test_mapped.py"
NPY = "tests/io/test_npy.py"
ATOMIC = "tests/io/test_atomic.py"


class Mutant(NamedTuple):
    """One bug."""

    file: str  # under src/fastembed
    old: str
    new: str
    tests: str


def _of(file: str, tests: str, *changes: tuple[str, str]) -> list[Mutant]:
    return [Mutant(file, old, new, tests) for old, new in changes]


C = [
    *_of(
        "_native/ids.hpp",
        OPS,
        ("        if (wide < num_rows) {", "        if (wide <= num_rows) {"),
        ("return negative ? 0 : rule.num_rows - 1;", "return negative ? 0 : rule.num_rows;"),
        (
            "return static_cast<ptrdiff_t>(rest < 0 ? rest + rule.num_rows : rest);",
            "return static_cast<ptrdiff_t>(rest);",
        ),
        (
            "const bool refuse = rule.mode == RAISE || (rule.num_rows == 0 && rule.mode != ZERO);",
            "const bool refuse = rule.mode == RAISE;",
        ),
        ("            mask[k] = !padding;", "            mask[k] = true;"),
        ("        if (!padding && refuse) {", "        if (refuse) {"),
        ("        rows[k] = padding ? ZEROS : settle(id, rule);", "        rows[k] = settle(id, rule);"),
        ("        *has_zeros |= rows[k] == ZEROS;", "        *has_zeros = rows[k] == ZEROS;"),
        ("        if (wide >= static_cast<uint64_t>(num_rows))", "        if (wide > static_cast<uint64_t>(num_rows))"),
        ("            *bad_bits = wide;", "            *bad_bits = widen(source_or(ids, k));"),
        (
            "        if (position < position_.load(std::memory_order_relaxed)) {",
            "        if (position > position_.load(std::memory_order_relaxed) || !found()) {",
        ),
        ("    if (mask || rule.has_padding)", "    if (mask)"),
    ),
    *_of(
        "_native/rows.h",
        OPS,
        ("            FE_COPY8(out + dim - 8, row + dim - 8);", "            FE_COPY8(out + d, row + d);"),
        ("        memcpy(out + dim - 4, row + dim - 4, 16);", ""),
        ("            if (!with_zeros || rows[k + ahead] >= 0) {", "            if (rows[k + ahead] > 0) {"),
    ),
    *_of(
        "_native/rows.h",
        f"{BAG} {FUZZ}",
        (
            "    return value > acc || (value != value && acc == acc) ? value : acc;",
            "    return value > acc ? value : acc;",
        ),
        ("        if (row[d] > acc[d] || (row[d] != row[d] && acc[d] == acc[d])) {", "        if (row[d] >= acc[d]) {"),
        ("                sums[v] += value * weights[k];", "                sums[v] += value;"),
        ("    for (; d + 8 <= end; d += 8, lines = 0)", "    for (; d + 8 < end; d += 8, lines = 0)"),
        ("            place[d] = row[d] + 0.0f;", "            place[d] = row[d];"),
    ),
    *_of(
        "_native/groups.hpp",
        f"{GRAD} {FUZZ}",
        ("        if (position_bits_ + row_bits_ > 64)", "        if (position_bits_ + row_bits_ > 65)"),
        (
            "            count_ += k == 0 || row(k) != row(k - 1);",
            "            count_ += row(k) != row(k > 0 ? k - 1 : 0);",
        ),
        (
            "                first = group + 1;\n                held = 0;\n                continue;",
            "                first = group;\n                held = 0;\n                continue;",
        ),
        ("        if (first < count_)", "        if (first + 1 < count_)"),
        (
            "for (ptrdiff_t begin = 0; begin < dim; begin += columns)",
            "for (ptrdiff_t begin = columns; begin < dim; begin += columns)",
        ),
    ),
    *_of(
        "_native/updates.h",
        f"{STEP} {FUZZ}",
        (
            "        if (job->frozen && job->frozen[row])\n            continue;\n        float* p = job->table",
            "        float* p = job->table",
        ),
        (
            "            if (job->owes && job->last[row] && job->last[row] < job->now - 1)",
            "            if (job->owes && job->last[row] && job->last[row] < job->now - 2)",
        ),
        ("            job->last[row] = job->now;\n        }", "        }"),
        ("        value = value > clip ? clip : value;", ""),
        ("        out[d - begin] = value < -clip ? -clip : value;", "        out[d - begin] = value;"),
        ("            value += l2 * p[d];", "            value += l2;"),
        ("            const float largest = v > s2[d] ? v : s2[d];", "            const float largest = v;"),
        ("            const float u = size > decayed ? size : decayed;", "            const float u = size;"),
        ("            s1[d] = b1 * s1[d] + c1 * (u * u);", "            s1[d] = b1 * s1[d] + c1 * u;"),
        ("                p[d] += b1 * v - rate * g[d];", "                p[d] += v;"),
        ("        *s += squares / (float)(dim > 0 ? dim : 1);", "        *s += squares;"),
    ),
    *_of(
        "_native/pool.hpp",
        POOL,
        (
            "        return next.fetch_add(1, std::memory_order_relaxed);",
            "        return next.fetch_add(2, std::memory_order_relaxed);",
        ),
        ("                job->cancelled.store(true, std::memory_order_relaxed);", ";"),
        ("[] { instance() = new Pool; });", "[] {});"),
    ),
    *_of(
        "_native/mapped.hpp",
        MAPPED,
        ("        if (!slot->lost.exchange(true))\n            lost_count().fetch_add(1);", "        lost_count();"),
        (
            "        if (start == 0 || address < start || address >= end)",
            "        if (start == 0 || address > start || address >= end)",
        ),
        ("    previous() = now;", "    previous() = {};"),
    ),
    *_of(
        "_native/guard.pxi",
        VERSIONS,
        (
            "        if guard.owner != 0 and (hold.kind != READ or guard.writing):\n            return False",
            "        pass",
        ),
        ("        if hold.kind == WRITE and guard.readers > 0:\n            return False", "        pass"),
        ("                debtor.settle(ids)", "                pass"),
        ("        if self.owner == 0 and self.queued == 0:", "        if True:"),
        ("    if wanted:\n        _hand_out()", "    if wanted:\n        pass"),
        ("        guard.readers = _own_reads(guard, held())", "        pass"),
    ),
    *_of(
        "_native/gather.pxi",
        OPS,
        ("            job.bad.report(start + settled, bad_bits)", "            job.bad.report(start, bad_bits)"),
        ("    while start < stop and start < job.bad.position():", "    while start < stop:"),
        ("    _whole(table)\n", ""),
    ),
    *_of(
        "_native/bag.pxi",
        BAG,
        ("    if tally.kept == 0 or job.reduce == 0 or job.reduce == 2:", "    if job.reduce == 0 or job.reduce == 2:"),
        (
            "    divide_row(acc, sqrtf(divisor) if job.reduce == 3 else divisor, 0, job.dim)",
            "    divide_row(acc, divisor, 0, job.dim)",
        ),
        ("                tally.weight += weights[k] * weights[k]", "                tally.weight += weights[k]"),
    ),
]

PYTHON = [
    *_of(
        "io/atomic.py",
        ATOMIC,
        ("            os.fsync(self._fd)\n", "            pass\n"),
        ("            os.replace(self.temporary, self._target)", "            os.link(self.temporary, self._target)"),
        ("            sync_folder(os.path.dirname(self._target))", "            pass"),
        ("                os.unlink(self.temporary)", "                pass"),
        ("        self._target = os.path.realpath(self.path)", "        self._target = self.path"),
        ("                os.fchmod(self._fd, stat.S_IMODE(before.st_mode))", "                pass"),
        ("                rest = rest[os.write(self._fd, rest) :]", "                os.write(self._fd, rest); break"),
        ('    if "\\0" in name:', "    if False:"),
        ("            if before is not None and not stat.S_ISREG(before.st_mode):", "            if False:"),
    ),
    *_of("io/opening.py", NPY, ("    if not stat.S_ISREG(os.fstat(fd).st_mode):", "    if False:")),
    *_of(
        "io/npy.py",
        NPY,
        ("    if size != offset + header.num_bytes:", "    if size < offset + header.num_bytes:"),
        ("    if start[:6] != _MAGIC:", "    if False:"),
        ("    if len(length_bytes) < width or offset > size:", "    if len(length_bytes) < width:"),
        ("    if not isinstance(fortran_order, bool):", "    if False:"),
        ("        if not _TOKENS.fullmatch(text):\n            raise ValueError", "        pass"),
        ("    if math.prod(n for n in shape if n) * dtype.itemsize > _MAX_BYTES:", "    if False:"),
        (
            "    if not isinstance(descr, str) or not _PLAIN_DTYPE.fullmatch(descr):",
            "    if not isinstance(descr, str):",
        ),
        ("        array.flags.writeable = False", "            pass"),
        ("    if length > _MAX_HEADER and not _is_blank(file, length - _MAX_HEADER):", "    if False:"),
    ),
    *_of(
        "ops/_check.py",
        f"{OPS} {BAG}",
        ("    if table.ndim != 2:", "    if False:"),
        (
            "    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):",
            "    if not isinstance(value, (int, np.integer)):",
        ),
        (
            "            if not 0 <= value < num_rows and value != padding_id:",
            "            if not 0 <= value <= num_rows and value != padding_id:",
        ),
        ("        return far if far != padding else far // 2", "        return far"),
        ("    if not out.flags.writeable:", "    if False:"),
        ("        position, index = divmod(position, size)", "        index, position = divmod(position, size)"),
    ),
    *_of(
        "_table_state.py",
        STEP,
        ("        if frozen is not None and frozen[rows].any():", "        if False:"),
        ("        self._plain = prepared.plain", "        pass"),
        ("            np.minimum(self._last, 1, out=self._last)", "            pass"),
        (
            "                self._settle(None)\n                history = self._start_clock(debt)",
            "                history = self._start_clock(debt)",
        ),
        ("                self._last[frozen] = 0", "                pass"),
    ),
    *_of(
        "optimizers.py",
        STEP,
        (
            "        return self.clipnorm / norm if norm >= self.clipnorm else 1.0",
            "        return self.clipnorm / norm",
        ),
        ("            self.__dict__.update(after)", "            pass"),
        ("        return numbers[6] / math.sqrt(numbers[7])", "        return numbers[6]"),
    ),
    *_of(
        "layers/weights.py",
        VERSIONS,
        (
            "        with writing(own):\n            for weight in own:\n                weight.settle()",
            "        if own:\n            for weight in own:\n                weight.settle()",
        ),
        (
            "        with reading(own):\n            for weight in own:",
            "        if True:\n            for weight in own:",
        ),
    ),
    *_of(
        "layers/_snapshots.py",
        VERSIONS,
        ("        return arrays.get(id(value), value)", "        return value"),
        ("        _of_thread.last = weakref.ref(last)", "        pass"),
    ),
    *_of(
        "_cli/__init__.py",
        "tests/reliability/test_process.py tests/cli",
        ("    signal.signal(signal.SIGTERM, terminate)\n", ""),
        ("        signal.signal(signal.SIGTERM, signal.SIG_DFL)", "        pass"),
    ),
]
