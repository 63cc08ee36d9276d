"""The chart as the tests see it: rendered by the real Helm, and held against the schemas of what it makes.

Schemas of Kubernetes come from `kubernetes-validate`, strict: a field that is not known is an error. The definitions of
foreign resources (tests/helm/crds) are made strict here, the way `kubectl --validate=strict` takes them.
"""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))

# The oldest that Chart.yaml allows, and the newest whose schemas there are.
KUBERNETES = ["1.29", "1.37"]
RELEASE, NAMESPACE = "r", "policy"
NAME = f"{RELEASE}-rettidig"
SECRETS = "/etc/rettidig/secrets/"
# Parts of the work as values and as --role: those that use Kafka, and all.
ROLES = {"connectors": "connectors", "workers": "worker", "committers": "committer"}
PARTS = {**ROLES, "web": "web"}


def source(path: str) -> str:
    """Text of a file of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: pathlib.Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@functools.cache
def helm() -> str:
    """The Helm of scripts/helm.sh."""
    found = subprocess.run([ROOT / "scripts/helm.sh"], stdout=subprocess.PIPE, text=True, timeout=1800, check=True)
    return found.stdout.strip()


def call(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HELM_NO_PLUGINS": "1"}
    return subprocess.run(
        [helm(), *arguments], capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def values(case: str) -> pathlib.Path:
    return CHART / "ci" / f"{case}-values.yaml"


def template(case: str, *arguments: str, chart: pathlib.Path = CHART) -> subprocess.CompletedProcess:
    return call("template", RELEASE, chart, "--namespace", NAMESPACE, "--values", values(case), *arguments)


@functools.cache
def _rendered(case: str, arguments: tuple[str, ...], chart: pathlib.Path) -> str:
    done = template(case, *arguments, chart=chart)
    if done.returncode:
        raise AssertionError(f"{case} {arguments}: {done.stderr}")
    return done.stdout


def render(case: str, *arguments: str, chart: pathlib.Path = CHART) -> list[dict]:
    """The manifests of a case of helm/ci, with further arguments."""
    return [found for found in yaml.safe_load_all(_rendered(case, arguments, chart)) if found]


def of_kind(manifests: list[dict], kind: str) -> dict[str, dict]:
    """Manifests by name, without the name of the release."""
    found = [one for one in manifests if one["kind"] == kind]
    return {one["metadata"]["name"].removeprefix(NAME).removeprefix("-"): one for one in found}


def pods(manifests: list[dict]) -> dict[str, dict]:
    """Templates of pods, by component."""
    kinds = [one for one in manifests if one["kind"] in ("StatefulSet", "Deployment")]
    templates = [one["spec"]["template"] for one in kinds]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in templates}


def container(pod: dict) -> dict:
    (found,) = pod["spec"]["containers"]
    return found


def secret_mounts(pod: dict) -> dict[str, str]:
    """Secrets of a pod: name, where it is mounted."""
    volumes = {one["name"]: one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one}
    mounts = container(pod)["volumeMounts"]
    return {volumes[one["name"]]: one["mountPath"] for one in mounts if one["name"] in volumes}


def configuration(manifests: list[dict], part: str) -> dict:
    return yaml.safe_load(of_kind(manifests, "ConfigMap")[part]["data"]["config.yaml"])


def rule(manifests: list[dict], name: str, direction: str) -> dict:
    """The one rule of a network policy."""
    (found,) = of_kind(manifests, "NetworkPolicy")[name]["spec"][direction]
    return found


def ports(rule: dict) -> list[int]:
    return [port["port"] for port in rule["ports"]]


def selects(selector: dict, labels: dict) -> bool:
    """Whether matchLabels, and what the chart uses of matchExpressions, select a pod."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )


def strict(schema: dict) -> dict:
    """The schema of a definition, that refuses what is not known, as the strict API server does."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not is_open:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


@functools.cache
def definitions() -> dict[tuple[str, str], dict]:
    """Schemas of foreign resources, by apiVersion and kind."""
    found = {}
    for path in sorted((ROOT / "tests/helm/crds").glob("*.yaml")):
        spec = load(path)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            if version["served"]:
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def errors(manifest: dict, kubernetes: str = KUBERNETES[-1]) -> list[str]:
    """What a strict API server would say to a manifest."""
    kind = manifest["apiVersion"], manifest["kind"]
    if kind in definitions():
        found = jsonschema.Draft202012Validator(definitions()[kind]).iter_errors(manifest)
        return [f"{'.'.join(map(str, one.path))}: {one.message}" for one in found]
    try:
        kubernetes_validate.validate(manifest, kubernetes, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.InvalidSchemaError) as error:
        return [str(error)]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"no schema of {kind} for Kubernetes {kubernetes}"]
    return []
