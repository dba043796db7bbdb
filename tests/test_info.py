"""`pyinit info`: its output is true, and it loads none of the packages that it lists."""

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import pyinit
from pyinit import cli, machine
from pyinit.cli import info


@pytest.fixture
def document(capsys):
    assert cli.main(["info", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_holds_versions_tier_and_packages(document):
    assert document["versions"] == {
        "pyinit": pyinit.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    assert document["tier"] == pyinit.isa.active()
    assert document["tiers"] == list(pyinit.isa.available())
    assert document["threads"] >= 1
    assert document["processors"] >= 1
    assert document["platform"] == platform.platform()
    assert document["packages"].keys() == info.PACKAGES.keys()


@pytest.mark.parametrize("package", ["rich", "matplotlib", "torch"])
def test_a_package_has_the_version_that_is_installed(document, package):
    pytest.importorskip(package)
    assert document["packages"][package] == version(package)


def test_a_package_that_is_missing_is_told(monkeypatch, capsys):
    monkeypatch.setitem(info.PACKAGES, "no-such-package", "nothing")
    cli.main(["info"])
    assert "no-such-package  not installed  nothing" in " ".join(capsys.readouterr().out.split(" ")).replace(
        "   ", "  "
    )


def test_the_text_tells_the_tier_and_the_threads(capsys):
    cli.main(["info"])
    text = capsys.readouterr().out
    [row] = [row for row in text.splitlines() if row.startswith("instruction set")]
    assert row.split()[2] == pyinit.isa.active()
    [row] = [row for row in text.splitlines() if row.startswith("GPU")]
    assert row.split(maxsplit=1)[1] == info.seen(info.gpu())


def test_the_cache_is_told(monkeypatch, capsys, tmp_path):
    for chosen, told in ((str(tmp_path), str(tmp_path)), ("", "none")):
        monkeypatch.setenv("PYINIT_CACHE_DIR", chosen)
        assert info.facts()["cache"] == (chosen or None)
        cli.main(["info"])
        [row] = [row for row in capsys.readouterr().out.splitlines() if row.startswith("cache of kernels")]
        assert row.split(maxsplit=3)[3] == told


def test_no_heavy_package_is_loaded():
    heavy = {"torch", "jax", "keras", "matplotlib", "sklearn", "safetensors", "cupy"}
    code = (
        f"import sys; from pyinit import cli; cli.main(['info', '--json']); sys.exit({heavy} & set(sys.modules) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def driver(folder, version):
    """The contents of /proc/driver/nvidia with two GPUs."""
    (folder / "version").write_text(f"NVRM version: NVIDIA UNIX {version}  Release Build\nGCC version:  gcc 12.2.0\n")
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (folder / "gpus" / bus).mkdir(parents=True)
        (folder / "gpus" / bus / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 120\n")


@pytest.mark.parametrize("text", ["x86_64 Kernel Module  570.86.15", "Open Kernel Module for x86_64  570.86.15"])
def test_an_nvidia_driver_is_seen(tmp_path, monkeypatch, text):
    driver(tmp_path, text)
    monkeypatch.setattr(info, "CUPY", ())
    found = info.gpu(tmp_path)
    assert found["driver"] == "570.86.15"
    assert found["models"] == ["NVIDIA H200", "NVIDIA H200"]
    assert not found["used"]
    assert info.seen(found).startswith("NVIDIA H200, NVIDIA H200; NVIDIA driver 570.86.15")
    assert info.seen(found).endswith("(to fill on a GPU, pyinit needs NVIDIA's driver and CuPy)")
    monkeypatch.setattr(info, "CUPY", ("numpy",))  # this one is installed
    found = info.gpu(tmp_path)
    assert found["used"]
    assert info.seen(found).endswith(f"CuPy {np.__version__}")


def test_no_gpu_is_told_plainly(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = info.gpu(tmp_path)
    assert found["driver"] is found["nvidia_smi"] is None
    for cupy, told in ((None, "none seen ("), ("14.2.0", "none seen; CuPy 14.2.0 (")):
        assert info.seen({**found, "cupy": cupy}).startswith(told)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo")
def test_a_processor_whose_name_is_hidden_is_told_by_its_numbers():
    found = Path("/proc/cpuinfo").read_text()
    if "cpu family" not in found:
        pytest.skip("not an x86 processor")
    model = next(line.split(":")[1].strip() for line in found.splitlines() if line.split("\t")[0] == "model")
    assert re.search(rf" \(family \d+, model {model}, stepping \d+\)$", machine.describe()["cpu"])
