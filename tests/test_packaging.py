"""The sdist, and the wheel built of it, installed into a fresh environment and used away from the source tree."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

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


def run(*command):
    result = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Builds the sdist, and the wheel from it with what pyproject.toml asks for alone, as `pip install` of it does."""
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
    assert version.stdout.split()[-1] == "0.1.0"


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
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout: nothing to compare the sdist with")
    left_out = {n for n in tracked.stdout.split() if not n.startswith(".") and not n.startswith("benchmarks/results")}
    assert not left_out - names


def test_the_wheel_holds_the_sources_of_the_core_and_no_others(distributions):
    names = zipfile.ZipFile(distributions["wheel"]).namelist()
    core = {f"pyinit/include/{path.name}" for path in (ROOT / "src_c").glob("*.[ch]")}
    assert {n for n in names if n.endswith((".c", ".h"))} == core
    assert not [n for n in names if n.endswith(".pyx") or n.startswith(("tests", "src_c", "benchmarks"))]
    assert any(n.startswith("pyinit/_core.") and n.endswith((".so", ".pyd")) for n in names)
    assert any(n.startswith("pyinit/bit_generator.") and n.endswith((".so", ".pyd")) for n in names)
    assert {"pyinit/_core.pxd", "pyinit/bit_generator.pyi"} <= set(names)
    assert "pyinit/py.typed" in names
