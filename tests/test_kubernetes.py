"""docs/kubernetes says what a cluster takes and what the code needs, as far as that can be known without a cluster."""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.core.middleware import EdgeMiddleware
from app.core.settings import Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "kubernetes"
OBJECTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"] for one in OBJECTS if "template" in one.get("spec", {})
}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}


def the(kind: str, name: str) -> dict[str, Any]:
    [found] = [one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_a_cluster_takes_it_as_it_stands(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_finds_all_that_it_names(name: str) -> None:
    pod, container = PODS[name]["spec"], CONTAINERS[name]
    volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for claim in volumes.values():
        assert the("PersistentVolumeClaim", claim)["spec"]["accessModes"] == ["ReadWriteMany"]
    [configured] = [
        source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source
    ]
    folder = the("ConfigMap", configured)["data"]["SFT_STUDIO_DATA"]
    assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}
    # Addresses with passwords are in a secret, which no file here holds.
    [secret] = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
    told = (FOLDER / "studio.yaml").read_text("utf-8")
    assert re.search(rf"create secret generic {secret} .*DATABASE_URL.*REDIS_URL", told)
    assert not [one for one in OBJECTS if one["kind"] == "Secret"]


@pytest.mark.parametrize("name", [name for name in PODS if name != "sft-studio-migrate"])
def test_what_is_selected_is_there_and_nothing_else(name: str) -> None:
    wanted = the("Deployment", name)["spec"]["selector"]["matchLabels"]
    matching = [other for other, pod in PODS.items() if wanted.items() <= pod["metadata"]["labels"].items()]
    assert matching == [name]


def test_the_service_and_the_probes_reach_the_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    service, web = the("Service", "sft-studio")["spec"], CONTAINERS["sft-studio-web"]
    assert service["selector"].items() <= PODS["sft-studio-web"]["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] == web["ports"][0]["name"]
    assert web["ports"][0]["containerPort"] == Settings.model_fields["port"].default
    settings = settings_of("sft-studio-web", monkeypatch)
    edge = EdgeMiddleware(lambda *_: None, settings)  # type: ignore[arg-type, return-value]
    for probe in ("startupProbe", "readinessProbe"):
        asked = web[probe]["httpGet"]
        assert (asked["path"], asked["port"]) == ("/healthz", web["ports"][0]["name"])
        [host] = [header["value"] for header in asked["httpHeaders"] if header["name"] == "Host"]
        assert host in edge.hosts


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the program reads in the pod, with the secret's addresses."""
    for key, value in the("ConfigMap", "sft-studio")["data"].items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://studio:secret@postgres:5432/studio")
    monkeypatch.setenv("REDIS_URL", "redis://redis:6379/0")
    assert CONTAINERS[name]["command"][0] == "sft-studio"
    return Settings()


def test_the_environment_is_one_that_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("sft-studio-worker", monkeypatch)
    assert settings.data_dir == Path("/data")
    assert settings.https
    assert settings.allowed_hosts == ("studio.example.com",)
    read = {f"SFT_STUDIO_{name.upper()}" for name in Settings.model_fields} | {"SFT_STUDIO_DATA"}
    assert set(the("ConfigMap", "sft-studio")["data"]) <= read


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_no_more_than_it_must(name: str) -> None:
    pod, container = PODS[name]["spec"], CONTAINERS[name]
    user = re.search(r"useradd .*--uid (\d+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert user is not None
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == int(user[1])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_every_queue_is_served_and_jobs_are_handed_back_in_time() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    served: list[str] = []
    for name in ("sft-studio-worker", "sft-studio-worker-gpu"):
        command = CONTAINERS[name]["command"]
        served += command[command.index("--queues") + 1].split(",")
        grace = PODS[name]["spec"]["terminationGracePeriodSeconds"]
        assert f"{grace}s" == compose["worker"]["stop_grace_period"]
        assert grace > Settings().stop_grace_seconds
    assert sorted(served) == ["default", "interactive", "training"]
    assert CONTAINERS["sft-studio-worker-gpu"]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_it_is_one_image_and_no_version_of_another_day() -> None:
    images = {container["image"] for container in CONTAINERS.values()}
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    assert images == {f"registry.example/sft-studio:{version[1]}"}
    assert json.dumps(OBJECTS).count("latest") == 0
