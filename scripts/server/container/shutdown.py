"""The orderly end of a server: it takes no more requests, and answers those in progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from service.client import Client
from service.drain import NotDrained, wait_until_drained
from service.errors import ServiceError

FINISH_SECONDS = 40.0  # of the 60 seconds in compose.yaml
MIN_DRAIN_SECONDS = 1.0  # for each version, even if the time is used up
PROXY_SECONDS = 2.0  # a proxy checks every half second: deploy/kubernetes/proxy/haproxy.cfg
WRITE_SECONDS = 0.3  # for the last answers to leave the server


def finish_requests(client: Client, key_file: Path | None, log: Callable[[str], None]) -> None:
    """Take no more requests, and wait until those in progress are answered.

    key_file: the file with the tokens; None if requests need no token.

    strategy: TorchServe cannot stop listening without dropping its requests. But a new token invalidates the old one,
    which is checked before a request enters the queue: clients see the error that they see after any restart.
    """
    try:
        if key_file:
            client.renew("inference")
            _remove_inference_token(key_file)
        else:  # a proxy sees that this server is stopping, and sends requests to others
            time.sleep(PROXY_SECONDS)
        versions = [(model.name, version.version) for model in client.describe_all() for version in model.versions]
    except (ServiceError, OSError, ValueError, KeyError) as error:
        log(f"stopping with requests in progress: {error}")
        return
    deadline = time.monotonic() + FINISH_SECONDS
    for model, version in versions:
        try:
            wait_until_drained(client, model, version, max(MIN_DRAIN_SECONDS, deadline - time.monotonic()))
        except (ServiceError, NotDrained) as error:
            log(f"stopping; {model} {version} may have requests in progress: {error}")
    time.sleep(WRITE_SECONDS)


def _remove_inference_token(key_file: Path) -> None:
    """Remove the token from the key file, so that no client reads the new one."""
    content = json.loads(key_file.read_text())
    del content["inference"]
    key_file.write_text(json.dumps(content))
