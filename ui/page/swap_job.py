"""The hot swap of this process. It runs in the background, so that it is completed even if the page is closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from page.password import NotPermitted
from service.errors import ServiceError
from service.operator import InvalidAction
from service.swap import Step, SwapFailed

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SwapJob:
    """The state of a swap: each step with its latest state, and the error if it has failed."""

    model: str
    archive: str
    steps: tuple[Step, ...] = ()
    running: bool = True
    failure: Exception | None = None

    def with_step(self, step: Step) -> SwapJob:
        """The state after one more report."""
        others = tuple(known for known in self.steps if known.name != step.name)
        return replace(self, steps=(*others, step))


class SwapJobs:
    """Runs one swap at a time and keeps the state of the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: SwapJob | None = None

    @property
    def last(self) -> SwapJob | None:
        """The running swap, or the last one."""
        return self._last

    def require_none(self) -> None:
        """Raises InvalidAction while a swap runs."""
        last = self._last
        if last and last.running:
            raise InvalidAction(f"{last.model} is being swapped for {last.archive}; wait until that is finished")

    def start(self, model: str, archive: str, steps: Iterator[Step]) -> threading.Thread:
        """Run a swap in the background. Raises InvalidAction while another one runs."""
        with self._lock:
            self.require_none()
            self._last = SwapJob(model, archive)
        thread = threading.Thread(target=self._work, args=(self._last, steps), name="swap")
        thread.start()
        return thread

    def _work(self, job: SwapJob, steps: Iterator[Step]) -> None:
        failure: Exception | None = None
        try:
            for step in steps:
                job = job.with_step(step)
                self._last = job
        except (SwapFailed, ServiceError, InvalidAction, NotPermitted) as error:
            failure = error
        except Exception as error:  # a fault of this code; it must not block all later swaps
            LOG.exception("a swap failed")
            failure = error
        self._last = replace(job, running=False, failure=failure)
