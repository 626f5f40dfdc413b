"""The command scripts/token: prints the current token of an API."""

from __future__ import annotations

import argparse
import sys

from server.runtime.settings import Settings
from service.environment import SettingsError
from service.errors import InvalidToken
from service.tokens import read_token


def main() -> int:
    """Print the token, and nothing else, on standard output."""
    parser = argparse.ArgumentParser(prog="scripts/token", description="Print the current token of an API.")
    parser.add_argument("api", choices=("inference", "management"))
    arguments = parser.parse_args()
    try:
        print(read_token(Settings.from_environment().key_file, arguments.api))
    except (SettingsError, InvalidToken) as error:
        print(f"token: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
