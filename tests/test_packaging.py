"""The sdist, and the wheel built from it, installed into a new environment and used outside the source tree."""

import hashlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import pyinit

ROOT = Path(__file__).parents[1]
USE = """
import pathlib, numpy as np, pyinit
assert "site-packages" in pyinit.__file__, pyinit.__file__
assert [hex(w) for w in pyinit.Stream(0).bits(4)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
assert pyinit.Stream(1, "ars5").normal((300, 1000)).std().round(2) == 1
include = pathlib.Path(pyinit.__file__).parent / "include"
assert {"pyinit.h", "simd_scalar.h", "fill.inc.h", "fill.cu", "assign.cl"} <= {p.name for p in include.iterdir()}
assert pyinit.get_include() == str(include)
from pyinit.kernels import sources
assert "__global__" in sources.source(sources.KernelKey(0, 0, 0), 400)
assert np.random.Generator(pyinit.BitGenerator(0)).random() == pyinit.Stream(0).uniform(1, np.float64)[0]
from pyinit.network import Dense, Network
net = Network(3, [Dense(2)])
net.initialize(seed=0)
"""


def run(*command, **options):
    result = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build the sdist, and the wheel from it with only the requirements of pyproject.toml, as `pip install` does."""
    out = tmp_path_factory.mktemp("dist")
    run("build", "--sdist", "--no-isolation", "--outdir", out, ROOT)
    sdist = next(out.glob("*.tar.gz"))
    run("pip", "wheel", "-q", "--no-deps", "--wheel-dir", out, sdist)
    return {"sdist": sdist, "wheel": next(out.glob("*.whl"))}


def test_installs_and_runs_outside_the_tree(distributions, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", distributions["wheel"]]
    result = subprocess.run(install, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    subprocess.run([python, "-c", USE], check=True, cwd=tmp_path)
    version = subprocess.run(
        [python, "-m", "pyinit", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert version.stdout.split()[-1] == pyinit.__version__


COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")
def test_a_c_program_is_built_from_what_the_wheel_holds(distributions, tmp_path):
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        wheel.extractall(tmp_path, [n for n in wheel.namelist() if n.startswith("pyinit/include/")])
    include = tmp_path / "pyinit" / "include"
    command = [COMPILER, f"-I{include}", ROOT / "examples" / "c" / "article.c", *include.glob("*.c")]
    subprocess.run([*command, "-o", "article", "-lm", "-lpthread"], check=True, cwd=tmp_path)
    assert "5000 weights" in subprocess.run([tmp_path / "article"], capture_output=True, text=True, check=True).stdout


def test_the_sdist_holds_what_a_developer_needs(distributions):
    with tarfile.open(distributions["sdist"]) as archive:
        names = {"/".join(n.split("/")[1:]) for n in archive.getnames()}
    expected = {n for n in tracked() if not n.startswith(".")}
    assert not expected - names
    assert not [n for n in names if n.startswith("benchmarks/results/latest")]


def tracked():
    """Return the files in git, by their paths in the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing to compare the sdist with")
    return listed.stdout.strip("\0").split("\0")


@pytest.mark.skipif(sys.platform == "win32", reason="gives files modes and a time")
def test_an_sdist_has_the_same_bytes_wherever_and_whenever_it_is_made(tmp_path):
    """Two copies of the checkout differ in place, time, modes and the order in which files were made."""
    names, hashes = tracked(), []
    for copy, mode, time, order in (("a", 0o644, 10**9, 1), ("elsewhere/b", 0o600, 15 * 10**8, -1)):
        root = tmp_path / copy
        for name in names[::order]:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, path)
            path.chmod(mode | (ROOT / name).stat().st_mode & 0o100)
            os.utime(path, (time, time))
        for made in ("_core.c", "bit_generator.c"):  # newer than their sources, so not made again
            if (ROOT / "pyinit" / made).exists():
                shutil.copyfile(ROOT / "pyinit" / made, root / "pyinit" / made)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        run("build", "--sdist", "--no-isolation", "--outdir", tmp_path / f"dist{mode}", root, env=environment)
        [sdist] = (tmp_path / f"dist{mode}").iterdir()
        hashes.append(hashlib.sha256(sdist.read_bytes()).hexdigest())
        with tarfile.open(sdist) as archive:
            assert {member.mtime for member in archive} == {1700000000}
    assert hashes[0] == hashes[1]


def test_the_distribution_is_pyinit_weights(distributions):
    assert distributions["sdist"].name == f"pyinit_weights-{pyinit.__version__}.tar.gz"
    assert distributions["wheel"].name.startswith(f"pyinit_weights-{pyinit.__version__}-")
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        [metadata] = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
        lines = wheel.read(metadata).decode().splitlines()
    assert "Name: pyinit-weights" in lines
    assert f"Version: {pyinit.__version__}" in lines
    assert not [line for line in lines if line.startswith("Requires-Dist: pyinit[")]


def test_the_tests_can_be_installed_with_the_oldest_python():
    """Requirements of an exact version exist for it; for the others pip takes older versions."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    checked = []
    for requirement in map(Requirement, project["optional-dependencies"]["test-torch"]):
        if not requirement.marker or requirement.marker.evaluate({"python_version": oldest}):
            metadata = importlib.metadata.metadata(requirement.name)
            assert SpecifierSet(metadata["Requires-Python"] or "").contains(f"{oldest}.0"), requirement
            checked.append(requirement.name)
    assert "torch" in checked


def test_wheels_are_tested_by_the_quick_tests_of_bits_alone(tmp_path):
    """The slow ones fill 17 GiB of memory, more than most build machines have."""
    tomllib = pytest.importorskip("tomllib")
    wheels = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    workflow = ROOT / ".github" / "workflows" / "ci.yml"  # the sdist leaves this out
    commands = re.findall("run: (python -m pytest .+)", workflow.read_text() if workflow.exists() else "")
    for source in wheels["test-sources"]:
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, tmp_path / source)
    for command in [wheels["test-command"][-1], *commands]:
        arguments = [*shlex.split(command)[1:], "--collect-only", "-q"]
        collected = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "test_golden_hashes" in collected
        assert "test_philox" in collected
        assert not re.search("2_to_the_32|mkl", collected), command


def test_an_editable_install_is_found_from_the_folder_above_a_checkout(tmp_path):
    """There, a folder called pyinit must not count as a package without __init__.py."""
    urls = [found.read_text("direct_url.json") for found in importlib.metadata.distributions(name="pyinit-weights")]
    if not any(json.loads(url or "{}").get("dir_info", {}).get("editable") for url in urls):
        pytest.skip("pyinit-weights is not installed, or not in place")
    (tmp_path / "pyinit").symlink_to(ROOT, target_is_directory=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import pyinit; print(pyinit.Stream(0).bits(1)[0])"
    assert run_python(code, cwd=tmp_path, env=environment) == "1713891541\n"


def run_python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **options).stdout


def test_the_wheel_is_small(distributions):
    assert distributions["wheel"].stat().st_size < 3e6


def test_the_wheel_holds_the_sources_of_the_core_and_no_others(distributions):
    names = zipfile.ZipFile(distributions["wheel"]).namelist()
    core = {f"pyinit/include/{path.name}" for path in (ROOT / "src_c").glob("*.[ch]")}
    assert {n for n in names if n.endswith((".c", ".h"))} == core
    assert not [n for n in names if n.endswith(".pyx") or n.startswith(("tests", "src_c", "benchmarks"))]
    assert any(n.startswith("pyinit/_core.") and n.endswith((".so", ".pyd")) for n in names)
    assert any(n.startswith("pyinit/bit_generator.") and n.endswith((".so", ".pyd")) for n in names)
    assert {"pyinit/_core.pxd", "pyinit/bit_generator.pyi"} <= set(names)
    assert "pyinit/py.typed" in names
