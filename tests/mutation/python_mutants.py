"""The bugs in Python: see `mutants.py`."""

from __future__ import annotations

from .mutants import of

ATOMIC = "tests/io/test_atomic.py"
NPY = "tests/io/test_npy.py"
NPZ = "tests/io/test_npz.py"
SAFETENSORS = "tests/io/test_safetensors.py"
HDF5 = "tests/io/test_hdf5.py tests/keras/test_saving_hostile.py"
ARCHIVE = "tests/io/test_keras_archive.py tests/keras/test_saving_hostile.py"
KEYS = "tests/io/test_keys.py"
DIRECTORY = "tests/io/test_directory.py"
OPENING = "tests/io/test_opening.py tests/io/test_text_vectors.py"
TEXT = "tests/io/test_text_vectors.py tests/vectors/test_load_vectors.py"
BINARY = "tests/io/test_word2vec_binary.py tests/io/test_text_vectors.py tests/vectors/test_load_vectors.py"
STATIC = "tests/io/test_static_embedding.py"
TABLES = "tests/io/test_tables.py tests/io/test_safetensors.py tests/io/test_npy.py"
SIMILARITY = "tests/vectors/test_similarity.py tests/vectors/test_keyed_vectors.py"
KEYED = "tests/vectors/test_keyed_vectors.py tests/vectors/test_similarity.py"
ARGUMENTS = (
    "tests/ops/test_arguments.py tests/ops/test_gather.py tests/ops/test_bag_arguments.py tests/ops/test_grad.py"
)
BAGS = "tests/ops/test_bag_arguments.py tests/ops/test_bag.py"
THREADS = "tests/ops/test_threads.py"
STEP = "tests/keras/test_optimizers.py tests/keras/test_table_updates.py"
VERSIONS = "tests/reliability/test_versions.py"

PYTHON = [
    *of(
        "io/atomic.py",
        ATOMIC,
        ("            os.fsync(self._fd)\n", "            pass\n"),
        ("            os.replace(self.temporary, self._target)", "            os.link(self.temporary, self._target)"),
        ("            sync_folder(os.path.dirname(self._target))", "            pass"),
        ("                os.unlink(self.temporary)", "                pass"),
        ("        self._target = os.path.realpath(self.path)", "        self._target = self.path"),
        ("                os.fchmod(self._fd, stat.S_IMODE(before.st_mode))", "                pass"),
        ("                rest = rest[os.write(self._fd, rest) :]", "                os.write(self._fd, rest); break"),
        ("            if before is not None and not stat.S_ISREG(before.st_mode):", "            if False:"),
        (
            "        self.temporary = temporary_name(self._target)",
            "        self.temporary = self._target",
        ),
        (
            "            file._finish()\n        for file in files:\n            file._publish()",
            "            file._finish()\n            file._publish()",
        ),
        ("            raise OSError(error.errno, error.strerror, self.path) from error", "            raise"),
        ("        if error.errno not in _NO_FOLDER_SYNC:\n", "        if error.errno in _NO_FOLDER_SYNC:\n"),
    ),
    *of(
        "io/opening.py",
        OPENING,
        ("        if self._given > _FREE_BYTES + _MAX_RATIO * self.consumed():", "        if False:"),
        ("        if member.flag_bits & 1:", "        if False:"),
        ("        if directory > _MAX_DIRECTORY:", "        if False:"),
        ("            done += count\n        return done", "            done = count\n        return done"),
    ),
    *of(
        "io/opening.py",
        NPY,
        ("    if not stat.S_ISREG(os.fstat(fd).st_mode):", "    if False:"),
        ('    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)', "    flags = os.O_RDONLY"),
    ),
    *of(
        "io/blocks.py",
        OPENING,
        ("        self.last = count < self._size", "        self.last = count <= self._size"),
        (
            "        other[self._margin - len(rest) : self._margin] = rest",
            "        other[self._margin : self._margin + len(rest)] = rest",
        ),
        ("        if self._error is not None:\n            raise self._error", "        pass"),
    ),
    *of(
        "io/npy.py",
        NPY,
        ("    if size != offset + header.num_bytes:", "    if size < offset + header.num_bytes:"),
        ("    if len(length_bytes) < width or offset > size:", "    if len(length_bytes) < width:"),
        ("    if math.prod(n for n in shape if n) * dtype.itemsize > _MAX_BYTES:", "    if False:"),
        (
            "    if not isinstance(descr, str) or not _PLAIN_DTYPE.fullmatch(descr):",
            "    if not isinstance(descr, str):",
        ),
        ("        array.flags.writeable = False", "        pass"),
        ("    if length > _MAX_HEADER and not _is_blank(file, length - _MAX_HEADER):", "    if False:"),
        ("    width = 2 if version == (1, 0) else 4", "    width = 2"),
        ('    order: Any = "F" if fortran_order else "C"', '    order: Any = "C"'),
        (
            "    mapping = map_file(file.fileno(), offset + num_bytes)",
            "    mapping = map_file(file.fileno(), offset + num_bytes - 1)",
        ),
    ),
    *of(
        "io/npz.py",
        NPZ,
        ('        if name == info.filename or not parts[0] or ".." in parts:', "        if name == info.filename:"),
        ("        if info.file_size > max(_FREE_BYTES, _MAX_RATIO * info.compress_size):", "        if False:"),
        ("        if len(header.shape) == 2 and header.dtype.kind", "        if header.dtype.kind"),
    ),
    *of(
        "io/floats.py",
        "tests/io/test_npz.py tests/io/test_safetensors.py",
        (
            "            block = (block.astype(np.uint32) << 16).view(np.float32)",
            "            block = block.astype(np.float32)",
        ),
        ('        with np.errstate(over="raise"):', '        with np.errstate(over="ignore"):'),
    ),
    *of(
        "io/safetensors.py",
        SAFETENSORS,
        ("    if length > size - 8:", "    if length > size:"),
        ("        if tensor.start != end:", "        if tensor.start < end:"),
        ("    if end != size:", "    if end > size:"),
        ("    if math.prod(shape) * bits != 8 * (offsets[1] - offsets[0]):", "    if False:"),
        ("not offsets[0] <= offsets[1] <= size - base:", "not offsets[0] <= offsets[1]:"),
        ("    if len(fields) < len(pairs):", "    if False:"),
        (
            "all(type(value) is int and value >= 0 for value in values)",
            "all(isinstance(value, int) for value in values)",
        ),
        ('    text += b" " * (-(8 + len(text)) % _ALIGNMENT)', "    pass"),
    ),
    *of(
        "io/_source.py",
        f"{HDF5} tests/io/test_keras_archive.py",
        ("        if place + length > self.size:", "        if False:"),
        ("    return size > _FREE_BYTES + _MAX_RATIO * stored", "    return False"),
        ("    return unpacked if len(unpacked) == size and unpacker.eof else None", "    return unpacked"),
    ),
    *of(
        "io/hdf5.py",
        HDF5,
        ("        if messages.EXTERNAL_FILES in parts:", "        if False:"),
        ("                if node.address in seen:", "                if False:"),
        ("            if size and layout.address + size > self.file.source.size:", "            if False:"),
        ("        if count * found.type.size > len(found.data):", "        if False:"),
    ),
    *of(
        "io/_hdf5_chunks.py",
        HDF5,
        (
            "    if len(sizes) != len(shape) or item != dtype.itemsize or 0 in sizes:",
            "    if len(sizes) != len(shape):",
        ),
        (
            "        for position, number in reversed(list(enumerate(chunks.filters))):",
            "        for position, number in enumerate(chunks.filters):",
        ),
        (
            "            slice(start, min(start + length, end))",
            "            slice(start, min(start + length, end - 1))",
        ),
    ),
    *of(
        "io/_hdf5_messages.py",
        HDF5,
        ('    kind, order = _CLASSES[number], ">" if bits & 1 else "<"', '    kind, order = _CLASSES[number], "<"'),
        ('    if kind:\n        raise Malformed(f"{name!r} is', '    if False:\n        raise Malformed(f"{name!r} is'),
    ),
    *of(
        "io/_hdf5_structure.py",
        HDF5,
        (
            "        if self._budget < 0:\n            raise self.source.error(place",
            "        if False:\n            raise self.source.error(place",
        ),
        ("                if cache == 2:", "                if False:"),
    ),
    *of(
        "io/keras_archive.py",
        ARCHIVE,
        ("        if checksum(data) != member.crc:", "        if False:"),
        ('or ".." in parts or not parts[0]:', "or not parts[0]:"),
        ("        if expands_too_much(member.size, member.stored):", "        if False:"),
        ("            if crc != member.crc:", "            if False:"),
    ),
    *of(
        "io/keys.py",
        KEYS,
        ("        if not 0 <= begin <= end <= len(self.blob):", "        if False:"),
        ("        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(blob):", "        if not len(offsets):"),
        ("        if row == -2:", "        if False:"),
        ("            seed = self._seed_of(attempt)", "            seed = attempt"),
    ),
    *of("io/keys.py", KEYS, ("                release(part)", "                pass")),
    *of(
        "io/manifest.py",
        DIRECTORY,
        ("    if slots <= rows or slots & (slots - 1):", "    if slots <= rows:"),
        ('    if manifest.files["offsets"].shape[0] != rows + 1:', "    if False:"),
        ("    if not isinstance(name, str) or not _is_name_of(role, name):", "    if not isinstance(name, str):"),
        ("    return type(value) is int and 0 <= value < 2**63", "    return isinstance(value, int)"),
    ),
    *of(
        "io/directory.py",
        DIRECTORY,
        ("        if digest.hexdigest() != part.sha256:", "        if False:"),
        ("    if size != part.bytes:", "    if size < part.bytes:"),
        (
            "    if header.dtype.str != part.dtype or header.shape != part.shape or header.fortran_order:",
            "    if header.dtype.str != part.dtype:",
        ),
        ("            if attempt == _ATTEMPTS - 1 or _read_manifest(folder) == raw:", "            if True:"),
        ("            if _read_manifest(folder) == raw:\n                return result", "            return result"),
    ),
    *of(
        "io/directory_writer.py",
        f"{DIRECTORY} tests/reliability/test_process.py tests/vectors/test_keyed_vectors.py",
        ("table, keys, secrets.token_hex(8), old, advance)", 'table, keys, "", old, advance)'),
        ("        _remove_others(folder, manifest)\n        _give", "        _give"),
        (
            "            os.rename(temporary, folder)",
            "            __import__('shutil').copytree(temporary, folder)",
        ),
        ("if old is None and any(not is_left_behind(name) for name in os.listdir(folder)):", "if False:"),
    ),
    *of(
        "io/word_vectors.py",
        BINARY,
        ("    if rows != head.records:", "    if rows < head.records:"),
        ("        if least > stream.length - size:", "        if False:"),
        ("        if rest:\n            raise FormatError(", "        if False:\n            raise FormatError("),
        ("    skipped = len(_BOM) if begin.startswith(_BOM) else 0", "    skipped = 0"),
    ),
    *of(
        "io/text_vectors.py",
        TEXT,
        ("    return row if head.records is None else row + 1", "    return row"),
        ("    if count < 0 or not 1 <= dim <= MAX_DIM or count >= 2**40:", "    if count < 0:"),
        ("    if fields - numbers > 1 and _NUMBER_LIKE.fullmatch(before):", "    if False:"),
    ),
    *of(
        "io/word2vec.py",
        BINARY,
        ("    if parsers.line_shape(line)[1] == dim:", "    if False:"),
        ("    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in vector):", "    if False:"),
    ),
    *of(
        "io/static_embedding.py",
        STATIC,
        ("        if row in taken:", "        if False:"),
        ("    if largest >= count:", "    if largest > count:"),
        (
            "    if mapping is not None and len(mapping) and not 0 <= mapping.min() <= mapping.max() < rows:",
            "    if False:",
        ),
        ("            table[part] *= weights[part, None].astype(np.float32)", "            pass"),
    ),
    *of(
        "ops/_check.py",
        ARGUMENTS,
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
        ("np.may_share_memory(out, other):", "out is other:"),
        ("    if out.shape != shape:", "    if out.size != np.prod(shape):"),
        ("    if not array.dtype.isnative:", "    if False:"),
        ('    return "" if array.flags.aligned else "that is not aligned"', '    return ""'),
        ("            return row - num_rows if row == padding else row", "            return row"),
        (
            '    exact, limit, holder = 2**bits, f"2**{bits}", ids.dtype',
            '    exact, limit, holder = np.inf, f"2**{bits}", ids.dtype',
        ),
    ),
    *of(
        "ops/_bags.py",
        BAGS,
        ("    if starts[0] != 0:", "    if starts[0] < 0:"),
        ("    elif starts[-1] != count:", "    elif starts[-1] > count:"),
        ("    falls = starts[1:] < starts[:-1]", "    falls = starts[1:-1] < starts[:-2]"),
        ("    if total != len(flat):", "    if total > len(flat):"),
        (
            '            bag = int(np.searchsorted(starts, position, "right")) - 1',
            '            bag = int(np.searchsorted(starts, position, "left")) - 1',
        ),
        ("    np.cumsum(lengths, out=starts[1:])", "    np.cumsum(lengths[:-1], out=starts[1:-1])"),
    ),
    *of(
        "ops/_threads.py",
        THREADS,
        (
            "    return max(1, min(cpus, kernels.max_threads(), math.ceil(quota) if quota else cpus))",
            "    return max(1, min(cpus, kernels.max_threads()))",
        ),
        (
            "    return min((limit for limit in limits if limit), default=None)",
            "    return next((limit for limit in limits if limit), None)",
        ),
        ('        first = text.split(",")[0].strip()', "        first = text"),
    ),
    *of(
        "ops/_slices.py",
        "tests/ops/test_grad.py tests/keras/test_optimizers.py",
        ("        np.add.at(dense, self.indices, self.values)", "        dense[self.indices] = self.values"),
    ),
    *of(
        "_table_state.py",
        STEP,
        ("        if frozen is not None and frozen[rows].any():", "        if False:"),
        ("        self._plain = prepared.plain", "        pass"),
        ("            np.minimum(self._last, 1, out=self._last)", "            pass"),
        (
            "                self._settle(None)\n                history = self._start_clock(debt)",
            "                history = self._start_clock(debt)",
        ),
        ("                g = g[~self.weight.frozen[begin : begin + part]]", "                pass"),
        (
            "            np.maximum(self.weight.value, 0, out=self.weight.value, where=self._moving())",
            "            np.maximum(self.weight.value, 0, out=self.weight.value)",
        ),
        ("            if alone and not any(gradient.reads(table) for table in tables):", "            if alone:"),
        ("                state[self._plain[0].indices, 0] = self._velocity()", "                pass"),
    ),
    *of(
        "_history.py",
        STEP,
        ("        if clock >= self.capacity:", "        if clock > self.capacity:"),
        (
            "        powers[:, 2] = self.debt.push * (np.cumsum(powers[:, 0]) - 1.0)",
            "        powers[:, 2] = self.debt.push * np.cumsum(powers[:, 0])",
        ),
        ("            if self.debt.steady and self.debt.steady**t > 2 * _SERIES_ERROR:", "            if False:"),
    ),
    *of(
        "optimizers.py",
        STEP,
        (
            "        return self.clipnorm / norm if norm >= self.clipnorm else 1.0",
            "        return self.clipnorm / norm",
        ),
        ("            self.__dict__.update(after)", "            pass"),
        ("        return numbers[6] / math.sqrt(numbers[7])", "        return numbers[0] / math.sqrt(numbers[7])"),
        (
            "                state.set_arrays(arrays[position::count]",
            "                state.set_arrays(arrays[position * count :]",
        ),
        ("            if array.shape != np.shape(given):", "            if False:"),
        (
            "        return rate / (1.0 + self.decay * self.iterations) if self.decay > 0 else rate",
            "        return rate / (1.0 + self.decay * (self.iterations + 1)) if self.decay > 0 else rate",
        ),
        ("            twice = len({state for _, state in pairs}) < len(pairs)", "            twice = False"),
        ("        product = self.m_schedule * now", "        product = now"),
        (
            "            state.settle()\n            state.weight.debtor = None",
            "            state.weight.debtor = None",
        ),
    ),
    *of(
        "layers/weights.py",
        VERSIONS,
        (
            "    with writing(weights):  # a context without a generator: ",
            "    if True:  # a context without a generator: ",
        ),
        (
            "        with reading(own):\n            for weight in own:",
            "        if True:\n            for weight in own:",
        ),
    ),
    *of(
        "layers/_snapshots.py",
        VERSIONS,
        ("        return arrays.get(id(value), value)", "        return value"),
        ("        _of_thread.snapshots = (weakref.ref(snapshot), *_of_thread.snapshots)", "        pass"),
        ("    snapshot.owners.add(id(owner))", "    pass"),
    ),
    *of(
        "tables.py",
        TABLES,
        (
            '        npy.write_header(file, table.shape, table.dtype.newbyteorder("<"))',
            "        npy.write_header(file, table.shape[::-1], table.dtype)",
        ),
        ('    with fitting(table.dtype, dtype, f"{os.fsdecode(path)}: "):', "    if True:"),
    ),
    *of(
        "_similarity.py",
        SIMILARITY,
        (
            "        order = np.lexsort((self.rows, -exact))[: self.count]",
            "        order = np.argsort(-exact)[: self.count]",
        ),
        (
            "        self.margin = np.float32(2 * (table.shape[1] + 16) * 2.0**-24)",
            "        self.margin = np.float32(0)",
        ),
        ("            others[self.rows - begin] = False", "            others[self.rows] = False"),
        ("        if (values == _UNKNOWN).any():", "        if (values == _UNKNOWN).all():"),
        (
            "                found, start = found[_FIRST_ROWS:], start + _FIRST_ROWS",
            "                found = found[_FIRST_ROWS:]",
        ),
    ),
    *of(
        "vectors.py",
        KEYED,
        ("                if row not in left_out\n", ""),
        ("        if self.keys is not keys and len(self.keys.duplicates):", "        if False:"),
        (
            "            self._norms = RowNorms(self.vectors)\n        self._norms.all()",
            "            pass\n        self._norms.all()",
        ),
        ("        most = count + max(map(len, inputs))", "        most = count"),
    ),
]
