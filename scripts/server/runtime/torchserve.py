"""The TorchServe process: starts it, finds it again in a later command, and stops it with all its children."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from server.runtime.errors import ServerError
from server.runtime.launch import launch
from server.runtime.page import stop_page
from server.runtime.ports import PAGE_PORT, SERVER_PORTS, require_free_ports
from server.runtime.process import StartedProcess
from server.runtime.settings import Settings

STOP_SECONDS = 30.0
KILL_SECONDS = 5.0
SPARE_BYTES = 50_000_000  # of disk space, besides the unpacked archives


@dataclass(frozen=True)
class Server(StartedProcess):
    """A started TorchServe: its JVM, its temporary folder, and the models that it was started with."""

    temporary: str
    models: tuple[str, ...]


def find_server(settings: Settings) -> Server | None:
    """The running server of these settings, or None. The files of a server that has ended are removed."""
    try:
        content = json.loads(_state_file(settings).read_text())
        server = Server(content["pid"], content["created"], content["temporary"], tuple(content["models"]))
    except (OSError, ValueError, KeyError):
        return None
    if server.process():
        return server
    stop_server(settings, server)
    return None


def require_startable(settings: Settings, with_page: bool) -> None:
    """Raises ServerError if a server already runs or a port is in use. The page's port counts only `with_page`."""
    running = find_server(settings)
    if running:
        raise ServerError(
            f"the service already runs (process {running.pid}, models {', '.join(running.models)}); "
            "`scripts/down` stops it"
        )
    require_free_ports(settings, (*SERVER_PORTS, PAGE_PORT) if with_page else SERVER_PORTS)


def start_server(settings: Settings, archives: Sequence[tuple[str, Path]]) -> Server:
    """Start TorchServe with archives of its store, each with its model's name. It is not ready yet on return.

    A model with several archives has several versions. Raises ServerError as require_startable does, and for a full
    disk.
    """
    require_startable(settings, with_page=False)
    (settings.run / "logs").mkdir(parents=True, exist_ok=True)
    settings.key_file.unlink(missing_ok=True)
    settings.log.unlink(missing_ok=True)
    _stop_marker(settings).unlink(missing_ok=True)
    # TorchServe unpacks archives here, and creates sockets, whose paths are limited to 108 characters.
    temporary = tempfile.mkdtemp(prefix="yolov5-")
    try:
        _require_space(temporary, archives)
        launch(settings, archives, temporary)
        pid = _launched_pid(temporary)
        server = Server(pid, psutil.Process(pid).create_time(), temporary, tuple(dict(archives)))
    except BaseException as error:  # also Ctrl-C: a process launched so far must not remain
        _undo_launch(temporary)
        if isinstance(error, (OSError, ValueError, psutil.Error, subprocess.SubprocessError)):
            raise ServerError(f"TorchServe did not start: {error}; {log_hint(settings)}") from error
        raise
    _state_file(settings).write_text(json.dumps(asdict(server)))
    return server


def stop_server(settings: Settings, server: Server) -> None:
    """Stop the server and its page, wait for all its processes, and remove its files."""
    _stop_marker(settings).touch()
    stop_page(settings)
    process = server.process()
    if process:
        _terminate(process)
    shutil.rmtree(server.temporary, ignore_errors=True)
    settings.key_file.unlink(missing_ok=True)
    _state_file(settings).unlink(missing_ok=True)
    _stop_marker(settings).unlink(missing_ok=True)


def was_stopped(settings: Settings) -> bool:
    """Whether a server that has ended was stopped, by this or another command; False if it ended by itself."""
    return _stop_marker(settings).exists() or not _state_file(settings).exists()


def log_hint(settings: Settings, lines: int = 3) -> str:
    """The folder of the server's logs, and the last lines of its console output."""
    path = settings.run / "logs" / "console.log"
    text = path.read_text(errors="replace") if path.exists() else ""
    last = " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
    return f"see {path.parent}" + (f" ({last})" if last else "")


def _terminate(process: psutil.Process) -> None:
    """Terminate a process and its children; kill those that do not end within STOP_SECONDS."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(alive, timeout=KILL_SECONDS)


def _launched_pid(temporary: str) -> int:
    """The JVM's process id, which TorchServe's launcher wrote."""
    return int((Path(temporary) / ".model_server.pid").read_text())


def _undo_launch(temporary: str) -> None:
    """Terminate the server that was launched with this temporary folder, and remove the folder."""
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        _terminate(psutil.Process(_launched_pid(temporary)))
    shutil.rmtree(temporary, ignore_errors=True)


def _state_file(settings: Settings) -> Path:
    return settings.run / "server.json"


def _stop_marker(settings: Settings) -> Path:
    """A file that exists while a server is being stopped."""
    return settings.run / "stopping"


def _require_space(temporary: str, archives: Sequence[tuple[str, Path]]) -> None:
    needed = 2 * sum(path.stat().st_size for _, path in archives) + SPARE_BYTES
    free = shutil.disk_usage(temporary).free
    if free < needed:
        raise ServerError(
            f"{temporary} has {free / 1e6:.0f} MB of free space, and unpacking the archives needs up to "
            f"{needed / 1e6:.0f} MB; free some space, or set TMPDIR to a folder on another disk"
        )
