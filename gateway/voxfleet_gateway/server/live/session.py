"""One session: its first message, a pod for it, and another pod while the client has no audio.

Knows: the order of the steps, and with which event and close code each ending is reported.
Does not know: how messages are passed on (relay.py), how a pod is found.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from voxfleet_protocols import vllm_omni

from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.dispatch.target import Target, target_headers
from voxfleet_gateway.errors import Refusal, RequestRefusedError, UpstreamFailedError
from voxfleet_gateway.refusals import binary_message, body_too_large, broke_off, session_idle
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.live.channel import STATUS_OF_CLOSE, Channel, ClientGoneError, ClientSocket, CloseCode
from voxfleet_gateway.server.live.intake import Intake
from voxfleet_gateway.server.live.messages import (
    END,
    PodReportedError,
    SessionStart,
    added_text,
    parse_client_message,
    parse_start,
)
from voxfleet_gateway.server.live.relay import PodClosed, Progress, Relay, connected
from voxfleet_gateway.server.middleware import CLIENT_LEFT, STREAM_PATH
from voxfleet_gateway.server.protocols.refused import as_refusal
from voxfleet_gateway.server.protocols.served_models import served_models
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.attempt import upstream_headers
from voxfleet_gateway.server.upstream.retries import until_answered
from voxfleet_gateway.telemetry import BROKEN_STREAMS

START_SECONDS = 60.0  # for the first session.start
NOTHING_SPOKEN = {"type": "session.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}}


@dataclass(slots=True, eq=False)
class Session:
    """One accepted WebSocket."""

    request: web.Request
    socket: ClientSocket
    speech: Speech
    context: RequestContext
    intake: Intake
    channel: Channel
    start_seconds: float
    progress: Progress = field(default_factory=Progress)
    client_code: int = CloseCode.DONE  # what the client closed with
    close_code: int | None = None  # what the client is closed with
    serving: asyncio.Task[None] | None = None
    has_received: bool = False  # a message: the first one may be of another protocol

    async def run(self) -> None:
        """Run the session to its end; the context gets the status that it is counted by."""
        self.context.status = CLIENT_LEFT  # until it ends otherwise
        reading = asyncio.create_task(self._read_all())
        serving = self.serving = asyncio.create_task(self._serve())
        keeping = asyncio.create_task(self.channel.keep_alive(lambda: self.progress.passed_events == 0))
        try:
            await asyncio.wait({reading, serving}, return_when=asyncio.FIRST_COMPLETED)
            ended = serving if serving.done() else reading
            if not ended.cancelled():
                ended.result()
        except ClientGoneError:
            self.context.is_truncated = True
        finally:
            for task in (reading, serving, keeping):
                task.cancel()
            await asyncio.gather(reading, serving, keeping, return_exceptions=True)
        if self.close_code is not None:
            # Not before `reading` has ended: the client's own close frame is waited for, so that it reads everything.
            await self.channel.close(self.close_code)

    @property
    def backlog(self) -> Backlog:
        """The messages that were taken."""
        return self.intake.backlog

    async def end(self, refusal: Refusal) -> None:
        """End the session with an `error` event: this process ends, or the client's key is no longer valid."""
        self.context.is_truncated = True
        is_client_fault = refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            await self._refuse(refusal, CloseCode.IDLE if is_client_fault else CloseCode.RESTART)
        finally:  # also where its client takes nothing
            if self.serving is not None:
                self.serving.cancel()

    async def _read_all(self) -> None:
        """Take the client's messages until it closes."""
        while True:
            message = await self.socket.receive()
            if message.type is WSMsgType.BINARY:
                await self.channel.send_refusal(binary_message())
            elif message.type is WSMsgType.TEXT:
                await self._take(message.data)
            else:
                self.client_code = self.socket.close_code or CloseCode.DONE
                if isinstance(message.data, WebSocketError) and message.data.code == WSCloseCode.MESSAGE_TOO_BIG:
                    refusal = body_too_large(self.speech.settings.max_message_bytes)  # the client has the close code
                    self.context.record_refusal(refusal.code)
                    self.context.status = refusal.status
                return

    async def _take(self, text: str) -> None:
        begins_other = not self.has_received and self.channel.translation is None and vllm_omni.begins(text)
        self.has_received = True
        if begins_other:
            self.channel.translation = vllm_omni.VllmOmniSession(self._default_model)
        try:
            for message in self._translated(text):
                await self.intake.take(message)
        except RequestRefusedError as refused:
            await self.channel.send_refusal(refused.refusal)
            if begins_other:  # nothing can follow a config that was refused
                self.backlog.offer(json.dumps({"type": END}))

    @property
    def _default_model(self) -> str:
        """The model of a session whose first message names none: the query's, or the caller's only one."""
        models = served_models(self.speech.dispatcher, self.context.caller)
        only = models[0].names[0] if len(models) == 1 else ""
        return self.request.query.get("model") or only

    def _translated(self, text: str) -> list[str]:
        if self.channel.translation is None:
            return [text]
        with as_refusal():
            return [json.dumps(each) for each in self.channel.translation.received(text)]

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(self.start_seconds):
                start, model = await self._first_message() or (None, None)
        except TimeoutError:
            await self._refuse(session_idle(self.start_seconds), CloseCode.IDLE)
            return
        except RequestRefusedError as refused:  # of a protocol whose start cannot be sent again
            await self._refuse(refused.refusal, CloseCode.of(refused.refusal))
            return
        try:
            if start is None or model is None:
                await self.channel.send_text(json.dumps(NOTHING_SPOKEN))
                self._end(HTTPStatus.OK, CloseCode.DONE)
            else:
                await self._dispatch(start, model)
        except RequestRefusedError as refused:
            await self._refuse(refused.refusal, CloseCode.of(refused.refusal))

    async def _first_message(self) -> tuple[SessionStart, ModelEntry] | None:
        """Return the first valid session.start and its model; None when the client ends the session before it."""
        while True:
            fields = parse_client_message(await self.backlog.next())
            if fields.get("type") == END:
                return None
            try:
                start = parse_start(fields, self.request.query.get("model", ""))
                start = replace(start, model=self.context.asked_model or start.model)
                model = self.speech.dispatcher.model(start.model, self.context.caller)
            except RequestRefusedError as refused:
                if self.channel.translation is not None:  # its session.start is the handshake, of which there is one
                    raise
                self.backlog.drop_sent()
                self.intake.give_back(fields)
                await self.channel.send_refusal(refused.refusal)
                continue
            self.backlog.take_sent()  # the relay sends it by itself, with the name that the pod serves
            self.context.model, self.context.model_ref = start.model, model.ref
            self.speech.recent.record(self.context.caller.tenant, model.full_name)
            return start, model

    async def _dispatch(self, start: SessionStart, model: ModelEntry) -> None:
        """Find a pod and pass messages on; again elsewhere while the client has no audio."""
        dispatcher, context = self.speech.dispatcher, self.context
        route_request = self.speech.route_request(self.request)
        # Pings keep the connection open, as comments keep a stream of events.
        wait_seconds = self.speech.hold_seconds(self.request, model, wants_events=True)
        ticket = dispatcher.hold_queues.new_ticket(
            wait_seconds,
            context.caller.tenant,
            estimated_audio_seconds(added_text(start.fields)),
            self.backlog.reservation.taken_bytes,
        )
        self.speech.budget.earn()
        try:
            closed = await until_answered(
                lambda: dispatcher.find_target(start.model, route_request, ticket, context),
                lambda target: self._attempt(start, target, ticket),
                self.speech.budget,
                is_repeatable=lambda: self.backlog.is_replayable and not self.progress.has_audio,
            )
        except PodReportedError as failed:
            await self._end_with_event(failed)
        else:
            await self._ended(closed)

    async def _attempt(self, start: SessionStart, target: Target, ticket: Ticket) -> PodClosed:
        context = self.context
        context.attempts += 1
        headers = upstream_headers(self.request.headers, context.request_id, target_headers(target, context))
        session = target.session(self.speech.proxy.session)
        try:
            with target.sending(is_measured=False):
                async with connected(session, target.url(STREAM_PATH), headers) as upstream:
                    relay = Relay(upstream, self.channel, self.backlog, start, self.progress, context)
                    try:
                        return await relay.run(target, ticket.deadline_seconds - time.monotonic())
                    finally:
                        # 1005 and 1006 stand for a missing code and cannot be sent.
                        code = self.client_code if self.client_code not in {1005, 1006} else CloseCode.DONE
                        await upstream.close(code=code)
        except UpstreamFailedError:
            self.backlog.rewind()  # another pod needs the same messages
            raise

    async def _ended(self, closed: PodClosed) -> None:
        """Close as the pod closed; after an error event where it broke off."""
        if not closed.is_broken:
            status = STATUS_OF_CLOSE.get(closed.code, HTTPStatus.BAD_GATEWAY)
            self._end(HTTPStatus.OK if self.progress.is_done else status, closed.code)
            return
        if self.context.key is not None and not self.context.is_relayed:
            BROKEN_STREAMS.labels(*self.context.key.labels).inc()
        self.context.is_truncated = True
        await self._refuse(broke_off(self.context.region), CloseCode.FAILED)

    async def _end_with_event(self, failed: PodReportedError) -> None:
        await self.channel.send_text(failed.event)
        code = CloseCode.TRY_LATER if failed.is_full else CloseCode.FAILED
        self._end(HTTPStatus.SERVICE_UNAVAILABLE if failed.is_full else HTTPStatus.BAD_GATEWAY, code)

    async def _refuse(self, refusal: Refusal, code: CloseCode) -> None:
        await self.channel.send_refusal(refusal)
        self._end(refusal.status, code)

    def _end(self, status: int, code: int) -> None:
        self.context.status, self.close_code = int(status), int(code)
