/* The statuses in words. */
#include "core.h"

const char *pyi_strerror(pyi_status status)
{
    switch (status) {
    case PYI_OK:
        return "success";
    case PYI_BAD_VALUE:
        return "an argument is outside its valid range";
    case PYI_EXHAUSTED:
        return "the stream does not hold that many samples";
    case PYI_INTERRUPTED:
        return "interrupted; the buffer is partly written";
    case PYI_UNAVAILABLE:
        return "this machine does not have that instruction set";
    case PYI_OVERLAP:
        return "two arrays share memory";
    }
    return "unknown status";
}
