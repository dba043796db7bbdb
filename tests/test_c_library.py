"""The C core as a library: its exports, its header in every dialect, and programs that use an installed one."""

import ctypes
import re
import shutil
import subprocess
import sys

import pytest
from conftest import COMPILER, ROOT

import pyinit

HEADER = (ROOT / "src_c" / "pyinit.h").read_text()
EXAMPLE = ROOT / "examples" / "c"
# C89: declarations first, one kind of comment.
PROGRAM = """
#include <pyinit.h>
int main(void)
{
    float weights[4];
    pyi_stream stream;
    pyi_status status = pyi_stream_new(&stream, PYI_PHILOX4X32_10, 42, 0);
    if (status == PYI_OK)
        status = pyi_fill_normal_f32(&stream, weights, 4, 0.0, 0.02, NULL);
    return status == PYI_OK && pyi_strerror(status) != NULL ? 0 : 1;
}
"""


def make(target, folder, *settings):
    if not (shutil.which("make") and shutil.which(COMPILER)):
        pytest.skip(f"no make, or no compiler {COMPILER}")
    command = ["make", "-C", ROOT, "-j2", target, f"LIB={folder}", f"CC={COMPILER}", "CFLAGS=-O1", *settings]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The folder of libpyinit.a and libpyinit.so, as `make lib` builds it."""
    folder = tmp_path_factory.mktemp("library")
    make("lib", folder)
    return folder


@pytest.fixture(scope="module")
def prefix(library, tmp_path_factory):
    """The folder where the library is installed."""
    folder = tmp_path_factory.mktemp("prefix")
    make("install", library, f"PREFIX={folder}")
    return folder


def is_the_article(printed):
    mean, std, xavier = map(float, re.findall(r"-?0\.\d+", printed))
    assert abs(mean) < 1e-4
    assert std == pytest.approx(xavier, rel=2e-3)


@pytest.mark.parametrize("name", ["libpyinit.a", "libpyinit.so"])
def test_a_program_links_either_library(library, tmp_path, name):
    command = [COMPILER, "-Wall", "-Wextra", "-Werror", f"-I{pyinit.get_include()}", EXAMPLE / "article.c"]
    run(*command, library / name, f"-Wl,-rpath,{library}", "-lm", "-lpthread", "-o", tmp_path / "article")
    is_the_article(run(tmp_path / "article"))


needs_elf = pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="reads ELF files with nm")


@needs_elf
def test_the_shared_library_exports_the_public_names_alone(library):
    listing = run("nm", "-D", "--defined-only", library / "libpyinit.so")
    declared = re.findall(r"\b(pyi_\w+)(?:\(|\[\];)", HEADER)
    assert sorted(line.split()[-1] for line in listing.splitlines()) == sorted(set(declared))


@needs_elf
def test_the_archive_defines_no_name_of_others(library):
    listing = run("nm", "-g", "--defined-only", library / "libpyinit.a")
    names = [fields[2] for fields in map(str.split, listing.splitlines()) if len(fields) == 3]
    assert "pyi_fill_many" in names
    assert not [name for name in names if not name.startswith("pyi_")]


@needs_elf
@pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf")
def test_the_shared_library_names_its_binary_interface(library):
    assert re.findall(r"SONAME.*\[(.+)\]", run("readelf", "-d", library / "libpyinit.so")) == ["libpyinit.so.1"]
    # Another name, as from another PREFIX on macOS, links it again.
    for settings, name in ((["SONAME=libother.so.2"], "libother.so.2"), ([], "libpyinit.so.1")):
        make("lib", library, *settings)
        assert f"[{name}]" in run("readelf", "-d", library / "libpyinit.so")


@pytest.mark.parametrize("dialect", ["c89", "c11", "c++17"])
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_the_header_is_clean_in(tmp_path, family, dialect):
    cpp = "++" in dialect
    compiler = {"gcc": "g++", "clang": "clang++"}[family] if cpp else family
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    source = tmp_path / ("program.cc" if cpp else "program.c")
    source.write_text(PROGRAM.replace("NULL", "nullptr") if cpp else PROGRAM)
    flags = ["-pedantic-errors", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
    flags += ["-Wold-style-cast", "-Wzero-as-null-pointer-constant"] if cpp else ["-Wstrict-prototypes"]
    run(compiler, f"-std={dialect}", *flags, f"-I{ROOT / 'src_c'}", "-fsyntax-only", source)


def test_the_header_has_the_version_of_the_package():
    parts = re.findall(r"#define PYI_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)\n", HEADER)
    assert ".".join(parts) == pyinit.__version__
    assert re.findall(r'#define PYI_VERSION "(.+)"', HEADER) == [pyinit.__version__]


def test_every_status_has_words(library):
    strerror = ctypes.CDLL(str(library / "libpyinit.so")).pyi_strerror
    strerror.restype = ctypes.c_char_p
    numbers = [int(number) for number in re.findall(r"^    PYI_[A-Z_]+ = (\d+)", HEADER, re.M)]
    assert numbers == list(range(6))
    words = [strerror(number).decode() for number in numbers]
    assert len(set(words)) == 6
    assert words[0] == "success"
    for number in (-1, 6, 2**31 - 1):
        assert strerror(number) == b"unknown status"


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="no pkg-config")
def test_pkg_config_finds_the_installed_library(prefix, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    assert run("pkg-config", "--modversion", "pyinit", env=environment).strip() == pyinit.__version__
    for kind in ("shared", "static"):
        flags = run("pkg-config", "--cflags", "--libs", "--static", "pyinit", env=environment).split()
        if kind == "static":
            flags = [str(prefix / "lib" / "libpyinit.a") if flag == "-lpyinit" else flag for flag in flags]
        program = tmp_path / kind
        run(COMPILER, EXAMPLE / "article.c", *flags, f"-Wl,-rpath,{prefix / 'lib'}", "-o", program)
        is_the_article(run(program))


@pytest.mark.skipif(not shutil.which("cmake"), reason="no CMake")
def test_cmake_finds_the_installed_library(prefix, tmp_path):
    configure = ["cmake", "-S", EXAMPLE, f"-DCMAKE_C_COMPILER={COMPILER}", f"-DCMAKE_PREFIX_PATH={prefix}"]
    run(*configure, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    is_the_article(run(tmp_path / "build" / "article"))


@pytest.mark.skipif(not shutil.which("cmake"), reason="no CMake")
@pytest.mark.parametrize(
    ("asked", "found"),
    [("", True), ("{0}.{1}", True), ("{0}.{1}.{2}", True), ("{0}.99", False), ("99", False), ("{0}.0.9", False)],
)
def test_cmake_takes_compatible_versions_alone(prefix, tmp_path, asked, found):
    """Before 1.0, those of the same minor version that are not older than the requested one."""
    asked = asked.format(*pyinit.__version__.split("."))
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\nproject(asks NONE)\n"
        f"find_package(pyinit {asked} QUIET CONFIG)\n"
        'message(STATUS "considered ${pyinit_CONSIDERED_VERSIONS} of ${pyinit_CONSIDERED_CONFIGS}")\n'
        'if(pyinit_CONFIG)\nmessage(STATUS "found ${pyinit_VERSION}")\nendif()\n'
    )
    printed = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert f"considered {pyinit.__version__} of" in printed
    assert (f"found {pyinit.__version__}" in printed) == found


def test_a_staged_install_names_the_place_it_is_for(library, tmp_path):
    make("install", library, "PREFIX=/opt/pyinit", "LIBDIR=/opt/pyinit/lib64", f"DESTDIR={tmp_path}")
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    link = "libpyinit.dylib" if sys.platform == "darwin" else "libpyinit.so"
    shared = "libpyinit.1.dylib" if sys.platform == "darwin" else "libpyinit.so.1"
    assert installed == {
        "opt/pyinit/include/pyinit/pyinit.h",
        "opt/pyinit/include/pyinit/tables.h",
        *(f"opt/pyinit/lib64/{name}" for name in (link, shared, "libpyinit.a", "pkgconfig/pyinit.pc")),
        "opt/pyinit/lib64/cmake/pyinit/pyinit-config.cmake",
        "opt/pyinit/lib64/cmake/pyinit/pyinit-config-version.cmake",
    }
    written = [path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".pc", ".cmake")]
    assert len(written) == 3
    assert not [text for text in written if str(tmp_path) in text or re.search(r"@\w+@", text)]
    assert "libdir=/opt/pyinit/lib64\n" in "".join(written)
