"""The guard models known by name: commit, licence, size and digests. Pure.

Commit and digests are those that independent projects which run the same model pin; README.md says how sure that is.
A model whose digests are not listed, and any folder, is run as it lies there; its digests then go into the policy's
version all the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policy.guard.errors import GuardMissingError

ARCHITECTURE: Final = "Qwen3ForCausalLM"
"""The one class of model that is loaded."""

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([0-9a-f]{40}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardModel:
    """One guard model on the hub.

    Attributes:
        hub_id: Its name there.
        revision: The commit that is run.
        licence: SPDX identifier; "" if nobody looked.
        size_bytes: Of its weights, about; 0 if not known.
        digests: SHA-256, lower hex, of files that must be exactly these, by name.
    """

    hub_id: str
    revision: str
    licence: str = ""
    size_bytes: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)


SMALL: Final = GuardModel(
    hub_id="Qwen/Qwen3Guard-Gen-0.6B",
    revision="fada3b2f655b89601929198343c94cd2f64d93cc",
    licence="Apache-2.0",
    size_bytes=1_500_000_000,
    digests={
        "config.json": "4674816bdf440c113a9ca87aedfa069b67f7cabbd89e71da7d4e4a68adce4af4",
        "model.safetensors": "4f3ce47ebd968cddb67de08d8764f8ede7c410a7d1fb9e08145a4c7a2f2e5c0f",
        "tokenizer.json": "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
        "tokenizer_config.json": "934e187433b06c5d28519e0347dd293084cf28621f00a86ae7e24e42f8b53e81",
    },
)
"""Runs on two CPU cores at one to two seconds a prompt; the one to start with."""

LARGE: Final = GuardModel(
    hub_id="Qwen/Qwen3Guard-Gen-4B",
    revision="6ec42827da0c1ff11e7a49dc269d2e810d27e108",
    licence="Apache-2.0",
    size_bytes=8_100_000_000,
)
"""For a GPU with 9 GB to spare; finds more."""

GUARDS: Final[Mapping[str, GuardModel]] = {each.hub_id: each for each in (SMALL, LARGE)}


def find_guard(name: str) -> GuardModel:
    """Return what a hub name means.

    Args:
        name: `owner/model`, or `owner/model@commit` with a commit of 40 hex digits.

    Raises:
        GuardMissingError: It is no such name, or names a model that is not listed here without its commit.
    """
    parts = _HUB_NAME.fullmatch(name)
    if parts is None:
        raise GuardMissingError(f"a guard model is a folder, owner/model or owner/model@commit, got {name!r}")
    hub_id, revision = parts.groups()
    known = GUARDS.get(hub_id)
    if known is not None and revision in {None, known.revision}:
        return known
    if revision is None:
        raise GuardMissingError(
            f"no commit of {hub_id} is pinned: name one, {hub_id}@<commit>, or take one of {', '.join(GUARDS)}"
        )
    return GuardModel(hub_id=hub_id, revision=revision)
