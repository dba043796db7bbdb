"""pyinit's targets on a GPU and the limits of its kernels there, compared with the results of bench_gpu.py.

A bandwidth is a share of the faster pure write in the same run; a speed is in samples per second. Every number comes
from the median time.
"""

from concurrent.futures import ThreadPoolExecutor

import kernel_limits
from gpu_calls import CUPY, HOST, HOST_COPY, HOST_FILL, SECOND, TORCH
from gpu_models import INITIALIZE, LOOP

NORMAL = "philox normal float32"
PEER_NORMALS = ("PyTorch normal_ float32", "CuPy", "cuRAND", "JAX")
WEIGHTS_MS = 0.15
MODELS_TO_LOOP = {"GPT-2 XL": 0.7, "20,000 of 10,000": 0.4}
CALL_US = 12
FIRST_FILL_MS = 20


def reached(result):
    """Return each target whose results exist: the target, the measured value, and whether it is reached."""
    groups = {
        "fills": of_fills,
        "weights": of_weights,
        "models": of_models,
        "calls_us": of_calls,
        "first_fill_ms": of_first_fills,
        "backends": of_backends,
    }
    return [target for name, targets in groups.items() if name in result for target in targets(result[name])]


def at_least(what, least, measured):
    """A target that a larger number reaches."""
    return {"what": what, "at_least": least, "measured": measured, "reached": measured >= least}


def at_most(what, most, measured):
    """A target that a smaller number reaches."""
    return {"what": what, "at_most": most, "measured": measured, "reached": measured <= most}


def of_fills(entries):
    """Bandwidth, and speed next to peers."""
    fills = {f["name"]: f for f in entries}

    def speed(name):
        return fills[name]["million_samples_per_second"]

    def share(name):
        return 1 / fills[name]["ratio_to_fastest_write"]

    peers = [
        name
        for name in fills
        if name == PEER_NORMALS[0] or (name.startswith(PEER_NORMALS[1:]) and name.endswith("normal float32"))
    ]
    fastest = max(peers, key=speed)
    return [
        at_least("share of the write bandwidth, " + NORMAL, 0.55, share(NORMAL)),
        at_least("share of the write bandwidth, philox uniform float32", 0.9, share("philox uniform float32")),
        at_least(f"speed, {NORMAL} to {fastest}", 1.0, speed(NORMAL) / speed(fastest)),
        at_least("speed, bfloat16 to float32 normals", 1.0, speed("philox normal bfloat16") / speed(NORMAL)),
        at_least("speed, truncated to plain normals", 1.0, speed("philox truncated_normal float32") / speed(NORMAL)),
    ]


def of_weights(entries):
    """The time for the article's number of weights."""
    seconds = medians(entries)[NORMAL]
    return [at_least("0.15 ms to the time for 55,010,000 weights", 1.0, WEIGHTS_MS / 1e3 / seconds)]


def of_models(entries):
    """Whole models next to PyTorch's loop, if there is PyTorch."""
    seconds = medians(entries)
    return [
        at_most(
            f"time, initialize to PyTorch's loop, {model} float32",
            most,
            seconds[f"{model} float32: {INITIALIZE}"] / seconds[f"{model} float32: {LOOP}"],
        )
        for model, most in MODELS_TO_LOOP.items()
        if f"{model} float32: {LOOP}" in seconds
    ]


def of_calls(times):
    """The host's time for a small array, CuPy's and PyTorch's."""
    names = (f"{whose}, 8 elements" for whose in (CUPY, TORCH))
    return [at_most(f"us, {name}", CALL_US, times[name]) for name in names if name in times]


def of_first_fills(times):
    """The first fill, with the kernel compiled by an earlier process."""
    return [at_most(f"ms, first fill, {name}", FIRST_FILL_MS, ms) for name, ms in times.items() if SECOND in name]


def of_backends(entries):
    """backend="host" next to the slower of its halves."""
    seconds = medians(entries)
    slower = max(seconds[HOST_FILL], seconds[HOST_COPY])
    return [at_most(f"time, {HOST} to the slower of its fill and its copy", 1.2, seconds[HOST] / slower)]


def medians(entries):
    """Return the median seconds, by the names of the timings."""
    return {entry["name"]: entry["median_seconds"] for entry in entries}


def shares(result, keys):
    """Return each kernel's instructions, registers, limit on this GPU, and the share that it reaches; or why not.

    `keys` maps the names of the fills to kernels. The limit is the least of what its units could do at the GPU's clock
    and of the fastest pure write.
    """
    try:
        with ThreadPoolExecutor() as pool:
            counts = dict(zip(keys, pool.map(kernel_limits.counted_one, keys.values())))
    except RuntimeError as error:
        return {"missing": str(error)}
    gpu, fills = result["device"], {f["name"]: f for f in result["fills"]}
    clock = gpu["clock_hz"] or kernel_limits.CLOCK  # if the driver does not say
    speed = gpu["multiprocessors"] * clock / (kernel_limits.PROCESSORS * kernel_limits.CLOCK)
    return {name: share(fills[name], counted, speed) for name, counted in counts.items()}


def share(fill, counted, speed):
    """Return one of them; `speed` is the GPU's speed relative to the one that the counts are for."""
    rates = {unit: rate * speed for unit, rate in counted["samples_per_second"].items()}
    measured = 1e6 * fill["million_samples_per_second"]
    rates["writes"] = measured * fill["ratio_to_fastest_write"]
    least = min(rates, key=rates.get)
    return {
        "instructions_per_sample": counted["instructions_per_sample"],
        "registers": counted["registers"],
        "spilled_bytes": counted["spilled_bytes"],
        "limited_by": least,
        "limit_samples_per_second": rates[least],
        "share_of_limit": measured / rates[least],
        "share_of_each": {unit: measured / rate for unit, rate in rates.items()},
    }
