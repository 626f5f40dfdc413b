"""The main process of a container: serves with TorchServe until a signal, or until TorchServe ends.

If TorchServe ends by itself, the container's restart policy starts both again, with the registrations saved so far.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from archiver.options import archive_name
from server.arguments import FALLBACK_MODEL, add_model_arguments
from server.container.desired_state import InvalidDesiredState
from server.container.service import ContainerService, ContainerSettings
from server.runtime.errors import ServerError
from server.runtime.settings import LOOPBACK, Settings
from service import environment
from service.environment import SettingsError


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT (returns 0), or until TorchServe ends by itself (returns 1)."""
    parser = argparse.ArgumentParser(prog="container", description=__doc__)
    add_model_arguments(parser)
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        ContainerService(Settings.from_environment(), _container_settings(arguments)).serve(stop)
    except (SettingsError, ServerError, InvalidDesiredState, OSError) as error:
        print(f"container: {error}", file=sys.stderr)
        return 1
    return 0


def _container_settings(arguments: argparse.Namespace) -> ContainerSettings:
    desired_state = os.environ.get("DESIRED_STATE")
    return ContainerSettings(
        archives=tuple(archive_name(model, arguments.precision) for model in arguments.models),
        fallback=archive_name(FALLBACK_MODEL, arguments.precision),
        desired_state=Path(desired_state) if desired_state else None,
        health_host=os.environ.get("HEALTH_HOST") or LOOPBACK,
        health_port=environment.whole_number(os.environ, "HEALTH_PORT", 8083, "a port", 65535),
    )


if __name__ == "__main__":
    sys.exit(main())
