"""Reading files with readable errors, and writing files atomically."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import CheckpointError


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading a checkpoint into CheckpointError."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: it is a directory; a YOLOv5 detection checkpoint (.pt) was expected") from None
    except OSError as error:
        raise CheckpointError(f"{path}: it cannot be read: {error.strerror}") from error


@contextmanager
def atomic_file(final: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `final`: renamed to it if the block succeeds, removed if it fails."""
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # TorchServe may run as another user.
        temporary.chmod(0o644)
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def failed_write(target: Path, error: OSError) -> str:
    """The message for the user: why a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{target}: not written: the disk is full"
    return f"{target}: not written: {error.strerror or error}"
