"""POST /v1/models/{model}/wake and /sleep for a named region: here by its demand Lease, elsewhere by its gateway.

Knows: which caller may do it, and what a region that can't be woken or put to sleep answers. The operator decides when
servers end: a sleep is asked for by an annotation of the Lease, which the next request voids.
Does not know: how a Lease is written; what follows from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import ValidationError
from pydantic_core import from_json

from voxfleet_gateway.cluster.lease_watch import LeaseWatch
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.errors import ClusterConflictError, ClusterError, RequestRefusedError
from voxfleet_gateway.peers.spill import Spills
from voxfleet_gateway.pods.fleet import utc_now
from voxfleet_gateway.refusals import (
    bad_request,
    lease_unavailable,
    operation_forbidden,
    region_busy,
    region_elsewhere,
    unknown_region,
)
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.fleet.contract import OperationRequest, SleepAnswer
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.requests.request_body import BodyBudget, read_body

MOST_BODY_BYTES = 4096
CONFLICTS = 5  # gateways renew a busy Lease every few seconds


@dataclass(slots=True)
class Operations:
    """What the fleet page's buttons do. `fault`: why the gateway of a region elsewhere is not reached."""

    dispatcher: Dispatcher
    leases: LeaseWatch
    bodies: BodyBudget
    fault: Callable[[RegionKey], str] = lambda _key: "this gateway has no certificate for peers (--peer-tls-folder)"
    clock: Callable[[], datetime] = utc_now

    async def named_region(self, request: web.Request, model: ModelEntry) -> RegionKey | None:
        """Return the region that the body names; None for no body, or one without a region.

        Raises RequestRefusedError: 400, 403 without the right to operate, 404 for a region that is not the model's.
        """
        with self.bodies.reserve() as reservation:
            body = await read_body(request, reservation, MOST_BODY_BYTES)
        region = _parse(body).region if body else None
        if region is None:
            return None
        check_right(request[CONTEXT].caller)
        if region not in {entry.name for entry in model.regions}:
            raise RequestRefusedError(unknown_region(region, [entry.name for entry in model.regions]))
        return model.key(region)

    async def sleep(self, request: web.Request) -> web.Response:
        """Ask for the sleep of one region; respond with 202."""
        caller = request[CONTEXT].caller
        check_right(caller)
        model = self.dispatcher.model(request.match_info["model"], caller)
        key = await self.named_region(request, model)
        if key is None:
            raise RequestRefusedError(bad_request("'region' is missing; it must be the region to sleep.", "region"))
        if not self.dispatcher.fleet.regions[key].is_here:
            return await self._sleep_elsewhere(key, model, caller)
        lease = await self._ask_sleep(key)
        asked_at = lease.sleep_at or self.clock()
        answer = SleepAnswer(model=model.full_name, region=key.region, asked_at=asked_at)
        return web.Response(text=answer.model_dump_json(), content_type="application/json", status=HTTPStatus.ACCEPTED)

    async def _ask_sleep(self, key: RegionKey) -> Lease:
        """Annotate the Lease, again after a conflict. Raises RequestRefusedError (409, 503)."""
        for _ in range(CONFLICTS):
            lease, activity = self.dispatcher.fleet.lease(key), self.dispatcher.fleet.activity(key)
            if lease is None:
                raise RequestRefusedError(lease_unavailable(key.region, "the operator has not made it yet"))
            if activity.is_busy:
                raise RequestRefusedError(region_busy(key.region, activity.open, activity.held))
            try:
                await self.leases.ask_sleep(lease, activity, self.clock())
            except ClusterConflictError:
                await self._refresh(key, lease)
            except ClusterError as error:
                raise RequestRefusedError(lease_unavailable(key.region, str(error)[:200])) from error
            else:
                return self.dispatcher.fleet.lease(key) or lease
        raise RequestRefusedError(lease_unavailable(key.region, "other gateways renew it at the same time"))

    async def _refresh(self, key: RegionKey, lease: Lease) -> None:
        try:
            await self.leases.refresh(lease)
        except ClusterError as error:
            raise RequestRefusedError(lease_unavailable(key.region, str(error)[:200])) from error

    async def _sleep_elsewhere(self, key: RegionKey, model: ModelEntry, caller: Caller) -> web.Response:
        spills = self.reached(key)
        if caller.peer_region is not None:  # one hop
            raise RequestRefusedError(region_elsewhere(key.region, "its request came from another gateway"))
        try:
            status, body = await spills.sleep(key, model, caller)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RequestRefusedError(region_elsewhere(key.region, repr(error)[:200])) from error
        return web.Response(body=body, content_type="application/json", status=status)

    def reached(self, key: RegionKey) -> Spills:
        """Return what sends requests to the region's gateway. Raises RequestRefusedError (503)."""
        spills, fault = self.dispatcher.spills, self.fault(key)
        if spills is None or fault:
            raise RequestRefusedError(region_elsewhere(key.region, fault))
        return spills


def check_right(caller: Caller) -> None:
    """Raise RequestRefusedError (403) unless the caller may operate; a peer has checked it."""
    if not caller.may_operate and caller.peer_region is None:
        raise RequestRefusedError(operation_forbidden(caller.key_id))


def _parse(body: bytes) -> OperationRequest:
    try:
        fields: Any = from_json(body)
        return OperationRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise RequestRefusedError(bad_request(f"'{where}': {first['msg']}.", where)) from error
    except ValueError as error:
        raise RequestRefusedError(
            bad_request('The body must be JSON, such as {"region": "eu-central"}.', None)
        ) from error
