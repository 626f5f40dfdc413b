from __future__ import annotations

import pytest

from service.errors import Failed, Unreachable
from service.metrics import Counts, History, Scrape, read_counts, scrape
from support.http_server import answering

TEXT = """# HELP ts_inference_latency_microseconds Torchserve prometheus counter metric with unit: Microseconds
# TYPE ts_inference_latency_microseconds counter
ts_inference_latency_microseconds{model_name="shapes",model_version="default",hostname="vm",} 134776.0
ts_inference_latency_microseconds{model_name="shapes",model_version="1.0",hostname="vm",} 5224.0
# HELP Requests2XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="vm",} 25.0
# HELP ts_inference_requests_total Torchserve prometheus counter metric with unit: Count
# TYPE ts_inference_requests_total counter
ts_inference_requests_total{model_name="shapes",model_version="default",hostname="vm",} 4.0
ts_inference_requests_total{model_name="shapes",model_version="1.0",hostname="vm",} 3.0
# HELP ts_queue_latency_microseconds Torchserve prometheus counter metric with unit: Microseconds
# TYPE ts_queue_latency_microseconds counter
ts_queue_latency_microseconds{model_name="shapes",model_version="default",hostname="vm",} 5000.0
# HELP QueueTime Torchserve prometheus gauge metric with unit: Milliseconds
# TYPE QueueTime gauge
QueueTime{Level="Host",Hostname="vm",} 1.0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# TYPE Requests2XX counter\nRequests2XX 3\n", {}),
        (TEXT, {"shapes": Counts(7.0, 0.14, 0.005)}),
    ],
)
def test_the_counters_of_each_model_are_summed_over_versions(text: str, expected: dict[str, Counts]) -> None:
    assert read_counts(text) == expected


@pytest.mark.parametrize("text", ["<html>", '{"code": 400}'])
def test_what_are_no_metrics_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Failed, match="no metrics"):
        read_counts(text)


def history(*scrapes: tuple[float, Counts | None]) -> History:
    made = History()
    for at, counts in scrapes:
        made.add(Scrape(at, {} if counts is None else {"shapes": counts}))
    return made


def test_one_scrape_says_nothing_yet() -> None:
    assert history((10, Counts(5, 1, 1))).points("shapes") == []


def test_rates_and_means_are_of_the_while_between_two_scrapes() -> None:
    (point,) = history((10, Counts(5, 1.0, 0.5)), (12, Counts(9, 1.4, 0.7))).points("shapes")
    assert (point.at, point.requests_per_second) == (12, 2)
    assert point.latency == pytest.approx(0.1)
    assert point.queueing == pytest.approx(0.05)


def test_where_nothing_was_asked_there_is_no_time_to_show() -> None:
    (point,) = history((10, Counts(5, 1, 1)), (12, Counts(5, 1, 1))).points("shapes")
    assert (point.requests_per_second, point.latency, point.queueing) == (0, None, None)
    (point,) = history((10, Counts(5, 1, 1)), (12, Counts(5, 1, 1))).points("unknown")
    assert (point.requests_per_second, point.latency) == (0, None)


def test_a_restarted_server_gives_no_negative_rate() -> None:
    points = history((10, Counts(500, 90, 9)), (12, Counts(4, 0.4, 0.1)), (14, None), (16, Counts(2, 0.1, 0)))
    assert [point.requests_per_second for point in points.points("shapes")] == [2, 0, 1]
    assert points.points("shapes")[0].latency == pytest.approx(0.1)


def test_a_clock_that_stands_or_goes_back_is_no_division_by_zero() -> None:
    made = history((10, Counts(1, 1, 1)), (10, Counts(2, 1, 1)), (9, Counts(3, 1, 1)), (11, Counts(4, 1, 1)))
    assert [point.requests_per_second for point in made.points("shapes")] == [3]


def test_only_the_last_scrapes_are_kept() -> None:
    made = History(3)
    for at in range(10):
        made.add(Scrape(at, {}))
    assert [point.at for point in made.points("shapes")] == [8, 9]


def test_scraping_names_what_went_wrong() -> None:
    with answering(lambda *_: (200, TEXT.encode())) as url:
        assert scrape(url).models["shapes"].requests == 7
    with answering(lambda *_: (404, b"")) as url, pytest.raises(Failed, match="HTTP 404"):
        scrape(url)
    with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1:9"):
        scrape("http://127.0.0.1:9")
