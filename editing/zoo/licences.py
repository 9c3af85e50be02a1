"""Licences of the published checkpoints."""

from typing import Final

APACHE: Final = "Apache-2.0"
APACHE_URL: Final = "https://www.apache.org/licenses/LICENSE-2.0"
MIT: Final = "MIT"
DEV: Final = "FLUX.1 [dev] Non-Commercial License"
DEV_URL: Final = "https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md"
DEV_REASON: Final = (
    "The licence allows non-commercial use only and asks you to filter prompts and outputs for unlawful content."
)
