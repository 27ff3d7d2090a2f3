"""A least-recently-used cache of voice prompts, bounded by the bytes of their latents.

Knows: concurrent requests for one voice share one build, and a request that is cancelled does not cancel the build.
Does not know: where voices come from.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from voxfleet_inference.engine.messages import VoicePrompt


class PromptCache:
    """Prompts by voice id; all methods belong to the event loop's thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._prompts: OrderedDict[str, VoicePrompt] = OrderedDict()  # least recently used first
        self._builds: dict[str, asyncio.Task[VoicePrompt]] = {}
        self.held_bytes = 0

    async def get(self, voice_id: str, build: Callable[[], Awaitable[VoicePrompt]]) -> VoicePrompt:
        """Return the cached prompt, or that of the build in progress, or of a new one. Raises what `build` raises."""
        if voice_id in self._prompts:
            self._prompts.move_to_end(voice_id)
            return self._prompts[voice_id]
        task = self._builds.get(voice_id)
        if task is None:
            task = self._builds[voice_id] = asyncio.create_task(self._build(voice_id, build))
            # Retrieve the exception even if every waiting request was cancelled, or asyncio logs it as never retrieved.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    def forget(self, voice_id: str) -> None:
        """Drop a deleted voice; requests that already wait for its build get the prompt, but it is not cached."""
        self._builds.pop(voice_id, None)
        dropped = self._prompts.pop(voice_id, None)
        if dropped is not None:
            self.held_bytes -= dropped.latents.nbytes

    async def _build(self, voice_id: str, build: Callable[[], Awaitable[VoicePrompt]]) -> VoicePrompt:
        try:
            prompt = await build()
            # `forget` may have removed this build, and a later `get` may have started another one.
            if self._builds.get(voice_id) is asyncio.current_task():
                self._insert(voice_id, prompt)
            return prompt
        finally:
            if self._builds.get(voice_id) is asyncio.current_task():
                del self._builds[voice_id]

    def _insert(self, voice_id: str, prompt: VoicePrompt) -> None:
        if prompt.latents.nbytes > self._max_bytes:
            return
        self._prompts[voice_id] = prompt
        self.held_bytes += prompt.latents.nbytes
        while self.held_bytes > self._max_bytes:
            _, evicted = self._prompts.popitem(last=False)
            self.held_bytes -= evicted.latents.nbytes
