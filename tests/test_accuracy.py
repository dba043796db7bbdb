"""The errors that the core states: of its elementary functions one by one, and of whole samples."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from pyinit import Stream

ROOT = Path(__file__).parents[1]
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
FLAGS = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", f"-I{ROOT / 'src_c'}"]


@pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")
def test_elementary_functions_keep_their_stated_errors(tmp_path):
    program = tmp_path / "accuracy"
    subprocess.run([COMPILER, *FLAGS, ROOT / "tests" / "accuracy.c", "-o", program, "-lm"], check=True)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals_are_those_of_the_formula(generator, dtype):
    # box_muller.h: at most 6 ulp of the radius, in either component; these words stay below 4.
    wide, n = np.longdouble, 400_000
    bits = 8 * dtype().itemsize
    words = Stream(17, generator).bits(n * bits // 32)
    words = words if bits == 32 else words[0::2].astype(np.uint64) | words[1::2].astype(np.uint64) << 32
    u = np.minimum(((words[0::2].astype(dtype).astype(wide) + 0.5) * wide(2) ** -bits).astype(dtype), 1).astype(wide)
    radius = np.sqrt(-2 * np.log(u))
    angle = 2 * wide("3.14159265358979323846264338327950288") * words[1::2].astype(wide) * wide(2) ** -bits
    z = Stream(17, generator).normal(n, dtype).astype(wide)
    ulp = np.spacing(radius.astype(dtype)).astype(wide)
    assert (abs(z[0::2] - radius * np.cos(angle)) / ulp).max() < 4
    assert (abs(z[1::2] - radius * np.sin(angle)) / ulp).max() < 4
