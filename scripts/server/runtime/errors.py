"""The error of TorchServe's process."""

from __future__ import annotations


class ServerError(Exception):
    """TorchServe cannot be started, or it does not run. The message is for the user."""
