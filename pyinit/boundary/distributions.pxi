# Distributions.

@cython.auto_pickle(False)
@cython.final
@cython.freelist(8)
cdef class Distribution:
    """A sampler and its parameters. They are checked here; their range in a dtype is checked by the fill.

    Parameters
    ----------
    sampler : {"bits", "uniform", "normal", "normal_icdf", "truncated_normal", "constant"}
    *parameters : float
        The sampler's own: none; low, high; mean, std; mean, std; mean, std, lower, upper; value.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a real number, or out of range.
    """

    def __init__(self, sampler, *parameters):
        row = SAMPLERS.get(sampler)
        if row is None:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}; got {sampler!r}")
        if len(parameters) != len(row.parameters):
            raise TypeError(f"{sampler} takes {len(row.parameters)} parameters; got {len(parameters)}")
        values = [real(name, value) for name, value in zip(row.parameters, parameters)]
        self.c.sampler = <pyi_sampler><int>row.number
        for i, value in enumerate(values):
            self.c.parameters[i] = value
        self.check()

    @property
    def sampler(self):
        """The sampler's name, a key of `SAMPLERS`."""
        return pyi_samplers[<int>self.c.sampler].name.decode()

    @property
    def parameters(self):
        """The parameters by name."""
        names = SAMPLERS[self.sampler].parameters
        return {name: self.c.parameters[i] for i, name in enumerate(names)}

    cdef int check(self) except -1:
        cdef double a = self.c.parameters[0], b = self.c.parameters[1]
        cdef double lower = self.c.parameters[2], upper = self.c.parameters[3]
        if self.c.sampler == PYI_UNIFORM:
            if not (abs(a) <= DBL_MAX and abs(b) <= DBL_MAX and abs(b - a) <= DBL_MAX):
                raise ValueError(f"low, high and high - low must be finite; got {a!r} and {b!r}")
            if a > b:
                raise ValueError(f"low must not be above high; got {a!r} and {b!r}")
        elif self.c.sampler in (PYI_NORMAL, PYI_NORMAL_ICDF, PYI_TRUNCATED_NORMAL):
            if not abs(a) <= DBL_MAX:
                raise ValueError(f"mean must be finite; got {a!r}")
            if not 0 <= b <= DBL_MAX:
                raise ValueError(f"std must be finite and not negative; got {b!r}")
        elif self.c.sampler == PYI_CONSTANT and isnan(a):
            raise ValueError("value must be a number; got nan")
        if self.c.sampler == PYI_TRUNCATED_NORMAL:
            if not lower < upper:
                raise ValueError(f"lower must be below upper; got {lower!r} and {upper!r}")
            if lower > PYI_FARTHEST_BOUND or upper < -PYI_FARTHEST_BOUND:
                raise ValueError(
                    f"the nearer of lower and upper must be within {PYI_FARTHEST_BOUND} standard deviations of the "
                    f"mean; got {lower!r} and {upper!r}")
        return 0

    def __eq__(self, other):
        return self.__reduce__() == other.__reduce__() if isinstance(other, Distribution) else NotImplemented

    def __hash__(self):
        return hash(self.__reduce__()[1])

    def __reduce__(self):
        return Distribution, (self.sampler, *self.parameters.values())

    def __repr__(self):
        shown = [f"{name}={value!r}" for name, value in self.parameters.items()]
        if self.c.sampler == PYI_NORMAL_ICDF:
            return f"normal({', '.join(shown)}, method='icdf')"
        return f"{self.sampler}({', '.join(shown)})"


cdef Distribution new_distribution(pyi_sampler sampler, double a, double b, double c=0, double d=0):
    cdef Distribution made = Distribution.__new__(Distribution)
    made.c.sampler = sampler
    made.c.parameters[0], made.c.parameters[1], made.c.parameters[2], made.c.parameters[3] = a, b, c, d
    made.check()
    return made


def bits():
    """The stream's own words, 32 random bits each.

    Returns
    -------
    Distribution
    """
    return new_distribution(PYI_BITS, 0, 0)


def uniform(low=0.0, high=1.0):
    """Samples equally likely anywhere in [low, high).

    Parameters
    ----------
    low, high : float
        low <= high. Both, and high - low, must be finite in the dtype that is filled. If they are equal, all samples
        are `low`.

    Returns
    -------
    Distribution

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or out of range.

    Notes
    -----
    No sample is `high`, in any dtype: one that rounds to it becomes the next number below. Only if the dtype has no
    number in [low, high) are all samples equal: the middle, rounded to float32 and then to the dtype.

    Examples
    --------
    >>> pyinit.distributions.uniform(-0.1, 0.1)
    uniform(low=-0.1, high=0.1)
    """
    return new_distribution(PYI_UNIFORM, real("low", low), real("high", high))


def normal(mean=0.0, std=1.0, method="box_muller"):
    """Normal (Gaussian) samples.

    Parameters
    ----------
    mean : float
        Finite in the dtype that is filled.
    std : float
        The standard deviation: at least 0, at most the largest number of the dtype, and at most 1/16 of the largest
        float32 (float64 for a float64 array).
    method : {"box_muller", "icdf"}
        How words become samples. "box_muller" makes two samples from each pair of words and is faster; a float32
        sample is within 6.77 standard deviations of the mean. "icdf", the inverse of the cumulative distribution
        function, maps each word to one sample; a larger word never gives a smaller sample.

    Returns
    -------
    Distribution

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or out of range.

    Notes
    -----
    Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of Mathematical
    Statistics 29 (1958), 610-611.

    Examples
    --------
    >>> pyinit.distributions.normal(std=0.02)
    normal(mean=0.0, std=0.02)
    """
    cdef double m = real("mean", mean), sigma = real("std", std)
    if method == "box_muller":
        return new_distribution(PYI_NORMAL, m, sigma)
    if method == "icdf":
        return new_distribution(PYI_NORMAL_ICDF, m, sigma)
    raise ValueError(f"method must be 'box_muller' or 'icdf'; got {method!r}")


def truncated_normal(mean=0.0, std=1.0, lower=-2.0, upper=2.0):
    """Normal samples between two bounds, one word each.

    Parameters
    ----------
    mean : float
        The mean before truncation; finite in the dtype that is filled.
    std : float
        The standard deviation before truncation, in the same range as for `normal`. The samples spread less: at the
        default bounds, divide the spread that you want by 0.87962566.
    lower, upper : float
        In standard deviations from the mean, lower < upper. Either may be infinite. The one nearer to the mean must be
        within 35; a normal exceeds 35 with probability 2^-890.

    Returns
    -------
    Distribution

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a number, or out of range.

    Notes
    -----
    A sample is computed by the inverse of the truncated distribution function. Nothing is rejected, so each takes one
    word, and samples rise with the word, apart from rounding in the last digits. No sample passes a bound, in any
    dtype.

    Examples
    --------
    >>> pyinit.distributions.truncated_normal(std=0.02)
    truncated_normal(mean=0.0, std=0.02, lower=-2.0, upper=2.0)
    """
    return new_distribution(
        PYI_TRUNCATED_NORMAL, real("mean", mean), real("std", std), real("lower", lower), real("upper", upper))


def constant(value):
    """One value for all elements. It takes no words: the stream does not move.

    Parameters
    ----------
    value : float
        Within the range of the dtype that is filled, and rounded to it; or infinite, which becomes nan in
        float8_e4m3fn.

    Returns
    -------
    Distribution

    Raises
    ------
    TypeError, ValueError
        If `value` is not a number.

    Examples
    --------
    >>> half = pyinit.distributions.constant(0.5)
    >>> pyinit.Stream(seed=0).fill(np.empty(3, np.float32), half)
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    return new_distribution(PYI_CONSTANT, real("value", value), 0)


cdef double real(str name, value) except? -1.0:
    if type(value) is float:  # the fast path
        return PyFloat_AS_DOUBLE(value)
    kind = value.dtype.kind if isinstance(value, (numpy.ndarray, numpy.generic)) else "f"
    if kind not in "biuf":  # NumPy would drop an imaginary part, and parse a string
        raise TypeError(f"{name} must be a real number; got {type(value).__name__} of {value.dtype}")
    try:
        return value
    except TypeError:
        raise TypeError(f"{name} must be a real number; got {type(value).__name__}") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite; got an integer beyond the largest double") from None
    except (RuntimeError, ValueError) as error:  # such as a tensor of several numbers
        raise TypeError(f"{name} must be a real number; got {type(value).__name__}: {error}") from error
