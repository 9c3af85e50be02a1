"""Everything an operator can set, by `STUDIO_*` variables or a TOML file.

Order of precedence: arguments, environment, the file. The file is `STUDIO_CONFIG` if that is set, else `studio.toml` in
the home folder if there is one.
"""

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as BrokenSettingsError
from typing_extensions import override

from editing.catalogue import CATALOGUE

DEFAULT_HOME = Path("~/.studio")


class SettingsError(Exception):
    """A setting is unknown, or its value is out of range; the message names the variable."""


class Settings(BaseSettings):
    """The settings of one installation.

    Every field is the variable `STUDIO_<NAME>` in capitals, and the key `<name>` in the file.
    """

    model_config = SettingsConfigDict(env_prefix="STUDIO_", env_ignore_empty=True, frozen=True, extra="forbid")

    home: Path = Field(DEFAULT_HOME, description="Folder of the database, the blobs and the bootstrap key.")
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL; default: SQLite in the home folder. postgresql+psycopg://... for several hosts.",
    )
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port the API listens on; 0 takes a free one.")
    worker: bool = Field(default=True, description="Whether `studio serve` also runs a worker.")

    max_upload_bytes: int = Field(50_000_000, ge=1, description="Largest picture file accepted, in bytes.")
    max_pixels: int = Field(100_000_000, ge=1, description="Most pixels (width x height) of a picture or canvas.")
    max_body_bytes: int = Field(140_000_000, ge=1, description="Largest request body accepted, in bytes.")
    max_adapter_bytes: int = Field(1_000_000_000, ge=1, description="Largest LoRA accepted as an upload, in bytes.")
    max_model_steps: int = Field(
        5_000, ge=1, description="Most denoising steps of one request: variants x tries x passes x steps."
    )
    max_queued: int = Field(1_000, ge=1, description="Most jobs waiting; beyond that new ones get 503 queue_full.")
    screen_per_minute: int = Field(
        60, ge=1, description="How often a key may test words in a minute; beyond that it gets 429 rate_limited."
    )
    max_wait_seconds: float = Field(
        60, ge=0, le=600, description="Longest `Prefer: wait=N` that is honoured, in seconds."
    )
    max_attempts: int = Field(3, ge=1, description="How often a job is started before it fails as worker_lost.")
    lease_seconds: float = Field(15, gt=0, description="A worker silent for this long has lost its job, in seconds.")
    poll_seconds: float = Field(0.2, gt=0, description="How often an idle worker looks for a job, in seconds.")

    checkpoints: tuple[str, ...] = Field(
        (), description="Checkpoints for requests that name none, in order; a JSON list. Then the flux-mini family."
    )
    weights: dict[str, Path] = Field(
        default_factory=dict, description="Local folder of a checkpoint's weights, by checkpoint name; JSON object."
    )
    revisions: dict[str, str] = Field(
        default_factory=dict, description="Commit of a checkpoint on the hub, by checkpoint name; JSON object."
    )
    memory: Literal["auto", "48gb", "24gb", "16gb", "12gb", "8gb", "cpu"] = Field(
        "auto",
        description="How weights are kept, by the device's memory; `studio models list` shows what each part gets.",
    )
    device: str = Field("auto", description="Torch device of the worker: auto, cpu, cuda, cuda:1 ...")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="What is computed in; auto: bfloat16 on a GPU, float32 on a CPU."
    )
    threads: int = Field(
        0, ge=0, description="CPU threads of the worker, recorded with every edit; 0: as many as there are cores."
    )

    rules: Path | None = Field(
        None, description="Folder of rule files added to the shipped ones, laid out as they are; read anew on change."
    )
    shadow_rules: Path | None = Field(
        None,
        description="Folder of candidate rules: workers ask them too and record what differs; never enforced.",
    )
    appeal_contact: str | None = Field(
        None, max_length=300, description="Address or link that refused people are told to write to."
    )
    known_pictures: Path | None = Field(
        None, description="File of SHA-256 digests of pictures that are always blocked."
    )

    guard_model: str | None = Field(
        None,
        description="Guard model that workers ask about prompts: Qwen/Qwen3Guard-Gen-0.6B, another hub name with "
        "@commit, or a folder; it is never downloaded by itself.",
    )
    guard_required: bool | None = Field(
        None,
        description="Whether everything is blocked without the guard model; default: if the API listens beyond "
        "this machine.",
    )

    @property
    def guard_is_required(self) -> bool:
        """Whether everything is blocked without the guard model."""
        return not _is_loopback(self.host) if self.guard_required is None else self.guard_required

    @property
    def home_path(self) -> Path:
        """The home folder, absolute."""
        return self.home.expanduser().absolute()

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.home_path / 'studio.db'}"

    @property
    def bootstrap_key_path(self) -> Path:
        """Where the first key is kept, mode 0600."""
        return self.home_path / "bootstrap.key"

    @model_validator(mode="after")
    def _body_holds_a_picture(self) -> "Settings":
        if self.max_body_bytes < self.max_upload_bytes:
            raise ValueError(
                f"max_body_bytes ({self.max_body_bytes}) must be at least max_upload_bytes ({self.max_upload_bytes})"
            )
        return self

    @model_validator(mode="after")
    def _checkpoints_are_in_the_catalogue(self) -> "Settings":
        unknown = {*self.checkpoints, *self.weights, *self.revisions} - set(CATALOGUE)
        if unknown:
            raise ValueError(f"no checkpoint is called {', '.join(sorted(unknown))}; there are {', '.join(CATALOGUE)}")
        return self

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())


def load_settings(**given: Any) -> Settings:
    """Read the settings.

    Args:
        **given: Fields that win over environment and file; None means not given.

    Raises:
        SettingsError: A value is out of range or a key of the file is unknown.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        lines = [f"STUDIO_{'_'.join(map(str, e['loc'])).upper() or 'SETTINGS'}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(lines)) from error
    except BrokenSettingsError as error:
        raise SettingsError(f"{error}: {error.__cause__}") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"STUDIO_CONFIG: the settings file cannot be read: {error}") from error


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost may lead anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _config_file() -> Path:
    named = os.environ.get("STUDIO_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise SettingsError(f"STUDIO_CONFIG: there is no file {path}")
        return path
    return Path(os.environ.get("STUDIO_HOME") or DEFAULT_HOME).expanduser() / "studio.toml"
