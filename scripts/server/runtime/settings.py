"""The settings of a service on this machine, from environment variables."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from archiver.options import default_model_store
from detection.cores import available_cores
from server.runtime.sizing import default_workers
from service import environment
from service.environment import SettingsError

ROOT = Path(__file__).resolve().parents[3]
YEAR_MINUTES = 525600
LOOPBACK, ALL_ADDRESSES = "127.0.0.1", "0.0.0.0"  # noqa: S104
SWITCH = ("false", "true")


@dataclass(frozen=True)
class Settings:
    """The settings of one running service.

    inference_host, management_host: IPv4 addresses that the APIs listen at; the metrics API listens at the second.
    token_minutes: the lifetime of a token.
    operator: whether the management API may register and unregister models.
    tokens: whether a request needs a token.
    logs_to_console: whether logs are written to standard output and not into files.
    run: the folder of the service's state, tokens and logs.
    """

    inference_host: str
    management_host: str
    inference_port: int
    management_port: int
    metrics_port: int
    ui_port: int
    workers_per_model: int
    token_minutes: int
    operator: bool
    tokens: bool
    logs_to_console: bool
    run: Path
    model_store: Path

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings in the variables that docs/configuration.md lists. Raises SettingsError."""
        defaults = {"INFERENCE_PORT": 8080, "MANAGEMENT_PORT": 8081, "METRICS_PORT": 8082, "UI_PORT": 8501}
        ports = [_number(name, default, "a port", 65535) for name, default in defaults.items()]
        if len(set(ports)) < len(ports):
            raise SettingsError(f"{', '.join(defaults)} are {ports}; expected four different ports")
        cores = available_cores()
        return cls(
            inference_host=_host("INFERENCE_HOST"),
            management_host=_host("MANAGEMENT_HOST"),
            inference_port=ports[0],
            management_port=ports[1],
            metrics_port=ports[2],
            ui_port=ports[3],
            workers_per_model=_number("WORKERS_PER_MODEL", default_workers(cores), "a number of workers", 64),
            token_minutes=_number("TOKEN_EXPIRATION_MIN", YEAR_MINUTES, "minutes", YEAR_MINUTES),
            operator=_has_operator(),
            tokens=_tokens(),
            logs_to_console=_choice("LOG_TO", ("files", "console")) == "console",
            run=Path(os.environ.get("RUN_DIR") or ROOT / ".run").resolve(),
            model_store=default_model_store(),
        )

    @property
    def inference_url(self) -> str:
        """Base address of the inference API."""
        return f"http://{_connectable(self.inference_host)}:{self.inference_port}"

    @property
    def management_url(self) -> str:
        """Base address of the management API."""
        return f"http://{_connectable(self.management_host)}:{self.management_port}"

    @property
    def metrics_url(self) -> str:
        """Base address of the metrics API."""
        return f"http://{_connectable(self.management_host)}:{self.metrics_port}"

    @property
    def ui_url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def key_file(self) -> Path:
        """The file with the tokens, which TorchServe writes into its working directory."""
        return self.run / "key_file.json"

    @property
    def log(self) -> Path:
        """The log of the server and its workers."""
        return self.run / "logs" / "server.log"


def _has_operator() -> bool:
    """Whether an operator password is set, or ENABLE_MODEL_API allows changes without the page."""
    # The page reads these two variables later. An invalid value should end the start before the models load.
    environment.switch(os.environ, "UI_ALLOW_URLS")
    password = environment.secret(os.environ, "UI_OPERATOR_PASSWORD")
    return _choice("ENABLE_MODEL_API", SWITCH) == "true" or password is not None


def _connectable(host: str) -> str:
    """The address to connect to for a server of this machine that listens at `host`."""
    return LOOPBACK if host == ALL_ADDRESSES else host


def _host(name: str) -> str:
    """The IPv4 address in a variable, which may also be a host name."""
    text = os.environ.get(name) or LOOPBACK
    try:
        return socket.gethostbyname(text)
    except (OSError, UnicodeError):
        raise SettingsError(f"{name} is {text!r}; expected an IPv4 address, or a name that resolves to one") from None


def _tokens() -> bool:
    """Whether requests need a token. Without tokens, only this machine may reach the APIs."""
    if _choice("TOKEN_AUTHORIZATION", ("on", "off")) == "on":
        return True
    hosts = {name: _host(name) for name in ("INFERENCE_HOST", "MANAGEMENT_HOST")}
    for name, host in hosts.items():
        if not host.startswith("127."):
            raise SettingsError(f"TOKEN_AUTHORIZATION is off and {name} is {host}; expected {LOOPBACK}, or tokens on")
    return False


def _choice(name: str, choices: tuple[str, ...]) -> str:
    return environment.choice(os.environ, name, choices)


def _number(name: str, default: int, kind: str, highest: int) -> int:
    return environment.whole_number(os.environ, name, default, kind, highest)
