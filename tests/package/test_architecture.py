"""Who may import whom inside the package, and that each array function stands in its three places."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastembed
from fastembed import ops
from fastembed._native import kernels
from fastembed.ops import _reference

SOURCE = Path(fastembed.__file__).parent

# front door -> Keras floor -> ops and io -> _native. A module that none of these names is of the Keras floor.
FRONT_DOOR = {"fastembed", "__main__", "_cli", "_versions", "_bench"}
MAY_IMPORT = {
    "front door": {"front door", "Keras floor", "ops", "io", "_native"},
    "Keras floor": {"Keras floor", "ops", "io", "_native"},
    "ops": {"ops", "_native"},
    "io": {"io", "_native"},
    "_native": {"_native"},
}
SETTINGS = {
    "IndexedSlices",
    "clear_output_cache",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
    "set_output_cache",
}
FUNCTIONS = sorted(set(ops.__all__) - SETTINGS)
# what is about the how of a call, not about its meaning
WAYS = {"out", "mask_out", "num_threads"}


def floor_of(module: str) -> str:
    """The floor of a module such as fastembed.ops._check."""
    room = module.split(".")[1] if "." in module else module
    if room in FRONT_DOOR:
        return "front door"
    return room if room in ("ops", "io", "_native") else "Keras floor"


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Modules of ours that the tree imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "fastembed")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")
                parent = parent[: len(parent) - node.level + is_package]
                base = ".".join([*parent, *filter(None, [base])])
            if base.split(".")[0] == "fastembed":
                # `from package import name`: the name may be a module
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    yield inner if exists(inner) else base


def exists(module: str) -> bool:
    path = SOURCE.parent.joinpath(*module.split("."))
    return path.is_dir() or any(path.parent.glob(f"{path.name}.py")) or any(path.parent.glob(f"{path.name}.*.so"))


def arrows() -> list[tuple[str, str]]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        module = name_of(path)
        found += [(module, target) for target in imports(tree, module, path.name == "__init__.py")]
    return found


def test_arrows_are_found() -> None:
    found = arrows()
    assert ("fastembed", "fastembed.ops") in found
    assert ("fastembed.ops._threads", "fastembed._native.kernels") in found
    assert ("fastembed.ops._threads", "fastembed.ops._check") in found
    code = "from . import a\nfrom .b import c\nfrom ..io import npy\nimport fastembed.ops._check\nimport numpy\n"
    assert list(imports(ast.parse(code), "fastembed.layers.core", False)) == [
        "fastembed.layers",
        "fastembed.layers.b",
        "fastembed.io.npy",
        "fastembed.ops._check",
    ]


def test_imports_never_go_up() -> None:
    forbidden = [
        f"{module} imports {target}"
        for module, target in arrows()
        if floor_of(target) not in MAY_IMPORT[floor_of(module)]
    ]
    assert forbidden == []


def test_reference_is_imported_by_nothing_and_imports_numpy_alone() -> None:
    assert [module for module, target in arrows() if target == "fastembed.ops._reference"] == []
    tree = ast.parse((SOURCE / "ops" / "_reference.py").read_text(encoding="utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(str(node.module).split(".")[0])
    assert modules - {"__future__", "typing", "collections"} == {"numpy"}


def native_sources() -> list[Path]:
    return sorted([*(SOURCE / "_native").glob("*.pyx"), *(SOURCE / "_native").glob("*.pxi")])


@pytest.mark.skipif(not native_sources(), reason="the installed package holds no Cython sources")
def test_kernels_import_the_words_only_where_they_are_needed() -> None:
    lines = [line for path in native_sources() for line in path.read_text(encoding="utf-8").splitlines()]
    ours = [line for line in lines if re.match(r"\s*(from|import|cimport)\s+(fastembed|\.)", line)]
    assert ours
    for line in ours:
        assert line.startswith("    "), f"not inside a function: {line}"
        if line.strip() == "from fastembed._native import kernels":  # for its threads
            continue
        found = re.fullmatch(r"\s+from fastembed\.ops import ((\w+, )*\w+)", line)
        assert found is not None, line
        assert set(found[1].split(", ")) <= {"_check", "_threads", "_bags", "_slices"}, line


def test_native_python_files_import_nothing() -> None:
    assert [path.name for path in (SOURCE / "_native").glob("*.py")] == ["__init__.py"]
    assert (SOURCE / "_native" / "__init__.py").read_text() == ""


def test_functions_are_those_there_are() -> None:
    assert {"gather", "gather_with_mask"} <= set(FUNCTIONS)
    assert set(ops.__all__) >= SETTINGS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_stands_in_its_three_places(name: str) -> None:
    assert getattr(ops, name) is getattr(kernels, name)
    public = inspect.signature(getattr(ops, name)).parameters
    meaning = inspect.signature(getattr(_reference, name)).parameters
    assert list(meaning) == [parameter for parameter in public if parameter not in WAYS]
    for parameter in meaning:
        assert (meaning[parameter].kind, meaning[parameter].default) == (
            public[parameter].kind,
            public[parameter].default,
        ), parameter


def test_public_names_of_the_reference_are_public_functions() -> None:
    names = {name for name, value in vars(_reference).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert names == set(FUNCTIONS)
