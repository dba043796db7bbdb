# The core's tables for Python, and what is chosen once per process: the instruction set and the number of threads.

DType = namedtuple("DType", ("name", "enumerator", "number", "bytes", "words", "digits", "least", "largest"))
Sampler = namedtuple("Sampler", ("name", "enumerator", "number", "parameters", "together"))

# The core's tables, in the order of their numbers.
GENERATORS = {pyi_generators[i].name.decode(): i for i in range(PYI_GENERATORS)}
GENERATOR_ENUMERATORS = tuple(pyi_generators[i].enumerator.decode() for i in range(PYI_GENERATORS))
METHODS = tuple(pyi_methods[i].decode() for i in range(PYI_METHODS))
DTYPES = {
    pyi_dtypes[i].name.decode(): DType(
        pyi_dtypes[i].name.decode(), pyi_dtypes[i].enumerator.decode(), i, pyi_dtypes[i].bytes, pyi_dtypes[i].words,
        pyi_dtypes[i].digits, pyi_dtypes[i].least, pyi_dtypes[i].largest)
    for i in range(PYI_DTYPES)
}
SAMPLERS = {
    pyi_samplers[i].name.decode(): Sampler(
        pyi_samplers[i].name.decode(), pyi_samplers[i].enumerator.decode(), i,
        tuple(pyi_samplers[i].parameters.decode().split()), pyi_samplers[i].together)
    for i in range(PYI_SAMPLERS)
}
# Generator, method and dtype of every kernel.
KERNELS = tuple(
    (g, m, d) for g in range(PYI_GENERATORS) for m in range(PYI_METHODS) for d in range(PYI_DTYPES)
    if PYI_HAS_KERNEL(m, d, pyi_dtypes[d].words))
CONTRACT_VERSION = PYI_CONTRACT_VERSION
JOB_BYTES = sizeof(pyi_job)
END = 1 << 66  # no stream has a word at or beyond this position


def text_of(value):
    """`repr` of a value for a message, even if `repr` fails: on a huge integer, or in a caller's code."""
    if isinstance(value, int) and value.bit_length() >= 100:
        return f"a number of {value.bit_length()} bits"
    try:
        return repr(value)
    except Exception:
        return f"a {type(value).__name__} that has no text"


def processors():
    """The processors that this process may use, by its affinity mask and its container's quota."""
    return pyi_processors()


def default_threads():
    """The number of threads of a fill without `num_threads`: PYINIT_NUM_THREADS, or one per processor."""
    return pyi_default_threads()


def isa_available():
    """Names of the tiers that this machine can run, best first."""
    cdef const char *const *names = pyi_isa_available()
    found = []
    while names[len(found)] != NULL:
        found.append(names[len(found)].decode())
    return tuple(found)


def isa_active():
    """The name of the tier in use."""
    return pyi_isa_active().decode()


def isa_select(name):
    """Make `name` the tier in use, for the whole process."""
    if not isinstance(name, str):
        raise TypeError(f"an instruction set must be a str; got {type(name).__name__}")
    if pyi_isa_select(name.encode()) != PYI_OK:
        raise ValueError(f"instruction set {name!r} is not available; available here: {', '.join(isa_available())}")


pyi_memory_init()
if pyi_isa_init() != PYI_OK:
    raise ValueError(
        f"PYINIT_ISA={os.environ.get('PYINIT_ISA')!r} is not available; "
        f"available here: {', '.join(isa_available())}"
    )
if pyi_threads_init() != PYI_OK:
    raise ValueError(
        f"PYINIT_NUM_THREADS must be an integer of at least 1; got {os.environ.get('PYINIT_NUM_THREADS')!r}"
    )
