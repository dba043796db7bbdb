"""The default number of threads of a fill: quotas of control groups, and PYINIT_NUM_THREADS."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import COMPILER, ROOT, SANITIZERS, UNDER

import pyinit
from pyinit import _core

NUMBER = "PYINIT_NUM_THREADS"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """tests/quota.c, with sanitizers if the compiler has them."""
    if not sys.platform.startswith("linux") or not shutil.which(COMPILER):
        pytest.skip("needs Linux and a C compiler")
    path = tmp_path_factory.mktemp("quota") / "quota"
    sources = [ROOT / "tests" / "quota.c", ROOT / "src_c" / "processors.c"]
    build = [COMPILER, "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'src_c'}", *sources, "-o", path]
    sanitizers = SANITIZERS or ["-fsanitize=address,undefined"]
    sanitized = subprocess.run([*build, *sanitizers], capture_output=True, check=False)
    if sanitized.returncode:
        subprocess.run(build, check=True)
    return path


def run(program, *folders, **environment):
    """Return the numbers that it prints."""
    env = {**{k: v for k, v in os.environ.items() if k != NUMBER}, **environment}
    result = subprocess.run([*UNDER, program, *folders], capture_output=True, text=True, check=False, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    return [int(line) for line in result.stdout.split()]


def mount(top, point, version):
    kind = {2: "cgroup2 cgroup2 rw,nsdelegate", 1: "cgroup cgroup rw,cpu,cpuacct"}[version]
    return f"35 30 0:30 {top} {point} rw,nosuid shared:9 - {kind}\n"


OTHERS = "22 1 0:21 / / rw - overlay overlay rw,lowerdir=a\n25 22 0:23 / /sys rw shared:2 master:1 - sysfs sysfs rw\n"
MEMORY = "36 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
V2, V1 = "/sys/fs/cgroup", "/sys/fs/cgroup/cpu,cpuacct"


def v1(folder, quota, period="100000"):
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


def v2(text):
    """Return a tree of version 2 with this text in its only group."""
    return "0::/\n", mount("/", V2, 2), {f"{V2}/cpu.max": text}


# The texts of /proc/self/cgroup and /proc/self/mountinfo, the groups' files, and the processors that they allow.
TREES = {
    "no limit": (*v2("max 100000\n"), 0),
    "two": (*v2("200000 100000\n"), 2),
    "a begun processor counts": (*v2("200001 100000\n"), 3),
    "less than one": (*v2("1000 100000\n"), 1),
    "another period": (*v2("30000 20000\n"), 2),
    "more than there are integers": (*v2(f"{10**40} 1\n"), 0),
    "a group": ("0::/a/b\n", mount("/", V2, 2), {f"{V2}/a/b/cpu.max": "150000 100000\n"}, 2),
    "its ancestor is stricter": (
        "0::/a/b\n",
        mount("/", V2, 2),
        {f"{V2}/a/b/cpu.max": "300000 100000\n", f"{V2}/a/cpu.max": "100000 100000\n", f"{V2}/cpu.max": "max 100000\n"},
        1,
    ),
    "its ancestor is not": (
        "0::/a/b\n",
        mount("/", V2, 2),
        {f"{V2}/a/b/cpu.max": "300000 100000\n", f"{V2}/a/cpu.max": "max 100000\n", f"{V2}/cpu.max": "500000 100000\n"},
        3,
    ),
    "what is not its ancestor": (
        "0::/a/b\n",
        mount("/", V2, 2),
        {f"{V2}/a/bc/cpu.max": "100000 100000\n", f"{V2}/b/cpu.max": "100000 100000\n", "/sys/fs/cpu.max": "1 1\n"},
        0,
    ),
    "version 1": ("4:cpu,cpuacct:/a\n", mount("/", V1, 1), v1(f"{V1}/a", 250000), 3),
    "version 1, no limit": ("4:cpu,cpuacct:/a\n", mount("/", V1, 1), v1(f"{V1}/a", -1), 0),
    "version 1, ancestor": (
        "4:cpuacct,cpu:/a/b\n",
        mount("/", V1, 1),
        v1(f"{V1}/a/b", -1) | v1(f"{V1}/a", 40000, 20000) | v1(V1, 300000),
        2,
    ),
    "version 1, no period": ("4:cpu:/\n", mount("/", V1, 1), {f"{V1}/cpu.cfs_quota_us": "100000\n"}, 0),
    "version 1, the controllers of others": (
        "5:cpuset:/a\n3:memory:/a\n1:name=systemd:/a\n",
        mount("/", V1, 1) + MEMORY,
        v1(f"{V1}/a", 100000),
        0,
    ),
    "a container sees its own group alone": (
        "4:cpu,cpuacct:/docker/abc/x\n",
        mount("/docker/abc", V1, 1),
        v1(V1, 300000) | v1(f"{V1}/x", 200000) | v1(f"{V1}/docker/abc/x", 100000),
        2,
    ),
    "a container's own group": ("4:cpu:/docker/abc\n", mount("/docker/abc", V1, 1), v1(V1, 300000), 3),
    "a mount of another group": (
        "4:cpu:/docker/abcd\n",
        mount("/docker/abc", V1, 1),
        v1(V1, 100000) | v1(f"{V1}d", 100000),
        0,
    ),
    "a mount of another controller": (
        "4:cpu:/a\n",
        mount("/", V1, 1) + MEMORY,
        v1(f"{V1}/a", 200000) | v1("/sys/fs/cgroup/memory/a", 100000),
        2,
    ),
    "a group above the namespace": (
        "0::/../b\n",
        mount("/", V2, 2),
        {f"{V2}/x": "", "/sys/fs/b/cpu.max": "100000 100000\n"},
        0,
    ),
    "both versions": (
        "4:cpu,cpuacct:/a\n0::/b\n",
        MEMORY + mount("/", V1, 1) + mount("/", "/sys/fs/cgroup/unified", 2),
        v1(f"{V1}/a", 300000) | {"/sys/fs/cgroup/unified/b/cpu.max": "200000 100000\n"},
        2,
    ),
    "two mounts": (
        "0::/\n",
        mount("/", V2, 2) + mount("/", "/other", 2),
        {f"{V2}/cpu.max": "300000 100000\n", "/other/cpu.max": "200000 100000"},
        2,
    ),
    "a mount point with a space": (
        "0::/\n",
        mount("/", r"/my\040groups", 2),
        {"/my groups/cpu.max": "100000 9\n"},
        11112,
    ),
    "a group with a space": (
        "0::/my group/b\n",
        mount(r"/my\040group", V2, 2),
        {f"{V2}/b/cpu.max": "200000 100000\n"},
        2,
    ),
    "behind a long line": (
        "0::/\n",
        f"40 22 0:40 / /{'x' * 9000} rw - overlay overlay rw\n" * 3 + mount("/", V2, 2),
        {f"{V2}/cpu.max": "200000 100000\n"},
        2,
    ),
    "across the end of the buffer": (
        "0::/\n",
        "x" * (4096 - len(OTHERS) - 20) + "\n" + mount("/", V2, 2),
        {f"{V2}/cpu.max": "200000 100000\n"},
        2,
    ),
    "the end of a long line": (
        "0::/\n",
        "x" * 4096 + mount("/", V2, 2),
        {f"{V2}/cpu.max": "200000 100000\n"},
        0,
    ),
    "among many lines": (
        "0::/\n",
        OTHERS * 500 + mount("/", V2, 2) + OTHERS * 500,
        {f"{V2}/cpu.max": "200000 100000\n"},
        2,
    ),
    "a group with a long name": (f"0::/{'x' * 200}{'/y' * 1900}\n", mount("/", V2, 2), {}, 0),
    "a group with a name too long": (f"0::/{'x' * 5000}\n", mount("/", V2, 2), {}, 0),
    "a mount without a type": ("0::/\n", f"35 30 0:30 / {V2} rw -\n", {f"{V2}/cpu.max": "100000 100000\n"}, 0),
    "a mount without anything": ("0::/\n", "35\n\n - \n-\n35 30 0:30 / /x rw\n", {}, 0),
    "a group without a path": ("0\n0:\n0::\n:::\n\n", mount("/", V2, 2), {f"{V2}/cpu.max": "100000 100000\n"}, 0),
    "no mountinfo": ("0::/\n", None, {f"{V2}/cpu.max": "100000 100000\n"}, 0),
    "no cgroup": (None, mount("/", V2, 2), {f"{V2}/cpu.max": "100000 100000\n"}, 0),
    "no groups": ("0::/\n", mount("/", V2, 2), {}, 0),
    "a folder for a file": ("0::/\n", mount("/", V2, 2), {f"{V2}/cpu.max/x": ""}, 0),
}
for text in (
    "",
    "\n",
    "max",
    "200000",
    "200000 ",
    "200000 0\n",
    "200000\n100000\n",
    "-200000 100000\n",
    "2e5 100000\n",
):
    TREES[f"cpu.max of {text!r}"] = (*v2(text), 0)
for text in ("200000 100000 1\n", "200000 1e5\n", " 200000 100000\n", "200000  100000\n", "\x00\xff", "9" * 5000):
    TREES[f"cpu.max of {text[:20]!r}"] = (*v2(text), 0)


def grow(folder, cgroup, mountinfo, files):
    """Write a tree. None is a missing file; characters stand for bytes."""
    named = {"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mountinfo and OTHERS + mountinfo, **files}
    for name, text in named.items():
        if text is not None:
            path = folder / name[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "latin-1")
    return folder


@pytest.mark.c_program
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_the_quota_of_a_tree(program, tmp_path, tree):
    *contents, expected = tree
    assert run(program, grow(tmp_path, *contents)) == [expected]


def test_a_process_without_standard_input_has_a_quota(program, tmp_path):
    """The files that it opens then have number 0."""
    folder = grow(tmp_path, *TREES["two"][:3])
    command = ["sh", "-c", 'exec "$0" "$1" <&-', program, folder]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")


def test_a_folder_without_proc_has_no_quota(program, tmp_path):
    assert run(program, tmp_path, tmp_path / "nothing", "") == [0, 0, *run(program, "/")]


@pytest.mark.c_program
def test_files_with_random_bytes_changed_are_read_without_a_wrong_step(program, tmp_path):
    chance, folders = random.Random(0), []
    for *contents, _ in TREES.values():
        if None in contents:
            continue
        for i in range(8):
            cgroup, mountinfo, files = contents
            files = {file: changed(chance, text) for file, text in files.items()}
            folder = tmp_path / f"{len(folders)}-{i}"
            folders.append(grow(folder, changed(chance, cgroup), changed(chance, mountinfo), files))
    assert len(run(program, *folders)) == len(folders) > 300


def changed(chance, text):
    """Replace, remove or double some bytes."""
    data = bytearray(text.encode("latin-1"))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.randrange(3)] = chance.choice(
            [b"", b"\0", b" ", b"\n", b"\\", b"/", b"-", b":", b"\xff0"]
        )
    return data.decode("latin-1")


@pytest.fixture
def one_processor():
    """A control group on this machine that allows one processor, if it can be made."""
    folder = Path("/sys/fs/cgroup")
    groups = {folder / "cpu": ("cpu.cfs_quota_us", "100000"), folder: ("cpu.max", "100000 100000")}
    for parent, (file, limit) in groups.items():
        group = parent / f"pyinit-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / file).exists():
                (group / file).write_text(limit)
                yield group
                return
        except OSError:
            continue
        finally:
            group.rmdir()
    pytest.skip("no control group of processors can be made here")


JOIN = """
import os, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
from pyinit import _core
print(_core.processors(), _core.default_threads())
"""


@pytest.mark.skipif(_core.processors() < 2, reason="one processor cannot be fewer")
def test_a_real_control_group_counts(one_processor):
    env = {k: v for k, v in os.environ.items() if k != NUMBER}
    command = [sys.executable, "-c", JOIN, str(one_processor)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert result.stdout.split() == ["1", "1"]


def test_the_default_is_one_thread_a_processor(program):
    limits = [len(os.sched_getaffinity(0)), *filter(None, run(program, ""))]
    assert run(program) == [_core.processors()] == [min(limits)]
    command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), program]
    if shutil.which("taskset"):
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


def python(code, number):
    env = {**os.environ, NUMBER: number}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)


@pytest.mark.parametrize(("number", "threads"), [("1", 1), ("3", 3), ("007", 7), ("", None), ("9" * 30, 2**32 - 1)])
def test_the_environment_sets_the_default(program, number, threads):
    code = "from pyinit import _core; print(_core.default_threads(), _core.processors())"
    result = python(code, number)
    assert result.stdout == f"{threads or _core.processors()} {_core.processors()}\n", result.stderr
    assert run(program, **{NUMBER: number}) == [threads or _core.processors()]


@pytest.mark.parametrize("number", ["0", "-1", "2.5", "four", " 2", "2 ", "1,2", "0x2", "00"])
def test_a_bad_number_is_an_error_at_import_and_ignored_in_c(program, number):
    result = python("import pyinit", number)
    assert result.returncode != 0
    assert f"ValueError: {NUMBER} must be an integer of at least 1; got {number!r}\n" in result.stderr
    assert run(program, **{NUMBER: number}) == [_core.processors()]


def test_info_tells_the_number():
    more = _core.processors() + 1
    result = python("from pyinit import cli; cli.main(['info'])", str(more))
    [row] = [line for line in result.stdout.splitlines() if line.startswith("threads of a fill")]
    assert f" {more} ({NUMBER}" in row
    document = json.loads(python("from pyinit import cli; cli.main(['info', '--json'])", str(more)).stdout)
    assert (document["threads"], document["processors"]) == (more, _core.processors())
    assert pyinit.isa.active() == document["tier"]
