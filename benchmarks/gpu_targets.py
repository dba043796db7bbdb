"""What pyinit asks of itself on a GPU, and what limits its kernels there, held against the results of bench_gpu.py.

Bandwidths are shares of that of the faster pure write in the same run; speeds, samples in a second. Every number is of
the median time.
"""

from concurrent.futures import ThreadPoolExecutor

import kernel_limits

NORMAL = "philox normal float32"
PEER_NORMALS = ("PyTorch normal_ float32", "CuPy", "cuRAND")
WEIGHTS_MS = 0.15


def reached(result):
    """Each target: what is asked, what was measured, and whether that will do."""
    fills = {f["name"]: f for f in result["fills"]}
    weights = {f["name"]: f for f in result["weights"]}

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
    targets = [
        ("share of the write bandwidth, " + NORMAL, 0.55, share(NORMAL)),
        ("share of the write bandwidth, philox uniform float32", 0.9, share("philox uniform float32")),
        (f"speed, {NORMAL} to {fastest}", 1.0, speed(NORMAL) / speed(fastest)),
        ("speed, bfloat16 to float32 normals", 1.0, speed("philox normal bfloat16") / speed(NORMAL)),
        ("speed, truncated to plain normals", 1.0, speed("philox truncated_normal float32") / speed(NORMAL)),
        ("0.15 ms to the time for 55,010,000 weights", 1.0, WEIGHTS_MS / 1e3 / weights[NORMAL]["median_seconds"]),
    ]
    return [
        {"what": what, "at_least": least, "measured": measured, "reached": measured >= least}
        for what, least, measured in targets
    ]


def shares(result, keys):
    """Of each kernel its instructions and registers, its limit on this GPU, and how near it comes; or why not.

    `keys` is by the names of the fills. The limit is the least of what its units could do at the GPU's clock and of
    the fastest pure write.
    """
    try:
        with ThreadPoolExecutor() as pool:
            counts = dict(zip(keys, pool.map(kernel_limits.counted_one, keys.values())))
    except RuntimeError as error:
        return {"missing": str(error)}
    gpu, fills = result["device"], {f["name"]: f for f in result["fills"]}
    clock = gpu["clock_hz"] or kernel_limits.CLOCK  # where the driver does not tell
    speed = gpu["multiprocessors"] * clock / (kernel_limits.PROCESSORS * kernel_limits.CLOCK)
    return {name: share(fills[name], counted, speed) for name, counted in counts.items()}


def share(fill, counted, speed):
    """One of them; `speed` is of the GPU's units, to those for which it was counted."""
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
