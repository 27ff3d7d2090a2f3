"""Every attempt at a sentence counts as a runaway, so that a whole response holds the third attempt.

Python imports this module at start in both of the server's processes, because its folder is on PYTHONPATH. A trained
checkpoint runs away too rarely to measure what its retries sound like; lowering the limit drives the server's own path.
"""

from __future__ import annotations

from voxfleet_inference.speech import retry_policy

retry_policy.RUNAWAY_PATCHES_PER_TOKEN = 0  # type: ignore[misc]
