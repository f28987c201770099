"""Files that are read: regular ones only, and those read whole no larger than expected."""

import errno
import os
import stat
from pathlib import Path


def regular_status(path: str | os.PathLike[str]) -> os.stat_result:
    """The status of a regular file; a pipe would be waited for, a device may never end.

    Args:
        path: The file, or a link to it.

    Raises:
        OSError: It is not there, or no regular file.
    """
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status


def read_regular(path: str | os.PathLike[str], largest: int) -> bytes:
    """Read a regular file whole.

    Args:
        path: The file, or a link to it.
        largest: How many bytes it may have.

    Raises:
        OSError: It is not there, no regular file, or larger.
    """
    status = regular_status(path)
    with Path(path).open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        size = max(status.st_size, len(content))
        raise OSError(errno.EFBIG, f"too large ({size} bytes), must be at most {largest}")
    return content
