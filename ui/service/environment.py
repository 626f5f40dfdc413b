"""Reading environment variables. Errors name the variable, its value and the expected form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

Variables = Mapping[str, str]

ON, OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class SettingsError(Exception):
    """An environment variable has an invalid value. The message is for the user."""


def url(variables: Variables, name: str, default: str) -> str:
    """The base URL of an API, without a trailing slash. Raises SettingsError."""
    text = variables.get(name) or default
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port is not a number
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise SettingsError(f"{name} is {text!r}; expected a URL such as {default}")
    return text.rstrip("/")


def secret(variables: Variables, name: str) -> str | None:
    """The secret in the variable `name`, or in the file that the variable `name`_FILE names; None without either.

    Raises SettingsError if the file cannot be read or is empty.
    """
    file = variables.get(f"{name}_FILE")
    if not file:
        return variables.get(name) or None
    try:
        # `echo` writes a line break at the end, which is not part of the secret.
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}_FILE is {file!r}, which cannot be read: {error}") from error
    if not text:
        raise SettingsError(f"{name}_FILE is {file!r}, which is empty; expected the password in it")
    return text


def switch(variables: Variables, name: str) -> bool:
    """Whether a switch is on; off if the variable is not set. Raises SettingsError."""
    text = variables.get(name, "")
    if text.lower() not in ON + OFF:
        raise SettingsError(f"{name} is {text!r}; expected 1 or 0")
    return text.lower() in ON


def choice(variables: Variables, name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first if the variable is not set. Raises SettingsError."""
    text = variables.get(name) or choices[0]
    if text not in choices:
        raise SettingsError(f"{name} is {text!r}; expected {' or '.join(choices)}")
    return text


def whole_number(variables: Variables, name: str, default: int, unit: str, maximum: int) -> int:
    """A whole number from 1 to `maximum`; `unit` names what it counts, for the message. Raises SettingsError."""
    text = variables.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= maximum:
        raise SettingsError(f"{name} is {text!r}; expected {unit} from 1 to {maximum}")
    return int(text)
