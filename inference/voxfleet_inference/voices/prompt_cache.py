"""Voices ready to speak: their latents, the most recently used of them, bounded in bytes.

Knows: that a voice which several requests ask for at once is made once, and that one who leaves does not spoil it for
the others.
Does not know: where voices come from.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from voxfleet_inference.engine.messages import VoicePrompt


class PromptCache:
    """Latents by the voice's id; belongs to the event loop's thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[str, VoicePrompt] = OrderedDict()
        self._being_made: dict[str, asyncio.Task[VoicePrompt]] = {}
        self.held_bytes = 0

    async def get(self, voice_id: str, make: Callable[[], Awaitable[VoicePrompt]]) -> VoicePrompt:
        """The voice, made now unless it is here or being made. Raises what `make` raises."""
        if voice_id in self._held:
            self._held.move_to_end(voice_id)
            return self._held[voice_id]
        task = self._being_made.get(voice_id)
        if task is None:
            task = self._being_made[voice_id] = asyncio.create_task(self._make(voice_id, make))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody has looked
        return await asyncio.shield(task)

    def forget(self, voice_id: str) -> None:
        """The voice was deleted: whoever is waiting for it still gets it, nobody else does."""
        self._being_made.pop(voice_id, None)
        gone = self._held.pop(voice_id, None)
        if gone is not None:
            self.held_bytes -= gone.latents.nbytes

    async def _make(self, voice_id: str, make: Callable[[], Awaitable[VoicePrompt]]) -> VoicePrompt:
        try:
            prompt = await make()
            if self._being_made.get(voice_id) is asyncio.current_task():
                self._hold(voice_id, prompt)
            return prompt
        finally:
            if self._being_made.get(voice_id) is asyncio.current_task():
                del self._being_made[voice_id]

    def _hold(self, voice_id: str, prompt: VoicePrompt) -> None:
        if prompt.latents.nbytes > self._max_bytes:
            return
        self._held[voice_id] = prompt
        self.held_bytes += prompt.latents.nbytes
        while self.held_bytes > self._max_bytes:
            _, oldest = self._held.popitem(last=False)
            self.held_bytes -= oldest.latents.nbytes
