"""The command scripts/up: from checkpoints to a service that answers."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from archiver.errors import ArchiverError
from server.arguments import add_choice, add_making
from server.commands.archives import Making, choose_archives
from server.commands.detection_table import detection_table
from server.commands.sample import sample_for
from server.runtime.page import log_of, start_page, wait_for_page
from server.runtime.process import Started
from server.runtime.progress import Progress
from server.runtime.readiness import wait_until_ready
from server.runtime.settings import ROOT, Settings
from server.runtime.torchserve import Server, ServerError, console, require_startable, start, stop, was_stopped
from service.client import Client, ServiceError
from service.environment import SettingsError

PAGE_SECONDS = 30.0  # a page that ends sooner than this after being started again is left alone


class Interrupted(Exception):
    """Ctrl-C or a signal to end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the wanted models, detached or until Ctrl-C; 0 if that went well."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    server = None
    try:
        settings = Settings.from_environment()
        require_startable(settings, with_page=not arguments.no_ui)
        archives = choose_archives(arguments.models, settings.model_store, Making.of(arguments))
        server = start(settings, list(archives.items()))
        page = None if arguments.no_ui else start_page(settings, server.pid)  # it loads while the models do
        _introduce(settings, server, page)
        return 0 if arguments.detach else _stay(settings, server, page)
    except Interrupted:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # once is enough, and stopping takes a moment
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
        "UI_PORT (8501), UI_OPERATOR_PASSWORD (lets operators change the models on the page), "
        "WORKERS_PER_MODEL (two, and one more for every four cores beyond four), "
        "YOLOV5_WEIGHTS_DIR (folders with checkpoints), YOLOV5_WEIGHTS_URL (a mirror of the release).",
    )
    add_choice(parser)
    add_making(parser)
    parser.add_argument("--no-ui", action="store_true", help="serve without the page")
    parser.add_argument("--detach", action="store_true", help="return once all is ready; scripts/down stops it")
    return parser


def _introduce(settings: Settings, server: Server, page: Started | None) -> None:
    """Wait until all is ready, detect in a sample, and say how to go on."""
    client = Client(settings.inference_url, settings.management_url, settings.key_file)
    progress = Progress()
    wait_until_ready(settings, server, client, progress)
    page_ready = page is not None and wait_for_page(settings, page, progress)
    progress.done()
    model = server.models[0]
    sample = sample_for(model, settings.run)
    picture = sample.read_bytes()
    answers = [client.detect(each, picture) for each in server.models]
    answer = answers[0]
    print(f"\n{model} in {sample.name}, {1000 * answer.round_trip:.0f} ms:")
    print(detection_table(answer, most=8))
    print(f"\nReady: {', '.join(server.models)}")
    if page_ready:
        print(f"  page        {settings.ui_url}")
    elif page:
        print(f"  page        DID NOT START: see {log_of(settings)}", file=sys.stderr)
    print(f"  inference   {settings.inference_url}/predictions/{model}")
    print(f"  management  {settings.management_url}/models")
    print(f"  metrics     {settings.metrics_url}/metrics")
    print("\nTry it:")
    token = client.token("inference")
    print(
        f'  curl -H "Authorization: Bearer {token}" -T {shlex.quote(str(sample))} '
        f"{settings.inference_url}/predictions/{model}\n"
    )


def _stay(settings: Settings, server: Server, page: Started | None) -> int:
    print("Ctrl-C stops it.", flush=True)
    restarted = -PAGE_SECONDS
    while server.process():
        time.sleep(0.5)
        if page and not page.process() and server.process() and not was_stopped(settings):
            page = None
            if time.monotonic() - restarted < PAGE_SECONDS:
                print(f"The page ended again and stays away: see {log_of(settings)}", file=sys.stderr, flush=True)
                continue
            page, restarted = start_page(settings, server.pid), time.monotonic()
            print(f"The page ended by itself; it is started again. See {log_of(settings)}", file=sys.stderr, flush=True)
    if was_stopped(settings):
        print("Stopped by another command.")
        return 0
    stop(settings, server)
    raise ServerError(f"TorchServe ended by itself; {console(settings)}, {settings.log}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
