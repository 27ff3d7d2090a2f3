"""The settings of `serve`: one table, read once at the start.

Knows: each setting's flag, environment variable, default, bounds and meaning.
Does not know: how flags are parsed, or which code reads a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from voxfleet_protocols.ice_servers import checked_ice_servers

from voxfleet_inference.model_names import MODEL_NAME, checked_model_aliases, parse_model_aliases
from voxfleet_inference.origins import checked_origins
from voxfleet_inference.public_addresses import checked_addresses, parse_addresses
from voxfleet_inference.voice_names import checked_aliases

Device = Literal["cpu", "cuda"]
_TorchDtype = Literal["float32", "bfloat16", "int8"]
DTYPE_ALIASES: Final[Mapping[str, str]] = {"fp32": "float32", "bf16": "bfloat16"}  # as VoxCPM's own scripts name them
Dtype = Annotated[_TorchDtype, BeforeValidator(lambda name: DTYPE_ALIASES.get(name, name))]
_STEP_SECONDS: Final[Mapping[str, float]] = {"cuda": 5.0, "cpu": 60.0}  # a full batch on a CPU may need a minute
Port = Annotated[int, Field(ge=0, le=65535)]  # 0: any free one, for tests


class ServeSettings(BaseModel):
    """The settings of the speech server; `--model-path` is `VOXFLEET_MODEL_PATH`, and so on."""

    # protected_namespaces: pydantic warns about fields whose names begin with `model_`.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_path: Path = Field(description="Folder of a VoxCPM checkpoint in its published form.")
    model_name: str = Field(
        "voxcpm-1.5", pattern=f"^{MODEL_NAME.pattern}$", description="What clients send as `model`."
    )
    model_aliases: Annotated[str, AfterValidator(checked_model_aliases)] = Field(
        "", description="Other names that mean this model, as `tts-1,tts-1-hd,gpt-4o-mini-tts`."
    )
    device: Device = Field("cuda", description="Device that the model runs on.")
    dtype: Dtype = Field(
        "bfloat16", description="Number format of the model; fp32 and bf16 are short names; int8 on CPUs only."
    )
    host: str = Field("0.0.0.0", description="Address that the ports listen on.")  # noqa: S104 - a pod's server
    port: Port = Field(6006, description="Port of the speech API and the web page.")
    metrics_port: Port = Field(9090, description="Port of /metrics.")
    internal_port: Port = Field(9091, description="Port of /internal/load and /internal/drain.")
    internal_token_sha256: str = Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256, in hex, of the internal port's bearer token; without it the port listens on loopback.",
    )
    sample_rate: int | None = Field(
        None, gt=0, description="Expected sample rate of the checkpoint in Hz; the server exits when it differs."
    )
    token_rate: float | None = Field(
        None, gt=0, description="Expected patches per second; the server exits when they differ."
    )
    inference_timesteps: int = Field(10, ge=2, le=40, description="Solver steps per patch, unless a request sets them.")
    cfg_value: float = Field(2.0, ge=1, le=10, description="Guidance scale (CFG), unless a request sets it.")
    max_batch_size: int = Field(32, ge=1, le=256, description="Rows of a step: sentences decoded at the same time.")
    max_queued_requests: int = Field(
        128, ge=0, le=100_000, description="Requests that may be open beyond `--max-batch-size`."
    )
    max_queued_audio_seconds: float = Field(
        7200, gt=0, description="Audio that all open requests together may wait for, as estimated from their texts."
    )
    max_tenant_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of both limits that one tenant gets while other tenants are active.",
    )
    max_request_seconds: float = Field(3600, gt=0, description="Time after which a request ends with an error.")
    max_step_seconds: float = Field(
        0,
        ge=0,
        description="An engine whose step takes longer is killed and restarted; 0: 5 on a GPU, 60 on a CPU.",
    )
    max_engine_restarts: int = Field(
        3, ge=0, le=1000, description="Engine restarts within 10 minutes; after one more death the server exits."
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of API keys, `name sha256` per line, read again when it changes; without it none is needed.",
    )
    public_catalog: bool = Field(
        default=False,
        description="List models and voices without a key (names, no transcripts), as Open WebUI asks for them.",
    )
    allowed_origins: Annotated[str, AfterValidator(checked_origins)] = Field(
        "",
        description="Origins whose pages may use this server, as `https://a.example,http://localhost:3000`; `*`: all."
        " The server's own page always may.",
    )
    trust_gateway_headers: bool = Field(
        default=False,
        description="Trust Voxfleet-Tenant and Voxfleet-Priority; only where all clients are gateways.",
    )
    max_parallel_sentences: int = Field(
        8, ge=1, le=32, description="Sentences of one request decoded at the same time."
    )
    max_prefill_tokens: int = Field(
        0, ge=0, le=65536, description="Prompt positions prefilled in one step; 0: 512 on a GPU, 16 on a CPU."
    )
    max_input_characters: int = Field(4096, ge=1, le=1_000_000, description="Most characters of `input`.")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="Most bytes of a request's body.")
    max_buffered_audio_seconds: float = Field(
        60, gt=0, description="Unread audio after which a slow client's sentence is parked."
    )
    slow_client_seconds: float = Field(30, gt=0, description="A client that reads nothing for so long is disconnected.")
    keep_alive_seconds: float = Field(
        10, gt=0, le=3600, description="A stream of events sends a comment after so long without an event."
    )
    session_idle_seconds: float = Field(
        60, gt=0, le=86400, description="A session is closed after so long without a message or speech."
    )
    max_rtc_sessions: int = Field(
        64, ge=0, le=1000, description="Most WebRTC sessions that are open; 0: WebRTC is not offered."
    )
    rtc_port: Port = Field(0, description="UDP port of WebRTC audio, on `--host`; 0: any free one.")
    rtc_public_address: Annotated[str, AfterValidator(checked_addresses)] = Field(
        "",
        description="Addresses under which clients reach this server's UDP port, behind 1:1 NAT or a forwarded port:"
        " one IPv4, one IPv6 or both, with a comma between.",
    )
    rtc_ice_servers: Annotated[str, AfterValidator(checked_ice_servers)] = Field(
        "", description="STUN and TURN servers for browsers, as JSON: a list of RTCIceServer objects.", repr=False
    )
    drain_seconds: float = Field(120, ge=0, description="Time that open requests get to finish after SIGTERM.")
    kv_cache_positions: int = Field(
        0, ge=0, description="Positions of the KV cache, one per text token and patch; 0: as memory allows."
    )
    vae_dtype: Literal["auto", "fp32", "tf32", "bf16"] = Field(
        "auto",
        description="Number format of the audio codec; `auto`: tf32 on a GPU, fp32 on a CPU or when deterministic.",
    )
    deterministic: bool = Field(
        default=False,
        description="Batch-invariant: the same request and seed give the same bits whatever else is decoded; slower.",
    )
    cpu_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of the model on a CPU; 0: one for a small model, else one per available processor.",
    )
    voices_dir: Path | None = Field(None, description="Folder of stored voices; without it no voice can be made.")
    max_voices: int = Field(1000, ge=0, le=100_000, description="Most voices in the folder.")
    max_voices_bytes: int = Field(2 * 2**30, ge=0, description="Most bytes in the folder.")
    voice_cache_bytes: int = Field(64 * 2**20, ge=0, description="Memory for the latents of recently used voices.")
    voice_source: str = Field(
        "",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="URL of a server with more stored voices, which are fetched from its /internal/voices/ID.",
    )
    voice_source_token_file: Path | None = Field(None, description="File with the bearer token for `--voice-source`.")
    voice_aliases: Annotated[str, AfterValidator(checked_aliases)] = Field(
        "",
        description="Other names for voices, as `nova=voice_...,narrator=default`; OpenAI's names are `default`, unless"
        " a stored voice has that name.",
    )
    termination_log: Path = Field(
        Path("/dev/termination-log"),
        description="File that gets the message when the server fails, if it can be written.",
    )
    log_text: bool = Field(
        default=False, description="Log texts too, so that `synthesize --from-log` can replay a request without them."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )

    @property
    def model_names(self) -> tuple[str, ...]:
        """What `model` may be: the name, then its aliases."""
        return tuple(dict.fromkeys((self.model_name, *parse_model_aliases(self.model_aliases))))

    @property
    def rtc_public_addresses(self) -> tuple[str, ...]:
        """The addresses of `rtc_public_address`."""
        return parse_addresses(self.rtc_public_address)

    @property
    def allowed_step_seconds(self) -> float:
        """The longest time of one step: `max_step_seconds`, or the default of the device."""
        return self.max_step_seconds or _STEP_SECONDS[self.device]


def environment_name(field_name: str) -> str:
    """Return the environment variable of a setting."""
    return f"VOXFLEET_{field_name.upper()}"


def flag_name(field_name: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + field_name.replace("_", "-")
