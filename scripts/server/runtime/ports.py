"""Ports of this machine: which are free, and which the service needs."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from server.runtime.errors import ServerError
from server.runtime.settings import LOOPBACK, Settings

SERVER_PORTS = ("inference_port", "management_port", "metrics_port")
PAGE_PORT = "ui_port"


def free_port() -> int:
    """A port of the loopback interface that no process listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def require_free_ports(settings: Settings, names: Sequence[str]) -> None:
    """Raises ServerError if one of these ports of the settings is in use."""
    for name in names:
        port = getattr(settings, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise ServerError(
                    f"port {port} is in use ({error.strerror}); free it, or set {name.upper()} to another port"
                ) from None
