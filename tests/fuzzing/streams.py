"""A fuzzer of streams, fills and `initialize` with arguments of any kind, compared with fills of whole tensors."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from kinds import DTYPES

import pyinit
from fuzzing.choices import Choices
from pyinit import Stream, distributions
from pyinit.distributions import Distribution

SCHEMES = ("normal", "uniform(-1, 1)", "zeros", "xavier_uniform", "orthogonal", "kaiming_normal", "eye", "sparse(0.5)")
MAKERS: dict[Callable[..., Distribution], int] = {  # with their numbers of parameters
    distributions.normal: 2,
    distributions.uniform: 2,
    distributions.truncated_normal: 4,
    distributions.constant: 1,
}
LARGEST = 4096  # elements of a tensor that is filled whole for comparison


class FoundError(Exception):
    """A fill has a wrong result."""


def require(condition: bool, what: str) -> None:
    """Raise FoundError; `assert` would be an error that a fill may raise."""
    if not condition:
        raise FoundError(what)


def refused(error: Exception) -> None:
    """Require that an error says in one line what is wrong."""
    require(type(error) in (TypeError, ValueError), f"the kind of error: {error!r}")
    require(0 < len(str(error)) < 20_000, "the length of the error")


def new_stream(choices: Choices) -> Stream | None:
    """A stream from any arguments; None if they are refused."""
    generator: Any = choices.of(("mt19937", 3, "") if choices.rarely(16) else ("philox", "ars5"))
    try:
        stream = Stream(choices.integer(64), generator, id=choices.integer(64), position=choices.integer(66))
    except (TypeError, ValueError) as error:
        refused(error)
        return None
    require(Stream.from_state(stream.state) == stream == pickle.loads(pickle.dumps(stream)), "a state is another")
    return stream


def from_state(choices: Choices) -> None:
    """Make a stream from a dict that is not a stream's state."""
    state: Any = Stream(0).state
    for _ in range(choices.below(3)):
        key = choices.of([*state, "position", choices.text()])
        state[key] = choices.number()
    if choices.rarely(8):
        state = choices.number()
    try:
        stream = Stream.from_state(state)
    except (TypeError, ValueError) as error:
        refused(error)
    else:
        require(stream.state == state, "a state is another")


def new_distribution(choices: Choices) -> Distribution | None:
    """A distribution with any parameters; None if they are refused."""
    if choices.rarely(6):
        return distributions.bits()
    maker = choices.of(list(MAKERS))
    count = choices.below(6) if choices.rarely(8) else MAKERS[maker]
    try:
        return maker(*(choices.number() if choices.rarely(3) else choices.below(16) / 4 for _ in range(count)))
    except (TypeError, ValueError) as error:
        refused(error)
        return None


def new_array(choices: Choices, distribution: Distribution) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An array with any strides, and its memory."""
    name = choices.of([name for name in DTYPES if (name == "uint32") == (distribution.sampler == "bits")])
    dtype = np.dtype(choices.of(("int32", "complex64", "O", ">f4", "S3"))) if choices.rarely(16) else DTYPES[name]
    shape = tuple(choices.below(7) for _ in range(choices.below(4)))
    memory = np.zeros((*(2 * n + 1 for n in shape), dtype.itemsize), np.uint8)
    if dtype.hasobject:
        return np.zeros(shape, object), memory
    whole = memory.view(dtype)[..., 0] if choices.below(2) else np.zeros(shape, dtype)
    if whole.shape == shape:
        memory = whole.reshape(-1).view(np.uint8)
    else:
        whole = whole[tuple(slice(1, 2 * n + 1, 2) if choices.below(2) else slice(n) for n in shape)]
        whole = whole[tuple(slice(None, None, choices.of((1, -1))) for _ in shape)]
    array = whole.transpose(np.argsort([choices.below(9) for _ in shape], kind="stable")) if shape else whole
    if choices.rarely(16):
        array = np.broadcast_to(array, (2, *array.shape))
    if choices.rarely(16):
        array.flags.writeable = False
    return array, memory


def options_of(choices: Choices, shape: tuple[int, ...]) -> dict[str, Any]:
    """The array's place in a tensor, and other options; most are valid."""
    options: dict[str, Any] = {}
    if choices.rarely(2):
        offset = [choices.below(4) for _ in shape]
        options["offset"] = offset
        options["global_shape"] = [o + n + choices.below(3) for o, n in zip(offset, shape)]
        if choices.rarely(6):
            wrong = options[choices.of(("offset", "global_shape"))]
            wrong[:] = [*wrong[: choices.below(3)], choices.number()]
        if choices.rarely(16):
            del options[choices.of(("offset", "global_shape"))]
    if choices.rarely(3):
        options["num_threads"] = choices.integer(3)
    return options


def fill(choices: Choices) -> None:
    """Fill one array: a refusal changes nothing, and the result is a part of the whole tensor."""
    stream, distribution = new_stream(choices), new_distribution(choices)
    if stream is None or distribution is None:
        return
    before = stream.copy()
    out, memory = new_array(choices, distribution)
    options = options_of(choices, out.shape)
    untouched = memory.copy()
    try:
        stream.fill(out, distribution, **options)
    except (TypeError, ValueError) as error:
        refused(error)
        require(stream == before and np.array_equal(memory, untouched), "a fill that is refused has changed something")
        return
    shape = options.get("global_shape", out.shape)
    offset = options.get("offset", [0] * out.ndim)
    if math.prod(shape) > LARGEST:
        return
    whole = np.zeros(tuple(shape), out.dtype)
    before.fill(whole, distribution, num_threads=1)
    part = whole[tuple(slice(o, o + n) for o, n in zip(offset, out.shape))]
    require(stream == before, "the stream does not stand behind the tensor")
    require(np.ascontiguousarray(part).tobytes() == np.ascontiguousarray(out).tobytes(), "other bits")
    out[...] = np.zeros((), out.dtype)
    require(np.array_equal(memory, untouched), "something beside the array is written")


def initialize(choices: Choices) -> None:
    """Fill a few arrays by a plan."""
    names = [choices.of(("fc.weight", "fc.bias", "emb", choices.text())) for _ in range(choices.below(4))]
    shapes = {name: tuple(choices.below(5) for _ in range(choices.below(4))) for name in names}
    params: dict[str, Any] = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    if params and choices.rarely(8):
        params[choices.of(list(params))] = choices.number()
    if len(params) > 1 and choices.rarely(8):
        params[names[0]] = params[names[-1]]
    plan: dict[str, Any] = {}
    for _ in range(choices.below(4)):
        pattern = choices.of(("*", "*.weight", "fc.?ias", "[", choices.text()))
        plan[pattern] = choices.of((*SCHEMES, choices.text(), choices.number()))
    if not choices.rarely(4):
        plan["*"] = choices.of(SCHEMES)
    seed = choices.integer(64)
    try:
        pyinit.initialize(params, seed, plan)
    except (TypeError, ValueError) as error:
        refused(error)
        arrays = [out for out in params.values() if isinstance(out, np.ndarray)]
        require(not any(out.any() for out in arrays), "what is refused has been touched")
        return
    if seed is not None:
        again = {name: np.zeros(out.shape, np.float32) for name, out in reversed(params.items())}
        pyinit.initialize(again, seed, plan)
        require(
            all(out.tobytes() == again[name].tobytes() for name, out in params.items()), "the order of names counts"
        )


def one_input(data: bytes) -> None:
    """Run the case that the bytes choose; raise FoundError, or any other error, if something is wrong."""
    choices = Choices(data)
    choices.of((fill, fill, initialize, from_state))(choices)
