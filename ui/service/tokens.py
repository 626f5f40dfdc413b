"""TorchServe's key file: the tokens of its two APIs, and the renewal of an expired one.

Whoever renews a token locks out all who hold the old one, so there is one renewer at a time (a lock beside the file),
it renews only what has expired, and everybody else reads the new token from the file, where TorchServe writes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from service.errors import InvalidToken

Api = Literal["inference", "management"]

READS, READ_SECONDS = 5, 0.02
CLOCK_SKEW = timedelta(seconds=60)  # by which the server's clock may be ahead of ours


def read_token(key_file: Path, api: Api) -> str:
    """The token that TorchServe wrote for an API. Raises InvalidToken where there is none."""
    return _entry(key_file, api)[0]


def token_after_refusal(key_file: Path, api: Api, refused: str, renew: Callable[[str], None]) -> str | None:
    """The token to try after `refused` was: what the file holds by now, or a new one; None where there is no other.

    `renew` is called with the API key and must ask TorchServe for a new token, which TorchServe writes into the file.
    """
    token, expires = _entry(key_file, api)  # in one reading: between two, somebody may have renewed it
    if token != refused:
        return token
    if not _has_expired(expires):
        return None
    try:
        with _locked(key_file):
            if read_token(key_file, api) == refused:  # nobody renewed it while we waited for the lock
                renew(api_key(key_file))
    except (ImportError, OSError, ValueError, KeyError):
        pass  # no right to renew (or a system without such locks): somebody else's may be there by now
    token = read_token(key_file, api)
    return None if token == refused else token


def _entry(key_file: Path, api: Api) -> tuple[str, str]:
    """An API's token, and when it expires as TorchServe wrote that."""
    try:
        entry = _content(key_file)[api]
        return entry["key"], str(entry.get("expiration time"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidToken(f"no {api} token in {key_file}: {type(error).__name__}; is the service running?") from error


def _has_expired(expires: str) -> bool:
    try:
        # "2027-11-22T22:10:48.134232523Z": Python reads six digits of the nine.
        return datetime.fromisoformat(expires) <= datetime.now(UTC) + CLOCK_SKEW
    except (TypeError, ValueError):
        return False


def api_key(key_file: Path) -> str:
    """The key that renews the others. Raises KeyError where the file is without it."""
    return str(_content(key_file)["API"]["key"])


def _content(key_file: Path) -> dict[str, Any]:
    """What is in the file. Raises OSError, or ValueError where it is no JSON for longer than it takes to write it."""
    for _ in range(READS):
        try:
            content: dict[str, Any] = json.loads(key_file.read_text(encoding="utf-8"))
        except ValueError:  # TorchServe writes it in place: it is empty for a moment
            time.sleep(READ_SECONDS)
        else:
            return content
    raise ValueError(f"{key_file} is no JSON")


@contextmanager
def _locked(key_file: Path) -> Iterator[None]:
    """Hold the lock of the key file against other threads and processes. Raises PermissionError, ImportError."""
    import fcntl  # here: the rest of this module runs where there is no such thing

    with key_file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
