from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from service.errors import Failed, Unreachable
from service.exposition import read_samples
from service.metrics import History, ModelCounters, Scrape, read_counters, scrape
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
        (TEXT, {"shapes": ModelCounters(7.0, 0.14, 0.005)}),
    ],
)
def test_the_counters_of_each_model_are_summed_over_versions(text: str, expected: dict[str, ModelCounters]) -> None:
    assert read_counters(text) == expected


@pytest.mark.parametrize("text", ["<html>", '{"code": 400}'])
def test_a_text_without_metrics_raises(text: str) -> None:
    with pytest.raises(Failed, match="did not answer with Prometheus metrics"):
        read_counters(text)


def history_of(*scrapes: tuple[float, ModelCounters | None]) -> History:
    history = History()
    for at, counts in scrapes:
        history.add(Scrape(at, {} if counts is None else {"shapes": counts}))
    return history


def test_one_scrape_gives_no_point() -> None:
    assert history_of((10, ModelCounters(5, 1, 1))).points("shapes") == []


def test_rates_and_means_are_of_the_period_between_two_scrapes() -> None:
    (point,) = history_of((10, ModelCounters(5, 1.0, 0.5)), (12, ModelCounters(9, 1.4, 0.7))).points("shapes")
    assert (point.at, point.requests_per_second) == (12, 2)
    assert point.latency == pytest.approx(0.1)
    assert point.queueing == pytest.approx(0.05)


def test_without_requests_there_are_no_times() -> None:
    (point,) = history_of((10, ModelCounters(5, 1, 1)), (12, ModelCounters(5, 1, 1))).points("shapes")
    assert (point.requests_per_second, point.latency, point.queueing) == (0, None, None)
    (point,) = history_of((10, ModelCounters(5, 1, 1)), (12, ModelCounters(5, 1, 1))).points("unknown")
    assert (point.requests_per_second, point.latency) == (0, None)


def test_a_restarted_server_gives_no_negative_rate() -> None:
    points = history_of(
        (10, ModelCounters(500, 90, 9)), (12, ModelCounters(4, 0.4, 0.1)), (14, None), (16, ModelCounters(2, 0.1, 0))
    )
    assert [point.requests_per_second for point in points.points("shapes")] == [2, 0, 1]
    assert points.points("shapes")[0].latency == pytest.approx(0.1)


def test_scrapes_at_the_same_or_an_earlier_time_are_left_out() -> None:
    made = history_of(
        (10, ModelCounters(1, 1, 1)),
        (10, ModelCounters(2, 1, 1)),
        (9, ModelCounters(3, 1, 1)),
        (11, ModelCounters(4, 1, 1)),
    )
    assert [point.requests_per_second for point in made.points("shapes")] == [3]


def test_only_the_last_scrapes_are_kept() -> None:
    history = History(3)
    for at in range(10):
        history.add(Scrape(at, {}))
    assert [point.at for point in history.points("shapes")] == [8, 9]


def test_the_error_of_a_scrape_names_its_cause() -> None:
    with answering(lambda *_: (200, TEXT.encode())) as url:
        assert scrape(url).models["shapes"].requests == 7
    with answering(lambda *_: (404, b"")) as url, pytest.raises(Failed, match="HTTP 404"):
        scrape(url)
    with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1:9"):
        scrape("http://127.0.0.1:9")


NAMES = st.sampled_from(["a", "_", ":", "a:b_9", "Requests2XX", "ts_queue_latency_microseconds", "x_total", "x_count"])
LABEL_NAMES = st.sampled_from(["a", "_x9", "Level", "le", "quantile"])
LABEL_VALUES = st.text(st.sampled_from('ab "\\\n{}=,#é\t\u2028'), max_size=8)
SPACES = st.sampled_from(["", " ", "\t", "  "])
VALUES = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "Inf", "1e3", "1.5E-7", "+2", "-0", ".5", "5."]),
)
COMMENTS = st.sampled_from(["", "# a comment", "# HELP a_b what it counts", "# TYPE c gauge", "#", "   "])


@st.composite
def sample_lines(draw: st.DrawFn) -> str:
    """A line of the Prometheus text format with one sample."""
    labels = draw(st.none() | st.dictionaries(LABEL_NAMES, LABEL_VALUES, max_size=3))
    space, has_last_comma = draw(SPACES), draw(st.booleans())
    block = ""
    if labels is not None:
        escaped = {
            name: value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for name, value in labels.items()
        }
        pairs = [f'{space}{name}{space}={space}"{value}"{space}' for name, value in escaped.items()]
        block = "{" + ",".join(pairs) + ("," if pairs and has_last_comma else "") + "}"
    timestamp = draw(st.sampled_from(["", " 1700000000000", "\t-5"]))
    return f"{space}{draw(NAMES)}{block} {draw(VALUES)}{timestamp}{space}"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(sample_lines() | COMMENTS, max_size=6))
def test_samples_are_read_as_the_official_parser_reads_them(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    official = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    samples = list(read_samples(text))
    assert [(sample.name, sample.labels) for sample in samples] == [(each.name, each.labels) for each in official]
    assert [sample.value for sample in samples] == pytest.approx([each.value for each in official], nan_ok=True, rel=0)


def test_torchserve_s_metrics_are_read_as_the_official_parser_reads_them() -> None:
    official = [sample for family in text_string_to_metric_families(TEXT) for sample in family.samples]
    samples = list(read_samples(TEXT))
    # The official parser gives each counter's name the suffix _total.
    names = [(sample.name.removesuffix("_total"), sample.labels, sample.value) for sample in samples]
    assert names == [(each.name.removesuffix("_total"), each.labels, each.value) for each in official]


@pytest.mark.parametrize(
    "line",
    ["name", "name x", "name 1_0", "name3", "1name 3", 'name{a="b} 3', 'name{a="b"', "name{a=b} 3", 'name{"b"} 3',
     'name{a="b" c="d"} 3', "name 3 then", "<html>", "{}"],
)  # fmt: skip
def test_a_malformed_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(read_samples(f"good 1\n{line}\n"))
