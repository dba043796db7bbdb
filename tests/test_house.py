"""The rules of the house: which module may import which, and where optional packages are imported."""

import ast
import graphlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pyinit"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}
CYTHON_FILES = sorted([*PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxi")])

# Imports go down this list only; modules of one row do not import each other.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"demo", "report"},
    {"checkpoint"},
    {"bench", "files", "plots"},
    {"diagnostics"},
    {"adapters", "network"},
    {"bit_generator", "models"},
    {"child_streams", "initializers"},
    {"machine", "streams"},
    {"fills"},
    {"arrays", "atomic", "distributions", "isa", "parallel", "terminal", "untrusted"},
    {"cuda", "hints", "opencl"},
    {"kernels"},
    {"_core"},
]


def room(path):
    """Return the module below pyinit that a file belongs to: "network" for all of network/."""
    return path.relative_to(PACKAGE).parts[0].partition(".")[0]


def imports(path):
    """Return the absolute names that a file imports, anywhere in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "pyinit":
                yield from (f"pyinit.{alias.name}" for alias in node.names)


def modules(path):
    """Return the pyinit modules that a file imports; for `from pyinit.a import b` pyinit.a.b, if that is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("pyinit"))
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("pyinit"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name != "pyinit.__version__":
                    yield name if name in MODULES or name == "pyinit._core" else node.module


def floor(name):
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = room(path)
    if here == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "pyinit" and len(parts) > 1 and parts[1] not in (here, "__version__"):
            assert parts[1] != "Stream", "import it from pyinit.streams"
            assert floor(parts[1]) > floor(here), f"{here} imports {parts[1]}"


def test_no_room_has_a_circle():
    """Late imports in functions count too: a module can be read with only those below it."""
    uses = {name: set(modules(path)) & MODULES.keys() - {name} for name, path in MODULES.items()}
    assert not [name for name, used in uses.items() if "pyinit" in used], "import the module that is meant"
    assert set(graphlib.TopologicalSorter(uses).static_order()) == MODULES.keys()


@pytest.mark.parametrize("path", CYTHON_FILES, ids=lambda p: p.name)
def test_cython_imports_go_down(path):
    for name in re.findall(r"^\s*(?:from|c?import) pyinit\.(\w+)", path.read_text(), re.M):
        assert floor(name) > floor(room(path)), f"{room(path)} imports {name}"


def test_each_optional_package_is_imported_in_one_file_alone():
    """A framework with an adapter is imported in the adapter's folder alone."""
    users = {}
    for path in FILES:
        for name in imports(path):
            package = name.split(".")[0]
            if package not in sys.stdlib_module_names | {"pyinit", "numpy"}:
                users.setdefault(package, set()).add(place_of(path))
    assert all(len(places) == 1 for places in users.values()), users
    assert all(places == {package} for package, places in users.items() if (PACKAGE / "adapters" / package).is_dir())


def place_of(path):
    """Return the name of a file or, for an adapter, of the adapter's folder, if it has the framework's name."""
    parts = path.relative_to(PACKAGE).parts
    return parts[1] if parts[0] == "adapters" and len(parts) > 2 else path.name


def test_the_benchmarks_import_peers_in_few_files():
    scripts = sorted((ROOT / "benchmarks").rglob("*.py"))
    known = sys.stdlib_module_names | {"pyinit", "numpy", "quality"} | {path.stem for path in scripts}
    users = {path.name for path in scripts for name in imports(path) if name.split(".")[0] not in known}
    torch = {"checkpoint_files.py", "torch_models.py", "torch_shards.py"}
    assert users == {"peers.py", "gpu_peers.py", "jax_peers.py", "evidence.py", *torch}


def test_pyproject_lists_every_package():
    """setuptools' `find` would leave out pyinit.include, whose folder is src_c, outside the package."""
    listed = re.findall(r'^    "(pyinit[.\w]*)",$', (ROOT / "pyproject.toml").read_text(), re.M)
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert sorted(listed) == sorted(folders | {"pyinit.include"})


def test_names_say_what_is_inside():
    for path in (
        path for folder in ("pyinit", "src_c", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*")
    ):
        assert not {"utils", "helpers", "manager", "common", "misc"} & set(path.stem.lower().split("_"))


MOST_LINES = 350


def test_no_file_of_code_is_long():
    """Split longer files by topic."""
    suffixes = {".py", ".pyx", ".pxd", ".pxi", ".pyi", ".c", ".h", ".cu", ".cl"}
    made = {PACKAGE / "_core.c", PACKAGE / "bit_generator.c"}  # made by Cython
    files = [
        path
        for folder in ("pyinit", "src_c", "tests", "benchmarks", "examples", "docs", "packaging")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and path not in made
    ]
    assert len(files) > 300
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert [name for name, lines in lengths.items() if lines > MOST_LINES] == []


def test_examples_in_docstrings_fit_the_page():
    """The documentation shows 88 columns of code."""
    texts = {path: path.read_text(encoding="utf-8") for path in [*FILES, *CYTHON_FILES]}
    lines = {(str(path), line.strip()) for path, text in texts.items() for line in text.splitlines()}
    assert [found for found in lines if found[1].startswith((">>> ", "... ")) and len(found[1]) > 88] == []
