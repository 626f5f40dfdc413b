"""The command scripts/detect: a client of the running service."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detection.options import NAMES, OPTIONS, Kind
from results import drawing
from server.commands.detection_table import detection_table
from server.runtime.settings import Settings
from server.runtime.torchserve import find_server
from service.answers import Answer
from service.client import Client
from service.environment import SettingsError
from service.errors import ServiceError

ARGUMENT_TYPES: Mapping[Kind, type] = {"number": float, "integer": int, "classes": str}


def main() -> int:
    """Detect objects in each picture. Returns 1 if a picture failed."""
    arguments = _parser().parse_args()
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"detect: {error}", file=sys.stderr)
        return 1
    client = Client(arguments.url or settings.inference_url, key_file=settings.key_file)
    model = arguments.model or _first_model(settings)
    if model is None:
        print("detect: no service is running here; start one with scripts/up, or give --model", file=sys.stderr)
        return 1
    documents = []
    for image in arguments.images:
        try:
            documents.append(_detect(client, model, image, arguments))
        except (OSError, ServiceError) as error:
            print(f"detect: {image}: {error}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(documents[0] if len(arguments.images) == 1 and documents else documents, ensure_ascii=False))
    return 1 if len(documents) < len(arguments.images) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/detect", description="Detect objects in pictures.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", help="a model of the service (default: its first one)")
    parser.add_argument("--url", help="address of the inference API (default: this machine's)")
    parser.add_argument("--json", action="store_true", help="print the service's answers; a list for several pictures")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the pictures with boxes into this folder")
    options = parser.add_argument_group("detection options (default: the service's)")
    for option in OPTIONS:
        argument = f"--{option.name.replace('_', '-')}"
        bounds = f" ({option.bounds[0]} to {option.bounds[1]})" if option.bounds else ""
        if option.kind == "flag":
            options.add_argument(argument, action="store_true", default=None, help=option.help)
        else:
            options.add_argument(argument, type=ARGUMENT_TYPES[option.kind], help=option.help + bounds)
    return parser


def _detect(client: Client, model: str, image: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Detect in one picture, print or save what the arguments ask for, and return the answer's document."""
    data = image.read_bytes()
    answer = client.detect(model, data, **_options(arguments))
    if not arguments.json:
        print(f"{image}  {answer.model} {answer.version}  {1000 * answer.time:.0f} ms")
        print(detection_table(answer))
    if arguments.save:
        _save(arguments.save, image, data, answer)
    return {"file": str(image), **answer.document}


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in NAMES if getattr(arguments, name) is not None}


def _first_model(settings: Settings) -> str | None:
    server = find_server(settings)
    return server.models[0] if server else None


def _save(folder: Path, image: Path, data: bytes, answer: Answer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{image.stem}-{answer.model}.png"
    drawing.draw(data, answer.detections).save(target)
    print(f"  saved {target}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
