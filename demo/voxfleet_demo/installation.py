"""VoxFleet installed on a cluster by its own charts, and the quickstart resource applied to it.

Does: runs the commands that a platform engineer types (helm install, kubectl apply, kubectl delete). Knows: the charts'
values and examples/quickstart.yaml. Does not know: how the cluster was made.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from voxfleet_demo.scenario import Fleet

CHECKOUT = Path(__file__).parents[2]
QUICKSTART = CHECKOUT / "examples" / "quickstart.yaml"
SYSTEM_NAMESPACE = "voxfleet-system"
REGIONS = ("eu-central", "us-east")
GATEWAY_PORT = 6006
OPERATE_VARIABLE = "VOXFLEET_OPERATE_WITHOUT_KEY"
LAST_EVENTS = 12  # a failed start shows its cause in the newest; older ones belong to other pods


class InstallationError(Exception):
    """helm or kubectl failed; the message has the command and its error output."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of helm and kubectl."""

    helm: Path = Path("helm")
    kubectl: Path = Path("kubectl")


@dataclass(frozen=True, slots=True)
class Values:
    """The chart values that the demo sets; all others keep the chart's defaults."""

    images: Mapping[str, str] = field(default_factory=dict)  # part -> registry/repository:tag; absent: chart default
    trusted_proxies: tuple[str, ...] = ()
    allowed_host_paths: tuple[str, ...] = ()
    keys_secret: str = ""  # of API keys that the gateways require; empty: none
    operate_without_key: bool = False  # wake and sleep on the fleet page, where the gateways require no keys

    def document(self) -> dict[str, Any]:
        """Return the values as a Helm values document."""
        return {
            "image": {"registry": ""},  # the repositories below are complete names
            "allowedHostPaths": list(self.allowed_host_paths),
            "operator": self._image("operator"),
            "inference": self._image("inference"),
            "gateway": self._image("gateway")
            | {
                "replicas": 1,
                "regions": [{"name": name} for name in REGIONS],
                "trustedProxies": list(self.trusted_proxies),
                "keys": {"existingSecret": self.keys_secret},
                "extraEnv": [{"name": OPERATE_VARIABLE, "value": "true"}] if self.operate_without_key else [],
            },
        }

    def _image(self, part: str) -> dict[str, Any]:
        if part not in self.images:
            return {}
        repository, _, tag = self.images[part].rpartition(":")
        return {"image": {"repository": repository, "tag": tag}}


@dataclass  # without slots, which cached_property cannot have
class Installation:
    """One VoxFleet release on one cluster."""

    kubeconfig: Path
    programs: Programs = field(default_factory=Programs)

    @cached_property
    def fleet(self) -> Fleet:
        """Return a reader of the cluster's resources, made on first use."""
        return Fleet(self.kubeconfig)

    def install(self, values: Values) -> None:
        """Install or upgrade both charts and wait until operator and gateways are ready.

        Raises:
            InstallationError: helm failed.
        """
        upgrade = (self.programs.helm, "upgrade", "--install")
        here = ("--namespace", SYSTEM_NAMESPACE, "--create-namespace")
        # The CRD first: the operator's readiness depends on it.
        self._run(*upgrade, "voxfleet-crds", CHECKOUT / "charts/voxfleet-crds", *here)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values.document(), file)
            file.flush()
            options = (*here, "--wait", "--timeout", "5m", "--values", file.name)
            self._run(*upgrade, "voxfleet", CHECKOUT / "charts/voxfleet", *options)

    def alert_rules(self) -> dict[str, Any]:
        """Return the chart's alert rules as Prometheus reads them: what is below `spec` of its PrometheusRule."""
        served = ("--api-versions", "monitoring.coreos.com/v1", "--set", "alerts.enabled=true")
        only = ("--show-only", "templates/monitoring/alerts.yaml")
        rendered = self._run(self.programs.helm, "template", CHECKOUT / "charts/voxfleet", *served, *only)
        spec: dict[str, Any] = yaml.safe_load(rendered)["spec"]
        return spec

    def apply_quickstart(
        self,
        name: str | None = None,
        *,
        model: str | None = None,
        source: str | None = None,
        idle_timeout_seconds: int | None = None,
    ) -> None:
        """Apply examples/quickstart.yaml; arguments that are not None replace its fields."""
        document = yaml.safe_load(QUICKSTART.read_text())
        if name is not None:
            document["metadata"]["name"] = name
        if model is not None:
            document["spec"]["model"]["name"] = model
        if source is not None:
            document["spec"]["model"]["source"] = source
        if idle_timeout_seconds is not None:
            document["spec"]["autoscaling"]["idleTimeoutSeconds"] = idle_timeout_seconds
        self.apply(document)

    def apply(self, *documents: dict[str, Any]) -> None:
        """Apply Kubernetes objects, in their order.

        Raises:
            InstallationError: kubectl failed.
        """
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        self._run(self.programs.kubectl, "apply", "--filename", "-", given=json.dumps(listed))

    def delete(self, name: str) -> None:
        """Delete a resource and wait until the API server has removed it."""
        self.kubectl("delete", "voxttsdeployment", name, "--ignore-not-found", "--wait", "--timeout=60s")

    def gateway_url(self, region: str | None = None) -> str:
        """Return the URL of the Service of all gateways, or of one region's gateways."""
        name = "voxfleet-gateway" if region is None else f"voxfleet-gateway-{region}"
        service = self.fleet.core.read_namespaced_service(name, SYSTEM_NAMESPACE)
        return f"http://{service.spec.cluster_ip}:{GATEWAY_PORT}"

    def kill_pods(self, component: str) -> None:
        """Kill a component's pods with a grace period of 0 s, and return without waiting for it."""
        self._system("delete", "pod", "--selector", _selector(component), "--grace-period=0", "--force", "--wait=false")

    def restart(self, component: str) -> None:
        """Restart a component with `kubectl rollout restart` and wait until its new pods are ready."""
        self._system("rollout", "restart", "deployment", "--selector", _selector(component))
        self._system("rollout", "status", "deployment", "--selector", _selector(component), "--timeout=180s")

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl; returns its standard output.

        Raises:
            InstallationError: kubectl failed and `check` is true.
        """
        return self._run(self.programs.kubectl, *arguments, check=check)

    def diagnostics(self) -> str:
        """Return all pods and the newest events of the cluster, for the message of a failed start."""
        pods = self.kubectl("get", "pods", "--all-namespaces", "--output", "wide", check=False)
        events = self.kubectl("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp", check=False)
        return "\n".join([pods.rstrip(), *events.splitlines()[-LAST_EVENTS:]])

    def _system(self, *arguments: str) -> str:
        return self.kubectl("--namespace", SYSTEM_NAMESPACE, *arguments)

    def _run(self, *command: str | Path, given: str | None = None, check: bool = True) -> str:
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        words = [str(word) for word in command]
        done = subprocess.run(words, env=environment, input=given, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise InstallationError(f"{' '.join(words)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _selector(component: str) -> str:
    return f"app.kubernetes.io/name=voxfleet,app.kubernetes.io/component={component}"
