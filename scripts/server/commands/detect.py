"""The command scripts/detect: a client of the running service."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from results import drawing
from server.commands.detection_table import detection_table
from server.runtime.settings import Settings
from server.runtime.torchserve import find
from service.client import Answer, Client, ServiceError
from service.environment import SettingsError


def main() -> int:
    """Detect in each picture given; 1 if any of them failed."""
    arguments = _parser().parse_args()
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"detect: {error}", file=sys.stderr)
        return 1
    client = Client(arguments.url or settings.inference_url, key_file=settings.key_file)
    model = arguments.model or _first_model(settings)
    if model is None:
        print("detect: no service runs here; start one with scripts/up, or name --model", file=sys.stderr)
        return 1
    failures, documents = 0, []
    for image in arguments.images:
        try:
            data = image.read_bytes()
            answer = client.detect(model, data, **_options(arguments))
            if not arguments.json:
                print(f"{image}  {answer.model} {answer.version}  {1000 * answer.time:.0f} ms")
                print(detection_table(answer))
            if arguments.save:
                _save(arguments.save, image, data, answer)
            documents.append({"file": str(image), **answer.document})
        except (OSError, ServiceError) as error:
            failures += 1
            print(f"detect: {image}: {error}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(documents[0] if len(arguments.images) == 1 and documents else documents, ensure_ascii=False))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/detect", description="Detect objects in pictures.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", help="a model of the service (its first one)")
    parser.add_argument("--url", help="address of the inference API (this machine's)")
    parser.add_argument("--json", action="store_true", help="print the service's answers; a list for several pictures")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the pictures with boxes into this folder")
    options = parser.add_argument_group("options of the detection (the service's defaults)")
    options.add_argument("--confidence", type=float)
    options.add_argument("--iou", type=float)
    options.add_argument("--classes", help="names or ids, joined by commas")
    options.add_argument("--max-detections", type=int)
    options.add_argument("--image-size", type=int)
    options.add_argument("--agnostic", action="store_true", default=None, help="suppress across classes")
    options.add_argument("--multi-label", action="store_true", default=None, help="every class of a box, not the best")
    return parser


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("confidence", "iou", "classes", "max_detections", "image_size", "agnostic", "multi_label")
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def _first_model(settings: Settings) -> str | None:
    server = find(settings)
    return server.models[0] if server else None


def _save(folder: Path, image: Path, data: bytes, answer: Answer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{image.stem}-{answer.model}.png"
    drawing.draw(data, answer.detections).save(target)
    print(f"  saved {target}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
