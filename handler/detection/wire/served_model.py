"""What the wire forms need to know about the model that they serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidOption, InvalidRequest, quoted
from ..option_parser import parse_options
from ..options import Options


@dataclass(frozen=True)
class ServedModel:
    """The name and version under which a model is served, its classes and its default options."""

    name: str
    version: str
    class_names: tuple[str, ...]
    defaults: Options

    def parse_options(self, values: Mapping[str, object]) -> Options:
        """The defaults with these values. Raises InvalidOption."""
        try:
            return parse_options(values, self.defaults, self.class_names)
        except ValueError as error:
            raise InvalidOption(str(error)) from None

    def require_name(self, name: object) -> None:
        """Raise InvalidRequest if `name`, the model that a request asks for, is another model."""
        if isinstance(name, (bytes, bytearray)):
            name = name.decode("utf-8", "replace")
        if name != self.name:
            raise InvalidRequest(f"the request asks for model {quoted(name)}, but this address serves {self.name!r}")
