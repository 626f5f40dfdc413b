"""The command scripts/down: stops the service that scripts/up started."""

from __future__ import annotations

import sys

from server.runtime.settings import Settings
from server.runtime.torchserve import find_server, stop_server
from service.environment import SettingsError


def main() -> int:
    """Stop the running service. Returns 0 also if none runs."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"down: {error}", file=sys.stderr)
        return 1
    server = find_server(settings)
    if server is None:
        print("Nothing is running.")
        return 0
    stop_server(settings, server)
    print(f"Stopped: {', '.join(server.models)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
