# The fill that compiled programs call.

def xla_handler(int minor):
    """A capsule of `pyi_xla_fill` of xla.h, the function that XLA's programs call for a fill.

    Parameters
    ----------
    minor : int
        The minor version of XLA's interface that the function reports from this call on.
    """
    pyi_xla_answer(minor)
    return PyCapsule_New(<void *>pyi_xla_fill, NULL, NULL)
