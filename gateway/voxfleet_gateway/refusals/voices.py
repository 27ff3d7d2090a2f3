"""What is refused of voices and consents: those that are named, and those that are to be stored. Pure.

Does not know: which voices there are (voices/), what a recording must be like (the servers).
"""

from collections.abc import Sequence
from http import HTTPStatus

from voxfleet_gateway.decisions.voice_names import BUILT_IN
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import BUSY_RETRY_AFTER_SECONDS, NAME_CHARACTERS, bad_request, unavailable

SHOWN_VOICES = 20
SHOWN_CONSENT_IDS = 4


def voice_of_request_not_found(name: str) -> Refusal:
    """400: a speech request names a stored voice that its caller does not have."""
    message = (
        f"'voice' must be default, random, an alias or the id of one of your stored voices (GET /v1/audio/voices lists "
        f"them); given {name!r:.{NAME_CHARACTERS}}."
    )
    return Refusal(HTTPStatus.BAD_REQUEST, "voice_not_found", message, "voice")


def unknown_voice_name(name: str, known: Sequence[str]) -> Refusal:
    """400: a speech request names a voice that neither its model nor its caller has; `known`: names they do have."""
    names = [*dict.fromkeys((*BUILT_IN, *known))]
    shown = ", ".join(each[:NAME_CHARACTERS] for each in names[:SHOWN_VOICES])
    more = f" and {len(names) - SHOWN_VOICES} more" if len(names) > SHOWN_VOICES else ""
    message = (
        f"'voice' must be one of {shown}{more}, the id or name of one of your stored voices, or one of OpenAI's names "
        f"(GET /v1/audio/voices lists all); given {name!r:.{NAME_CHARACTERS}}."
    )
    return Refusal(HTTPStatus.BAD_REQUEST, "voice_not_found", message, "voice")


def ambiguous_voice(name: str, ids: Sequence[str]) -> Refusal:
    """400: a speech request names a voice by a name that several of the caller's stored voices have."""
    shown = ", ".join(ids[:SHOWN_VOICES])
    message = f"'voice' must name one voice; {len(ids)} are called {name!r:.{NAME_CHARACTERS}}: {shown}."
    return Refusal(HTTPStatus.BAD_REQUEST, "voice_ambiguous", message, "voice")


def unusable_voice(field: str, reason: str) -> Refusal:
    """400: a server has found that the recording, uploaded now or before, cannot be a voice."""
    return bad_request(f"'{field}' cannot be used: {reason}", field, "invalid")


def unknown_voice(name: str) -> Refusal:
    """404: the caller has no voice of this id."""
    message = f"There is no voice {name!r:.{NAME_CHARACTERS}}; GET /v1/audio/voices lists yours."
    return Refusal(HTTPStatus.NOT_FOUND, "voice_not_found", message, "voice_id")


def unknown_consent(name: str) -> Refusal:
    """404: the caller has no consent of this id."""
    message = f"There is no consent {name!r:.{NAME_CHARACTERS}}; GET /v1/audio/voice_consents lists yours."
    return Refusal(HTTPStatus.NOT_FOUND, "consent_not_found", message, "consent_id")


def unknown_consent_of_voice(name: str) -> Refusal:
    """400: a voice names a consent that the caller does not have."""
    message = f"'consent' must be the id of a stored consent, or a statement; given {name!r:.{NAME_CHARACTERS}}."
    return bad_request(message, "consent", "consent_not_found")


def consent_in_use(voices: int, own_ids: Sequence[str]) -> Refusal:
    """400: voices name the consent that is to be deleted; the ids are the caller's own."""
    shown = ", ".join(own_ids[:SHOWN_CONSENT_IDS])
    message = f"{voices} voices were made with this consent; delete them first: {shown or 'those of other tenants'}."
    return bad_request(message, "consent_id", "consent_in_use")


def model_needed(usable: Sequence[str]) -> Refusal:
    """400: a voice by a seed is one of a model's, and the caller may use several, or none."""
    named = ", ".join(usable[:10]) or "you may use none at present"
    return bad_request(f"'model' is missing; it must be the model that draws the voice: {named}.", "model", "missing")


def voices_not_designed() -> Refusal:
    """501: the model's servers are of a version that draws no voices for gateways."""
    message = (
        "The servers of this model are too old to draw voices for a gateway; update their image, or send 'voice': "
        "'random' with the seed in each speech request."
    )
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "voices_not_designed", message, "seed")


def voices_not_kept() -> Refusal:
    """501: this gateway has no folder for voices."""
    message = "This gateway stores no voices; start it with --voices-dir (in the chart: gateway.voices.enabled)."
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "voices_not_kept", message)


def voices_full(reason: str) -> Refusal:
    """507: a limit on voices is reached, or the disk is full."""
    return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "voices_full", f"The voice cannot be stored: {reason}.")


def voices_unavailable(reason: str) -> Refusal:
    """503: the folder of voices cannot be used now."""
    return unavailable("voices_unavailable", f"The voices cannot be used now: {reason}.", BUSY_RETRY_AFTER_SECONDS)
