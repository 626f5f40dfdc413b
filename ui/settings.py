"""Where the page finds the service and what it may do there, from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
ADDRESSES = {
    "INFERENCE_URL": "http://127.0.0.1:8080",
    "MANAGEMENT_URL": "http://127.0.0.1:8081",
    "METRICS_URL": "http://127.0.0.1:8082",
}


class SettingsError(Exception):
    """An environment variable that cannot be used, in words for the user."""


@dataclass(frozen=True)
class Settings:
    """The service of the page. The tokens in `key_file` are of these addresses and go to no other.

    operator_password: None where operator actions are off. allow_urls: whether a visitor may have the page's server
    fetch a picture from an address. model_store: the folder whose archives an operator may register, or None where the
    page cannot see it.
    """

    inference_url: str
    management_url: str
    metrics_url: str
    key_file: Path | None
    operator_password: str | None = field(repr=False, default=None)
    allow_urls: bool = False
    model_store: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Settings of INFERENCE_URL, MANAGEMENT_URL, METRICS_URL, KEY_FILE, MODEL_STORE, UI_OPERATOR_PASSWORD or
        UI_OPERATOR_PASSWORD_FILE, and UI_ALLOW_URLS.

        Raises SettingsError.
        """
        values = os.environ if environment is None else environment
        urls = [_address(name, values.get(name) or default) for name, default in ADDRESSES.items()]
        key_file = values.get("KEY_FILE", str(ROOT / ".run" / "key_file.json"))
        store = values.get("MODEL_STORE", str(ROOT / "model_store"))
        return cls(
            urls[0],
            urls[1],
            urls[2],
            Path(key_file).resolve() if key_file else None,
            _password(values),
            _switch("UI_ALLOW_URLS", values.get("UI_ALLOW_URLS", "")),
            Path(store).resolve() if store and Path(store).is_dir() else None,
        )


def _address(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise SettingsError(f"{name} is {text!r}; expected an address such as {ADDRESSES[name]}")
    return text.rstrip("/")


def _password(values: Mapping[str, str]) -> str | None:
    """The operator's password, of the variable or of the file that a secret is mounted as; None where there is none."""
    file = values.get("UI_OPERATOR_PASSWORD_FILE")
    if not file:
        return values.get("UI_OPERATOR_PASSWORD") or None
    try:
        # A file written with `echo` ends with a line break that is no part of the password.
        password = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"UI_OPERATOR_PASSWORD_FILE is {file!r}, which cannot be read: {error}") from error
    if not password:
        raise SettingsError(f"UI_OPERATOR_PASSWORD_FILE is {file!r}, which is empty; expected the password in it")
    return password


def _switch(name: str, text: str) -> bool:
    if text.lower() not in YES + NO:
        raise SettingsError(f"{name} is {text!r}; expected 1 or 0")
    return text.lower() in YES
