"""The command scripts/down: stop what scripts/up started."""

from __future__ import annotations

import sys

from server.runtime.settings import Settings
from server.runtime.torchserve import find, stop
from service.environment import SettingsError


def main() -> int:
    """Stop the running service; 0 also where there was none."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"down: {error}", file=sys.stderr)
        return 1
    server = find(settings)
    if server is None:
        print("Nothing is running.")
        return 0
    stop(settings, server)
    print(f"Stopped: {', '.join(server.models)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
