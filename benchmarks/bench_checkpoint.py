"""Time writing and verifying checkpoints next to dd, torch.save and safetensors, and write all times as JSON.

Each way runs in its own process, and they take turns. All wait until the data is on the disk. Files are dropped from
the page cache before they are read.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import table

from pyinit import bench
from pyinit.cli import arguments as options
from pyinit.files.disk import BUFFER_BYTES
from pyinit.terminal import steps

HERE = Path(__file__).parent
WAYS = ("dd, writing", "write", "torch.save", "save_file", "dd, reading", "verify")
ALONE = ("dd, writing", "write", "dd, reading", "verify")  # these need no memory for a model


def dd(source, target, count, *flags):
    """Return the seconds that dd takes for a number of buffers of pyinit's size."""
    start = time.perf_counter()
    command = ["dd", f"if={source}", f"of={target}", f"bs={BUFFER_BYTES}", f"count={count}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"dd: {done.stderr.strip()}")
    return {
        "seconds": time.perf_counter() - start,
        "bytes": Path(source if flags[0][0] == "i" else target).stat().st_size,
    }


def child(way, folder, gigabytes):
    """Run one way in a new process, and return what it took."""
    command = [sys.executable, HERE / "checkpoint_files.py", way, folder, str(gigabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def forget(folder):
    """Drop the files of a folder from the page cache."""
    for file in folder.iterdir():
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def one(way, place, gigabytes):
    """Run one way. Files that it reads were written first by `write`."""
    folder = place / "checkpoint"
    count = round(gigabytes * 1e9 / BUFFER_BYTES)
    if way == "dd, writing":
        found = dd("/dev/zero", place / "zeros", count, "oflag=direct", "conv=fsync")
        (place / "zeros").unlink()
        return found
    if way == "dd, reading":
        return dd(next(folder.glob("*.safetensors")), "/dev/null", count, "iflag=direct")
    if way != "verify":
        shutil.rmtree(folder, ignore_errors=True)
    else:
        forget(folder)
    return child(way, folder, gigabytes)


def measure(place, gigabytes, ways, repetitions, tell):
    """Time all ways in turn, and return what each took."""
    runs = {way: [] for way in ways}
    for _ in range(repetitions):
        for way in ways:
            tell(f"{gigabytes:g} GB, {way}")
            if way == "dd, reading" and "save_file" in ways:
                one("write", place, gigabytes)  # the files to read are pyinit's, whatever came before
            runs[way].append(one(way, place, gigabytes))
    shutil.rmtree(place / "checkpoint", ignore_errors=True)
    speeds = {way: [run["bytes"] / run["seconds"] for run in of] for way, of in runs.items()}
    ratio = {
        way: statistics.median(a / b for a, b in zip(speeds[way], speeds[dd]))
        for way, dd in (("write", "dd, writing"), ("verify", "dd, reading"))
    }
    return {"gigabytes": gigabytes, "runs": runs, "to_dd": ratio}


def main():
    """Time them, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time checkpoints, written and verified.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-checkpoint.json")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=3.0, help="GB, also for torch.save and safetensors")
    parser.add_argument("--large", type=float, default=20.0, help="GB that only pyinit and dd write; 0: none")
    parser.add_argument("--folder", type=Path, default=HERE, help="a folder on the disk to time")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    with (
        steps(arguments.repetitions * len(WAYS) + len(ALONE)) as tell,
        tempfile.TemporaryDirectory(dir=arguments.folder, prefix=".bench-") as place,
    ):
        found = [measure(Path(place), arguments.gigabytes, WAYS, arguments.repetitions, tell)]
        if arguments.large:
            found.append(measure(Path(place), arguments.large, ALONE, 1, tell))
    result = {**bench.results(), "checkpoint": found}
    result["machine"]["versions"] |= {name: metadata.version(name) for name in ("torch", "safetensors")}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
