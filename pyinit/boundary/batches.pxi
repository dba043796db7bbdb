# Many arrays, filled by one call of the core.

cdef class Batch:
    """Arrays in one memory, each with a child of one stream, that are checked and filled together.

    Parameters
    ----------
    root : StreamState
        A named array is filled from the root's child of that name, from position 0 on; an unnamed one from the root
        itself, from its position on.
    ids : dict
        Maps each id in use to the name or, for a window, to the name and the shape of its tensor. The batches of one
        root share it.
    """
    cdef StreamState root
    cdef dict ids
    cdef pyi_item *items
    cdef size_t count, room
    cdef list names, arrays, queues, skipped
    cdef uint64_t elements
    cdef object clash
    cdef bint elsewhere  # the arrays are on a device
    # The last array's distribution and dtype: an array with the same ones is not checked again.
    cdef Distribution described
    cdef object descr
    cdef pyi_dtype dtype

    def __init__(self, StreamState root not None, dict ids not None):
        self.root, self.ids = root, ids
        self.names, self.arrays, self.queues, self.skipped = [], [], [], []

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.count):
            free(<void *>self.items[i].window)
        free(self.items)

    def __len__(self):
        return self.count

    @property
    def size(self):
        """The number of elements that distributions fill."""
        return self.elements

    def add(
            self, name, given, Distribution distribution, tuple whole=None, tuple where=None, address=None,
            queue=None):
        """Add an array; raise TypeError or ValueError if its distribution does not fit.

        Parameters
        ----------
        name : str or None
            The name of the root's child; None: the root. Several windows of one tensor may have the same name.
        given : numpy.ndarray
            The array itself, or one of the same geometry.
        distribution : Distribution or None
            None: something else fills the array, and here it is only checked with the others.
        whole, where : tuple of int, optional
            The results of `checked_window`.
        address : int, optional
            The address of the first element, if it is not the array's.
        queue : hashable, optional
            The device's queue that orders the work on the array.
        """
        self.append_array(name, plain(given), distribution, whole, where, address, queue)

    def add_all(self, parameters, resolved, seen, elsewhere, otherwise):
        """Add the whole arrays that a distribution fills; pass all others to a function.

        Parameters
        ----------
        parameters : iterable of (name, array, specification, global shape, offset)
        resolved : callable
            Takes a specification, a shape and a dtype; returns the distribution, or None, and whether that can change.
        seen : callable
            Converts an array that is not NumPy's to a NumPy view or a DeviceArray.
        elsewhere : callable
            Returns the batch for an array on a device.
        otherwise : callable
            Takes all other parameters.

        Returns
        -------
        list
            The added arrays that are not NumPy's.

        Raises
        ------
        TypeError, ValueError
            If a parameter is wrong; the message names it.
        """
        cdef Distribution distribution = None
        cdef cnp.ndarray array, last = None
        cdef object specification = None
        cdef bint changes = True
        cdef list foreign = []
        cdef Batch batch
        for parameter in parameters:
            if not isinstance(parameter, tuple) or len(<tuple>parameter) != 5:
                raise TypeError(f"parameters must be of pyinit.models.Parameter; got {type(parameter).__name__}")
            name, out, wanted, whole, where = <tuple>parameter
            try:
                if whole is not None or where is not None:
                    otherwise(name, out, wanted, whole, where)
                    continue
                found = out if type(out) is cnp.ndarray else seen(out)
                on_host = isinstance(found, cnp.ndarray)
                array = plain(<cnp.ndarray>found if on_host else <cnp.ndarray?>found.geometry)
                if changes or wanted is not specification or not is_alike(array, last):
                    distribution, changes = resolved(wanted, (<object>array).shape, (<object>array).dtype)
                    specification, last = wanted, array
                if distribution is None:
                    otherwise(name, out, wanted, whole, where)
                    continue
                if on_host:
                    self.append_array(name, array, distribution, None, None, None, None)
                elif cnp.PyArray_SIZE(array) == 0:  # it may have neither memory nor a queue
                    self.append_array(name, array, None, None, None, None, None)
                else:
                    batch = elsewhere(found)
                    batch.append_array(name, array, distribution, None, None, found.start, found.queue)
                if found is not out:
                    foreign.append(out)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(str(error) if name is None else f"{name!r}: {error}") from None
        return foreign

    cdef int append_array(
            self, name, cnp.ndarray array, Distribution distribution, tuple whole, tuple where, address,
            queue) except -1:
        cdef pyi_item item
        cdef object descr = <object>PyArray_DESCR(array), id
        cdef Py_ssize_t known
        cdef pyi_job job
        check_plain(array)
        item.stream = self.root.stream
        if name is not None:
            item.stream.block = item.stream.word = item.stream.end = 0
            item.stream.id = child_id(self.root.stream.id, name, b"")
        item.out = cnp.PyArray_DATA(array)
        if address is not None:
            item.out, self.elsewhere = <void *><size_t>address, True
        item.window = NULL
        if distribution is None:
            self.skipped.append(self.count)
            set_bytes(&item, array)
        else:
            if distribution is not self.described or descr is not self.descr:
                self.dtype = <pyi_dtype>describe(distribution, <cnp.dtype>descr, &job)
                self.described, self.descr = distribution, descr
            item.distribution = distribution.c
            item.dtype = self.dtype
            item.count = cnp.PyArray_SIZE(array)
            self.elements += item.count
            if whole is not None or not cnp.PyArray_IS_C_CONTIGUOUS(array):
                item.window = new_window(array, whole, where)
        self.append(&item)
        self.names.append(name)
        self.queues.append(queue)
        self.arrays.append(array)  # keeps it alive, and no other thread can resize it
        id, known = item.stream.id, len(self.ids)
        entry = name if whole is None else (name, whole)  # a million tuples would keep the garbage collector busy
        other = self.ids.setdefault(id, entry)
        if len(self.ids) == known and self.clash is None and (whole is None or other != entry):
            self.clash = other[0] if isinstance(other, tuple) else other, name, id
        return 0

    cdef int append(self, const pyi_item *item) except -1:
        cdef pyi_item *items
        if self.count == self.room:
            items = <pyi_item *>realloc(self.items, (2 * self.room + 16) * sizeof(pyi_item))
            if items == NULL:
                free(<void *>item.window)
                raise MemoryError(f"no memory for a list of {2 * self.room + 16} arrays")
            self.items, self.room = items, 2 * self.room + 16
        self.items[self.count] = item[0]
        self.count += 1
        return 0

    cdef pyi_place *places(self) except NULL:
        cdef pyi_place *places = <pyi_place *>malloc((self.count + 1) * sizeof(pyi_place))
        if places == NULL:
            raise MemoryError(f"no memory for a list of {self.count} arrays")
        return places

    cdef int check_unchanged(self) except -1:
        """Raise ValueError if an array on the host has other memory than when it was added, or is read-only now.

        A caller's code can run in between: the iterator of parameters, a scheme, a function that fills other arrays.
        """
        cdef size_t i
        cdef cnp.ndarray array
        for i in range(0 if self.elsewhere else self.count):
            array, item = <cnp.ndarray>self.arrays[i], &self.items[i]
            if item.count and (
                    cnp.PyArray_DATA(array) != item.out or not cnp.PyArray_ISWRITEABLE(array)
                    or <size_t>cnp.PyArray_NBYTES(array) != item.count * pyi_dtypes[<int>item.dtype].bytes):
                raise ValueError(
                    f"{self.names[i]!r} must not be resized, given other memory or made read-only during the call")
            check_owner(array)
        return 0

    def check(self):
        """Raise ValueError if two arrays share a stream or memory, or if one has changed since it was added."""
        cdef size_t[2] pair
        cdef pyi_place *places
        cdef int found
        if self.clash is not None and self.clash[0] == self.clash[1]:
            raise ValueError(f"{self.clash[0]!r} must be one array, or windows of one tensor with one global shape")
        if self.clash is not None:
            raise ValueError(
                "{!r} and {!r} must have streams of their own; both have id {:#x}".format(*self.clash))
        self.check_unchanged()
        places = self.places()
        with nogil:
            found = pyi_find_overlap(self.items, self.count, places, pair)
        free(places)
        if found:
            raise ValueError(
                f"{self.names[pair[0]]!r} and {self.names[pair[1]]!r} must not share memory: each is filled with "
                "weights of its own. If they are tied, give only one of them")

    def launches(self, layout):
        """The launches that fill a device's arrays with their distributions, one for each queue and kernel.

        `layout` makes the layout of a window from shape, strides, item size, global shape and offset.
        """
        cdef dict found = {}
        cdef Launch launch = None
        cdef pyi_item *item
        cdef pyi_item *before = NULL
        cdef pyi_job job
        cdef size_t i
        cdef object queue = None, key, skipped = set(self.skipped)
        for i in range(self.count):
            item = &self.items[i]
            if item.count == 0 or (skipped and i in skipped):
                continue
            # A truncated normal has several methods, so only its job tells which kernel it needs.
            if before == NULL or self.queues[i] != queue or item.dtype != before.dtype or memcmp(
                    &item.distribution, &before.distribution, sizeof(pyi_distribution)):
                queue = self.queues[i]
                pyi_describe(&item.distribution, item.dtype, &job)
                key = queue, job.method, job.dtype
                launch = found.setdefault(key, Launch())
            before = item
            launch.members.append(i)
            launch.append(item, None if item.window == NULL else self.layout_of(i, layout))
        return list(found.values())

    cdef object layout_of(self, size_t i, layout):
        cdef const pyi_window *window = self.items[i].window
        cdef object array = self.arrays[i]
        if window.global_shape == NULL:
            return layout(array.shape, array.strides, array.itemsize)
        whole = tuple([window.global_shape[k] for k in range(window.ndim)])
        offset = tuple([window.offset[k] for k in range(window.ndim)])
        return layout(array.shape, array.strides, array.itemsize, whole, offset)

    def fill(self, num_threads=None, advance=None):
        """Fill the host's arrays that have a distribution; all have been checked.

        `advance` is called now and then with the number of elements filled since its last call.
        """
        cdef pyi_options options
        cdef pyi_status status
        cdef Progress progress = Progress(advance, self.elements)
        cdef pyi_place *places
        options.threads = thread_count(num_threads)
        options.interrupted = NULL
        options.arg = NULL
        if takes_signals():
            options.interrupted = interrupted
        if advance is not None:
            options.arg = <void *>progress
        for i in self.skipped:
            free(<void *>self.items[<size_t>i].window)
            self.items[<size_t>i].window = NULL
            self.items[<size_t>i].count = 0
        self.check_unchanged()
        places = self.places()
        with nogil:
            status = pyi_fill_checked(self.items, self.count, places, &options)
        free(places)
        if progress.error is None:
            check_status(status)
            if advance is not None:
                progress.told(1)
        if progress.error is not None:
            raise progress.error


cdef bint is_alike(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two arrays have the same shape and dtype."""
    cdef int i
    if PyArray_DESCR(a) != PyArray_DESCR(b) or cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIMS(a)[i] != cnp.PyArray_DIMS(b)[i]:
            return False
    return True


cdef int set_bytes(pyi_item *item, cnp.ndarray array) except -1:
    """Describe the memory of an array of any dtype, as elements of a core dtype whose size divides its own."""
    cdef int size = cnp.PyArray_ITEMSIZE(array)
    item.distribution.sampler = PYI_CONSTANT
    item.dtype = PYI_F64 if size % 8 == 0 else PYI_F32 if size % 4 == 0 else PYI_F16 if size % 2 == 0 else PYI_F8_E5M2
    size //= pyi_dtypes[<int>item.dtype].bytes
    item.count = cnp.PyArray_SIZE(array) * size
    if not cnp.PyArray_IS_C_CONTIGUOUS(array):
        item.window = new_window(array, None, None, size)
    return 0


cdef pyi_window *new_window(cnp.ndarray array, tuple whole, tuple where, size_t parts=1) except NULL:
    """A window of an array, which the caller frees; it has one axis more if an element has several parts."""
    cdef int n = cnp.PyArray_NDIM(array)
    cdef pyi_window *window = <pyi_window *>malloc(sizeof(pyi_window) + 4 * (n + 1) * sizeof(size_t))
    cdef size_t *numbers = <size_t *>(window + 1)
    if window == NULL:
        raise MemoryError("no memory for a window")
    set_window(window, numbers, array, whole, where)
    if parts > 1:
        window.ndim = n + 1
        window.strides = <ptrdiff_t *>(numbers + n + 1)
        for i in range(n, 0, -1):
            numbers[n + i] = numbers[n + i - 1]
        numbers[n] = parts
        numbers[2 * n + 1] = cnp.PyArray_ITEMSIZE(array) // parts
    return window
