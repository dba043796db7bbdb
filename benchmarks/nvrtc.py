"""NVIDIA's run-time compiler and disassembler, from nvidia-cuda-nvrtc and nvidia-cuda-nvdisasm; they need no GPU."""

import ctypes
import importlib.util
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pyinit.kernels.sources import FLAGS


class Code(NamedTuple):
    """A compiled text: PTX, the processor's code, and the compiler's messages."""

    ptx: str
    binary: bytes
    log: str


def files(pattern):
    """Return the files of NVIDIA's packages, for any CUDA version."""
    package = importlib.util.find_spec("nvidia")
    folders = package.submodule_search_locations if package else ()
    return [path for folder in folders for path in sorted(Path(folder).glob(pattern))]


@cache
def library():
    """Return the compiler's library, or None."""
    for path in files("*/lib/libnvrtc.so.*"):
        for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(str(path))
    return None


def version():
    """Return the compiler's version, as text."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def disassembler():
    """Return the path of nvdisasm, the package's or the toolkit's, or None."""
    return next(iter(files("*/bin/nvdisasm")), None) or shutil.which("nvdisasm")


def output(program, what):
    """Return one of a program's results, as bytes."""
    size = ctypes.c_size_t()
    assert getattr(library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    text = ctypes.create_string_buffer(size.value)
    assert getattr(library(), f"nvrtcGet{what}")(program, text) == 0
    return text.raw


def compiled(text, architecture="sm_90", flags=FLAGS):
    """Compile a text of kernels; AssertionError with the compiler's complaints if it fails."""
    program = ctypes.c_void_p()
    assert library().nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"fill.cu", 0, None, None) == 0
    options = [option.encode() for option in (*flags, f"--gpu-architecture={architecture}")]
    failed = library().nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = output(program, "ProgramLog").decode().rstrip("\0")
    ptx, binary = ("", b"") if failed else (output(program, "PTX").decode().rstrip("\0"), output(program, "CUBIN"))
    library().nvrtcDestroyProgram(ctypes.byref(program))
    assert not failed, log
    return Code(ptx, binary, log)


def architectures():
    """Return the architectures that this compiler knows, as numbers: 90 for sm_90."""
    count = ctypes.c_int()
    library().nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    library().nvrtcGetSupportedArchs(known)
    return set(known)


def disassembled(binary):
    """Return the instructions of a processor's code, as nvdisasm prints them."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        return subprocess.run([disassembler(), "-c", file.name], capture_output=True, text=True, check=True).stdout
