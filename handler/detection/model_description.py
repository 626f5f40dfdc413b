"""The schema of model.json, which describes the network in an archive. The archiver writes it, the handler reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

DESCRIPTION_FILE = "model.json"
REBUILD_HINT = "the archive is damaged or of another version; build it again"


@dataclass(frozen=True)
class CalibrationRecord:
    """What an int8 network was calibrated with: the number of images, the sha256 of all of them, nncf's preset."""

    pictures: int
    sha256: str
    preset: str


@dataclass(frozen=True)
class ModelDescription:
    """The content of model.json.

    image_size: default longer side in pixels. anchors: per stride (width, height) in pixels; None for an anchor-free
    head. head: "anchor" or "anchor_free". reg_max: bins of a side's distribution; None for a head with anchors.
    calibration: None unless the precision is int8. fingerprint: sha256 of all that the archive was built from.
    """

    name: str
    version: str
    variant: str
    class_names: tuple[str, ...]
    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None
    head: str
    reg_max: int | None
    image_size: int
    precision: str
    calibration: CalibrationRecord | None
    engine: str
    weights_sha256: str
    licence: str
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> ModelDescription:
        """The description in a file. Raises ValueError if the file has another schema."""
        return cls.from_json(path.read_bytes())

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelDescription:
        """The description in a JSON text. Raises ValueError if the text has another schema."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{DESCRIPTION_FILE} is not JSON ({error}): {REBUILD_HINT}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{DESCRIPTION_FILE} holds no JSON object: {REBUILD_HINT}")
        expected = {field.name for field in fields(cls)}
        for problem, keys in (("lacks the", expected - set(content)), ("has the unknown", set(content) - expected)):
            if keys:
                raise ValueError(f"{DESCRIPTION_FILE} {problem} keys {', '.join(sorted(keys))}: {REBUILD_HINT}")
        anchors, calibration = content["anchors"], content["calibration"]
        try:
            converted = {
                "class_names": tuple(content["class_names"]),
                "strides": tuple(content["strides"]),
                "anchors": None if anchors is None else tuple(tuple((w, h) for w, h in level) for level in anchors),
                "calibration": None if calibration is None else CalibrationRecord(**calibration),
            }
        except (TypeError, ValueError) as error:
            raise ValueError(f"{DESCRIPTION_FILE} holds a value of the wrong type ({error}): {REBUILD_HINT}") from None
        return cls(**{**content, **converted})

    def to_json(self) -> str:
        """The text of model.json; equal descriptions give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write model.json."""
        path.write_text(self.to_json(), encoding="utf-8")
