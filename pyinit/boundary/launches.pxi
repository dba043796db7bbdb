# The arguments of a device's kernels: a single job, or a table of many arrays.

def make_job(StreamState begin not None, Distribution distribution not None, int dtype):
    """The bytes of a job whose samples begin at the position of a claimed state."""
    cdef pyi_job job
    memset(&job, 0, sizeof(job))
    if pyi_describe(&distribution.c, <pyi_dtype>dtype, &job) != PYI_OK:
        raise ValueError(f"dtype {dtype} does not suit {distribution!r}")
    pyi_job_begin(&job, &begin.stream)
    return (<char *>&job)[:sizeof(job)]


cdef class Launch:
    """Arrays that one kernel launch fills: their common properties, and a table of them.

    Attributes
    ----------
    key : tuple of int
        Generator, method and dtype, which name the kernel.
    job : bytes
        A job with everything that the arrays have in common.
    count, tiles : int
        The number of arrays, and of tiles: the parts that a CUDA block takes at once.
    members : list of int
        The arrays' numbers in the batch.
    """
    cdef readonly tuple key
    cdef readonly bytes job
    cdef readonly size_t count
    cdef readonly uint64_t tiles
    cdef readonly list members
    cdef pyi_device_item *items
    cdef size_t room
    cdef dict numbers  # of the jobs, by their distributions
    cdef list jobs, windows
    cdef pyi_distribution last
    cdef uint32_t number

    def __cinit__(self):
        self.numbers, self.jobs, self.windows, self.members = {}, [], [], []

    def __dealloc__(self):
        free(self.items)

    def add(self, StreamState begin not None, Distribution distribution not None, int dtype, address, layout):
        """Add an array of this layout; its samples begin at the position of a claimed state."""
        cdef pyi_item item
        item.stream, item.distribution, item.dtype = begin.stream, distribution.c, <pyi_dtype>dtype
        item.out = <void *><size_t>address
        self.append(&item, layout)

    cdef int append(self, const pyi_item *item, layout) except -1:
        """Add an item; `layout` is None for `count` contiguous samples."""
        cdef pyi_device_item *made
        cdef uint64_t first = 0, per_block
        cdef int words = pyi_dtypes[<int>item.dtype].words
        self.grow()
        made = &self.items[self.count]
        memset(made, 0, sizeof(pyi_device_item))
        made.tile = self.tiles
        made.out = <uint64_t><size_t>item.out
        made.count = item.count
        if layout is not None:
            first, made.count = layout.first, layout.length
            if not layout.is_run:
                first, made.count = 0, layout.units
                self.windows.append(layout.packed())
                made.window = len(self.windows)
        made.id = item.stream.id
        first += item.stream.word // words
        per_block = 4 // words
        made.block = item.stream.block + first // per_block
        made.skip = first % per_block
        made.constants = self.constants_of(item)
        per_block = PYI_TILE_UNITS if made.window else PYI_TILE_SAMPLES
        self.tiles += made.count // per_block + (made.count % per_block != 0)
        self.count += 1
        return 0

    cdef uint32_t constants_of(self, const pyi_item *item) except? 0:
        """The number of the job that has this item's constants."""
        cdef pyi_job job
        if self.jobs and not memcmp(&self.last, &item.distribution, sizeof(pyi_distribution)):
            return self.number
        self.last = item.distribution
        distribution = (<char *>&item.distribution)[:sizeof(pyi_distribution)]
        if distribution not in self.numbers:
            memset(&job, 0, sizeof(job))
            pyi_describe(&item.distribution, item.dtype, &job)
            pyi_job_begin(&job, &item.stream)
            if not self.jobs:
                if item.distribution.sampler == PYI_CONSTANT:  # it takes no words, so any generator will do
                    job.generator = 0
                self.key = job.generator, job.method, job.dtype
                self.job = (<char *>&job)[:sizeof(job)]
            self.numbers[distribution] = len(self.jobs)
            self.jobs.append((<char *>&job)[:sizeof(job)])
        self.number = self.numbers[distribution]
        return self.number

    cdef int grow(self) except -1:
        cdef pyi_device_item *items
        if self.count == self.room:
            items = <pyi_device_item *>realloc(self.items, (2 * self.room + 16) * sizeof(pyi_device_item))
            if items == NULL:
                raise MemoryError(f"no memory for a table of {2 * self.room + 16} arrays")
            self.items, self.room = items, 2 * self.room + 16
        return 0

    def table(self):
        """The bytes of the table, and the offsets of the jobs and of the windows in it."""
        items = (<char *>self.items)[:self.count * sizeof(pyi_device_item)]
        jobs = len(items)
        return b"".join((items, *self.jobs, *self.windows)), jobs, jobs + len(self.jobs) * sizeof(pyi_job)


cdef class Arguments:
    """The arguments of a CUDA kernel, in the driver's form: an array of pointers to them.

    Parameters
    ----------
    *values : bytes or int
        At most 8. An int is passed as 64 bits.
    """
    cdef tuple values
    cdef uint64_t[8] numbers
    cdef void *pointers[8]

    def __cinit__(self, *values):
        cdef int i
        self.values = values  # keeps the bytes alive
        for i in range(len(values)):
            if isinstance(values[i], bytes):
                self.pointers[i] = <char *>(<bytes>values[i])
            else:
                self.numbers[i] = values[i]
                self.pointers[i] = &self.numbers[i]

    @property
    def address(self):
        """The array's address, valid as long as this object lives."""
        return <size_t>&self.pointers[0]
