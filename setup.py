"""Builds the extensions: each .pyx file of _native is one. Everything else about the package is in pyproject.toml.

Environment switches:
    FASTEMBED_BUILD=debug      Cython bounds checks and C assertions on, no optimisation
    FASTEMBED_BUILD=quick      no optimisation, nothing for debuggers: the fastest to build
    FASTEMBED_BUILD=sanitize   AddressSanitizer and UndefinedBehaviorSanitizer (how to run it: CONTRIBUTING.md)
    FASTEMBED_BUILD=thread     ThreadSanitizer
    FASTEMBED_BUILD=coverage   counts which branches are taken: `python -m tests.coverage` makes and reads it
    FASTEMBED_BASELINE=1       no code for CPUs beyond the platform's baseline
    FASTEMBED_EXTENSIONS=keys  only this extension, or these with commas between: to build again what changed
"""

import os
import sys
from glob import glob

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# The release build is the empty name. -fno-wrapv and -UNDEBUG undo CPython's own flags, which hide overflows.
SANITIZE = ["-O1", "-g1", "-fno-omit-frame-pointer", "-fno-wrapv", "-UNDEBUG"]
BUILDS = {
    # CPython's own -g makes building 1.4 times as long and the modules five times as large; CFLAGS=-g brings it back
    "": ["-O3"] if "-g" in os.environ.get("CFLAGS", "").split() else ["-O3", "-g0"],
    "debug": ["-O0", "-g", "-UNDEBUG"],
    "quick": ["-O0", "-g0", "-UNDEBUG"],
    "sanitize": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", *SANITIZE],
    "thread": ["-fsanitize=thread", *SANITIZE],
    # counters that threads share; no inlining, so that a branch is counted once, and each operand of && and || is one
    "coverage": ["--coverage", "-fprofile-update=atomic", "-O0", "--param", "logical-op-non-short-circuit=0"],
}

build = os.environ.get("FASTEMBED_BUILD", "")
if build not in BUILDS:
    sys.exit(f"FASTEMBED_BUILD={build!r} must be one of {', '.join(filter(None, BUILDS))}, or unset")

define_macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
if os.environ.get("FASTEMBED_BASELINE", "0") not in ("", "0"):
    define_macros.append(("FASTEMBED_BASELINE", "1"))
if build == "coverage":
    define_macros.append(("FASTEMBED_COVERAGE", "1"))

if sys.platform == "win32":
    compile_args, link_args = ["/std:c++17", "/O2"], []
else:
    # errno, which nothing reads, would keep square roots out of vectors
    compile_args = ["-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra"]
    compile_args += BUILDS[build]
    link_args = [flag for flag in BUILDS[build] if flag.startswith(("-fsanitize", "--coverage"))]
    if sys.platform.startswith("linux"):
        link_args += ["-Wl,-z,relro,-z,now,-z,noexecstack", "-pthread"]

wanted = [name for name in os.environ.get("FASTEMBED_EXTENSIONS", "").split(",") if name]
sources = sorted(source.replace(os.sep, "/") for source in glob("src/fastembed/_native/*.pyx"))
sources = [source for source in sources if not wanted or os.path.basename(source).removesuffix(".pyx") in wanted]
headers = [path for kind in ("pxi", "h", "hpp") for path in glob(f"src/fastembed/_native/*.{kind}")]
setup(
    options={"build_ext": {"parallel": min(os.cpu_count() or 1, 4)}},     # extensions at a time
    ext_modules=cythonize(
        [
            Extension(
                f"fastembed._native.{os.path.basename(source).removesuffix('.pyx')}",
                sources=[source],
                depends=headers,
                include_dirs=[numpy.get_include()],
                define_macros=define_macros,
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                language="c++",
            )
            for source in sources
        ],
        emit_linenums=build == "coverage",
        compiler_directives={
            "language_level": 3,
            "boundscheck": build == "debug",
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": build == "debug",
            "autotestdict": False,
        },
    ),
)
