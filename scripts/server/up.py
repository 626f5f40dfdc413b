"""The command scripts/up: from checkpoints to a service that answers."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

from archiver.build import build_archive
from archiver.errors import ArchiverError, ChecksumMismatch, WeightsUnavailable
from archiver.fingerprint import read_description
from archiver.options import ArchiveOptions, Precision
from archiver.weights import default_image_size, default_licence, find_weights
from client import Client, ServiceError
from server.progress import Progress
from server.readiness import check_predictions, wait_until_ready
from server.sample import sample_for
from server.settings import ROOT, Settings, SettingsError
from server.table import detection_table
from server.torchserve import Server, ServerError, console, find, require_startable, start, stop

DEFAULT_MODELS = "yolov5s,yolov5m,yolov5l"
FALLBACK = "shapes"
T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C or a signal to end."""


@dataclass(frozen=True)
class Choice:
    """The archives to serve by model name, and why some wanted ones are not among them."""

    archives: dict[str, Path]
    missing: dict[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the wanted models, detached or until Ctrl-C; 0 if that went well."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    server = None
    try:
        settings = Settings.from_environment()
        require_startable(settings)
        choice = choose_archives(arguments.models, settings, arguments.precision)
        server = start(settings, choice.archives)
        _introduce(settings, server)
        if arguments.detach:
            return 0
        return _stay(settings, server)
    except Interrupted:
        print("\nStopping ...", file=sys.stderr)
        if server is not None:
            stop(settings, server)
        return 130 if server is None else 0
    except (SettingsError, ArchiverError, ServerError, ServiceError, OSError) as error:
        if server is not None:
            stop(settings, server)
        print(f"up: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Archive the wanted YOLOv5 models and serve them with TorchServe on this machine's loopback.",
        epilog="Environment: INFERENCE_PORT (8080), MANAGEMENT_PORT (8081), METRICS_PORT (8082), "
        "YOLOV5_WEIGHTS_DIR (folders with checkpoints), YOLOV5_WEIGHTS_URL (a mirror of the release).",
    )
    parser.add_argument("--models", default=DEFAULT_MODELS, type=_names, help="names joined by commas (%(default)s)")
    parser.add_argument("--precision", choices=("fp32",), default="fp32", help="of the networks (fp32)")
    parser.add_argument("--detach", action="store_true", help="return once all is ready; scripts/down stops it")
    return parser


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("expected at least one name, such as yolov5s")
    return names


def choose_archives(models: Sequence[str], settings: Settings, precision: Precision) -> Choice:
    """Current archives of the models, built where needed; `shapes` if none of them can be had.

    Raises ArchiverError where a checkpoint was found and could not be archived.
    """
    archives, missing = {}, {}
    for model in models:
        try:
            archives[model] = _archive(model, settings, precision)
            print(f"{model}: archive {archives[model]}")
        except ChecksumMismatch:
            raise  # a file that is not what was released is no mere absence
        except WeightsUnavailable as error:
            missing[model] = str(error)
            print(f"{model}: NOT SERVED: {error}", file=sys.stderr)
    if not archives:
        print(
            f"\n*** None of {', '.join(models)} could be had. Serving `{FALLBACK}` instead: a small network of this "
            "project\n*** that knows coloured shapes only. Put checkpoints into weights/ and start again for real "
            "ones.\n",
            file=sys.stderr,
        )
        archives[FALLBACK] = _archive(FALLBACK, settings, precision)
    return Choice(archives, missing)


def _archive(model: str, settings: Settings, precision: Precision) -> Path:
    try:
        checkpoint = find_weights(model)
    except WeightsUnavailable:
        ready_made = settings.model_store / f"{model}.mar"
        if read_description(ready_made) is None:
            raise
        return ready_made  # somebody's archive, whose checkpoint is elsewhere
    options = ArchiveOptions(
        name=model,
        model_store=settings.model_store,
        image_size=default_image_size(model),
        precision=precision,
        licence=default_licence(model),
    )
    return _shown(f"archiving {model}", lambda: build_archive(checkpoint, options))


def _introduce(settings: Settings, server: Server) -> None:
    """Wait until all is ready, detect in a sample, and say how to go on."""
    client = Client(settings.inference_url, settings.management_url, settings.key_file)
    progress = Progress()
    wait_until_ready(settings, server, client, progress)
    progress.done()
    model = server.models[0]
    sample = sample_for(model, settings.run)
    check_predictions(client, server.models, sample.read_bytes())
    answer = client.detect(model, sample.read_bytes())
    print(f"\n{model} in {sample.name}, {1000 * answer.round_trip:.0f} ms:")
    print(detection_table(answer, most=8))
    print(f"\nReady: {', '.join(server.models)}")
    print(f"  inference   {settings.inference_url}/predictions/{model}")
    print(f"  management  {settings.management_url}/models")
    print(f"  metrics     {settings.metrics_url}/metrics")
    print("\nTry it:")
    token = client.token("inference")
    print(
        f'  curl -H "Authorization: Bearer {token}" -T {shlex.quote(str(sample))} '
        f"{settings.inference_url}/predictions/{model}\n"
    )


def _stay(settings: Settings, server: Server) -> int:
    print("Ctrl-C stops it.", flush=True)
    while server.process():
        time.sleep(0.5)
    if find(settings) is None and not settings.key_file.exists():
        return 0  # scripts/down ended it
    stop(settings, server)
    raise ServerError(f"TorchServe ended by itself; {console(settings)}, {settings.log}")


def _shown(text: str, work: Callable[[], T]) -> T:
    """The result of `work`, which may take long, with progress shown meanwhile."""
    progress, finished = Progress(), threading.Event()

    def show() -> None:
        while not finished.wait(0.2):
            progress(text)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        return work()
    finally:
        finished.set()
        thread.join()
        progress.done()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
