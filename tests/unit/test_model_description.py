from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detection.head import HEAD_FILE, AnchorFreeHead, AnchorHead, load_head
from detection.model_description import CalibrationRecord, ModelDescription
from support.descriptions import description_with

CALIBRATION = CalibrationRecord(128, "1" * 64, "mixed")


@pytest.mark.parametrize(
    "description",
    [
        description_with(),
        description_with(anchors=None, head="anchor_free", reg_max=16),
        description_with(precision="int8", calibration=CALIBRATION),
    ],
)
def test_a_description_is_read_as_it_was_written(description: ModelDescription, tmp_path: Path) -> None:
    description.write(tmp_path / "model.json")
    assert ModelDescription.read(tmp_path / "model.json") == description
    assert ModelDescription.read(tmp_path / "model.json").to_json() == description.to_json()


def test_the_keys_of_model_json_are_sorted_and_its_text_is_readable() -> None:
    text = description_with(calibration=CALIBRATION).to_json()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert json.loads(text)["calibration"] == {"pictures": 128, "sha256": "1" * 64, "preset": "mixed"}
    assert "собака" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": ...}, "lacks the keys precision:"),
        ({"engine": ..., "licence": ...}, "lacks the keys engine, licence:"),
        ({"colour": "red"}, "has the unknown keys colour:"),
        ({"class_names": None}, "a value of the wrong type"),
        ({"anchors": [[1, 2]]}, "a value of the wrong type"),
        ({"calibration": {"pictures": 1}}, "a value of the wrong type"),
        ({"calibration": []}, "a value of the wrong type"),
    ],
)
def test_another_schema_is_an_error_that_says_what_to_do(changes: dict[str, Any], message: str) -> None:
    content = {**json.loads(description_with().to_json()), **changes}
    text = json.dumps({key: value for key, value in content.items() if value is not ...})
    with pytest.raises(ValueError, match=message) as caught:
        ModelDescription.from_json(text)
    assert str(caught.value).endswith("the archive is damaged or of another version; build it again")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff"])
def test_other_content_is_an_error_that_says_what_to_do(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"model\.json .*build it again"):
        ModelDescription.from_json(text)


def test_the_description_decides_which_head_decodes(tmp_path: Path) -> None:
    import numpy as np

    arrays = {f"{kind}{index}": np.zeros(2, np.float32) for kind in ("weight", "bias") for index in range(2)}
    np.savez(tmp_path / HEAD_FILE, **arrays)  # type: ignore[arg-type]
    assert isinstance(load_head(tmp_path, description_with()), AnchorHead)
    head = load_head(tmp_path, description_with(anchors=None, reg_max=16))
    assert head == AnchorFreeHead((8, 16), 16)
    with pytest.raises(ValueError, match="neither anchors nor reg_max"):
        load_head(tmp_path, description_with(anchors=None))
