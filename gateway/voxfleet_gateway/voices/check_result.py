"""A server's decision about a recording: what it reports, and what a voice's header keeps of it. Pure.

Does not know: how a server is asked, which one.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from voxfleet_gateway.voices.file_format import MAX_REASON_CHARACTERS, Check, VoiceHeader


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The response to POST /internal/voices/check."""

    is_usable: bool
    reason: str = ""
    patches: int = 0

    def applied_to(self, header: VoiceHeader) -> VoiceHeader:
        """Return the header with the decision."""
        check = Check.PASSED if self.is_usable else Check.FAILED
        return header.model_copy(update={"check": check, "reason": self.reason, "patches": self.patches})


_FORM = TypeAdapter(CheckResult)


def parse_result(body: bytes) -> CheckResult:
    """Return what a server reported. Raises ValueError; a pod's image is its resource's author's, so all is checked."""
    try:
        given = _FORM.validate_json(body)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} errors") from error
    if given.is_usable:
        return CheckResult(is_usable=True, patches=max(0, given.patches))
    reason = "".join(character if character.isprintable() else " " for character in given.reason)
    return CheckResult(is_usable=False, reason=reason[:MAX_REASON_CHARACTERS] or "no reason was given")
