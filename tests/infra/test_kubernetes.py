"""The manifests name only settings, ports, probes, metrics and topics that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trustme
from ruamel.yaml import YAML

from infra.topics import declared
from services.evaluator.settings import PARTS
from services.shell.settings import Settings, read
from tests.docs.pages import page, section
from tests.infra.test_alerts import EXPOSED, ROOT

FOLDER = ROOT / "infra" / "kubernetes"
SERVICES = ("ingest", "evaluator", "settlement")
SCALED_BY = {"ingest": "intake", "evaluator": "measurements", "settlement": "evaluations"}


def manifests(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Every object that a kustomization names, and every kustomization."""
    return [
        each
        for path in sorted(folder.rglob("*.yaml"))
        for each in YAML(typ="safe").load_all(path.read_text(encoding="utf-8"))
    ]


OBJECTS = {
    (each["kind"], each["metadata"]["name"]): each
    for each in manifests()
    if each["kind"] not in ("Kustomization", "Component")
}
TOLD: dict[str, str] = OBJECTS["ConfigMap", "earnback"]["data"]
PARTED = ("evaluator-close", "evaluator-answer")
WORKLOADS = {
    **{name: OBJECTS["Deployment", f"earnback-{name}"] for name in (*SERVICES, *PARTED)},
    "prepare": OBJECTS["Job", "earnback-prepare"],
}


def container(name: str) -> dict[str, Any]:
    (one,) = WORKLOADS[name]["spec"]["template"]["spec"]["containers"]
    return dict(one)


def environment(name: str) -> dict[str, str]:
    """What a process is told; a secret is a stand-in."""
    given = {
        one["name"]: one.get("value")
        or ("postgresql:///x" if one["name"] == "EARNBACK_POSTGRES" else "secret")
        for one in container(name)["env"]
    }
    assert not TOLD.keys() & given.keys()
    return TOLD | given


def service(name: str) -> str:
    """Whose process it is."""
    return name.partition("-")[0]


def port(name: str) -> int:
    told = environment(name)
    return int(told.get("EARNBACK_HTTP_PORT") or told["EARNBACK_METRICS_PORT"])


def test_each_folder_is_whole_and_each_file_is_in_one() -> None:
    for path in FOLDER.glob("*/kustomization.yaml"):
        for named in YAML(typ="safe").load(path.read_text())["resources"]:
            assert (path.parent / named).exists(), f"{path.parent.name}: {named}"
    named = {
        (path.parent / each).resolve()
        for path in FOLDER.glob("*/kustomization.yaml")
        for each in YAML(typ="safe").load(path.read_text())["resources"]
    }
    files = {one.resolve() for one in FOLDER.glob("*/*.yaml") if one.name != "kustomization.yaml"}
    assert files <= named


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_setting_is_one_that_is_read_and_all_fit_together(name: str, tmp_path: Path) -> None:
    told = environment(name)
    documented = set(
        re.findall(r"`(EARNBACK_[A-Z_]+)`", section(page("operating.md"), "## Settings"))
    )
    assert told.keys() <= documented
    mounted = {one["mountPath"] for one in container(name)["volumeMounts"]}
    assert str(Path(told["EARNBACK_KAFKA_CA"]).parent) in mounted
    here = tmp_path / "ca.crt"
    trustme.CA().cert_pem.write_to_path(str(here))
    settings = read(service(name), told | {"EARNBACK_KAFKA_CA": str(here)})
    assert settings.security.sasl
    assert settings.security.tls
    assert settings.http_host == "0.0.0.0"


@pytest.mark.parametrize("name", [*SERVICES, *PARTED])
def test_a_process_is_probed_where_it_answers_and_has_time_to_stop(name: str) -> None:
    one, pod = container(name), WORKLOADS[name]["spec"]["template"]["spec"]
    assert one["command"] == ["python", "-m", f"services.{service(name)}"]
    assert one["ports"] == [{"name": "http", "containerPort": port(name)}]
    probes = {what: one[f"{what}Probe"]["httpGet"] for what in ("startup", "liveness", "readiness")}
    assert [each["path"] for each in probes.values()] == ["/livez", "/livez", "/readyz"]
    assert {each["port"] for each in probes.values()} == {"http"}
    assert pod["terminationGracePeriodSeconds"] > int(TOLD["EARNBACK_STOP"])
    assert one["resources"]["limits"]["memory"]
    assert OBJECTS["PodDisruptionBudget", f"earnback-{name}"]["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_served_at_its_port(name: str) -> None:
    (served,) = OBJECTS["Service", f"earnback-{name}"]["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (port(name), "http")


def test_the_three_parts_of_the_evaluator_are_all_there_are() -> None:
    (component,) = [each for each in manifests() if each["kind"] == "Component"]
    patched = {
        (each["kind"], each["metadata"]["name"]): each["spec"]
        for one in component["patches"]
        for each in [YAML(typ="safe").load(one["patch"])]
    }
    (applies,) = patched["Deployment", "earnback-evaluator"]["template"]["spec"]["containers"]
    told = {one["name"]: one["value"] for one in applies["env"]}
    parts = [environment(name)["EARNBACK_EVALUATOR_PARTS"] for name in PARTED]
    assert sorted([told["EARNBACK_EVALUATOR_PARTS"], *parts]) == sorted(PARTS)
    assert int(told["EARNBACK_METRICS_PORT"]) == port("evaluator")
    answers = {"app.kubernetes.io/name": "earnback-evaluator-answer"}
    assert patched["Service", "earnback-evaluator"]["selector"] == answers
    assert environment("evaluator-answer")["EARNBACK_HTTP_PORT"] == str(port("evaluator"))
    out = patched["NetworkPolicy", "earnback-settlement"]["egress"]
    assert {"podSelector": {"matchLabels": answers}} in out[0]["to"]
    assert out[0]["ports"] == [{"port": port("evaluator-answer")}]
    assert out[1:] == OBJECTS["NetworkPolicy", "earnback-settlement"]["spec"]["egress"][1:]


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_process_is_root_and_no_secret_is_written_down(name: str) -> None:
    one, pod = container(name), WORKLOADS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}" in (ROOT / "infra/Dockerfile").read_text()
    assert one["securityContext"]["readOnlyRootFilesystem"]
    assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    secret = {each["name"] for each in one["env"] if "secretKeyRef" in each.get("valueFrom", {})}
    assert secret == {"EARNBACK_POSTGRES", "EARNBACK_KAFKA_USER", "EARNBACK_KAFKA_PASSWORD"}


def test_what_prepares_the_servers_is_the_command_and_the_image_is_one() -> None:
    command = ["python", "-m", "services.cli.app", "prepare", "--profile", "production"]
    assert container("prepare")["command"] == command
    assert len({container(name)["image"] for name in WORKLOADS}) == 1


def test_the_services_find_each_other_through_what_the_network_policies_let_pass() -> None:
    told = environment("settlement")
    for name, variable in (("evaluator", "EARNBACK_EVALUATOR"), ("ingest", "EARNBACK_INGEST")):
        assert told[variable] == f"http://earnback-{name}:{port(name)}"
    for name in SERVICES:
        policy = OBJECTS["NetworkPolicy", f"earnback-{name}"]["spec"]
        (rule,) = policy["ingress"]
        assert rule["ports"] == [{"port": port(name)}]
        spaces = {
            each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for each in rule["from"]
            if "namespaceSelector" in each
        }
        assert ("ingress" in spaces) == (name != "evaluator"), "its API asks for no key"
    out = OBJECTS["NetworkPolicy", "earnback-settlement"]["spec"]["egress"]
    assert [rule["ports"] for rule in out] == [
        [{"port": port("evaluator")}],
        [{"port": port("ingest")}],
    ]
    broker = int(TOLD["EARNBACK_KAFKA"].rpartition(":")[2])
    egress = OBJECTS["NetworkPolicy", "earnback"]["spec"]["egress"]
    assert {"port": broker} in egress[-1]["ports"]
    assert "ingress" not in OBJECTS["NetworkPolicy", "earnback"]["spec"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_scaled_by_a_lag_that_it_tells_and_to_no_more_than_its_partitions(
    name: str,
) -> None:
    scaled = OBJECTS["ScaledObject", f"earnback-{name}"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == f"earnback-{name}"
    (trigger,) = scaled["triggers"]
    query = trigger["metadata"]["query"]
    (metric,) = re.findall(r"earnback_[a-z_]+", query)
    assert metric in EXPOSED
    for app in re.findall(r'app="([^"]+)"', query):
        assert app == Settings(name, "a:1", "postgresql://").app
    by = re.findall(r"by \(([^)]*)\)", query)
    assert {one.strip() for each in by for one in each.split(",")} <= EXPOSED[metric]
    (topic,) = [one for key, one in declared().items() if key.split(".")[0] == SCALED_BY[name]]
    assert scaled["maxReplicaCount"] <= topic.partitions["production"]
    assert "replicas" not in WORKLOADS[name]["spec"], "it would undo what KEDA has decided"
