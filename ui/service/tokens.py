"""TorchServe's key file: the tokens of its two APIs, and the renewal of an expired one.

A renewal invalidates the old token for all clients. So there is one renewer at a time (a lock beside the file), it
renews only an expired token, and the other clients read the new token from the file, where TorchServe writes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from service.errors import ErrorKind, InvalidToken

Api = Literal["inference", "management"]

MAX_READS = 5
REREAD_SECONDS = 0.02
MAX_CLOCK_SKEW = timedelta(seconds=60)  # by which the server's clock may be ahead of ours


def read_token(key_file: Path, api: Api) -> str:
    """The token that TorchServe wrote for an API. Raises InvalidToken if the file has none."""
    return _entry(key_file, api)[0]


def token_after_refusal(key_file: Path, api: Api, refused: str, renew: Callable[[str], None]) -> str | None:
    """The token to try after `refused` was refused: the one now in the file, or a renewed one; None without another.

    `renew` is called with the API key and must make TorchServe write a new token into the file.
    """
    token, expires = _entry(key_file, api)  # one read: another client may renew the token between two
    if token != refused:
        return token
    if not _has_expired(expires):
        return None
    try:
        with _locked(key_file):
            if read_token(key_file, api) == refused:  # no other client renewed it while we waited for the lock
                renew(read_api_key(key_file))
    except (ImportError, OSError, ValueError, KeyError):
        pass  # no permission to renew (or a system without file locks): another client may have done it
    token = read_token(key_file, api)
    return None if token == refused else token


def read_api_key(key_file: Path) -> str:
    """The key that renews the tokens. Raises KeyError if the file does not have it."""
    return str(_content(key_file)["API"]["key"])


def _entry(key_file: Path, api: Api) -> tuple[str, str]:
    """An API's token and its expiry time as TorchServe wrote it."""
    try:
        entry = _content(key_file)[api]
        return entry["key"], str(entry.get("expiration time"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"no {api} token in {key_file}: {type(error).__name__}; is the service running?"
        raise InvalidToken(message, kind=ErrorKind.TOKEN_MISSING) from error


def _has_expired(expires: str) -> bool:
    try:
        # "2027-11-22T22:10:48.134232523Z": Python reads six digits of the nine.
        return datetime.fromisoformat(expires) <= datetime.now(UTC) + MAX_CLOCK_SKEW
    except (TypeError, ValueError):
        return False


def _content(key_file: Path) -> dict[str, Any]:
    """The JSON object in the file. Raises OSError, or ValueError if it stays unreadable for longer than a write."""
    for _ in range(MAX_READS):
        try:
            content: dict[str, Any] = json.loads(key_file.read_text(encoding="utf-8"))
        except ValueError:  # TorchServe writes the file in place: it is empty for a moment
            time.sleep(REREAD_SECONDS)
        else:
            return content
    raise ValueError(f"{key_file} is not JSON")


@contextmanager
def _locked(key_file: Path) -> Iterator[None]:
    """Hold the lock of the key file against other threads and processes. Raises PermissionError or ImportError."""
    import fcntl  # here: the rest of this module works on systems without it

    with key_file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
