"""Detections as files: the annotated picture, JSON, CSV, COCO JSON, YOLO text, and a zip with all of them."""

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
from results.simulation import SIMULATED_NOTICE, is_simulated
from service.answers import Answer

COLUMNS = ("file", "class_id", "class_name", "confidence", "x_min", "y_min", "x_max", "y_max", "model", "version")
MAX_STEM_LENGTH = 100  # characters of a file name
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # device names on some systems
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip


@dataclass(frozen=True)
class PictureAnswer:
    """A picture by its file's name and bytes, and the answer to show for it."""

    name: str
    image: bytes
    answer: Answer


def annotated_png(shown: PictureAnswer) -> bytes:
    """The picture with its boxes and labels, in full size. Raises InvalidPicture."""
    buffer = io.BytesIO()
    banner = SIMULATED_NOTICE if is_simulated(shown.answer) else ""
    # Level 1 takes a fifth of the default's time and makes files a few per cent larger.
    drawing.draw(shown.image, shown.answer.detections, banner=banner).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def to_json(shown: PictureAnswer) -> str:
    """The server's JSON document, with the detections of the answer."""
    return json.dumps(shown.answer.document, ensure_ascii=False, indent=2)


def to_csv(pictures: Sequence[PictureAnswer]) -> str:
    """A row for each detection, with the box in pixels. It begins with a byte order mark, for spreadsheets."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for shown in pictures:
        for found in shown.answer.detections:
            cells = (shown.name, found.class_id, found.class_name, found.confidence, *found.xyxy)
            rows.writerow([_cell(cell) for cell in (*cells, shown.answer.model, shown.answer.version)])
    return "\ufeff" + text.getvalue()


def to_coco(pictures: Sequence[PictureAnswer], class_names: Sequence[str] = ()) -> str:
    """A COCO dataset with a score for each annotation. Category ids are the model's class ids.

    class_names: all classes of the model, in the order of their ids; without them only the detected ones are listed.
    """
    names = _names_by_id(pictures, class_names)
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


def to_yolo(shown: PictureAnswer) -> str:
    """A line for each detection: class id, box as cxcywh in shares (0..1) of the picture's size, confidence."""
    width, height = shown.answer.size_wh
    lines = []
    for found in shown.answer.detections:
        x_min, y_min, x_max, y_max = found.xyxy
        box = ((x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height, (x_max - x_min) / width,
               (y_max - y_min) / height)  # fmt: skip
        lines.append(" ".join([str(found.class_id), *(f"{share:.6f}" for share in box), f"{found.confidence:.5f}"]))
    return "".join(line + "\n" for line in lines)


def to_class_list(pictures: Sequence[PictureAnswer], class_names: Sequence[str] = ()) -> str:
    """A class name per line, in the order of the ids, as YOLO tools read it; unknown classes are named by their id."""
    names = _names_by_id(pictures, class_names)
    return "".join(f"{_one_line(names.get(index, f'class {index}'))}\n" for index in range(max(names, default=-1) + 1))


def to_zip(pictures: Sequence[PictureAnswer], class_names: Sequence[str] = ()) -> bytes:
    """A zip with all formats for several pictures. Raises InvalidPicture."""
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
            _add(archive, "SIMULATED.txt", SIMULATED_NOTICE + "\n")
    return buffer.getvalue()


def file_name(shown: PictureAnswer, ending: str) -> str:
    """The file name of a picture's download: safe on any system, and marked if its content is simulated."""
    stem = safe_name(shown.name).rsplit(".", 1)[0]
    return ("simulated-" if is_simulated(shown.answer) else "") + f"{stem}-{safe_name(shown.answer.model)}{ending}"


def unique_names(names: Sequence[str]) -> list[str]:
    """Safe names whose stems are unique, also on systems that ignore case."""
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
    """The last part of a path, without characters that are special on some system; letters of any script are kept."""
    name = UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .") or "picture"
    if RESERVED.match(name):
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".")
    return (
        name if len(name) <= MAX_STEM_LENGTH else f"{(stem or name)[:MAX_STEM_LENGTH]}{dot if stem else ''}{ending[:8]}"
    )


def _add(archive: zipfile.ZipFile, name: str, content: bytes | str) -> None:
    stored = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, stored)


def _names_by_id(pictures: Sequence[PictureAnswer], class_names: Sequence[str]) -> dict[int, str]:
    detected = {found.class_id: found.class_name for shown in pictures for found in shown.answer.detections}
    return detected | dict(enumerate(class_names))


def _description(pictures: Sequence[PictureAnswer]) -> str:
    if any(is_simulated(shown.answer) for shown in pictures):
        return SIMULATED_NOTICE
    models = sorted({f"{shown.answer.model} {shown.answer.version}" for shown in pictures})
    return f"Detections of {', '.join(models)}" if models else "No detections"


def _cell(value: object) -> object:
    """A cell that a spreadsheet does not read as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _one_line(text: str) -> str:
    return " ".join(text.split())
