"""The bugs in C, C++ and Cython: see `mutants.py`."""

from __future__ import annotations

from .mutants import of

OPS = "tests/ops/test_gather.py tests/ops/test_properties.py tests/ops/test_arguments.py tests/ops/test_mask.py"
BAG = "tests/ops/test_bag.py tests/ops/test_bag_arguments.py"
GRAD = "tests/ops/test_grad.py"
STEP = "tests/keras/test_optimizers.py tests/keras/test_table_updates.py"
FUZZ = "tests/reliability/test_native.py::test_random_calls_equal_plain_loops_under_sanitizers"
POOL = "tests/ops/test_threads.py tests/ops/test_process.py"
VERSIONS = "tests/reliability/test_versions.py"
MAPPED = "tests/reliability/test_mapped.py"
LOSSES = "tests/keras/test_losses.py tests/keras/test_recorded_training.py"
READER = "tests/io/test_text_vectors.py tests/io/test_word2vec_binary.py tests/vectors/test_load_vectors.py"
KEYS = "tests/io/test_keys.py tests/io/test_directory.py"

C = [
    *of(
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
        ("    if (mask || rule.has_padding)", "    if (mask)"),
    ),
    *of(
        "_native/ids.hpp",
        "tests/ops/test_arguments.py",
        (
            "        if (position < position_.load(std::memory_order_relaxed)) {",
            "        if (position > position_.load(std::memory_order_relaxed) || !found()) {",
        ),
    ),
    # what another thread may change is read once, and whole
    *of(
        "_native/ids.hpp",
        "tests/ops/test_races.py tests/ops/test_arguments.py",
        ("            *bad_bits = wide;", "            *bad_bits = widen(load_once(ids + k));"),
        (
            "            rows[k] = static_cast<ptrdiff_t>(wide);",
            "            rows[k] = static_cast<ptrdiff_t>(widen(load_once(ids + k)));",
        ),
        (
            "table + static_cast<ptrdiff_t>(wide) * DIM, DIM * sizeof(float));",
            "table + static_cast<ptrdiff_t>(widen(load_once(source + k))) * DIM, DIM * sizeof(float));",
        ),
    ),
    *of(
        "_native/ids.hpp",
        OPS,
        ("    const bool negative = std::is_signed<T>::value && static", "    const bool negative = static"),
        (
            "    case 3: return narrow_copier_of<3>(itemsize, is_signed);",
            "    case 3: return narrow_copier_of<4>(itemsize, is_signed);",
        ),
    ),
    *of(
        "_native/copies.h",
        OPS,
        ("            FE_COPY8(out + dim - 8, row + dim - 8);", "            FE_COPY8(out + d, row + d);"),
        ("        memcpy(out + dim - 4, row + dim - 4, 16);", ""),
    ),
    # past the caches
    *of(
        "_native/copies.h",
        f"{OPS} {FUZZ} {GRAD}",
        (
            "        if (rows[k] < 0)\n            memset(out + k * dim, 0, (size_t)dim * sizeof(float));\n"
            "        else\n            fe_stream_row(",
            "        fe_stream_row(",
        ),
        (
            "    if (begins == FE_MID_VECTOR || (begins == FE_ANYWHERE && d + 4 <= dim)) {",
            "    if (begins == FE_MID_VECTOR || begins == FE_ANYWHERE) {",
        ),
        ("    const int even = dim && dim % 8 == 0", "    const int even = dim % 8 == 0"),
    ),
    *of(
        "_native/sums.h",
        f"{OPS} {FUZZ} {GRAD}",
        ("    if (dim % 8 || (size_t)out % 32) {", "    if ((size_t)out % 32) {"),
        ("_mm256_add_ps(_mm256_loadu_ps(rows[k] + d), zeros));", "_mm256_loadu_ps(rows[k] + d));"),
    ),
    *of(
        "_native/gather.pxi",
        OPS,
        ("nbytes >= stream_bytes and dim >= stream_dim", "nbytes > stream_bytes and dim >= stream_dim"),
    ),
    *of(
        "_native/sums.h",
        f"{BAG} {FUZZ} {GRAD}",
        (
            "    return value > acc || (value != value && acc == acc) ? value : acc;",
            "    return value > acc ? value : acc;",
        ),
        ("        if (row[d] > acc[d] || (row[d] != row[d] && acc[d] == acc[d])) {", "        if (row[d] >= acc[d]) {"),
        ("        *sum += value * *weight;", "        *sum += value;"),
        ("    for (; k + group <= count; k += group) {", "    for (; k + group < count; k += group) {"),
        ("FE_ROWS_AHEAD + i < known ?", "FE_ROWS_AHEAD + i <= known ?"),
        ("            place[d] = row[d] + 0.0f;", "            place[d] = row[d];"),
    ),
    *of(
        "_native/copies.h",
        f"{FUZZ} {OPS}",
        (
            "        for (; k + ahead < count; ++k) {\n            if (!with_zeros",
            "        for (; k + ahead <= count; ++k) {\n            if (!with_zeros",
        ),
        ("        if (d < dim)\n            FE_COPY8", "        if (d + 1 < dim)\n            FE_COPY8"),
        (
            "    for (; k < count; ++k) {\n        if (with_zeros && rows[k] < 0)",
            "    for (; k < count; ++k) {\n        if (0)",
        ),
    ),
    *of(
        "_native/sums.h",
        f"{BAG} {FUZZ} {GRAD}",
        ("    for (; d + 64 <= end; d += 64)", "    for (; d + 64 <= end + 8; d += 64)"),
        ("        row[d] /= divisor;", "        row[d] *= 1.0f / divisor;"),
    ),
    *of(
        "_native/groups.hpp",
        f"{GRAD} {FUZZ}",
        ("        if (position_bits_ + row_bits_ > 64)", "        if (position_bits_ + row_bits_ > 65)"),
        (
            "return k == 0 || row(k) != row(k - 1); }",
            "return row(k) != row(k > 0 ? k - 1 : 0); }",
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
    *of(
        "_native/groups.hpp",
        f"{GRAD} {FUZZ}",
        (
            "digit < size_t{1} << digit_; ++digit) {",
            "digit + 1 < size_t{1} << digit_; ++digit) {",
        ),
        ("        passes_ = (row_bits_ + DIGIT - 1) / DIGIT;", "        passes_ = row_bits_ / DIGIT;"),
        (
            "                    claims_.push_back({first, group, 0, dim});",
            "                    claims_.push_back({first, group + 1, 0, dim});",
        ),
        ("            spread(size_);\n", ""),
        ("                count_ += part.groups;", "                count_ = part.groups;"),
    ),
    *of(
        "_native/steps.h",
        f"{STEP} {FUZZ}",
        ("        value = value > clip ? clip : value;", ""),
        ("        out[d - begin] = value < -clip ? -clip : value;", "        out[d - begin] = value;"),
        ("            value += l2 * p[d];", "            value += l2;"),
        ("            const float largest = v > s2[d] ? v : s2[d];", "            const float largest = v;"),
        ("            const float u = size > decayed ? size : decayed;", "            const float u = size;"),
        ("            s1[d] = b1 * s1[d] + c1 * (u * u);", "            s1[d] = b1 * s1[d] + c1 * u;"),
        ("                p[d] += b1 * v - rate * g[d];", "                p[d] += v;"),
        ("        *s += squares / (float)(dim > 0 ? dim : 1);", "        *s += squares;"),
    ),
    *of(
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
    ),
    *of(
        "_native/steps.h",
        f"{STEP} {FUZZ}",
        (
            "            p[d] -= rate * g[d] / (sqrtf(a) + epsilon);\n        }\n        break;\n    case FE_ADAGRAD:",
            "            p[d] -= rate * g[d] / sqrtf(a + epsilon);\n        }\n        break;\n    case FE_ADAGRAD:",
        ),
        ("(sqrtf(v * unbias) + epsilon);", "(sqrtf(v) + epsilon);"),
        ("size = fabsf(g[d]);", "size = g[d];"),
        ("p + begin, s + begin, dim, part, 0,", "p + begin, s, dim, part, 0,"),
        ("                p[begin + d] -= rate * part[d];", "                p[d] -= rate * part[d];"),
        ("        const float divisor = 1e-7f + norm,", "        const float divisor = norm,"),
    ),
    *of(
        "_native/debts.h",
        f"{STEP} {FUZZ}",
        ("(sqrtf(s2[d]) + epsilon) * t0;", "(sqrtf(s1[d]) + epsilon) * t0;"),
        ("        if (steps < owed) {", "        if (0) {"),
        (
            "            p[d] = p[d] < 0 ? 0 : p[d];\n    }\n}\n\n#endif",
            "            p[d] = p[d];\n    }\n}\n\n#endif",
        ),
    ),
    *of(
        "_native/updates.h",
        f"{STEP} {FUZZ}",
        ("            if (job->grad_rows[middle] < begin)", "            if (job->grad_rows[middle] <= begin)"),
        (
            "        else if (next < job->grad_count && job->grad_rows[next] == row)",
            "        else if (job->grad_rows[next] == row)",
        ),
        (
            "                fe_pay_row(job, p, s, job->last[row], job->now - 1);",
            "                fe_pay_row(job, p, s, job->last[row], job->now);",
        ),
        (" || !FE_TAKE(job->last + row, from, job->now))", ")"),
    ),
    *of(
        "_native/reader.hpp",
        READER,
        (
            "        if (chunk.kept.empty() || chunk.kept.back().first + chunk.kept.back().count != slot)",
            "        if (chunk.kept.empty())",
        ),
        ("                if (next.skipped || ++slot < run.first)", "                if (++slot < run.first)"),
        (
            "            const bool whole = blank && end - blank > vector_bytes;",
            "            const bool whole = blank && end - blank >= vector_bytes;",
        ),
        (
            "    bool finished() const { return rows_ >= limit_ ||",
            "    bool finished() const { return rows_ > limit_ ||",
        ),
        ("            chunk.rows.resize(k);", ""),
    ),
    *of(
        "_native/lines.hpp",
        READER,
        ("        if (!read || (read < end && !is_blank(*read)))", "        if (!read)"),
        ("(is_number(last) || is_nan_or_inf(last)))", "is_number(last))"),
    ),
    *of(
        "_native/numbers.hpp",
        READER,
        ("digits <= uint64_t(1) << 53 &&", "digits <= uint64_t(1) << 62 &&"),
        ("        if (std::fabs(nearest) >= TOO_LARGE)", "        if (std::fabs(nearest) > TOO_LARGE)"),
        ("    if (count == 0)\n        return nullptr;\n    if (*p == 'e'", "    if (*p == 'e'"),
    ),
    *of(
        "_native/words.hpp",
        READER,
        ("first == 0xed ? 0x9f : first == 0xf4", "first == 0xf4"),
    ),
    *of(
        "_native/gather.pxi",
        OPS,
        ("            job.bad.report(start + settled, bad_bits)", "            job.bad.report(start, bad_bits)"),
    ),
    *of(
        "_native/gather.pxi",
        OPS,
        ("rows, job.mask + start if job.mask else NULL, &bad_bits,", "rows, job.mask, &bad_bits,"),
        ("    if mask is None:\n        job.copy_narrow", "    if True:\n        job.copy_narrow"),
        ("    if mask_out is not None and out is not None and _overlap(rows, mask):", "    if False:"),
        (
            "    if np.PyArray_NBYTES(out) != job.count * row_bytes or (mask",
            "    if False and (mask",
        ),
        ("(job.count + job.claim - 1) // job.claim, work", "max(job.count // job.claim, <ptrdiff_t>1), work"),
    ),
    *of("_native/gather.pxi", MAPPED, ("    _whole(table)\n", "")),
    *of(
        "_native/mask.pxi",
        "tests/ops/test_mask.py tests/ops/test_threads.py",
        ("min(claim, job.count - start), job.padding_id", "claim, job.padding_id"),
    ),
    *of(
        "_native/bag.pxi",
        BAG,
        ("    if tally.kept == 0 or job.reduce == 0 or job.reduce == 2:", "    if job.reduce == 0 or job.reduce == 2:"),
        (
            "    divide_row(acc, sqrtf(divisor) if job.reduce == 3 else divisor, 0, job.dim)",
            "    divide_row(acc, divisor, 0, job.dim)",
        ),
        ("                tally.weight += weights[k] * weights[k]", "                tally.weight += weights[k]"),
    ),
    *of(
        "_native/bag.pxi",
        BAG,
        ("            stop = min(end, chunk_end)\n", "            stop = chunk_end\n"),
        (" if numbers[k] >= 0 else job.zeros", ""),
        ("        tally.kept = part.tally.kept + k", "        tally.kept = k"),
    ),
    *of("_native/bag.pxi", MAPPED, ("    _whole(weights)\n", "")),
    *of(
        "_native/grad.pxi",
        f"{GRAD} {STEP}",
        ("job.groups.add(rows[k], start + k, <int>part)", "job.groups.add(rows[k], k, <int>part)"),
        ("            acc = out + (group - base) * job.dim", "            acc = out + group * job.dim"),
        ("        if settled < count:", "        if False:"),
        ('    _check.apart("values", grads, table=table)\n', ""),
        ("            rows[group] = groups.row(groups.start(group))", "            rows[group] = groups.row(group)"),
    ),
    *of(
        "_native/optimizer.pxi",
        f"{STEP} tests/reliability/test_versions.py",
        ("        if rows[k] <= before:", "        if rows[k] < before:"),
        ("    return copy if before < num_rows else None", "    return copy if before <= num_rows else None"),
        ("    return copy if before < num_rows", "    return indices if before < num_rows"),
        ("begin, min(begin + job.claim, job.step.count))", "begin, begin + job.claim)"),
        ("job.step.dim > SUMS_FLOATS or not row_sums", "not row_sums"),
        (" or not row_sums.fits_step:", ":"),
        (
            "    _updates().settle_listed(&job.step, rows, settled)",
            "    _updates().settle_listed(&job.step, rows, count)",
        ),
    ),
    *of(
        "_native/arguments.pxi",
        f"{OPS} tests/ops/test_buffers.py",
        (
            "        start < <const char*>np.PyArray_DATA(a) + np.PyArray_NBYTES(a)",
            "        np.PyArray_DATA(a) == np.PyArray_DATA(b)",
        ),
        ("        if np.PyArray_DIMS(<np.ndarray>out)[k] != np.PyArray_DIMS(ids)[k]:", "        if False:"),
        (
            "    rule.has_padding = lowest <= padding_id < lowest + span",
            "    rule.has_padding = lowest <= padding_id <= lowest + span",
        ),
        ("    np.set_array_base(array, lease)\n", ""),
        ("self.block.data, <Py_ssize_t>self.block.size, False, flags)", "self.block.data, 0, True, flags)"),
    ),
    *of(
        "_native/arguments.pxi",
        MAPPED,
        ("        and not _may_be_cut_short(<np.ndarray>table)\n", ""),
        ("        and not _may_be_cut_short(<np.ndarray>ids)\n", ""),
    ),
    *of(
        "_native/losses.h",
        LOSSES,
        ("share * (float)(2.0 / (double)dim);", "(float)(2.0 / (double)dim);       "),
    ),
    *of(
        "_native/losses.pxi",
        LOSSES,
        ("min((block + 1) * job.claim, job.rows)):", "(block + 1) * job.claim):"),
    ),
    *of(
        "_native/threads.pxi",
        POOL,
        ("    return 0 if finished else -1", "    return 0"),
    ),
    *of(
        "_native/pool.hpp",
        POOL,
        (
            "        return next.fetch_add(1, std::memory_order_relaxed);",
            "        return next.fetch_add(2, std::memory_order_relaxed);",
        ),
        ("                job->cancelled.store(true, std::memory_order_relaxed);", ";"),
        ("[] { instance() = new Pool; });", "[] {});"),
    ),
    *of(
        "_native/pool.hpp",
        POOL,
        ("        if (!working(word))\n            return;\n", "        return;\n"),
        (
            "        pthread_sigmask(SIG_SETMASK, &most, &before);",
            "        pthread_sigmask(SIG_SETMASK, nullptr, &before);",
        ),
        ("        return !job.cancelled.load(std::memory_order_relaxed);", "        return true;"),
    ),
    *of(
        "_native/buffers.hpp",
        "tests/ops/test_buffers.py",
        ("    return (bytes + step - 1) / step * step;", "    return bytes / step * step;"),
        ("            if (blocks_[k].size == size) {", "            if (blocks_[k].size <= size) {"),
        ("        if (block.size > limit_) {", "        if (false) {"),
        ("        kept_ += block.size;\n        shrink_to(limit_);", "        kept_ += block.size;"),
    ),
    *of(
        "_native/mapped.hpp",
        MAPPED,
        ("        if (!slot->lost.exchange(true))\n            lost_count().fetch_add(1);", "        lost_count();"),
        (
            "        if (start == 0 || address < start || address >= end)",
            "        if (start == 0 || address > start || address >= end)",
        ),
        ("    previous() = now;", "    previous() = {};"),
    ),
    *of(
        "_native/mapped.hpp",
        MAPPED,
        ("    slot->start.store(0);\n    if (slot->lost", "    if (slot->lost"),
        ("        if (slot->lost.load() && from < slot->end.load() && slot", "        if (slot->lost.load() && slot"),
    ),
    *of(
        "_native/keys.hpp",
        KEYS,
        ("    if (first < 0 || last < first || last > keys.size)", "    if (first < 0 || last < first)"),
        ("        if (number == 0 || number > static_cast<uint64_t>(keys.count))", "        if (number == 0)"),
    ),
    *of(
        "_native/sequences.hpp",
        "tests/keras/test_pad_sequences.py",
        ("            if (!known || !fits<T>(value)) {", "            if (!fits<T>(value)) {"),
    ),
    *of(
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
    *of(
        "_native/guard.pxi",
        VERSIONS,
        ("                ids = np.PyArray_NewCopy(<np.ndarray>ids, np.NPY_CORDER)", "                pass"),
        ("        if guard.claimed and not nested:\n            return False", "        pass"),
        ("        if turn.away:\n            turn.passed = True\n        elif", "        if"),
        ("        if not _holds(<Guard?>guard):", "        if held() == NULL:"),
    ),
    *of(
        "_native/settings.pxi",
        "tests/ops/test_threads.py",
        ("        fe_local_threads = fe_threads_before.back()", "        fe_local_threads = 0"),
    ),
]
