"""The settings of all programs, declared once; docs/settings.md is generated from this list.

A value comes from the environment (``GEM_BEDSIDE_<NAME>``), else from a TOML file (``GEM_BEDSIDE_CONFIG``, or
``gem-bedside.toml`` in the working folder), else from the default. Tables are JSON in the environment.

``python -m agents.settings > docs/settings.md`` writes the documentation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from models.arrhythmia.limits import CONFIRM_BOUNDS_S, Limits, RhythmSettings
from streams.identifiers import PATIENT_PATTERN
from streams.kafka_security import KafkaSecurity, Mechanism, Protocol
from streams.redis_access import RedisAccess
from streams.tls import TlsFiles

Authentication = Literal["none", "open", "proxy", "token"]
Role = Literal["viewer", "nurse", "admin"]

PREFIX = "GEM_BEDSIDE_"
HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
SECRET_WORDS = ("PASSWORD", "SECRET")  # in the name of a variable: it would be ignored, and printed by others
CONFIG_VARIABLE = "GEM_BEDSIDE_CONFIG"
CONFIG_DEFAULT = "gem-bedside.toml"
ALL_BEDS = "*"


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


OptionalPath = Annotated[Path | None, BeforeValidator(_none_if_empty)]
BedLimits = dict[str, dict[str, dict[str, Any] | None]]
LimitChanges = Mapping[str, Mapping[str, Any] | None]


class Settings(BaseSettings):
    """All settings, with defaults and bounds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, protected_namespaces=(), hide_input_in_errors=True
    )

    # Services
    kafka: str = Field("127.0.0.1:9092", description="Kafka brokers, `host:port,…`.")
    redis: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Redis or Valkey, as a URL; `rediss://…` with TLS. The password belongs in a file (below).",
    )
    site: str = Field(
        "main",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Name of the site: part of every Redis key and of the consumer groups.",
    )
    topic_prefix: str = Field(
        "ecg.", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Prefix of the names of all topics."
    )
    partitions: int = Field(8, ge=1, le=1024, description="Partitions of every topic; fixed for the life of a site.")
    replication: int = Field(
        1, ge=1, le=9, description="Copies of each partition that `gem-bedside topics` creates; 3 with three brokers."
    )
    embedded: bool = Field(
        False, description="True for the embedded broker (Tansu), which needs short fetch waits. Set by `demo`."
    )

    # Security of the services
    kafka_protocol: Protocol = Field(
        "PLAINTEXT",
        description="Protocol of the brokers' listener: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.",
    )
    kafka_mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="With SASL: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`."
    )
    kafka_username: str = Field("", max_length=256, description="With SASL: user.")
    kafka_password_file: OptionalPath = Field(
        None, description="With SASL: file with the password alone. It is read again for each connection."
    )
    kafka_ca_file: OptionalPath = Field(
        None, description="With TLS: certificates of the trusted authorities (PEM); empty: those of the system."
    )
    kafka_cert_file: OptionalPath = Field(
        None, description="With mTLS: the worker's certificate (PEM). All certificates are read again when they change."
    )
    kafka_key_file: OptionalPath = Field(None, description="With mTLS: key of the certificate (PEM, no password).")
    kafka_check_hostname: bool = Field(True, description="The broker's certificate must name its host.")
    redis_username: str = Field("", max_length=256, description="ACL user of Redis; empty: the default user.")
    redis_password_file: OptionalPath = Field(
        None, description="File with the password of Redis alone. It is read again for each connection."
    )
    redis_ca_file: OptionalPath = Field(
        None, description="With `rediss://`: certificates of the trusted authorities (PEM); empty: those of the system."
    )
    redis_cert_file: OptionalPath = Field(None, description="With `rediss://`: the client's certificate (PEM).")
    redis_key_file: OptionalPath = Field(None, description="With `rediss://`: key of the certificate (PEM).")
    redis_check_hostname: bool = Field(True, description="The certificate of Redis must name its host.")

    # Models
    model: OptionalPath = Field(None, description="Folder of a GEM checkpoint; empty: the shipped compact GEM.")
    encoder: OptionalPath = Field(None, description="Folder of an ECG-CoCa encoder; empty: the shipped compact one.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device of the models. `cuda` without a GPU is an error."
    )
    fold: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(
        None,
        ge=0,
        le=4,
        description="Answer with weights and thresholds that never saw this fold; for evaluation alone.",
    )
    gem: bool = Field(True, description="Interpretations by GEM; off: rule-based reports alone.")

    # Alarms
    limits: BedLimits = Field(
        {},
        description='Alarm limits of the site: `{"*" or unit or bed stream: '
        '{CODE: {"seconds", "beats", "rate", "mv", "ms", "on"}}}`; '
        "the narrowest scope has precedence, and limits set at the bed precede all.",
    )
    af_confirm_s: float = Field(
        60.0,
        ge=CONFIRM_BOUNDS_S[0],
        le=CONFIRM_BOUNDS_S[1],
        description="Duration after which atrial fibrillation and irregular rhythm are raised, seconds.",
    )
    qt_confirm_s: float = Field(
        60.0,
        ge=CONFIRM_BOUNDS_S[0],
        le=CONFIRM_BOUNDS_S[1],
        description="Duration after which a long QT is raised, seconds.",
    )
    patient_pattern: str = Field(
        PATIENT_PATTERN,
        description="Regular expression of a whole pseudonym. Default: 1 to 8 letters, a hyphen, 4 to 40 letters and "
        "digits that are neither a name nor a date (`streams/identifiers.py`).",
    )

    # The monitor
    sequence_wait_s: float = Field(
        1.0, ge=0.0, le=10.0, description="Wait for a missing sequence number, by append time, seconds."
    )
    live_lag_s: float = Field(
        10.0,
        ge=2.0,
        le=600.0,
        description="Lag above which the newest signal is judged first and the gap is backfilled, seconds.",
    )
    state_replay_s: float = Field(
        120.0,
        ge=30.0,
        le=900.0,
        description="Signal before the committed offset that a worker reads at a take-over, seconds; at least 60 s "
        "more than the longest time to confirm.",
    )
    strip_s: float = Field(10.0, ge=5.0, le=30.0, description="Length of the strip of an alert, seconds.")
    encoder_interval_s: float = Field(
        2.0, ge=1.0, le=60.0, description="Update interval of the encoder tier, seconds; longer under load."
    )
    encoder_batch: int = Field(16, ge=1, le=512, description="Largest number of beds in one run of the encoder.")

    monitors: int = Field(
        0,
        ge=0,
        le=64,
        description="Monitors that `demo` starts; 0: one a core, and no more than partitions. Elsewhere the number of "
        "monitors is that of the processes that run (`GEM_BEDSIDE_MONITORS` in compose.yaml, `replicas` in the chart).",
    )

    # Interpretation
    gem_deadline_s: float = Field(
        30.0,
        ge=1.0,
        le=600.0,
        description="Deadline of GEM after the flag, seconds; a rule-based report replaces a later interpretation.",
    )
    gem_queue: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Largest number of flagged segments that wait for GEM; "
        "the oldest of the lowest priority are dropped first.",
    )
    gem_precision: Literal["auto", "fp32", "bf16", "fp16", "fp8"] = Field(
        "auto",
        description="Arithmetic of GEM. `auto`: bf16 on a GPU for a model of 500 million weights or more, else fp32; "
        "a small model answers otherwise in bf16 than on the CPU. `fp8`: the products of the layers in 8 bits, half of "
        "the memory; answers may differ.",
    )
    gem_tokens: int = Field(256, ge=16, le=2048, description="Largest number of tokens of an interpretation.")
    verify_share: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="Share of the interpretations that are verified independently before they are sent; "
        "a text of GEM's in which a fault is found gives way to the rule-based report. Lower it where one core "
        "cannot verify them all.",
    )

    # Running
    commit_interval_s: float = Field(1.0, ge=0.1, le=30.0, description="Interval between commits of offsets, seconds.")
    session_timeout_s: float = Field(
        6.0,
        ge=1.0,
        le=60.0,
        description="Time without a heartbeat after which Kafka gives the partitions of a worker away, seconds; "
        "brokers refuse less than their `group.min.session.timeout.ms`, 6 s by default.",
    )
    heartbeat_s: float = Field(
        0.5,
        ge=0.1,
        le=20.0,
        description="Interval between heartbeats of a worker, seconds; each rebalance waits for one of every worker.",
    )
    stopped_after_s: float = Field(
        2.5,
        ge=1.0,
        le=60.0,
        description="Time without a beacon after which a worker is removed from its group by the others, seconds; "
        "longer where machines stall for seconds, and then lethal alarms during a takeover are later.",
    )
    standby: bool = Field(
        True,
        description="A monitor also keeps the signal state of partitions that another monitor holds, so that it takes "
        "them over at once; with two monitors or more each bed is then analysed twice.",
    )
    rebalance_timeout_s: float = Field(
        10.0, ge=2.0, le=120.0, description="Wait of a rebalance for a worker that does not answer, seconds."
    )
    stuck_after_s: float = Field(
        30.0,
        ge=1.0,
        le=600.0,
        description="Time without progress while messages wait, after which a worker ends with status 1, seconds.",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's `/metrics`, `/healthz` and `/readyz`; 0: none."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of a worker's `/metrics`, `/healthz` and `/readyz`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that workers and station log."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines of workers and station: for people, or one JSON object a line."
    )
    station_host: str = Field("127.0.0.1", description="Address of the nurse station.")
    station_sites: str = Field(
        "",
        description="Sites of one Redis that the nurse station displays, separated by commas; empty: the site of this "
        "process.",
    )
    station_port: int = Field(8080, ge=0, le=65535, description="Port of the nurse station; 0: any free one.")

    # Access to the nurse station
    station_auth: Authentication = Field(
        "none",
        description="`none`: nobody logs in, and the station serves its own machine alone; `proxy`: a proxy that logs "
        "people in names them in a header; `token`: signed tokens (`gem-bedside token`); `open`: everybody who reaches "
        "the station may see and act, as nobody in particular.",
    )
    station_proxies: str = Field(
        "",
        description="With `proxy`: addresses or networks of the proxies, `10.1.2.3,10.2.0.0/16`. "
        "Requests from other addresses are rejected.",
    )
    station_user_header: str = Field(
        "X-Forwarded-User",
        pattern=HEADER,
        description="With `proxy`: header that names the person. The proxy must overwrite the client's own.",
    )
    station_groups_header: str = Field(
        "X-Forwarded-Groups", pattern=HEADER, description="With `proxy`: header with the person's groups, `a,b`."
    )
    station_roles: dict[str, dict[str, Role]] = Field(
        {},
        description='Roles of people and groups: `{"rn-12": {"icu-3": "nurse"}, "@physicians": {"*": "admin"}}`. '
        "`viewer` sees the unit, `nurse` acts on its alerts and beds, `admin` also changes limits; "
        '"*" as a name is everybody who is logged in, "*" as a unit is each unit.',
    )
    station_token_keys_file: OptionalPath = Field(
        None,
        description="With `token`: file with the secret keys, one a line of at least 32 characters. The first signs, "
        "all are accepted; the file is read again when it changes.",
    )
    station_hosts: str = Field(
        "",
        description="Names under which browsers reach the station, `ward.example,10.1.2.3`; loopback names and "
        "`GEM_BEDSIDE_STATION_HOST` always are. Requests for another host are rejected.",
    )
    station_connections: int = Field(512, ge=1, le=100_000, description="Largest number of open connections.")
    station_feeds: int = Field(
        64, ge=1, le=100_000, description="Largest number of event streams of one person, or of one address."
    )
    station_requests: int = Field(
        1200, ge=1, le=1_000_000, description="Largest number of requests of one person or address in a minute."
    )
    station_actions: int = Field(
        60, ge=1, le=1_000_000, description="Largest number of actions of one person or address in a minute."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_the_environment(cls, values: Any) -> Any:
        for name in os.environ:
            plain = name.startswith(PREFIX) and any(word in name for word in SECRET_WORDS)
            if plain and name.removeprefix(PREFIX).lower() not in cls.model_fields:
                raise ValueError(f"{name} is no setting: passwords come from files, as {PREFIX}KAFKA_PASSWORD_FILE")
        return values

    @model_validator(mode="after")
    def _services_can_be_reached(self) -> Self:
        for name, made in (("KAFKA", lambda: self.kafka_security), ("REDIS", lambda: self.redis_access)):
            try:
                made()
            except ValueError as error:
                raise ValueError(f"{PREFIX}{name}_…: {error}") from None
        return self

    @field_validator("limits")
    @classmethod
    def _limits_in_bounds(cls, value: BedLimits, info: ValidationInfo) -> BedLimits:
        for scope, changes in value.items():
            try:
                Limits().with_changes(changes)
            except ValueError as error:
                raise ValueError(f"limits of {scope}: {error}") from error
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the TOML file."""
        file = Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_DEFAULT)
        if os.environ.get(CONFIG_VARIABLE) and not file.is_file():
            raise FileNotFoundError(f"{CONFIG_VARIABLE} names {file}, and there is no such file")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @property
    def kafka_security(self) -> KafkaSecurity:
        """Login of every client to Kafka."""
        return KafkaSecurity(
            protocol=self.kafka_protocol,
            mechanism=self.kafka_mechanism,
            username=self.kafka_username,
            password_file=self.kafka_password_file,
            tls=TlsFiles(self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, self.kafka_check_hostname),
        )

    @property
    def redis_access(self) -> RedisAccess:
        """Address and login of every client to Redis."""
        return RedisAccess(
            url=self.redis,
            username=self.redis_username,
            password_file=self.redis_password_file,
            tls=TlsFiles(self.redis_ca_file, self.redis_cert_file, self.redis_key_file, self.redis_check_hostname),
        )

    @property
    def weights_fold(self) -> str | None:
        """`fold`, as `models` takes it."""
        return None if self.fold is None else str(self.fold)

    @property
    def rhythm(self) -> RhythmSettings:
        """The times to confirm, as the rhythm tier takes them."""
        return RhythmSettings(af_confirm_s=self.af_confirm_s, qt_confirm_s=self.qt_confirm_s)

    def limits_of(self, unit: str, bed_stream: str, at_the_bed: LimitChanges) -> Limits:
        """The limits of one bed: the site's, the unit's, the bed stream's, then what people set at the bed."""
        limits = Limits()
        for scope in (ALL_BEDS, unit, bed_stream):
            limits = limits.with_changes(self.limits.get(scope, {}))
        return limits.with_changes(at_the_bed)

    def group(self, worker: str) -> str:
        """Consumer group of a worker: one a site and topic prefix, so that two sites on one Kafka never share."""
        return f"{self.topic_prefix}{self.site}-{worker}"


_SECTIONS = {
    "kafka": "Services",
    "kafka_protocol": "Security of the services",
    "model": "Models",
    "limits": "Alarms",
    "sequence_wait_s": "The monitor",
    "gem_deadline_s": "Interpretation",
    "commit_interval_s": "Running",
    "station_auth": "Access to the nurse station",
}  # first setting of each section


def documentation() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        f"Every program reads a setting from the environment, else from a TOML file (`{CONFIG_VARIABLE}`, or "
        f"`{CONFIG_DEFAULT}` in the working folder; names there are lower case, without the prefix), else it uses the "
        "default.",
        "`python -m agents.settings > docs/settings.md` writes this page from `agents/settings.py`.",
    ]
    for name, info in Settings.model_fields.items():
        if name in _SECTIONS:
            lines += ["", f"## {_SECTIONS[name]}", "", "| setting | default | meaning |", "|---|---|---|"]
        default = "" if info.default is None else str(info.default)
        bounds = [
            str(value)
            for mark in info.metadata
            for key in ("ge", "le")
            if (value := getattr(mark, key, None)) is not None
        ]
        allowed = f" {bounds[0]} to {bounds[1]}." if len(bounds) == 2 else ""
        meaning = ((info.description or "") + allowed).replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {f'`{default}`' if default else 'none'} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
