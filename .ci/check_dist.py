"""Checks what the sdist and the wheel in a folder hold: all sources in the one, none in the other."""

import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    in_wheel = wheel.namelist()
with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
    in_sdist = {name.partition("/")[2] for name in sdist.getnames()}

sources = {path.as_posix() for path in Path("src").rglob("*") if path.suffix in {".pyx", ".pxi", ".h", ".hpp", ".pyi"}}
missing = sources - in_sdist
unwanted = [name for name in in_wheel if name.endswith((".pyx", ".pxi", ".c", ".cpp", ".h", ".hpp"))]
unwanted += [name for name in in_sdist if name.startswith("src") and name.endswith(".cpp")]
needed = [name for name in ("fastembed/py.typed", "fastembed/_native/kernels.pyi") if name not in in_wheel]
if missing or unwanted or needed:
    sys.exit(f"sdist lacks {sorted(missing)}; not to be shipped: {unwanted}; wheel lacks {needed}")
print(f"sdist: {len(in_sdist)} files; wheel: {len(in_wheel)} files, no sources among them")
