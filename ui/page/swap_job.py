"""The hot swap that goes on in this process: in the background, so that it comes to its end whoever closes the page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from page.password import NotPermitted
from service.client import ServiceError
from service.operator import InvalidAction
from service.swap import Step, SwapFailed

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """A swap as it stands: each step with its latest state, and once it has ended, why it failed if it did."""

    model: str
    archive: str
    steps: tuple[Step, ...] = ()
    running: bool = True
    failure: Exception | None = None

    def with_step(self, step: Step) -> Exchange:
        """After one more report."""
        kept = tuple(each for each in self.steps if each.name != step.name)
        return replace(self, steps=(*kept, step))


class Exchanges:
    """One swap at a time, and the last one to look at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Exchange | None = None

    @property
    def last(self) -> Exchange | None:
        """The swap that goes on, or the last one."""
        return self._last

    def require_none(self) -> None:
        """Raises InvalidAction while a swap goes on."""
        last = self._last
        if last and last.running:
            raise InvalidAction(f"{last.model} is being exchanged for {last.archive}; wait until that is done")

    def start(self, model: str, archive: str, steps: Iterator[Step]) -> threading.Thread:
        """Carry a swap out. Raises InvalidAction while another one goes on."""
        with self._lock:
            self.require_none()
            self._last = Exchange(model, archive)
        thread = threading.Thread(target=self._work, args=(self._last, steps), name="exchange")
        thread.start()
        return thread

    def _work(self, exchange: Exchange, steps: Iterator[Step]) -> None:
        failure: Exception | None = None
        try:
            for step in steps:
                exchange = exchange.with_step(step)
                self._last = exchange
        except (SwapFailed, ServiceError, InvalidAction, NotPermitted) as error:
            failure = error
        except Exception as error:  # a fault of ours; the next swap must not wait for this one for ever
            LOG.exception("a swap failed")
            failure = error
        self._last = replace(exchange, running=False, failure=failure)
