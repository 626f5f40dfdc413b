"""The command scripts/up: builds the archives, serves them, and shows that they detect."""

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
from server.arguments import add_build_arguments, add_model_arguments
from server.commands.archives import BuildOptions, provide_archives
from server.commands.detection_table import detection_table
from server.commands.sample import sample_picture
from server.runtime.errors import ServerError
from server.runtime.page import page_log, start_page, wait_for_page
from server.runtime.process import StartedProcess
from server.runtime.progress import Progress
from server.runtime.readiness import wait_until_ready
from server.runtime.settings import ROOT, Settings
from server.runtime.torchserve import Server, log_hint, require_startable, start_server, stop_server, was_stopped
from service.client import Client
from service.environment import SettingsError
from service.errors import ServiceError

POLL_SECONDS = 0.5
MIN_PAGE_SECONDS = 30.0  # a page that ends sooner than this after a restart is not restarted again


class Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the requested models, in the background or until Ctrl-C. Returns 0 on success."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    server = None
    try:
        settings = Settings.from_environment()
        require_startable(settings, with_page=not arguments.no_ui)
        archives = provide_archives(arguments.models, settings.model_store, BuildOptions.from_arguments(arguments))
        server = start_server(settings, list(archives.items()))
        page = None if arguments.no_ui else start_page(settings, server.pid)  # loads at the same time as the models
        _wait_and_introduce(settings, server, page)
        return 0 if arguments.detach else _serve_until_stopped(settings, server, page)
    except Interrupted:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # stopping takes a moment; a second signal must not interrupt it
        print("\nStopping ...", file=sys.stderr)
        if server is not None:
            stop_server(settings, server)
        return 130 if server is None else 0
    except (SettingsError, ArchiverError, ServerError, ServiceError, OSError) as error:
        if server is not None:
            stop_server(settings, server)
        print(f"up: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Archive the requested YOLOv5 models and serve them with TorchServe on this machine's loopback "
        "interface.",
        epilog="Environment: INFERENCE_PORT (8080), MANAGEMENT_PORT (8081), METRICS_PORT (8082), "
        "UI_PORT (8501), UI_OPERATOR_PASSWORD (lets operators change the models on the page), "
        "WORKERS_PER_MODEL (two, and one more for every four cores beyond four), "
        "YOLOV5_WEIGHTS_DIR (folders with checkpoints), YOLOV5_WEIGHTS_URL (a mirror of the release).",
    )
    add_model_arguments(parser)
    add_build_arguments(parser)
    parser.add_argument("--no-ui", action="store_true", help="serve without the page")
    parser.add_argument(
        "--detach", action="store_true", help="return when everything is ready; scripts/down stops the service"
    )
    return parser


def _wait_and_introduce(settings: Settings, server: Server, page: StartedProcess | None) -> None:
    """Wait until everything is ready, detect in a sample with each model, and print how to use the service."""
    client = Client(settings.inference_url, settings.management_url, settings.key_file)
    progress = Progress()
    wait_until_ready(settings, server, client, progress)
    page_ready = page is not None and wait_for_page(settings, page, progress)
    progress.clear()
    model = server.models[0]
    sample = sample_picture(model, settings.run)
    picture = sample.read_bytes()
    answers = [client.detect(name, picture) for name in server.models]
    print(f"\n{model} in {sample.name}, {1000 * answers[0].round_trip:.0f} ms:")
    print(detection_table(answers[0], max_rows=8))
    print(f"\nReady: {', '.join(server.models)}")
    if page_ready:
        print(f"  page        {settings.ui_url}")
    elif page:
        print(f"  page        DID NOT START: see {page_log(settings)}", file=sys.stderr)
    inference_url = f"{settings.inference_url}/predictions/{model}"
    print(f"  inference   {inference_url}")
    print(f"  management  {settings.management_url}/models")
    print(f"  metrics     {settings.metrics_url}/metrics")
    token = client.token("inference")
    print("\nTry it:")
    print(f'  curl -H "Authorization: Bearer {token}" -T {shlex.quote(str(sample))} {inference_url}\n')


def _serve_until_stopped(settings: Settings, server: Server, page: StartedProcess | None) -> int:
    """Watch the server and its page until the server ends. Restarts a page that ends by itself."""
    print("Ctrl-C stops it.", flush=True)
    restarted_at = -MIN_PAGE_SECONDS
    while server.process():
        time.sleep(POLL_SECONDS)
        if page and not page.process() and server.process() and not was_stopped(settings):
            page = None
            if time.monotonic() - restarted_at < MIN_PAGE_SECONDS:
                _warn(f"The page ended again and is not restarted: see {page_log(settings)}")
                continue
            page, restarted_at = start_page(settings, server.pid), time.monotonic()
            _warn(f"The page ended by itself and is restarted. See {page_log(settings)}")
    if was_stopped(settings):
        print("Stopped by another command.")
        return 0
    stop_server(settings, server)
    raise ServerError(f"TorchServe ended by itself; {log_hint(settings)}, {settings.log}")


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
