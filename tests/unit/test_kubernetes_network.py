"""The NetworkPolicies deny everything that is not listed, and let pods resolve names in each kind of cluster."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from support.kubernetes.manifests import KSERVE, KUBERNETES, Manifest, find_manifest, rendered

NODE_LOCAL_DNS = ipaddress.ip_address("169.254.20.10")


@pytest.fixture(
    scope="module",
    params=[
        KUBERNETES / "overlays" / "cpu",
        KUBERNETES / "overlays" / "gpu",
        KSERVE / "knative",
        KSERVE / "standard",
    ],
    ids=["cpu", "gpu", "knative", "standard"],
)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(request.param)


def peers(manifests: list[Manifest], policy: str, direction: str) -> list[tuple[dict[str, Any], set[tuple[int, str]]]]:
    """The peers of a policy, each with its ports as (number, protocol)."""
    rules = find_manifest(manifests, "NetworkPolicy", policy)["spec"][direction]
    side = {"ingress": "from", "egress": "to"}[direction]
    return [
        (peer, {(port["port"], port["protocol"]) for port in rule["ports"]}) for rule in rules for peer in rule[side]
    ]


def test_everything_is_denied_by_default(manifests: list[Manifest]) -> None:
    assert find_manifest(manifests, "NetworkPolicy", "nothing")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }


def test_every_pod_may_ask_the_name_server_and_the_cache_of_its_node(manifests: list[Manifest]) -> None:
    assert find_manifest(manifests, "NetworkPolicy", "names")["spec"]["podSelector"] == {}
    allowed = peers(manifests, "names", "egress")
    assert [ports for _, ports in allowed] == [{(53, "UDP"), (53, "TCP")}] * 2
    server, cache = (peer for peer, _ in allowed)
    assert server == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    assert list(cache) == ["ipBlock"]
    assert list(ipaddress.ip_network(cache["ipBlock"]["cidr"])) == [NODE_LOCAL_DNS]  # and no other address of the node


def test_downloads_reach_no_private_address(manifests: list[Manifest]) -> None:
    """The address of the cache is not opened for HTTPS, nor is the metadata server of a cloud."""
    for peer, ports in peers(manifests, "downloads", "egress"):
        assert ports == {(443, "TCP")}
        denied = [ipaddress.ip_network(each) for each in peer["ipBlock"]["except"]]
        if peer["ipBlock"]["cidr"] == "0.0.0.0/0":
            for address in ("169.254.20.10", "169.254.169.254", "10.0.0.1", "172.20.0.1", "192.168.1.1"):
                assert any(ipaddress.ip_address(address) in network for network in denied), address


PREDICTORS = {"matchExpressions": [{"key": "serving.kserve.io/inferenceservice", "operator": "Exists"}]}
CLIENTS = {"namespaceSelector": {"matchLabels": {"yolov5-torchserve/clients": "true"}}}
KNATIVE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "knative-serving"}}}
PROMETHEUS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
}


@pytest.mark.parametrize("mode", ["knative", "standard"])
def test_kserve_has_the_policies_of_the_plain_manifests(mode: str) -> None:
    here, there = rendered(KSERVE / mode), rendered(KUBERNETES / "overlays" / "cpu")
    for name in ("nothing", "names"):
        own, plain = (find_manifest(each, "NetworkPolicy", name)["spec"] for each in (here, there))
        assert own == plain
    assert find_manifest(here, "NetworkPolicy", "downloads")["spec"]["podSelector"] == PREDICTORS
    assert peers(here, "downloads", "egress") == peers(there, "downloads", "egress")
    assert {each["metadata"]["namespace"] for each in here if each["kind"] == "NetworkPolicy"} == {"yolov5-kserve"}


@pytest.mark.parametrize("mode", ["knative", "standard"])
def test_kserve_s_predictors_accept_only_the_gateway_knative_and_prometheus(mode: str) -> None:
    manifests = rendered(KSERVE / mode)
    spec = find_manifest(manifests, "NetworkPolicy", "predictor")["spec"]
    assert (spec["podSelector"], spec["policyTypes"]) == (PREDICTORS, ["Ingress"])
    queue_proxy = {(8012, "TCP"), (8013, "TCP"), (8112, "TCP")}
    assert peers(manifests, "predictor", "ingress") == [
        *(
            [(CLIENTS, queue_proxy), (KNATIVE, queue_proxy), (KNATIVE, {(9090, "TCP")})]
            if mode == "knative"
            else [(CLIENTS, {(8080, "TCP")})]
        ),
        (PROMETHEUS, {(8082, "TCP")}),
    ]
    proxy = find_manifest(manifests, "ConfigMap", "proxy")["data"]["haproxy.cfg"]
    for port in (8080, 8082):
        assert f"    bind :{port}\n" in proxy
