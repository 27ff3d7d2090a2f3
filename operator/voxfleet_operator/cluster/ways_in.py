"""Ways in through one cluster: which of them are made there, what Gateways refuse, and the token of a notebook.

Knows how the Secret with a token comes to be. Does not know why a way is not made (decisions/ways_in.py).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from voxfleet_operator import names
from voxfleet_operator.cluster.api import ConflictError, KubernetesApi
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.ways_in import NotebookState, RouteState, Surroundings, Way, WaysIn, decide_ways_in
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.ways_in import token_secret
from voxfleet_operator.resources import Key, Resource
from voxfleet_operator.status.conditions import Problem

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class WaysInOfCluster:
    """Ways in through one cluster."""

    api: KubernetesApi
    store: Store

    def decide(self, resource: Resource, host_owners: Mapping[str, Key], installation: Installation) -> WaysIn:
        """Return which ways are made here."""
        entry = installation.entry
        around = Surroundings(
            frozenset(self.store.served),
            host_owners,
            entry.allowed_domains,
            has_notebooks=entry.has_notebooks,
            kubeconfig=installation.kubeconfig,
        )
        return decide_ways_in(resource, around)

    def problems(self, resource: Resource, ways_in: WaysIn) -> list[Problem]:
        """Return what is not made of the ways that the spec asks for, and what Gateways refuse."""
        problems = [Problem(*refusal) for refusal in ways_in.refusals]
        route = self.store.state(ObjectRef("HTTPRoute", resource.key.namespace, resource.key.name), RouteState)
        if route is not None and Way.ROUTE in ways_in.made:
            problems += [Problem("RouteRefused", f"spec.route: Gateway {refusal}") for refusal in route.refusals]
        return problems

    async def ensure_token(self, resource: Resource, ways_in: WaysIn) -> None:
        """Create the Secret with a notebook's token, unless there is one. Raises KubernetesError.

        Tried while the pod is not ready. The operator may create Secrets and never read them, so it does not know
        whether there is one: a deleted Secret shows in the pod, which does not start without it.
        """
        name = names.notebook_name(resource.key.name)
        state = self.store.state(ObjectRef("StatefulSet", resource.key.namespace, name), NotebookState)
        if Way.NOTEBOOK not in ways_in.made or (state is not None and state.is_settled):
            return
        path, body = token_secret(resource, secrets.token_urlsafe(TOKEN_BYTES))
        try:
            await self.api.create(path, body)
        except ConflictError:
            return
