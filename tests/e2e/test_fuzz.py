"""Ten thousand hostile requests: each is answered as the contract says, and the worker outlives them all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from support.contract import breach
from support.fuzz.cases import Case, case_of, fixed_cases
from support.pictures import crowded
from support.running_service import Service

SEEDS = range(10_000)
THREADS = 4
SECONDS = 60.0  # an answer that takes longer counts as none
SHOWN = 10

local = threading.local()


def send(service: Service, case: Case, headers: dict[str, str]) -> requests.Response:
    """The answer to a case, over a connection that stays open as far as the service lets it."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    kind = {} if case.content_type is None else {"Content-Type": case.content_type.encode("latin-1")}
    url = service.inference_url + case.path
    answer: requests.Response = local.session.post(url, data=case.body, headers={**headers, **kind}, timeout=SECONDS)
    return answer


def fault(service: Service, case: Case, headers: dict[str, str]) -> tuple[int, str]:
    """The status of the answer to a case, and how that breaks the contract, or nothing."""
    try:
        answer = send(service, case, headers)
    except requests.RequestException as error:
        return 0, f"no answer: {error!r}"
    if answer.status_code not in case.statuses:
        return answer.status_code, f"{answer.status_code} {answer.text[:300]}; expected one of {sorted(case.statuses)}"
    if b"InternalError" in answer.content or b"InternalServerException" in answer.content:
        return answer.status_code, f"a fault of the model or its worker: {answer.text[:300]}"
    return answer.status_code, breach(answer.status_code, answer.headers.get("Content-Type"), answer.content)


def run(service: Service, cases: Iterable[tuple[str, Case]]) -> Counter[int]:
    """Send all cases; how often each status was answered. Fails with the names of the cases that break the contract."""
    headers = service.headers
    with ThreadPoolExecutor(THREADS) as pool:
        results = [(name, case, pool.submit(fault, service, case, headers)) for name, case in cases]
        faults = [
            f"{name}: {case.description}: {found.result()[1]}" for name, case, found in results if found.result()[1]
        ]
    assert not faults, f"{len(faults)} cases break the contract:\n" + "\n".join(faults[:SHOWN])
    return Counter(found.result()[0] for _, _, found in results)


@pytest.fixture
def unharmed(service: Service) -> Any:
    """The same workers answer the same before and after the test."""
    model = service.models[0]
    picture = crowded()

    def detections() -> Any:
        return service.client.detect(model, picture).document["detections"]

    pids, before = service.worker_pids(model), detections()
    assert before
    yield
    assert service.worker_pids(model) == pids
    assert detections() == before


@pytest.mark.usefixtures("unharmed")
def test_every_special_picture_is_read_or_refused_as_it_should(service: Service) -> None:
    run(service, (("fixed", case) for case in fixed_cases(service.models[0])))


@pytest.mark.usefixtures("unharmed")
def test_ten_thousand_hostile_requests_are_answered_as_the_contract_says(service: Service) -> None:
    answered = run(service, ((f"seed {seed}", case_of(seed, service.models[0])) for seed in SEEDS))
    assert answered.total() == len(SEEDS)
    # Cases that were all refused for one reason would not have reached what they are for.
    assert all(answered[status] > 100 for status in (200, 400, 415, 422)), answered
