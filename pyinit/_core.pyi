from collections.abc import Callable
from typing import Any, SupportsFloat, SupportsIndex

from numpy.typing import NDArray

BFLOAT16: Any
END: int
GENERATORS: dict[str, int]
JOB_BYTES: int

class StreamState:
    def __init__(self, generator: str, seed: int, id: int) -> None: ...
    @property
    def generator(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def id(self) -> int: ...
    @property
    def position(self) -> int: ...
    @position.setter
    def position(self, position: int) -> None: ...
    def skip_ahead(self, words: int) -> Any: ...

def processors() -> int: ...
def default_threads() -> int: ...
def isa_available() -> tuple[str, ...]: ...
def isa_active() -> str: ...
def isa_select(name: str) -> None: ...
def check_memory(out: NDArray[Any]) -> None: ...
def extent(out: NDArray[Any]) -> tuple[int, int]: ...
def checked_window(out: NDArray[Any], global_shape: Any, offset: Any) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
def fill_bits(
    state: StreamState,
    out: NDArray[Any],
    global_shape: Any = None,
    offset: Any = None,
    num_threads: SupportsIndex | None = None,
    fresh: bool = False,
    ready: Callable[[tuple[int, int, int]], object] | None = None,
) -> Any: ...
def fill_uniform(
    state: StreamState,
    out: NDArray[Any],
    low: SupportsFloat,
    high: SupportsFloat,
    global_shape: Any = None,
    offset: Any = None,
    num_threads: SupportsIndex | None = None,
    fresh: bool = False,
    ready: Callable[[tuple[int, int, int]], object] | None = None,
) -> Any: ...
def fill_normal(
    state: StreamState,
    out: NDArray[Any],
    mean: SupportsFloat,
    std: SupportsFloat,
    method: str = "box_muller",
    global_shape: Any = None,
    offset: Any = None,
    num_threads: SupportsIndex | None = None,
    fresh: bool = False,
    ready: Callable[[tuple[int, int, int]], object] | None = None,
) -> Any: ...
def fill_truncated_normal(
    state: StreamState,
    out: NDArray[Any],
    mean: SupportsFloat,
    std: SupportsFloat,
    lower: SupportsFloat,
    upper: SupportsFloat,
    global_shape: Any = None,
    offset: Any = None,
    num_threads: SupportsIndex | None = None,
    fresh: bool = False,
    ready: Callable[[tuple[int, int, int]], object] | None = None,
) -> Any: ...
