"""Tiny FLUX.2 [klein] checkpoints: the real classes and layout with random weights, saved as diffusers folders."""

from collections.abc import Callable, Mapping
from pathlib import Path

from editing.diffusion.torchvision_shim import ensure_torchvision

ensure_torchvision()

import torch  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM  # noqa: E402

from editing.diffusion.memory import Residency  # noqa: E402
from editing.diffusion.placing import Place  # noqa: E402
from editing.diffusion.quiet import quiet_libraries  # noqa: E402
from editing.diffusion.settings import EngineSettings  # noqa: E402
from editing.flux2.room import Flux2Room  # noqa: E402
from editing.memory import MemoryProfile  # noqa: E402

CORPUS = ["a red circle on sand", "make the car red", "a cat on a chair", "what is on the left in picture one"] * 4
HIDDEN = 16
LATENT_CHANNELS = 4
LAYERS = 30  # more than are read
CHAT = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> Qwen2TokenizerFast:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(CORPUS, trainer)
    made = Qwen2TokenizerFast(
        tokenizer_object=trained, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
    made.chat_template = CHAT
    return made


def text_encoder(vocabulary: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    return Qwen3ForCausalLM(config).eval()


def vae() -> AutoencoderKLFlux2:
    made = AutoencoderKLFlux2(
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, latent_channels=LATENT_CHANNELS, norm_num_groups=1
    ).eval()
    # a fresh normalisation changes nothing; this one would show if it were left out or taken twice
    made.bn.running_mean.normal_(std=0.3)
    made.bn.running_var.uniform_(0.2, 0.6)
    return made


def transformer() -> Flux2Transformer2DModel:
    made = Flux2Transformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * HIDDEN,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    ).eval()
    with torch.no_grad():  # so that words and references show in the pixels: fresh weights hardly heed them
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return made


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0)


def build_flux2(root: Path) -> dict[str, Path]:
    """Save a distilled and an undistilled checkpoint, as the published ones with all but the transformer in common."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = tokenizer()
        shared = {"tokenizer": words, "text_encoder": text_encoder(len(words)), "vae": vae()}
        with quiet_libraries():
            for folder, distilled in (("klein", True), ("klein-base", False)):
                Flux2KleinPipeline(
                    scheduler=scheduler(), transformer=transformer(), is_distilled=distilled, **shared
                ).save_pretrained(root / folder)
    return {
        "FLUX.2-klein-4B": root / "klein",
        "FLUX.2-klein-9B": root / "klein",
        "FLUX.2-klein-base-4B": root / "klein-base",
    }


def room_of(
    weights: Mapping[str, Path],
    *,
    dtype: torch.dtype = torch.float32,
    profile: MemoryProfile = MemoryProfile.CPU,
    read: Callable[[str], bytes] = {}.__getitem__,
) -> Flux2Room:
    """A room on the CPU; `read` hands out uploaded LoRAs."""
    settings = EngineSettings(weights=weights, hub_cache=Path("/nonexistent/hub"))
    residency = Residency(Place(device=torch.device("cpu"), dtype=dtype, profile=profile), small=0)
    return Flux2Room(settings, residency, read_adapter=read)
