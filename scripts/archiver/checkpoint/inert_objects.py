"""Inert stand-ins for the objects in a checkpoint's pickle.

Every class that a checkpoint names, torch.nn's layers included, is read as a `Part`: a record of attributes with no
behaviour. Nothing from the file is ever called; the network is built afresh from what the parts say.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from ..errors import CheckpointError, UnsafeCheckpoint

# What torch's own safe unpickler makes live objects of: tensors, their storages and plain mappings.
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


class Part:
    """One object of a checkpoint: its class by name, its attributes as they were pickled."""

    kind: ClassVar[str] = ""
    attributes: Mapping[str, Any] = MappingProxyType({})

    def __new__(cls, *_: object) -> "Part":
        """Take a constructor's arguments and keep none of them."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        """Take a constructor's arguments and keep none of them."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state

    @property
    def class_name(self) -> str:
        """The last word of the class's full name: "Conv" of "models.common.Conv"."""
        return self.kind.rpartition(".")[2]

    def attribute(self, name: str, default: Any = None) -> Any:
        """A plain attribute, a parameter, a buffer or a child module, as torch.nn.Module would look it up."""
        for place in (self.attributes, *(self.attributes.get(key) for key in ("_parameters", "_buffers", "_modules"))):
            if isinstance(place, Mapping) and name in place:
                return place[name]
        return default

    def child(self, name: str) -> "Part":
        """The child module of that name."""
        found = self.attribute(name)
        if not isinstance(found, Part):
            raise self._misfit("a module", name, type(found).__name__)
        return found

    def children(self) -> Iterator["Part"]:
        """The child modules in order."""
        modules = self.attributes.get("_modules")
        for name in modules if isinstance(modules, Mapping) else ():
            yield self.child(name)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number among the attributes."""
        value = self.attribute(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._misfit("a whole number", name, f"{value!r:.60}")
        return value

    def pair(self, name: str) -> tuple[int, int]:
        """A whole number for each of height and width, given as a pair or as one number for both."""
        value = self.attribute(name)
        both = (value, value) if isinstance(value, int) else value
        if isinstance(both, tuple | list) and len(both) == 2 and all(isinstance(one, int) for one in both):
            return both[0], both[1]
        raise self._misfit("two whole numbers", name, f"{value!r:.60}")

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor among the attributes, in float64; its values must all stand in the file."""
        value = self.attribute(name)
        if not isinstance(value, torch.Tensor):
            raise self._misfit("a tensor", name, type(value).__name__)
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UnsafeCheckpoint(
                f"its tensor {name!r} claims {value.numel()} values, more than the {value.untyped_storage().nbytes()} "
                "bytes stored for it"
            )
        return value.detach().double()

    def _misfit(self, expected: str, name: str, found: str) -> CheckpointError:
        return CheckpointError(f"its {self.class_name} object should hold {expected} as {name!r}, and holds {found}")


def is_known(name: str) -> bool:
    """Whether a checkpoint of a detection model may name this global."""
    return name in LIVE_GLOBALS or name in INERT_GLOBALS or name.startswith(INERT_PREFIXES)


def inert_class(name: str) -> type[Part]:
    """A class of parts that stands for the global of that full name."""
    return type(name.rpartition(".")[2], (Part,), {"kind": name})
