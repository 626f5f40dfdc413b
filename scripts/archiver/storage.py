"""Files that are read with errors for people, and that appear under their final name whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import CheckpointError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a checkpoint that cannot be read why not."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: it is a directory; a YOLOv5 detection checkpoint (.pt) was expected") from None
    except OSError as error:
        raise CheckpointError(f"{path}: it can't be read: {error.strerror}") from error


@contextmanager
def atomic_file(final: Path) -> Iterator[BinaryIO]:
    """A file beside `final` that takes its name when the block ends well, and is gone if it does not."""
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # TorchServe may run as another user than the one that builds.
        part.chmod(0o644)
        part.replace(final)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def failed_write(target: Path, error: OSError) -> str:
    """Why a file could not be written, for a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{target}: not written: the disk is full"
    return f"{target}: not written: {error.strerror or error}"
