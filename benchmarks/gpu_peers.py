"""Peers on a GPU, as cases next to pyinit's: CuPy, cuRAND, PyTorch and JAX.

All but JAX write in place.
"""

import os
from functools import partial

from timing import OnGPU

from pyinit.bench import BYTE, SEED, Case

NORMAL, UNIFORM, PHILOX = "normal float32", "uniform float32", 161  # CURAND_RNG_PSEUDO_PHILOX4_32_10


def device():
    """Import CuPy; SystemExit says why there is no GPU to measure."""
    from pyinit.cuda.driver import check_device

    try:
        return check_device()
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"There is no GPU to measure: {error}") from None


def opencl():
    """Import pyopencl with its arrays; SystemExit says why there is none."""
    try:
        import pyopencl.array
    except ImportError as error:
        raise SystemExit(f"There is no OpenCL to measure: {error}") from None
    return pyopencl


def opencl_queue(cl):
    """Return a queue of the device that PYOPENCL_CTX names, or the first; SystemExit says why there is none."""
    try:
        return cl.CommandQueue(cl.create_some_context(interactive=False))
    except (cl.Error, RuntimeError) as error:
        raise SystemExit(f"There is no OpenCL device to measure: {error}") from None


def describe(cupy):
    """Return the GPU, and the versions of the packages that run on it."""
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    versions = {"cupy": cupy.__version__}
    for name, number in (("driver", cupy.cuda.runtime.driverGetVersion()), ("nvrtc", cupy.cuda.nvrtc.getVersion())):
        versions[name] = ".".join(map(str, number)) if isinstance(number, tuple) else number
    torch = pytorch()
    if torch:
        versions["torch"] = torch.__version__
    return {
        "gpu": properties["name"].decode(),
        "multiprocessors": properties["multiProcessorCount"],
        "clock_hz": 1000 * cupy.cuda.Device().attributes.get("ClockRate", 0),
        "l2_bytes": properties["l2CacheSize"],
        "memory_bytes": properties["totalGlobalMem"],
        "versions": versions,
    }


def pytorch():
    """Return the torch module if it has CUDA, otherwise None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def viewed(tensor, dtype):
    """View a tensor's memory as elements of another dtype."""
    import torch

    return tensor.view(getattr(torch, dtype))


def jax():
    """Return the jax module if it has CUDA, otherwise None."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # otherwise it takes most of the GPU's memory
    try:
        import jax

        jax.devices("cuda")
    except (ImportError, RuntimeError):
        return None
    return jax


def write_cases(cupy, out):
    """Pure writes: the driver's memset, and a CuPy kernel."""
    return [
        OnGPU("memset", lambda: out.data.memset_async(BYTE, out.nbytes), out.size, out.nbytes),
        OnGPU("CuPy fill", partial(out.fill, 1.5), out.size, out.nbytes),
    ]


def cupy_cases(cupy, out):
    """CuPy's generators that write in place."""
    cases = []
    for bits in (cupy.random.XORWOW, cupy.random.MRG32k3a, cupy.random.Philox4x3210):
        generator = cupy.random.Generator(bits(SEED))
        for what, function in ((NORMAL, generator.standard_normal), (UNIFORM, generator.random)):
            run = partial(function, out.shape, out.dtype, out=out)  # without a shape, `random` makes one number for all
            cases.append(OnGPU(f"CuPy {bits.__name__} {what}", run, out.size, out.nbytes))
    return cases


def curand_cases(cupy, out):
    """cuRAND's own functions, through CuPy's binding."""
    from cupy.cuda import curand

    cases = []
    for name, kind in (("default", 100), ("Philox", PHILOX)):
        generator = curand.createGenerator(kind)
        curand.setPseudoRandomGeneratorSeed(generator, SEED)
        for what, function, parameters in (
            (NORMAL, curand.generateNormal, (0.0, 1.0)),
            (UNIFORM, curand.generateUniform, ()),
        ):
            run = partial(function, generator, out.data.ptr, out.size, *parameters)
            cases.append(OnGPU(f"cuRAND {name} {what}", run, out.size, out.nbytes))
    return cases


def torch_cases(cupy, out):
    """PyTorch's methods and initialisers; other types get the same number of samples, or as many as fit."""
    torch = pytorch()
    if not torch:
        return []
    generator = torch.Generator("cuda").manual_seed(SEED)
    single = torch.as_tensor(out, device="cuda")
    tensors = {"float32": single} | {
        str(dtype).removeprefix("torch."): single.view(dtype)[: out.size]
        for dtype in (torch.bfloat16, torch.float16, torch.float64)
    }
    return [
        OnGPU(f"PyTorch {name} {dtype}", partial(fill, tensor), tensor.numel(), tensor.nbytes)
        for dtype, tensor in tensors.items()
        for name, fill in (
            ("normal_", lambda tensor: tensor.normal_(generator=generator)),
            ("uniform_", lambda tensor: tensor.uniform_(generator=generator)),
            ("trunc_normal_", lambda tensor: torch.nn.init.trunc_normal_(tensor, generator=generator)),
        )
        if name != "trunc_normal_" or dtype in ("float32", "bfloat16")
    ]


def jax_cases(jax, size):
    """JAX's normals by two of its generators, compiled, into new memory; on the host's clock until they are ready."""
    if not jax:
        return []

    def case(implementation, name, dtype):
        key = jax.random.key(SEED, impl=implementation)
        draw = jax.jit(lambda key: jax.random.normal(key, (size,), dtype))
        bytes_ = size * jax.numpy.dtype(dtype).itemsize
        run = partial(lambda draw, key: draw(key).block_until_ready(), draw, key)
        return Case(f"JAX {name} normal {dtype}", run, size, bytes_, writes=OnGPU.writes)

    return [
        case(implementation, name, dtype)
        for implementation, name in (("threefry2x32", "threefry"), ("rbg", "rbg"))
        for dtype in ("float32", "bfloat16")
    ]
