"""A checkpoint file -> the tree of inert objects and tensors in it; no code of the file is run."""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import torch

from ..errors import CheckpointError, UnsafeCheckpoint
from .diagnose import describe_archive, describe_bytes
from .inert_objects import LIVE_GLOBALS, inert_class, is_allowed

MAX_PICKLE_BYTES = 64 * 2**20
_STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING")
_MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_MEMO_READS = ("GET", "BINGET", "LONG_BINGET")


@dataclass(frozen=True)
class Pickle:
    """The content of a checkpoint: its root object, and the full names of all classes and functions that it names."""

    root: Any
    global_names: frozenset[str]


def open_pickle(content: bytes) -> Pickle:
    """Read a checkpoint's content. A file that is no checkpoint, or that would run code, is rejected."""
    if not content.startswith(b"PK"):
        _reject_unsafe(_global_names_or_none(content))
        raise CheckpointError(describe_bytes(content))
    program = _pickle_program(content)
    try:
        names = frozenset(global_names(program))
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"its pickle is damaged: {error}") from error
    _reject_unsafe(names)
    inert_classes = [(inert_class(name), name) for name in sorted(names - LIVE_GLOBALS)]
    try:
        with torch.serialization.safe_globals(inert_classes):  # type: ignore[arg-type]
            root = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except RecursionError as error:
        raise UnsafeCheckpoint("its objects are nested too deeply") from error
    except (UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = _first_line(error)
        raise CheckpointError(f"its pickle is damaged, or uses what no checkpoint needs: {reason}") from error
    return Pickle(root, names)


def global_names(program: bytes) -> Iterator[str]:
    """Every class or function that a pickle names, as "module.name"; the pickle is not run."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name in _STRINGS:
            strings.append(str(argument))
        elif opcode.name in _MEMO_WRITES and strings:
            memo[len(memo) if argument is None else int(argument)] = strings[-1]
        elif opcode.name in _MEMO_READS and argument in memo:
            strings.append(memo[argument])
        elif opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])


def _pickle_program(content: bytes) -> bytes:
    """The bytes of the zip's data.pkl. A zip that unpacks to more than its own size is rejected."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            diagnosis = describe_archive([entry.filename for entry in entries])
            if diagnosis:
                raise CheckpointError(diagnosis)
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > len(content):
                raise UnsafeCheckpoint(f"it would unpack to {unpacked} bytes, more than its own {len(content)}")
            program = next(entry for entry in entries if entry.filename.endswith("data.pkl"))
            if program.file_size > MAX_PICKLE_BYTES:
                raise UnsafeCheckpoint(
                    f"its pickle has {program.file_size} bytes; at most {MAX_PICKLE_BYTES} are allowed"
                )
            return archive.read(program)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise CheckpointError(f"it begins like a checkpoint but is truncated or damaged: {error}") from error


def _reject_unsafe(names: frozenset[str]) -> None:
    unknown = sorted(name for name in names if not is_allowed(name))
    if unknown:
        more = f" (and {len(unknown) - 3} more)" if len(unknown) > 3 else ""
        raise UnsafeCheckpoint(
            f"it names {', '.join(unknown[:3])}{more}, which no YOLOv5 checkpoint needs; "
            "it was rejected, and nothing of it was run"
        )


def _global_names_or_none(content: bytes) -> frozenset[str]:
    """The globals of a bare pickle; none if the content is no pickle."""
    names: set[str] = set()
    if not content.startswith((b"\x80", b"c", b"(")):
        return frozenset()
    try:
        for name in global_names(content):
            names.add(name)
    except (ValueError, UnicodeDecodeError, IndexError):
        pass
    return frozenset(name for name in names if name.isprintable())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
