"""Detections as files: the picture with its boxes, JSON, CSV, COCO JSON, YOLO text, and all of them in a zip."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from results import drawing
from results.simulation import MARK, is_simulated
from service.client import Answer

COLUMNS = ("file", "class_id", "class_name", "confidence", "x_min", "y_min", "x_max", "y_max", "model", "version")
LONGEST_NAME = 100  # characters of a file's name that are kept
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # devices, to some systems
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip


@dataclass(frozen=True)
class Shown:
    """A picture by its file's name and bytes, and the answer that is shown for it."""

    name: str
    image: bytes
    answer: Answer


def annotated_png(shown: Shown) -> bytes:
    """The picture with its boxes and labels, in full size. Raises InvalidPicture."""
    buffer = io.BytesIO()
    mark = MARK if is_simulated(shown.answer) else ""
    # Level 1 takes a fifth of the default's time, for a few per cent of size.
    drawing.draw(shown.image, shown.answer.detections, mark=mark).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def to_json(shown: Shown) -> str:
    """The server's document, with the detections that are shown."""
    return json.dumps(shown.answer.document, ensure_ascii=False, indent=2)


def to_csv(pictures: Sequence[Shown]) -> str:
    """A row for each detection, with box sides in pixels; begins with a byte order mark, for spreadsheets."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for shown in pictures:
        for found in shown.answer.detections:
            cells = (shown.name, found.class_id, found.class_name, found.confidence, *found.xyxy)
            rows.writerow([_cell(cell) for cell in (*cells, shown.answer.model, shown.answer.version)])
    return "\ufeff" + text.getvalue()


def to_coco(pictures: Sequence[Shown], class_names: Sequence[str] = ()) -> str:
    """A COCO data set with a score for each annotation. Category ids are the model's class ids.

    class_names: all classes of the model, in the order of their ids; without them those that were detected.
    """
    names = _names(pictures, class_names)
    annotations: list[dict[str, Any]] = []
    for image_id, shown in enumerate(pictures, 1):
        for found in shown.answer.detections:
            x_min, y_min, x_max, y_max = found.xyxy
            box = [x_min, y_min, round(x_max - x_min, 3), round(y_max - y_min, 3)]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image_id, "category_id": found.class_id, "bbox": box,
                "area": round(box[2] * box[3], 3), "score": found.confidence, "iscrowd": 0, "segmentation": [],
            })  # fmt: skip
    images = [
        {"id": number, "file_name": shown.name, "width": shown.answer.size_wh[0], "height": shown.answer.size_wh[1]}
        for number, shown in enumerate(pictures, 1)
    ]
    document: dict[str, Any] = {
        "info": {"description": _description(pictures)},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": class_id, "name": name} for class_id, name in sorted(names.items())],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def to_yolo(shown: Shown) -> str:
    """A line for each detection: class id, centre and size as shares of the picture, confidence."""
    width, height = shown.answer.size_wh
    lines = []
    for found in shown.answer.detections:
        x_min, y_min, x_max, y_max = found.xyxy
        box = ((x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height, (x_max - x_min) / width,
               (y_max - y_min) / height)  # fmt: skip
        lines.append(" ".join([str(found.class_id), *(f"{share:.6f}" for share in box), f"{found.confidence:.5f}"]))
    return "".join(line + "\n" for line in lines)


def to_class_list(pictures: Sequence[Shown], class_names: Sequence[str] = ()) -> str:
    """A class name per line, the line's number being the id, as YOLO tools read it; unknown ones are named by id."""
    names = _names(pictures, class_names)
    return "".join(f"{_one_line(names.get(index, f'class {index}'))}\n" for index in range(max(names, default=-1) + 1))


def to_zip(pictures: Sequence[Shown], class_names: Sequence[str] = ()) -> bytes:
    """All of the above for several pictures. Raises InvalidPicture."""
    names = unique_names([shown.name for shown in pictures])
    pictures = [replace(shown, name=name) for shown, name in zip(pictures, names, strict=True)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for shown in pictures:
            stem = shown.name.rsplit(".", 1)[0]
            _add(archive, f"annotated/{stem}.png", annotated_png(shown))
            _add(archive, f"json/{stem}.json", to_json(shown))
            _add(archive, f"yolo/labels/{stem}.txt", to_yolo(shown))
        _add(archive, "yolo/classes.txt", to_class_list(pictures, class_names))
        _add(archive, "detections.csv", to_csv(pictures))
        _add(archive, "coco.json", to_coco(pictures, class_names))
        if any(is_simulated(shown.answer) for shown in pictures):
            _add(archive, "SIMULATED.txt", MARK + "\n")
    return buffer.getvalue()


def file_name(shown: Shown, ending: str) -> str:
    """A name for a download about a picture: safe on any system, and marked if its content is simulated."""
    stem = safe_name(shown.name).rsplit(".", 1)[0]
    return ("simulated-" if is_simulated(shown.answer) else "") + f"{stem}-{safe_name(shown.answer.model)}{ending}"


def unique_names(names: Sequence[str]) -> list[str]:
    """Safe names, of which no two differ by less than their stem, in any system's eyes."""
    taken: set[str] = set()
    unique = []
    for name in map(safe_name, names):
        stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
        number, candidate = 1, stem
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem}-{number}"
        taken.add(candidate.casefold())
        unique.append(candidate + dot + ending)
    return unique


def safe_name(name: str) -> str:
    """The last part of a path, without characters that a system gives a meaning to; letters of any script stay."""
    name = UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .") or "picture"
    if RESERVED.match(name):
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".")
    return name if len(name) <= LONGEST_NAME else f"{(stem or name)[:LONGEST_NAME]}{dot if stem else ''}{ending[:8]}"


def _add(archive: zipfile.ZipFile, name: str, content: bytes | str) -> None:
    stored = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, stored)


def _names(pictures: Sequence[Shown], class_names: Sequence[str]) -> dict[int, str]:
    found = {found.class_id: found.class_name for shown in pictures for found in shown.answer.detections}
    return found | dict(enumerate(class_names))


def _description(pictures: Sequence[Shown]) -> str:
    if any(is_simulated(shown.answer) for shown in pictures):
        return MARK
    models = sorted({f"{shown.answer.model} {shown.answer.version}" for shown in pictures})
    return f"Detections of {', '.join(models)}" if models else "No detections"


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _one_line(text: str) -> str:
    return " ".join(text.split())
