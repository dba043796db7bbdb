"""Damage checkpoints and plans at random, and check that the only result is a clear error.

``python tests/hostile.py SEED SECONDS [READER]`` runs in its own process, which may use a gigabyte more memory than at
its start; tests/test_checkpoint_hostile.py starts it.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import yaml
from hostile_headers import FRAGMENTS, NASTY

import pyinit
from pyinit.checkpoint import plans
from pyinit.untrusted import DamagedError

MEMORY = 1 << 30  # bytes more than at the start
LARGEST = 1 << 26  # bytes of a file that is written
LONGEST = int(os.environ.get("PYINIT_FUZZ_LONGEST", "60"))  # seconds for one call
SENTENCE = 20_000  # characters of an error, which may list names

SHAPES = {
    "embedding.weight": ([40, 16], "float32", "normal(std=0.02)"),
    "layers.0.weight": ([24, 16], "bfloat16", "xavier_uniform"),
    "layers.0.bias": ([24], "float16", "zeros"),
    "layers.1.weight": ([8, 8], "float64", "orthogonal"),
    "layers.1.scale": ([], "float32", "ones"),
    "empty": ([0, 3], "float8_e4m3fn", "uniform"),
}
PLAN = {"*.bias": "zeros", "*.scale": "ones", "*1.weight": {"name": "orthogonal"}, "*": "normal(std=0.02)"}


def build(folder):
    """Write undamaged checkpoints and plans; return the kinds of cases, each with its files."""
    shapes = {name: {"shape": s, "dtype": d, "scheme": text} for name, (s, d, text) in SHAPES.items()}
    pyinit.checkpoint.write(shapes, folder / "one", 7)
    pyinit.checkpoint.write(shapes, folder / "several", 7, shard_bytes=2000)
    pyinit.files.fill(folder / "array.npy", (30, 7), "xavier_normal", seed=7)
    (folder / "plan.json").write_text(json.dumps(PLAN))
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    (folder / "plan.toml").write_text("".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in PLAN.items()))
    (folder / "shapes.json").write_text(json.dumps(shapes))
    (folder / "shapes.yaml").write_text(yaml.safe_dump(shapes))


def toml(value):
    """Write a scheme in TOML."""
    return json.dumps(value) if isinstance(value, str) else f"{{name = {json.dumps(value['name'])}}}"


def pick(random, choices):
    """Choose an item."""
    return choices[int(random.integers(len(choices)))]


def damaged_bytes(random, data):
    """Flip, remove, repeat, insert or truncate some bytes."""
    data = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        at, count = int(random.integers(len(data) + 1)), int(2 ** random.uniform(0, 6))
        match random.integers(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << int(random.integers(8))
            case 1:
                del data[at : at + count]
            case 2:
                data[at:at] = data[at : at + count]
            case 3:
                data[at:at] = pick(random, FRAGMENTS)
            case 4:
                del data[at:]
            case _:
                data[at : at + count] = random.bytes(count)
    return bytes(data)


def damaged_value(random, value):
    """Change a value anywhere in JSON data, also inside texts that are JSON themselves."""
    if isinstance(value, str) and value.startswith("{") and random.random() < 0.8:
        return dumped(random, damaged_value(random, json.loads(value)))
    if random.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        return pick(random, NASTY)
    if isinstance(value, list):
        value = list(value)
        at = int(random.integers(len(value)))
        value[at : at + int(random.integers(2))] = [damaged_value(random, value[at])]
        return value
    name = pick(random, list(value))
    new = pick(random, [name, name, name, *value, str(pick(random, NASTY))])
    if random.random() < 0.1:
        return {key: entry for key, entry in value.items() if key != name}
    return {**value, new: damaged_value(random, value[name])}


def dumped(random, value):
    """Return JSON, sometimes with a repeated name."""
    text = json.dumps(value)
    if random.random() < 0.1 and isinstance(value, dict) and value:
        text = text[:-1] + "," + json.dumps({pick(random, list(value)): 0})[1:]
    return text


def damage(random, path):
    """Damage a file: its bytes, its contents or its kind."""
    data = path.read_bytes()
    kind = random.random()
    if kind < 0.1:
        replace(random, path)
    elif kind < 0.4:
        path.write_bytes(damaged_bytes(random, data))
    elif path.suffix == ".safetensors":
        length = int.from_bytes(data[:8], "little")
        text = dumped(random, damaged_value(random, json.loads(data[8 : 8 + length]))).encode()
        if random.random() < 0.3:
            text = damaged_bytes(random, text)
        length = pick(random, [len(text)] * 9 + [0, 1, 2**32, 2**63, 2**64 - 1])
        path.write_bytes(length.to_bytes(8, "little") + text + data[8 + int.from_bytes(data[:8], "little") :])
    elif path.suffix == ".json":
        path.write_text(dumped(random, damaged_value(random, json.loads(data))))
    elif path.suffix == ".npy":
        path.write_bytes(data[:10] + damaged_bytes(random, data[10:128]) + data[128:])
    else:
        path.write_bytes(damaged_bytes(random, data))


def replace(random, path):
    """Replace a file by something that is not a regular file, or by nothing."""
    name, old = path.name, path.with_name("old")
    old.unlink(missing_ok=True)
    path.rename(old)
    match random.integers(8):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(name)
        case 3:
            path.symlink_to("/etc/passwd")
        case 4:
            path.symlink_to("/dev/zero")
        case 5:
            path.symlink_to(old.name)
        case 6:
            path.touch()
        case _:
            pass


def use(checkpoint, plan, shapes):
    """Use a checkpoint, a plan and shapes in every possible way."""
    whole = Path("whole", checkpoint.name)
    if checkpoint.is_dir():
        yield lambda: pyinit.checkpoint.verify(checkpoint)
        yield lambda: pyinit.checkpoint.verify(checkpoint, plan, seed=7)
        yield lambda: pyinit.checkpoint.verify(checkpoint, shapes, seed=7)
        yield lambda: pyinit.checkpoint.write(
            checkpoint, checkpoint.with_name("out"), 7, plan=plan, shard_bytes=1000, overwrite=True
        )
    else:
        yield lambda: pyinit.checkpoint.verify(checkpoint, "xavier_normal", seed=7)
    yield lambda: pyinit.checkpoint.against(checkpoint, whole)
    yield lambda: pyinit.checkpoint.against(whole, checkpoint)
    yield lambda: pyinit.checkpoint.write(shapes, checkpoint.with_name("out"), 7, overwrite=True)
    yield lambda: plans.load(plan)


def trusting(checkpoint, plan, shapes):
    """Read a header and trust it, as a reader must not do."""

    def read():
        for file in checkpoint.glob("*"):
            data = file.read_bytes()
            with suppress(AttributeError, LookupError, OSError, TypeError, ValueError):
                entries = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
                for entry in entries.values():
                    np.empty(entry.get("shape", 0), np.float32)

    yield read


def waiting(checkpoint, plan, shapes):
    """Wait in another thread for input from a pipe, as a reader must not do either."""
    pipe = checkpoint.with_name("pipe")
    os.mkfifo(pipe)

    def read():
        with ThreadPoolExecutor(1) as workers:
            workers.submit(pipe.read_bytes).result()

    yield read


def one_case(whole, folder, seed, number, reader):
    """Make one damaged copy, and use it."""
    random = np.random.default_rng([seed, number])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    os.chdir(folder)
    Path("whole").symlink_to(whole)
    names = (["one", "several", "array.npy"], ["plan.json", "plan.yaml", "plan.toml"], ["shapes.json", "shapes.yaml"])
    checkpoint, plan, shapes = (folder / pick(random, some) for some in names)
    files = [*(sorted(checkpoint.iterdir()) if checkpoint.is_dir() else [checkpoint]), plan, shapes]
    for path in random.permutation(files)[: int(random.integers(1, 3))]:
        damage(random, path)
    for call in reader(checkpoint, plan, shapes):
        signal.alarm(LONGEST)
        try:
            call()
        except (OSError, TypeError, ValueError) as error:
            check(error)
        finally:
            signal.alarm(0)


def check(error):
    """Fail unless an error is of an allowed kind and says in one line what is wrong."""
    assert isinstance(error, (OSError, DamagedError)) or type(error) in (TypeError, ValueError), "the kind of error"
    text = str(error)
    assert text.isprintable(), "what the error says"
    assert 0 < len(text) < SENTENCE, "how long the error is"
    assert not isinstance(error, OSError) or error.filename or "/" in text, "which file"


def limit():
    """Limit this process to a gigabyte more memory than it has, and to small files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))


def main(seed, seconds, reader="pyinit", first="0"):
    """Damage files and use them until the time is over; print which case failed."""
    os.environ["PYINIT_NUM_THREADS"] = "2"
    until = time.monotonic() + float(seconds)
    number = int(first)

    def failed(*signal_and_frame):
        traceback.print_exc() if sys.exc_info()[0] else traceback.print_stack(signal_and_frame[1])
        print(f"failed: python tests/hostile.py {seed} 1 {reader} {number}", file=sys.stderr, flush=True)
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(1)  # a thread may wait for ever

    signal.signal(signal.SIGALRM, failed)
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole")
        whole.mkdir()
        build(whole)
        for name in ("one", "several"):
            assert pyinit.checkpoint.verify(whole / name).equal
        limit()
        while time.monotonic() < until:
            try:
                one_case(whole, Path(temporary, "case"), int(seed), number, READERS[reader])
            except BaseException:
                failed()
            number += 1
    print(number)


READERS = {"pyinit": use, "trusting": trusting, "waiting": waiting}

if __name__ == "__main__":
    main(*sys.argv[1:])
