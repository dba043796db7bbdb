"""The checks that must notice a fault: programs and tests, the quickest first, in a copy of the checkout."""

import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import golden
import numpy as np

ROOT = Path(__file__).parents[2]
SHORT = 1000  # samples per case in the quick run
# C only warns about pointers of another type; arguments in such an order could not stay in the code.
FLAGS = [
    *("-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-Isrc_c"),
    *("-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Werror=implicit-function-declaration"),
]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
FUZZ = (("jobs", "300"), ("windows", "100"), ("items", "60"))
LONGER_FUZZ = (("jobs", "2000"), ("windows", "400"), ("items", "200"))  # the same numbers as in the tests

# The tests of each file in addition to those programs, with pytest's options.
WINDOWS = ("test_windows.py", "test_windows_refused.py")
TRUNCATED = ("test_truncated.py", "test_truncated_bounds.py")
CORE = ("test_known_answers.py", *WINDOWS)
SHARDED = ("test_torch_shards.py", "test_torch_shards_modules.py")
IN_PARTS = "test_torch_shards.py -k written_in_parts or other_kinds"
HOSTILE = "test_hostile_callers.py"
JAX = ("test_jax_initialize.py", "test_jax_sharding.py", "test_jax_initializers.py")
TESTS = {
    "src_c/threads.c": ("test_team.py -k of_a_fill",),
    "src_c/processors.c": ("test_quota.py", "test_team.py -k of_a_fill"),
    "src_c/memory.c": ("test_new_memory.py",),
    "src_c/items.c": ("test_many.py", *WINDOWS, "test_contract.py -k streams or buffers or megabytes"),
    "src_c/overlap.c": ("test_many.py -k memory",),
    "src_c/child.c": ("test_known_answers.py", "test_streams.py"),
    "src_c/distribution.c": ("test_boundary.py", "test_many.py", "test_accuracy.py", *TRUNCATED),
    "src_c/normal_cdf.h": ("test_accuracy.py", *TRUNCATED),
    "src_c/dispatch.c": ("test_boundary.py -k isa", "test_contract.py -k megabytes"),
    "src_c/elementary.h": ("test_accuracy.py",),
    "src_c/inverse_cdf.h": ("test_accuracy.py",),
    "src_c/truncated.h": TRUNCATED,
    "src_c/narrow.h": ("test_narrow_types.py",),
    "src_c/narrow.c": ("test_narrow_types.py",),
    "src_c/fpenv.h": ("test_boundary.py -k floating",),
    "src_c/fills.c": ("test_streams.py", "test_interop.py"),
    "src_c/stream.c": ("test_streams.py", "test_contract.py -k words"),
    "src_c/xla.c": ("test_jax_call.py", "test_jax_initializers.py"),
    "pyinit/boundary/arrays.pxi": ("test_boundary.py", "test_many.py", HOSTILE, *WINDOWS, "test_models.py"),
    "pyinit/boundary/batches.pxi": ("test_many.py", "test_models.py", "test_tensors.py", "test_boundary.py", HOSTILE),
    "pyinit/boundary/distributions.pxi": ("test_boundary.py", "test_many.py", "test_streams.py", *TRUNCATED),
    "pyinit/boundary/dtypes.pxi": ("test_boundary.py", "test_many.py", "test_narrow_types.py"),
    "pyinit/boundary/fills.pxi": ("test_boundary.py", "test_streams.py", HOSTILE, "test_threads.py", *WINDOWS),
    "pyinit/boundary/launches.pxi": ("test_many.py", "test_cuda_source.py", "test_opencl_arrays.py"),
    "pyinit/boundary/streams.pxi": ("test_streams.py", "test_boundary.py", "test_known_answers.py"),
    "pyinit/boundary/tables.pxi": ("test_boundary.py", "test_known_answers.py", "test_threads.py"),
    "pyinit/models/sharding.py": ("test_sharding.py", *SHARDED),
    "pyinit/adapters/torch/windows.py": (IN_PARTS, "test_torch_deferred.py", "test_torch_recipes.py", *SHARDED),
    "pyinit/adapters/torch/sharding.py": SHARDED,
    "pyinit/adapters/dask/arrays.py": ("test_dask.py",),
    "pyinit/adapters/jax/arrays.py": JAX,
    "pyinit/adapters/jax/drawing.py": JAX,
}


class InvalidError(Exception):
    """The changed file cannot be compiled, so it is not a mutant."""


class Checks:
    """A copy of the checkout with the objects of all files, and its results without a fault.

    Parameters
    ----------
    folder : Path
        The folder for the copy, which may exist from an earlier run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src_c", "pyinit", "tests", "benchmarks", "examples", "setup.py", "pyproject.toml"):
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "results"))
            else:
                shutil.copy(source, target)
        (folder / "stock").mkdir(exist_ok=True)
        (folder / "mutant").mkdir(exist_ok=True)
        cases = list(golden.hashes())
        self.cases = {
            "short": "\n".join(golden.line(case).replace(f" {golden.COUNT} ", f" {SHORT} ") for case in cases),
            "golden": "\n".join(map(golden.line, cases)),
        }
        self.sound: set[str] = set()  # tests that pass without a fault
        self.users = {name: self.included(name) for name in self.c_files()}
        boundary = [*(folder / "pyinit").rglob("*.p[yx][xid]"), *(folder / "src_c").glob("*.h")]
        keys = {name: self.digest(used) for name, used in self.users.items()}
        keys["_core"] = self.digest(str(path.relative_to(folder)) for path in boundary)
        kept = folder / "stock" / "keys.json"
        made = json.loads(kept.read_text()) if kept.exists() else {}
        changed = [name for name, key in keys.items() if made.get(name) != key]
        if changed:
            self.compile([name for name in changed if name != "_core"], "stock", "-O1")
            if "_core" in changed:
                self.compile_boundary("stock")
            self.link({})
            shutil.copy(folder / "golden", folder / "stock" / "golden")
            kept.write_text(json.dumps(keys))
        self.expected: dict[tuple[str, str], str] = {}
        self.tiers = self.run("stock/golden").split()[::-1]  # the quickest to compile first

    def c_files(self) -> list[str]:
        """Return the files of the core, and the programs that check it."""
        return [f"src_c/{path.name}" for path in sorted((self.folder / "src_c").glob("*.c"))] + [
            "tests/golden.c",
            "tests/fuzz.c",
        ]

    def digest(self, names: Iterable[str]) -> str:
        """Return the hash of some files of the copy."""
        return hashlib.sha256("".join((self.folder / name).read_text() for name in sorted(names)).encode()).hexdigest()

    def included(self, name: str) -> set[str]:
        """Return a file and the core's files that it includes."""
        text = self.run("gcc", *FLAGS, "-MM", name)
        return {word for word in text.replace("\\\n", " ").split() if word.startswith(("src_c/", "tests/"))}

    def run(self, *command: str, input: str | None = None, most: int = 240) -> str:
        """Run a program in the copy, with a limit in processor seconds; return its output, or `failed: ...`."""

        def limits() -> None:
            resource.setrlimit(resource.RLIMIT_CPU, (most, most))

        process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limits, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        try:
            out, _ = process.communicate(None if input is None else input.encode(), timeout=900)
        except subprocess.TimeoutExpired:
            out = b""
            process.returncode = -signal.SIGXCPU
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "failed: hangs"
        if process.returncode:
            return f"failed: {process.returncode}\n{out.decode(errors='replace')}"
        return hashlib.sha256(out).hexdigest() if input is not None else out.decode(errors="replace")

    def compile(self, files: list[str], where: str, *options: str) -> None:
        """Compile C files one by one."""
        for name in files:
            found = self.run("gcc", *FLAGS, *options, "-c", name, "-o", f"{where}/{Path(name).stem}.o")
            if found.startswith("failed"):
                raise InvalidError(found)

    def compile_boundary(self, where: str) -> None:
        """Compile the extension's own part, without optimisation."""
        include = [f"-I{np.get_include()}", f"-I{sysconfig.get_path('include')}"]
        define = "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION"
        for command in (
            (sys.executable, "-m", "cython", "-3", "pyinit/_core.pyx", "-o", f"{where}/_core.c"),
            ("gcc", *FLAGS, "-O0", define, *include, "-c", f"{where}/_core.c", "-o", f"{where}/_core.o"),
        ):
            found = self.run(*command)
            if found.startswith("failed"):
                raise InvalidError(found)

    def link(self, changed: dict[str, str], names: tuple[str, ...] = ("golden", "fuzz", "_core")) -> None:
        """Link programs and the extension, from the objects of changed and unchanged files."""
        objects = {Path(name).stem: f"stock/{Path(name).stem}.o" for name in self.c_files()}
        objects |= {"_core": "stock/_core.o"} | changed
        of_core = [path for name, path in objects.items() if name not in ("golden", "fuzz", "_core")]
        for name in names:
            out = ("-shared", "-o", f"pyinit/_core{SUFFIX}") if name == "_core" else ("-o", name)
            found = self.run("gcc", objects[name], *of_core, *out, "-lm", "-lpthread")
            if found.startswith("failed"):
                raise InvalidError(found)

    def samples(self, program: str, kind: str, tier: str) -> str:
        """Return the hash of golden.c's output."""
        return self.run(program, tier, input=self.cases[kind], most=20 if kind == "short" else 120)

    def prepare(self, file: str, names: tuple[str, ...]) -> None:
        """Compile the files that include a changed one, and link; `golden` alone skips the kernels of wide tiers."""
        changed: dict[str, str] = {}
        if file.startswith("src_c/"):
            users = [name for name, included in self.users.items() if file in included]
            users = [name for name in users if names != ("golden",) or "avx" not in name]
            self.compile(users, "mutant", "-O0")
            changed = {Path(name).stem: f"mutant/{Path(name).stem}.o" for name in users}
        is_used = any(f'"{Path(file).name}"' in line for line in self.boundary_includes())
        if "_core" in names and (is_used or file.endswith((".pxi", ".pyx"))):
            self.compile_boundary("mutant")
            changed["_core"] = "mutant/_core.o"
        self.link(changed, names)

    def boundary_includes(self) -> list[str]:
        """Return the lines of the boundary that name a header."""
        return [line for line in (self.folder / "pyinit/_core.pyx").read_text().splitlines() if ".h" in line]

    def quick(self, file: str) -> Iterator[tuple[str, str]]:
        """Run the programs that take a second or two; yield the name of each, and the fault that it noticed, or ""."""
        if file.endswith(".h") and any(file in self.users[name] for name in self.users if "avx" in name):
            self.prepare(file, ("golden",))
            yield from self.golden("short", "scalar")
        self.prepare(file, ("golden", "fuzz"))
        yield from self.programs("short", FUZZ)

    def thorough(self, file: str) -> Iterator[tuple[str, str]]:
        """Run the programs with sanitizers, the tests of a file, and then the programs for longer."""
        if file.startswith("src_c/"):
            yield from self.sanitized(file)
        self.prepare(file, ("golden", "fuzz", "_core") if file.startswith("src_c/") else ("_core",))
        for test in TESTS.get(file, CORE):
            yield test.split(" ")[0], self.pytest(test)
        if file.startswith("src_c/"):
            yield from self.programs("golden", LONGER_FUZZ)

    def sanitized(self, file: str) -> Iterator[tuple[str, str]]:
        """Run fuzz.c with a sanitizer for every memory access in the changed code, except in kernels."""
        flags = ("-fsanitize=address,undefined", "-fno-sanitize=alignment", "-fno-sanitize-recover=all")
        users = [name for name, included in self.users.items() if file in included and "fill_" not in name]
        changed = {Path(name).stem: f"mutant/{Path(name).stem}.o" for name in {*users, "tests/fuzz.c"}}
        self.compile([*{*users, "tests/fuzz.c"}], "mutant", "-O0", *flags)
        objects = {Path(name).stem: f"stock/{Path(name).stem}.o" for name in self.c_files()} | changed
        linked = [path for name, path in objects.items() if name != "golden"]
        self.run("gcc", *flags, *linked, "-o", "sanitized", "-lm", "-lpthread")
        for arguments in LONGER_FUZZ:
            found = self.run("./sanitized", *arguments)
            yield f"fuzz.c {arguments[0]}, sanitized", found.splitlines()[0] if found.startswith("failed") else ""

    def golden(self, kind: str, tier: str) -> Iterator[tuple[str, str]]:
        """Compare golden.c's output."""
        if (kind, tier) not in self.expected:
            self.expected[kind, tier] = self.samples("stock/golden", kind, tier)
        found = self.samples("./golden", kind, tier)
        same = found == self.expected[kind, tier]
        yield f"golden.c, {tier}", "" if same else found.splitlines()[0] if found[:6] == "failed" else "other bits"

    def programs(self, kind: str, fuzz: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
        """Run the C programs."""
        for tier in self.tiers:
            yield from self.golden(kind, tier)
        for arguments in fuzz:
            found = self.run("./fuzz", *arguments, most=30 if fuzz is FUZZ else 240)
            yield f"fuzz.c {arguments[0]}", found.splitlines()[0] if found.startswith("failed") else ""

    def pytest(self, test: str) -> str:
        """Run a test file, with options, or one test, up to the first failure; return its name."""
        path, *options = [test] if "::" in test else test.split(" ", 2)
        found = self.run(
            *(sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-m", "not slow", "-p", "no:cacheprovider"),
            *("--tb=no", "-p", "no:faulthandler", "--hypothesis-seed=0", f"tests/{path}", *options),
        )
        if not found.startswith("failed"):
            return ""
        name = re.search(r"^(?:FAILED|ERROR) [^:\n]*::(.*?)(?: - .*)?$", found, re.MULTILINE)
        return name[1] if name else found.splitlines()[0] if "hangs" in found else "it ends before the first test"

    def require_sound(self, file: str, name: str) -> None:
        """Raise unless a test that noticed a fault passes without it; without a name, check that tests are found."""
        node = f"{file}::{name}" if name.startswith("test_") else f"{file} --collect-only"
        if node not in self.sound:
            self.link({})
            failure = self.pytest(node)
            if failure:
                raise RuntimeError(f"{node} fails without a fault: {failure}")
            self.sound.add(node)
