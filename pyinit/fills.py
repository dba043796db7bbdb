"""The fills of a stream: samples of a distribution, written into an existing array or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit._core import Distribution, bits, normal, truncated_normal, uniform
from pyinit.arrays import mark_modified, view
from pyinit.hints import Hinting, explained, right_call
from pyinit.kernels.filling import BACKENDS
from pyinit.kernels.filling import fill as fill_on_device

Array = TypeVar("Array")
Shape = SupportsIndex | Sequence[SupportsIndex]


class Fills(_core.StreamState, metaclass=Hinting):
    """The fills of a stream. Each names a distribution and calls the core's `write`."""

    def write_elsewhere(
        self, out: Array, distribution: Distribution, global_shape: Any, offset: Any, num_threads: Any, backend: str
    ) -> Array:
        """Fill an array that is not NumPy's, or use another backend."""
        if type(backend) is not str:  # a subclass may compare as it likes, so it is asked once
            backend = next((name for name in BACKENDS if name == backend), backend)
        if type(backend) is not str or backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}; got {backend!r}")
        array = view(out)
        if not isinstance(array, np.ndarray):
            fill_on_device(array, self, distribution, global_shape, offset, num_threads, backend)
        elif backend == "cupy":
            raise ValueError('backend="cupy" fills arrays on an NVIDIA GPU; got one on the host')
        else:
            self.write(array, distribution, global_shape, offset, num_threads)
        mark_modified(out)
        return out

    def fill(
        self,
        out: Array,
        distribution: Distribution,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """Fill `out` in place with samples of a distribution; `fill_normal` and the other fills choose one.

        Parameters
        ----------
        out : array
            A NumPy array or memmap, a torch tensor, any writable buffer, or an array on a GPU. It may have any shape
            and strides; it must be writable, and no two elements may share memory. Its dtype is float32, float64,
            float16, bfloat16, float8_e4m3fn or float8_e5m2 (NumPy's, torch's, ml_dtypes' or those of
            `pyinit.arrays`), or uint32 for `bits`. On a GPU the fill follows the earlier work on the array's CUDA
            stream or OpenCL queue, and this call returns before it is done.
        distribution : Distribution
            One of `pyinit.distributions`.
        global_shape : sequence of int, optional
            `out` is a block of a tensor of this shape, which has the same number of dimensions. The element with
            row-major index g in the tensor takes sample g, and the stream moves past the whole tensor. None: `out` is
            the whole tensor.
        offset : sequence of int, optional
            The index of `out`'s first element in the tensor. None: zeros.
        num_threads : int, optional
            The largest number of threads. None: `PYINIT_NUM_THREADS`, or one for each processor that the process may
            use. The samples do not depend on it.
        backend : {"device", "host", "cupy"}
            What computes the samples of an array on a GPU: the GPU itself; the host, which copies one part while it
            computes the next; or, on an NVIDIA GPU, CuPy's own generator. The first two write the same bits; CuPy's
            generator writes others.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        TypeError
            If `out` is not a fillable array, or a parameter is not a number.
        ValueError
            If a parameter is out of range, if `out` is read-only, overlaps itself or is not inside the tensor, or if
            the stream has too few words left. An error in the arguments leaves `out` untouched.
        ImportError, RuntimeError, MemoryError
            If an array on a GPU needs a package, a driver or memory that is missing.
        KeyboardInterrupt
            On Ctrl-C in a long fill: `out` is partly written, and the stream has moved past it.

        Notes
        -----
        A float64 sample takes two words, every other sample one. A sample of 16 or 8 bits is the float32 sample,
        rounded to nearest even. Beyond the largest number of its dtype it becomes infinite, or nan in float8_e4m3fn,
        which has no infinity. `docs/contract.md` defines every bit.

        Examples
        --------
        Fill columns 2 and 3 of a 3 x 4 tensor alone:

        >>> whole = pyinit.Stream(seed=0).normal((3, 4))
        >>> part = np.zeros((3, 2), dtype=np.float32)
        >>> stream, normal = pyinit.Stream(seed=0), pyinit.distributions.normal()
        >>> _ = stream.fill(part, normal, global_shape=(3, 4), offset=(0, 2))
        >>> bool((part == whole[:, 2:]).all())
        True
        """
        if not isinstance(distribution, Distribution):
            raise TypeError(f"distribution must be one of pyinit.distributions; got {type(distribution).__name__}")
        return self.write(out, distribution, global_shape, offset, num_threads, backend)

    def fill_normal(
        self,
        out: Array,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        *,
        method: str = "box_muller",
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """`fill` with normal samples; `pyinit.distributions.normal` explains the parameters.

        NumPy's `Generator.standard_normal` gives other numbers, even with `pyinit.default_rng` on the same stream:
        NumPy computes normal samples by another method, from the same words.

        Examples
        --------
        >>> w = np.zeros(1000, dtype=np.float32)
        >>> pyinit.Stream(seed=0).fill_normal(w, mean=5.0, std=0.1).mean().round(1)
        np.float32(5.0)
        """
        return self.write(out, normal(mean, std, method), global_shape, offset, num_threads, backend)

    def fill_truncated_normal(
        self,
        out: Array,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        lower: SupportsFloat = -2.0,
        upper: SupportsFloat = 2.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """`fill` with normal samples between two bounds; see `pyinit.distributions.truncated_normal`.

        Examples
        --------
        >>> w, stream = np.zeros(1000), pyinit.Stream(seed=0)
        >>> _ = stream.fill_truncated_normal(w, mean=1.0, lower=0.0, upper=np.inf)
        >>> bool(w.min() >= 1.0)
        True
        """
        distribution = truncated_normal(mean, std, lower, upper)
        return self.write(out, distribution, global_shape, offset, num_threads, backend)

    def fill_uniform(
        self,
        out: Array,
        low: SupportsFloat = 0.0,
        high: SupportsFloat = 1.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """`fill` with uniform samples in [low, high); see `pyinit.distributions.uniform`.

        Examples
        --------
        >>> u = pyinit.Stream(seed=0).fill_uniform(np.zeros(1000), low=-1.0, high=1.0)
        >>> bool((u >= -1.0).all() and (u < 1.0).all())
        True
        """
        return self.write(out, uniform(low, high), global_shape, offset, num_threads, backend)

    def fill_bits(
        self,
        out: Array,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
        backend: str = "device",
    ) -> Array:
        """`fill` with the stream's own words, uint32.

        Examples
        --------
        >>> [hex(w) for w in pyinit.Stream(seed=0).fill_bits(np.zeros(4, dtype=np.uint32))]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
        """
        return self.write(out, bits(), global_shape, offset, num_threads, backend)

    # The same fills, into new arrays.

    @explained(right_call)
    def normal(
        self,
        shape: Shape,
        dtype: Any = np.float32,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        *,
        method: str = "box_muller",
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array, filled by `fill_normal`.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : dtype or str
            One that `fill` takes, of NumPy, ml_dtypes or torch, or its name. NumPy has no bfloat16 or float8: for
            "bfloat16" or ``torch.bfloat16`` the array's dtype is `pyinit.arrays.BFLOAT16`, and likewise for float8.
        mean, std, method, global_shape, offset, num_threads
            As for `fill_normal`.

        Returns
        -------
        numpy.ndarray

        Examples
        --------
        >>> pyinit.Stream(seed=0).normal((2, 3)).shape
        (2, 3)
        """
        return self.write_new(shape, dtype, normal(mean, std, method), global_shape, offset, num_threads)

    @explained(right_call)
    def truncated_normal(
        self,
        shape: Shape,
        dtype: Any = np.float32,
        mean: SupportsFloat = 0.0,
        std: SupportsFloat = 1.0,
        lower: SupportsFloat = -2.0,
        upper: SupportsFloat = 2.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array, filled by `fill_truncated_normal`.

        Examples
        --------
        >>> samples = pyinit.Stream(seed=0).truncated_normal(1000, lower=-1.5, upper=1.5)
        >>> bool(abs(samples).max() <= 1.5)
        True
        """
        distribution = truncated_normal(mean, std, lower, upper)
        return self.write_new(shape, dtype, distribution, global_shape, offset, num_threads)

    @explained(right_call)
    def uniform(
        self,
        shape: Shape,
        dtype: Any = np.float32,
        low: SupportsFloat = 0.0,
        high: SupportsFloat = 1.0,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[Any]:
        """A new array, filled by `fill_uniform`.

        Examples
        --------
        >>> pyinit.Stream(seed=0).uniform(5, dtype=np.float64).dtype
        dtype('float64')
        """
        return self.write_new(shape, dtype, uniform(low, high), global_shape, offset, num_threads)

    @explained(right_call)
    def bits(
        self,
        shape: Shape,
        *,
        global_shape: Shape | None = None,
        offset: Shape | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> NDArray[np.uint32]:
        """A new uint32 array, filled by `fill_bits`.

        Examples
        --------
        >>> pyinit.Stream(seed=0, generator="ars5").bits(3).dtype
        dtype('uint32')
        """
        return self.write_new(shape, np.uint32, bits(), global_shape, offset, num_threads)
