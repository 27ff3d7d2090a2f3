"""Everything that `serve` can be told: one table, read once at the start.

Knows: each setting's flag, environment variable, default, bounds and meaning.
Does not know: where the values come from or who uses them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from voxfleet_inference.origins import checked_origins
from voxfleet_inference.voice_names import checked_aliases

DTYPE_ALIASES = {"fp32": "float32", "bf16": "bfloat16"}
Dtype = Annotated[Literal["float32", "bfloat16", "int8"], BeforeValidator(lambda name: DTYPE_ALIASES.get(name, name))]
_STEP_SECONDS = {"cuda": 5.0, "cpu": 60.0}
Port = Annotated[int, Field(ge=0, le=65535)]


class ServeSettings(BaseModel):
    """The settings of the speech server; `--model-path` is `VOXFLEET_MODEL_PATH`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_path: Path = Field(description="Folder of a VoxCPM checkpoint in its published form.")
    model_name: str = Field(
        "voxcpm-1.5", pattern="^[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}$", description="What clients send as `model`."
    )
    device: Literal["cpu", "cuda"] = Field("cuda", description="Where the model runs.")
    dtype: Dtype = Field("bfloat16", description="Number format of the model; fp32, bf16 for short; int8 on CPUs only.")
    host: str = Field("0.0.0.0", description="Address that the ports are bound to.")  # noqa: S104 - a pod's server
    port: Port = Field(6006, description="Port of the speech API and the web page.")
    metrics_port: Port = Field(9090, description="Port of /metrics.")
    internal_port: Port = Field(9091, description="Port of /internal/load and /internal/drain.")
    internal_token_sha256: str = Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256, in hex, of the bearer token of the internal port; without it that port is on loopback.",
    )
    sample_rate: int | None = Field(None, gt=0, description="Expected rate of the checkpoint in Hz; a mismatch exits.")
    token_rate: float | None = Field(None, gt=0, description="Expected patches per second; a mismatch exits.")
    inference_timesteps: int = Field(10, ge=2, le=40, description="Solver points per patch, unless a request says.")
    cfg_value: float = Field(2.0, ge=1, le=10, description="Strength of guidance, unless a request says.")
    max_batch_size: int = Field(32, ge=1, le=256, description="Sentences decoded at the same time.")
    max_queued_requests: int = Field(128, ge=0, le=100_000, description="Requests that may wait beyond that.")
    max_queued_audio_seconds: float = Field(
        7200, gt=0, description="Audio, as estimated from their texts, that open requests may wait for together."
    )
    max_tenant_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of both bounds that one tenant may take while others use the server too.",
    )
    max_request_seconds: float = Field(3600, gt=0, description="A request that takes longer ends with an error.")
    max_step_seconds: float = Field(
        0,
        ge=0,
        description="An engine that owes a step for longer is killed and started again; 0: 5 on a GPU, 60 on a CPU.",
    )
    max_engine_restarts: int = Field(
        3, ge=0, le=1000, description="How often in 10 minutes a dead engine is started again before the server ends."
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of API keys, `name sha256` per line, read again when it changes; without it none is asked.",
    )
    allowed_origins: Annotated[str, AfterValidator(checked_origins)] = Field(
        "",
        description="Websites whose pages may use this server, as `https://a.example,http://localhost:3000`; `*`: all."
        " Its own page always may.",
    )
    trust_gateway_headers: bool = Field(
        default=False,
        description="Believe Voxfleet-Tenant and Voxfleet-Priority: only a gateway can reach this server.",
    )
    max_parallel_sentences: int = Field(8, ge=1, le=32, description="Sentences of one request decoded side by side.")
    max_prefill_tokens: int = Field(
        0, ge=0, le=65536, description="Positions of prompts read in one step; 0: 512 on a GPU, 16 on a CPU."
    )
    max_input_characters: int = Field(4096, ge=1, le=1_000_000, description="Longest `input` that is taken.")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="Largest request body that is taken.")
    max_buffered_audio_seconds: float = Field(60, gt=0, description="Audio kept for a slow reader before it is parked.")
    slow_client_seconds: float = Field(30, gt=0, description="A client that reads nothing for so long is cut off.")
    keep_alive_seconds: float = Field(
        10, gt=0, le=3600, description="A stream of events says that it lives after so long without any."
    )
    session_idle_seconds: float = Field(
        60, gt=0, le=86400, description="A WebSocket session is closed after so long without a message or speech."
    )
    drain_seconds: float = Field(120, ge=0, description="How long open streams may go on after SIGTERM.")
    kv_cache_positions: int = Field(
        0, ge=0, description="Text tokens and patches that all sentences together may fill; 0: as memory allows."
    )
    vae_dtype: Literal["auto", "fp32", "tf32", "bf16"] = Field(
        "auto", description="How the audio codec computes; `auto`: tf32 on a GPU, fp32 on a CPU or when deterministic."
    )
    deterministic: bool = Field(
        default=False, description="The same request and seed give the same bits whatever else is decoded; slower."
    )
    cpu_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of the model on a CPU; 0: one for a small model, else one per granted processor.",
    )
    voices_dir: Path | None = Field(None, description="Folder in which voices are kept; without it none can be made.")
    max_voices: int = Field(1000, ge=0, le=100_000, description="Most voices that are kept.")
    max_voices_bytes: int = Field(2 * 2**30, ge=0, description="Most bytes that they take together.")
    voice_cache_bytes: int = Field(64 * 2**20, ge=0, description="Latents of voices kept in memory, latest first.")
    voice_source: str = Field(
        "",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="URL of the server that keeps the voices which are not here; asked for /internal/voices/ID.",
    )
    voice_source_token_file: Path | None = Field(None, description="File with the bearer token for `--voice-source`.")
    voice_aliases: Annotated[str, AfterValidator(checked_aliases)] = Field(
        "", description="Other names for voices, as `nova=voice_...,narrator=default`; OpenAI's names are `default`."
    )
    termination_log: Path = Field(
        Path("/dev/termination-log"), description="File that is told why the server ends, if it can be written."
    )
    log_text: bool = Field(
        default=False, description="Log what users say too, so that `synthesize --from-log` can repeat it."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")

    @property
    def allowed_step_seconds(self) -> float:
        """How long one step may take; a processor with a full batch may well need more than a GPU's five seconds."""
        return self.max_step_seconds or _STEP_SECONDS[self.device]


def environment_name(field_name: str) -> str:
    """The environment variable of a setting."""
    return f"VOXFLEET_{field_name.upper()}"


def flag_name(field_name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + field_name.replace("_", "-")
