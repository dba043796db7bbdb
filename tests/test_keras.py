"""The Keras adapter on each backend, in separate processes: keras_cases.py, keras_models.py, keras_layouts.py."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("backend", "names"), [("torch", "cases models"), ("jax", "cases models"), ("jax", "layouts")])
def test_keras(backend, names, tmp_path):
    """Keras reads its backend once, when it is imported."""
    for package in ("keras", backend):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if backend == "jax":
        pytest.importorskip("jax", minversion="0.9")  # the adapter's
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(tmp_path),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(HERE.parent),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += [*(HERE / f"keras_{name}.py" for name in names.split()), f"--basetemp={tmp_path / 'cases'}"]
    done = subprocess.run(command, env=environment, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_keras():
    code = "import sys; sys.modules['keras'] = None; import pyinit.adapters.keras"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == (
        "ImportError: pyinit.adapters.keras needs Keras 3 and a backend: "
        "pip install keras, or pip install 'pyinit-weights[keras]'"
    )
