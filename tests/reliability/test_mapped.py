"""Tables in mapped files: cut short while they are read, read-only, and replaced while somebody reads them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from fastembed import embedding_bag, gather, optimizers, scatter_add
from fastembed._native import kernels
from fastembed.io.atomic import replacing
from fastembed.io.npy import open_npy, write_header
from fastembed.layers.weights import Weight
from tests.ops.helpers import SANITIZED, assert_clean, run_python

from .helpers import scaled

posix = pytest.mark.skipif(os.name != "posix", reason="SIGBUS")

PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import fastembed
from fastembed import embedding_bag, gather, gather_with_mask, mask
from fastembed.io.npy import flat_chunks, open_npy
folder = sys.argv[1]
def map_file(path):
    import mmap
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
def fresh(name="table.npy", array=None):
    path = os.path.join(folder, name)
    np.save(path, np.ones((20_000, 64), np.float32) if array is None else array)
    return path
def refused(call):
    try:
        call()
    except OSError as error:
        return error.errno == 5 and str(error) == (
            "[Errno 5] a mapped file was cut short while it was in use: part of the array is gone. Replace such a file "
            "by renaming a new one over it, and readers keep the old")
    return False
ids = np.arange(20_000)
"""


@posix
@pytest.mark.parametrize(
    "way", ["open_npy", "np.load", "np.memmap", "asarray", "view", "ascontiguous", "frombuffer", "memoryview"]
)
def test_truncation_before_a_call_is_an_error_and_the_process_lives(tmp_path: Path, way: str) -> None:
    code = """
path = fresh()
table = {"open_npy": open_npy, "np.load": lambda p: np.load(p, mmap_mode="r"),
         "np.memmap": lambda p: np.memmap(p, np.float32, "r", 128, (20_000, 64)),
         # arrays that are no np.memmap themselves
         "asarray": lambda p: np.asarray(np.load(p, mmap_mode="r")),
         "view": lambda p: np.load(p, mmap_mode="r")[:].view(np.ndarray)[:],
         "ascontiguous": lambda p: np.ascontiguousarray(np.load(p, mmap_mode="r"), np.float32),
         "frombuffer": lambda p: np.frombuffer(map_file(p), np.float32, offset=128).reshape(20_000, 64),
         "memoryview": lambda p: np.frombuffer(memoryview(map_file(p))[128:], np.float32).reshape(20_000, 64),
}[sys.argv[2]](path)
if sys.argv[2] != "view":       # the first call is after the cut there
    assert (gather(table, ids) == 1).all()
os.truncate(path, 5000)
for threads in (1, 3):
    print(refused(lambda: gather(table, ids, num_threads=threads)),
          refused(lambda: gather_with_mask(table, ids, num_threads=threads)),
          refused(lambda: embedding_bag(table, ids[None], num_threads=threads)),
          refused(lambda: gather(table, ids[-3:])))
print((gather(np.ones((20_000, 64), np.float32), ids) == 1).all())
other = open_npy(fresh("other.npy"))
print((gather(other, ids) == 1).all())
del table
table = open_npy(fresh())
print((gather(table, ids) == 1).all())
"""
    done = run_python(PRELUDE + code, str(tmp_path), way)
    assert_clean(done, "True True True True\n" * 2 + "True\n" * 3)


@posix
def test_truncation_under_ids_and_gradients_that_are_no_memmap(tmp_path: Path) -> None:
    code = """
from fastembed import embedding_grad
def mapped(name, array):
    path = fresh(name, array)
    return path, np.asarray(np.load(path, mmap_mode="r"))
table = np.ones((20_000, 64), np.float32)
path, mapped_ids = mapped("ids.npy", ids)
os.truncate(path, 5000)
print(refused(lambda: gather(table, mapped_ids)), refused(lambda: mask(mapped_ids)),
      refused(lambda: embedding_bag(table, mapped_ids[None])))
path, grads = mapped("grads.npy", table)
os.truncate(path, 5000)
print(refused(lambda: embedding_grad(ids, grads, 20_000)))
"""
    done = run_python(PRELUDE + code, str(tmp_path))
    assert_clean(done, "True True True\nTrue\n")


@posix
@pytest.mark.parametrize("kind", ["safetensors", "directory", "h5"])
def test_truncation_of_any_format_is_an_error_and_the_process_lives(tmp_path: Path, kind: str) -> None:
    if kind == "h5":
        pytest.importorskip("h5py")
    code = """
from fastembed import Embedding, KeyedVectors, Sequential, load_table, save_table
rows = np.ones((20_000, 64), np.float32)
path = file = os.path.join(folder, "table." + sys.argv[2])
if sys.argv[2] == "safetensors":
    save_table(path, rows)
elif sys.argv[2] == "directory":
    KeyedVectors(rows, [str(row) for row in range(20_000)]).save(path)
    file = os.path.join(path, "table.npy")
else:
    Sequential([Embedding(20_000, 64, weights=[rows], input_length=1)]).save(path)
table = load_table(path, mmap=True)
assert not table.flags.writeable and (gather(table, ids) == 1).all()
os.truncate(file, 9000)
print(refused(lambda: gather(table, ids)), refused(lambda: embedding_bag(table, ids[None])))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path), kind), "True True\n")


@posix
def test_truncated_ids_are_an_error(tmp_path: Path) -> None:
    code = """
table = np.ones((20_000, 2), np.float32)
for dtype in ("<i8", ">i8"):
    path = fresh("ids.npy", ids.astype(dtype))
    mapped = open_npy(path)
    os.truncate(path, 5000)
    print(refused(lambda: gather(table, mapped)), refused(lambda: list(flat_chunks(mapped, 500))) or dtype == "<i8",
          refused(lambda: mask(mapped)))
path = fresh("ids.npy", ids.reshape(100, 200, order="F"))
mapped = open_npy(path)
os.truncate(path, 5000)
print(refused(lambda: list(flat_chunks(mapped, 500))))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path)), "True True True\n" * 2 + "True\n")


@posix
@pytest.mark.parametrize("way", ["open_npy", "np.load"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_truncated_weights_and_gradients_are_an_error(tmp_path: Path, way: str, dtype: str) -> None:
    code = """
from fastembed import Embedding, embedding_bag_grad, embedding_grad, optimizers, scatter_add
table = np.ones((20_000, 2), np.float32)
def cut(name, shape):
    path = fresh(name, np.ones(shape, sys.argv[3]))
    array = open_npy(path) if sys.argv[2] == "open_npy" else np.load(path, mmap_mode="r")
    os.truncate(path, 5000)
    return array
weights = cut("weights.npy", (1, 20_000))
print(refused(lambda: embedding_bag(table, ids[None], weights=weights, reduce="sum")))
first, second, third = (cut(name, (20_000, 2)) for name in ("1.npy", "2.npy", "3.npy"))
print(refused(lambda: embedding_grad(ids, first, 20_000)))
print(refused(lambda: embedding_bag_grad(ids[:, None], second, 20_000, reduce="sum")))
rows = np.ones((1, 2), np.float32)
print(refused(lambda: embedding_bag_grad(ids[None], rows, 20_000, weights=cut("w.npy", (1, 20_000)), reduce="sum")))
print(refused(lambda: scatter_add(table, ids, third)))
layer, fourth = Embedding.holding(table), cut("4.npy", (20_000, 2))
def left_to_the_step():
    sums = layer.gradient(ids, fourth, deferred=True)
    optimizers.SGD().apply_gradients([(sums, layer)])
print(refused(left_to_the_step))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path), way, dtype), "True\n" * 6)


@posix
@pytest.mark.parametrize("way", ["open_npy", "np.load"])
@pytest.mark.parametrize("dtype", ["<i8", "<f8", "<f4"])
def test_truncated_inputs_and_targets_of_models_are_an_error(tmp_path: Path, way: str, dtype: str) -> None:
    code = """
from fastembed import Embedding, Sequential
from fastembed.layers import Dense, Flatten, GlobalAveragePooling1D
def cut(name, shape):
    path = fresh(name, np.zeros(shape, sys.argv[3]))
    array = open_npy(path) if sys.argv[2] == "open_npy" else np.load(path, mmap_mode="r")
    os.truncate(path, 5000)
    return array
count = 20_000
print(refused(lambda: Embedding(5, 2)(cut("a.npy", (count, 4)))))
print(refused(lambda: Embedding(5, 2, mask_zero=True).compute_mask(cut("b.npy", (count, 4)))))
def model(*last):
    made = Sequential([Embedding(5, 2, mask_zero=True, input_length=4), *last])
    made.compile("sgd", "mse")
    return made
for last in [], [GlobalAveragePooling1D()], [Dense(2)]:
    print(refused(lambda: model(*last).predict(cut("c.npy", (count, 4)), batch_size=count)))
print(refused(lambda: model().predict_on_batch(cut("d.npy", (count, 4)))))
dense = Sequential([Dense(2, input_shape=(4,))])
print(refused(lambda: dense.predict(cut("e.npy", (count, 4)))),
      refused(lambda: dense.predict(cut("f.npy", (count, 4)), steps=1)))
trained, x, y = model(GlobalAveragePooling1D()), np.ones((count, 4), int), np.ones((count, 2))
trained.evaluate(x, y, verbose=0)
before = trained.get_weights()
print(refused(lambda: trained.train_on_batch(cut("g.npy", (count, 4)), y)),
      refused(lambda: trained.train_on_batch(x, cut("h.npy", (count, 2)))),
      refused(lambda: trained.test_on_batch(cut("i.npy", (count, 4)), y)),
      refused(lambda: trained.evaluate(x, cut("j.npy", (count, 2)), verbose=0)))
print(all((now == old).all() for now, old in zip(trained.get_weights(), before)))
for shuffle in False, True, "batch":
    print(refused(lambda: trained.fit(cut("k.npy", (count, 4)), y, shuffle=shuffle, verbose=0)),
          refused(lambda: trained.fit(x, cut("l.npy", (count, 2)), shuffle=shuffle, verbose=0)))
"""
    expected = "True\n" * 6 + "True True\n" + "True True True True\n" + "True\n" + "True True\n" * 3
    assert_clean(run_python(PRELUDE + code, str(tmp_path), way, dtype), expected)


@posix
@pytest.mark.parametrize("way", ["load_table", "np.load"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_truncated_arrays_for_layers_and_optimizers_change_nothing(tmp_path: Path, way: str, dtype: str) -> None:
    code = """
from fastembed import Embedding, Sequential, load_table, optimizers
from fastembed.layers import Dense
from fastembed.ops import IndexedSlices
made = 0
def cut(shape=(20_000, 2)):
    global made
    made += 1
    path = fresh(f"{made}.npy", np.ones(shape, sys.argv[3]))
    array = np.load(path, mmap_mode="r")
    if sys.argv[2] == "load_table":
        array = load_table(path, mmap=True, dtype=sys.argv[3])
    os.truncate(path, 5000)
    return array
def layer():
    return Embedding.holding(np.zeros((20_000, 2), np.float32), trainable=True)
model = Sequential([Dense(20_000, input_shape=(2,)), layer()])
before = model.get_weights()
print(refused(lambda: model.set_weights([np.ones((2, 20_000)), np.ones(20_000), cut()])),
      all((one == other).all() for one, other in zip(before, model.get_weights())))
given = Embedding(20_000, 2, weights=[cut()])
print(refused(lambda: given.build(None)), given.weights == [])
print(refused(lambda: Embedding.from_pretrained(cut())))
made_by = Embedding(20_000, 2, embeddings_initializer=lambda shape: array)
array = cut()
print(refused(lambda: made_by.build(None)))
for rows in (cut, lambda: IndexedSlices(cut(), ids, (20_000, 2)), lambda: IndexedSlices(cut(), ids[::-1], (20_000, 2))):
    for optimizer in (optimizers.SGD(), optimizers.Adam(clipnorm=1.0)):
        table = layer()
        print(refused(lambda: optimizer.apply_gradients([(rows(), table)])), not table.embeddings.any())
optimizer = optimizers.Adam()
optimizer.build([layer()])
print(refused(lambda: optimizer.set_weights([9, np.ones((20_000, 2)), cut(), np.zeros(1)])),
      not any(array.any() for array in optimizer.get_weights()))
"""
    expected = "True True\n" * 2 + "True\n" * 2 + "True True\n" * 7
    assert_clean(run_python(PRELUDE + code, str(tmp_path), way, dtype), expected)


@posix
@pytest.mark.parametrize("way", ["load", "np.memmap"])
def test_truncated_vectors_are_an_error(tmp_path: Path, way: str) -> None:
    code = """
from fastembed import KeyedVectors
words = [str(number) for number in range(20_000)]
KeyedVectors(np.ones((20_000, 64), np.float32), words).save(os.path.join(folder, "whole"))
def cut():
    import shutil
    path = os.path.join(folder, "v")
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(os.path.join(folder, "whole"), path)
    vectors = KeyedVectors.load(path)
    if sys.argv[2] == "np.memmap":
        vectors = KeyedVectors(np.load(os.path.join(path, "table.npy"), mmap_mode="r"), words)
    os.truncate(os.path.join(path, "table.npy"), 5000)
    return vectors
calls = [
    lambda vectors: vectors["19999"],
    lambda vectors: vectors[["1", "19999"]],
    lambda vectors: vectors[words],
    lambda vectors: vectors.get_vector("19999", norm=True),
    lambda vectors: vectors.similarity("1", "19999"),
    lambda vectors: vectors.norms,
    lambda vectors: vectors.most_similar("19999"),
    lambda vectors: vectors.most_similar("1"),
    lambda vectors: vectors.most_similar("1", topn=None),
    lambda vectors: vectors.to_embedding(),
    lambda vectors: vectors.to_embedding(word_index={"19999": 1}),
    lambda vectors: vectors.save(os.path.join(folder, "new")),
]
for number, call in enumerate(calls):
    vectors = cut()
    good = [refused(lambda: call(vectors)) for _ in range(2)]
    vectors._frugal_lookups = 0
    if number not in (0, 11):       # a view, and what the system itself refuses to write
        good.append(refused(lambda: call(vectors)))
    if not all(good) and number != 11:
        print(number, good)
print(os.path.exists(os.path.join(folder, "new")))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path), way), "False\n")


@posix
@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("way", ["open_npy", "np.load"])
def test_truncated_table_is_not_saved(tmp_path: Path, suffix: str, order: str, way: str) -> None:
    code = """
from fastembed import save_table
_, _, suffix, order, way = sys.argv
path = fresh(array=np.ones((20_000, 64), np.float32, order=order))
table = open_npy(path) if way == "open_npy" else np.load(path, mmap_mode="r")
os.truncate(path, 5000)
if order == "C":
    refused(lambda: gather(table, ids))       # from then on the mapping reads as zeros
new = os.path.join(folder, "new." + suffix)
print(refused(lambda: save_table(new, table)), os.listdir(folder))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path), suffix, order, way), "True ['table.npy']\n")


@posix
def test_truncated_table_that_is_added_to_is_an_error(tmp_path: Path) -> None:
    code = """
from fastembed import scatter_add
path = fresh()
table = np.load(path, mmap_mode="r+")
os.truncate(path, 5000)
print(refused(lambda: scatter_add(table, ids, np.ones((20_000, 64), np.float32))))
"""
    assert_clean(run_python(PRELUDE + code, str(tmp_path)), "True\n")


@posix
def test_truncation_during_a_gather_is_an_error_and_the_process_lives(tmp_path: Path) -> None:
    code = """
seen = 0
many = np.tile(ids, 20)
out = np.empty((len(many), 64), np.float32)
for k in range(int(sys.argv[2])):
    path = fresh()
    table = open_npy(path)
    timer = threading.Timer(0.002 + 0.001 * (k % 5), os.truncate, (path, 0))
    timer.start()
    try:
        while True:
            assert (gather(table, many, out=out, num_threads=1 + k % 3) == 1).all()
    except OSError:
        seen += 1
    timer.join()
print(seen)
"""
    count = scaled(20)
    assert_clean(run_python(PRELUDE + code, str(tmp_path), str(count), timeout=250), f"{count}\n")


@posix
def test_truncated_file_of_the_command_line_is_one_line(tmp_path: Path) -> None:
    code = """
from fastembed._cli import main
fresh("ids.npy", np.zeros(5, np.int64))
path = fresh()
import fastembed._cli.gather as command
real = command.open_ids
def open_and_cut(name):
    os.truncate(path, 0)
    return real(name)
command.open_ids = open_and_cut
print(main(["gather", path, os.path.join(folder, "ids.npy"), os.path.join(folder, "out.npy")]))
print(sorted(os.listdir(folder)))
"""
    done = run_python(PRELUDE + code, str(tmp_path))
    assert done.stdout == "2\n['ids.npy', 'table.npy']\n"
    assert done.stderr.startswith("fastembed gather: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(SANITIZED or not sys.platform.startswith("linux"), reason="procfs; the sanitizer's own handler")
def test_handler_is_installed_with_the_first_mapped_table_and_hands_on(tmp_path: Path) -> None:
    # a fault that is none of ours still goes to whoever was there first, and still ends the process
    code = """
import faulthandler, mmap
def handler():
    with open("/proc/self/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt")).split()[1]
    return bool(int(caught, 16) >> (signal.SIGBUS - 1) & 1)
before = handler()
gather(np.ones((3, 2), np.float32), [1])
after_gather = handler()
if sys.argv[2] == "faulthandler": faulthandler.enable()
table = open_npy(fresh())
if sys.argv[2] == "later": faulthandler.enable(); second = open_npy(fresh("second.npy"))
print(before, after_gather, handler(), flush=True)
path = fresh("mine.npy")
with open(path, "rb") as file:
    mine = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.truncate(path, 0)
mine[-1]
"""
    for extra in ("none", "faulthandler", "later"):
        done = run_python(PRELUDE + code, str(tmp_path), extra, timeout=60)
        assert (done.returncode, done.stdout) == (-signal.SIGBUS, "False False True\n")
        assert ("Bus error" in done.stderr) == (extra != "none")


def test_read_only_maps_refuse_updates_in_words(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.ones((6, 2), np.float32))
    table = open_npy(tmp_path / "table.npy")
    with pytest.raises(ValueError, match="writable") as error:
        scatter_add(table, [1], np.ones((1, 2), np.float32))
    assert str(error.value) == "`table` must be writable. Received: a read-only array."
    with pytest.raises(ValueError, match="writable") as error:
        gather(np.ones((6, 2), np.float32), np.arange(6), out=table)
    assert str(error.value) == "`out` must be writable. Received: a read-only array."
    weight = Weight("w", table)
    with pytest.raises(ValueError, match="read-only") as error:
        optimizers.SGD().apply_gradients([(np.ones((6, 2), np.float32), weight)])
    assert str(error.value) == "a read-only weight cannot be trained."
    assert (np.load(tmp_path / "table.npy") == 1).all()


def test_saving_over_a_mapped_file_keeps_the_old_rows_for_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    np.save(path, np.ones((50_000, 16), np.float32))
    table = open_npy(path)
    ids = np.arange(50_000)
    for value in (2, 3):
        with replacing(path) as (file,):
            write_header(file, (50_000, 16), np.float32)
            file.write(np.full(50_000 * 16, value, np.float32).data)
        assert (gather(table, ids) == 1).all()
        assert (embedding_bag(table, ids[None]) == 1).all()
        assert (gather(open_npy(path), ids) == value).all()


def test_mappings_are_forgotten_with_their_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.ones((6, 2), np.float32))
    for _ in range(200):
        table = open_npy(tmp_path / "table.npy")
        view = table[1:3]
        del table
        assert gather(np.ascontiguousarray(view), [0]).tolist() == [[1, 1]]
    kernels.check_whole(view, None, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_share_one_mapped_table(tmp_path: Path, method: str) -> None:
    np.save(tmp_path / "table.npy", np.arange(400_000, dtype=np.float32).reshape(50_000, 8))
    script = tmp_path / "script.py"
    script.write_text(
        """
import multiprocessing, sys
import numpy as np
from fastembed import gather
from fastembed.io.npy import open_npy
def sums(seed):
    table = open_npy(sys.argv[1])
    ids = np.random.default_rng(seed).integers(0, 50_000, 20_000)
    return bool((gather(table, ids, num_threads=2) == np.asarray(table)[ids]).all())
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[2]).Pool(3) as pool:
        print(all(pool.map(sums, range(12))))
"""
    )
    code = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)"
    done = run_python(code, str(script), str(tmp_path / "table.npy"), method, timeout=250)
    assert_clean(done, "True\n")
