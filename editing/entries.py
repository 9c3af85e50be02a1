"""The catalogue's entries: every checkpoint by name, with its licence, its limits and its defaults, as data.

Defaults are always ours and explicit, never a pipeline's own: diffusers' differ between pipelines of one checkpoint.
"""

from collections.abc import Mapping
from types import MappingProxyType

from editing.checkpoints import Checkpoint, ControlDefaults, Family, SamplingDefaults
from editing.operations import ControlKind, OperationName

_DEV_LICENCE = "FLUX.1 [dev] Non-Commercial License"
_DEV_REASON = (
    "The licence allows non-commercial use only and asks you to filter prompts and outputs for unlawful content."
)
_DEV_LICENCE_URL = "https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md"
_APACHE_URL = "https://www.apache.org/licenses/LICENSE-2.0"

# Strengths of img2img: about a tenth of the picture is left in the noise it starts from, so that colours and places
# stay and what the prompt names is made anew. FLUX.1 [dev] shifts its schedule towards noise by the number of tokens
# (1024 x 1024: 0.75 starts at noise 0.905); flux-mini does not shift (0.9 starts at 0.917). Of schnell's four steps
# 0.75 skips one; anything above skips none, and ignores the picture.

_GENERATE, _IMG2IMG, _INPAINT, _OUTPAINT, _ERASE = (
    OperationName.GENERATE,
    OperationName.IMG2IMG,
    OperationName.INPAINT,
    OperationName.OUTPAINT,
    OperationName.ERASE,
)


def _fill(steps: int) -> Mapping[OperationName, SamplingDefaults]:
    filling = SamplingDefaults(steps=steps, guidance=30.0)
    return {_INPAINT: filling, _OUTPAINT: filling, _ERASE: filling}


CATALOGUE: Mapping[str, Checkpoint] = MappingProxyType(
    {
        checkpoint.name: checkpoint
        for checkpoint in (
            Checkpoint(
                name="flux-mini",
                family=Family.BASE,
                packaged="flux-mini",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                outpaint_passes=4,
                max_pixels=256 * 256,
                max_sequence_length=16,
                defaults={
                    _GENERATE: SamplingDefaults(steps=24, guidance=3.5),
                    _IMG2IMG: SamplingDefaults(steps=24, guidance=3.5, strength=0.9),
                    _INPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=1.0),
                    _OUTPAINT: SamplingDefaults(steps=24, guidance=3.5, strength=0.95),
                },
            ),
            Checkpoint(
                name="flux-mini-fill",
                family=Family.FILL,
                packaged="flux-mini-fill",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                outpaint_passes=4,
                max_pixels=256 * 256,
                max_sequence_length=16,
                defaults=_fill(24),
            ),
            Checkpoint(
                name="flux-mini-canny",
                family=Family.CONTROLNET,
                packaged="flux-mini-canny",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=128 * 128,
                smallest_pixels=128 * 128,
                bucket=16,
                outpaint_passes=4,
                max_pixels=256 * 256,
                max_sequence_length=16,
                controls={ControlKind.CANNY: ControlDefaults(scale=1.0)},
                works_with=frozenset({"flux-mini"}),
            ),
            Checkpoint(
                name="FLUX.1-dev",
                family=Family.BASE,
                hub_id="black-forest-labs/FLUX.1-dev",
                revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                defaults={
                    _GENERATE: SamplingDefaults(steps=28, guidance=3.5),
                    _IMG2IMG: SamplingDefaults(steps=28, guidance=3.5, strength=0.75),
                    _INPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.9),
                    _OUTPAINT: SamplingDefaults(steps=28, guidance=3.5, strength=0.95),
                },
            ),
            Checkpoint(
                name="FLUX.1-schnell",
                family=Family.BASE,
                hub_id="black-forest-labs/FLUX.1-schnell",
                revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
                licence="Apache-2.0",
                licence_url=_APACHE_URL,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=256,
                defaults={
                    _GENERATE: SamplingDefaults(steps=4, guidance=0.0),
                    _IMG2IMG: SamplingDefaults(steps=4, guidance=0.0, strength=0.75),
                    _INPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
                    _OUTPAINT: SamplingDefaults(steps=4, guidance=0.0, strength=1.0),
                },
            ),
            Checkpoint(
                name="FLUX.1-Fill-dev",
                family=Family.FILL,
                hub_id="black-forest-labs/FLUX.1-Fill-dev",
                revision="358293da0354175698b67ec8299acf928313a78a",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                defaults=_fill(30),
            ),
            Checkpoint(
                name="FLUX.1-dev-ControlNet-Union-Pro-2.0",
                family=Family.CONTROLNET,
                hub_id="Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                controls={ControlKind.CANNY: ControlDefaults(scale=0.7, end=0.8)},
                works_with=frozenset({"FLUX.1-dev"}),
            ),
            Checkpoint(
                name="FLUX.1-dev-Controlnet-Inpainting-Beta",
                family=Family.CONTROLNET,
                hub_id="alimama-creative/FLUX.1-dev-Controlnet-Inpainting-Beta",
                revision="411df2896273ed2e4c28b55248b78c5725f7aab4",
                licence=_DEV_LICENCE,
                licence_url=_DEV_LICENCE_URL,
                acceptance_reason=_DEV_REASON,
                native_pixels=1024 * 1024,
                smallest_pixels=512 * 512,
                max_pixels=2048 * 1024,
                max_sequence_length=512,
                # Its makers say 0.9 to 0.95, ending at 0.35 to 1. Half is enough here, and what Krita AI does: kept
                # latents are put back after every step anyway, so it need only settle the layout. It costs half, too.
                inpainting=ControlDefaults(scale=0.9, end=0.5),
                works_with=frozenset({"FLUX.1-dev"}),
            ),
        )
    }
)
