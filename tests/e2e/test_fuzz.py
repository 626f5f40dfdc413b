"""Ten thousand malformed requests: each response follows the contract, and no worker dies."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from support.contract import violation
from support.fuzz.cases import Case, case_of, fixed_cases
from support.pictures import crowded
from support.running_service import Service

SEEDS = range(10_000)
THREADS = 4
TIMEOUT_SECONDS = 60.0
MAX_SHOWN = 10  # failures

local = threading.local()


def send(service: Service, case: Case, headers: dict[str, str]) -> requests.Response:
    """The response to a case, over a connection that is kept open."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    content_type = {} if case.content_type is None else {"Content-Type": case.content_type.encode("latin-1")}
    url = service.inference_url + case.path
    response: requests.Response = local.session.post(
        url, data=case.body, headers={**headers, **content_type}, timeout=TIMEOUT_SECONDS
    )
    return response


def failure(service: Service, case: Case, headers: dict[str, str]) -> tuple[int, str]:
    """The status of the response to a case, and how it violates the contract; empty if it does not."""
    try:
        response = send(service, case, headers)
    except requests.RequestException as error:
        return 0, f"no response: {error!r}"
    status, start = response.status_code, response.text[:300]
    if status not in case.statuses:
        return status, f"{status} {start}; expected one of {sorted(case.statuses)}"
    if b"InternalError" in response.content or b"InternalServerException" in response.content:
        return status, f"an error of the model or its worker: {start}"
    return status, violation(status, response.headers.get("Content-Type"), response.content)


def run(service: Service, cases: Iterable[tuple[str, Case]]) -> Counter[int]:
    """Send all cases and count the statuses of the responses. Fails with the cases that violate the contract."""
    headers = service.headers
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [(name, case, pool.submit(failure, service, case, headers)) for name, case in cases]
        failures = [
            f"{name}: {case.description}: {future.result()[1]}" for name, case, future in futures if future.result()[1]
        ]
    assert not failures, f"{len(failures)} cases violate the contract:\n" + "\n".join(failures[:MAX_SHOWN])
    return Counter(future.result()[0] for _, _, future in futures)


@pytest.fixture
def unchanged(service: Service) -> Any:
    """The same workers run before and after the test, with the same results."""
    model = service.models[0]
    picture = crowded()

    def detections() -> Any:
        return service.client.detect(model, picture).document["detections"]

    pids, before = service.worker_pids(model), detections()
    assert before
    yield
    assert service.worker_pids(model) == pids
    assert detections() == before


@pytest.mark.usefixtures("unchanged")
def test_every_special_picture_is_read_or_rejected_as_expected(service: Service) -> None:
    run(service, (("fixed", case) for case in fixed_cases(service.models[0])))


@pytest.mark.usefixtures("unchanged")
def test_the_responses_to_ten_thousand_malformed_requests_follow_the_contract(service: Service) -> None:
    counts = run(service, ((f"seed {seed}", case_of(seed, service.models[0])) for seed in SEEDS))
    assert counts.total() == len(SEEDS)
    # If all cases were rejected for one reason, they would not test the rest.
    assert all(counts[status] > 100 for status in (200, 400, 415, 422)), counts
