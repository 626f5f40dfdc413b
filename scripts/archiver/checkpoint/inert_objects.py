"""Inert replacements for the objects in a checkpoint's pickle.

Every class that a checkpoint names, torch.nn's layers included, is read as an `InertObject`: a record of attributes
without behaviour. No code of the file is run; the network is rebuilt from the records.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from ..errors import CheckpointError, UnsafeCheckpoint

# Globals that torch's safe unpickler turns into live objects: tensors, their storages and plain mappings.
LIVE_GLOBALS = frozenset(
    {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.Size"}
    | {f"torch.{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char")}
    | {"torch.ByteStorage", "torch.BoolStorage"}
)
INERT_PREFIXES = (
    "torch.nn.modules.",
    "models.",
    "utils.activations.",
    "ultralytics.nn.",
    "ultralytics.utils.IterableSimpleNamespace",
    "ultralytics.yolo.utils.IterableSimpleNamespace",
)
INERT_GLOBALS = frozenset(
    {"__builtin__.set", "builtins.set", "_codecs.encode", "torch.device", "torch.float32", "torch.float16"}
    | {f"numpy.{name}" for name in ("dtype", "ndarray")}
    | {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
    | {f"pathlib.{kind}" for kind in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
    | {f"pathlib._local.{kind}" for kind in ("PosixPath", "WindowsPath")}
)


class InertObject:
    """One object of a checkpoint: the full name of its class, and its attributes as they were pickled."""

    full_name: ClassVar[str] = ""
    attributes: Mapping[str, Any] = MappingProxyType({})

    def __new__(cls, *_: object) -> "InertObject":
        """Accept a constructor's arguments and ignore them."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        """Accept a constructor's arguments and ignore them."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state

    @property
    def class_name(self) -> str:
        """The class's name without its module: "Conv" for "models.common.Conv"."""
        return self.full_name.rpartition(".")[2]

    def attribute(self, name: str, default: Any = None) -> Any:
        """A plain attribute, a parameter, a buffer or a child module, found as torch.nn.Module finds it."""
        for mapping in (
            self.attributes,
            *(self.attributes.get(key) for key in ("_parameters", "_buffers", "_modules")),
        ):
            if isinstance(mapping, Mapping) and name in mapping:
                return mapping[name]
        return default

    def child(self, name: str) -> "InertObject":
        """The child module of that name."""
        module = self.attribute(name)
        if not isinstance(module, InertObject):
            raise self._unexpected("a module", name, type(module).__name__)
        return module

    def children(self) -> Iterator["InertObject"]:
        """The child modules in order."""
        modules = self.attributes.get("_modules")
        for name in modules if isinstance(modules, Mapping) else ():
            yield self.child(name)

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that is a whole number."""
        value = self.attribute(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unexpected("a whole number", name, f"{value!r:.60}")
        return value

    def pair(self, name: str) -> tuple[int, int]:
        """An attribute that holds whole numbers for height and width: a pair, or one number for both."""
        value = self.attribute(name)
        both = (value, value) if isinstance(value, int) else value
        if isinstance(both, tuple | list) and len(both) == 2 and all(isinstance(number, int) for number in both):
            return both[0], both[1]
        raise self._unexpected("two whole numbers", name, f"{value!r:.60}")

    def tensor(self, name: str) -> torch.Tensor:
        """An attribute that is a tensor, as float64. The file must hold all of its values."""
        value = self.attribute(name)
        if not isinstance(value, torch.Tensor):
            raise self._unexpected("a tensor", name, type(value).__name__)
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UnsafeCheckpoint(
                f"its tensor {name!r} claims {value.numel()} values, and only {value.untyped_storage().nbytes()} bytes "
                "are stored for it"
            )
        return value.detach().double()

    def _unexpected(self, expected: str, name: str, actual: str) -> CheckpointError:
        return CheckpointError(f"its {self.class_name} object should hold {expected} as {name!r}, and holds {actual}")


def is_allowed(name: str) -> bool:
    """Whether the checkpoint of a detection model may name this global."""
    return name in LIVE_GLOBALS or name in INERT_GLOBALS or name.startswith(INERT_PREFIXES)


def inert_class(full_name: str) -> type[InertObject]:
    """A class of inert objects that replaces the global of that full name."""
    return type(full_name.rpartition(".")[2], (InertObject,), {"full_name": full_name})
