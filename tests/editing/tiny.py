"""Tiny FLUX checkpoints: the real classes and channel layout with random weights, saved as diffusers folders."""

from pathlib import Path

from editing.diffusion.torchvision_shim import ensure_torchvision

ensure_torchvision()

import torch  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxControlPipeline,
    FluxFillPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    FluxPriorReduxPipeline,
    FluxTransformer2DModel,
)
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import (  # noqa: E402
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from editing.diffusion.quiet import quiet_libraries  # noqa: E402
from editing.flux.inpainting import InpaintingControlNet  # noqa: E402

CORPUS = ["a red circle on sand", "a blue star left of a white square", "remove the person", "a cat on a chair"] * 4
SHAPE = {
    "patch_size": 1,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": (4, 4, 8),
}


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    tokenizer = Tokenizer(
        models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    folder.mkdir(parents=True)
    tokenizer.model.save(str(folder))
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def t5_tokenizer() -> T5TokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0, model_max_length=512)


def transformer(in_channels: int = 64, *, guidance: bool = True) -> FluxTransformer2DModel:
    return FluxTransformer2DModel(in_channels=in_channels, out_channels=64, guidance_embeds=guidance, **SHAPE).eval()


def awake(net: FluxControlNetModel) -> FluxControlNetModel:
    """A fresh ControlNet adds zeros; give its outputs weight, so that a test can see it act."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.startswith(("controlnet_blocks", "controlnet_single_blocks", "controlnet_x_embedder")):
                parameter.normal_(std=0.3)
    return net


def inpainting_net(**other: int) -> InpaintingControlNet:
    """Fresh, so it adds nothing; as the published one, double blocks only."""
    with quiet_libraries():
        return InpaintingControlNet(guidance_embeds=True, **{**SHAPE, "num_single_layers": 0, **other}).eval()


def scheduler(*, dynamic: bool = True) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=dynamic, shift=3.0 if dynamic else 1.0)


def redux(root: Path) -> Path:
    """What reads a picture for Redux: 4 tokens of the text's width."""
    encoder = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=32,
            patch_size=16,
        )
    ).eval()
    FluxPriorReduxPipeline(
        image_encoder=encoder,
        feature_extractor=SiglipImageProcessor(size={"height": 32, "width": 32}),
        image_embedder=ReduxImageEncoder(redux_dim=32, txt_in_features=32),
    ).save_pretrained(root / "redux")
    return root / "redux"


def ip_adapter(root: Path) -> Path:
    """An image prompt adapter as published: one file of the adapter's weights, and the image encoder's folder."""
    folder = root / "ip_adapter"
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=32,
            patch_size=16,
            projection_dim=32,
        )
    ).eval().save_pretrained(folder / "image_encoder")
    wide = SHAPE["attention_head_dim"] * SHAPE["num_attention_heads"]
    block = "double_blocks.0.processor.ip_adapter_double_stream_"
    save_file(
        {
            "ip_adapter_proj_model.proj.weight": torch.randn(4 * 32, 32) * 0.3,
            "ip_adapter_proj_model.proj.bias": torch.zeros(4 * 32),
            "ip_adapter_proj_model.norm.weight": torch.ones(32),
            "ip_adapter_proj_model.norm.bias": torch.zeros(32),
            f"{block}k_proj.weight": torch.randn(wide, 32) * 0.3,
            f"{block}k_proj.bias": torch.zeros(wide),
            f"{block}v_proj.weight": torch.randn(wide, 32) * 0.3,
            f"{block}v_proj.bias": torch.zeros(wide),
        },
        folder / "ip_adapter.safetensors",
    )
    return folder


def build(root: Path) -> dict[str, Path]:
    """Save one folder per kind of checkpoint; folder by name in the catalogue."""
    torch.manual_seed(0)
    clip, t5 = clip_tokenizer(root / "clip"), t5_tokenizer()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(clip),
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=1,
            num_attention_heads=4,
            projection_dim=32,
            bos_token_id=clip.bos_token_id,
            eos_token_id=clip.eos_token_id,
            pad_token_id=1,
        )
    ).eval()
    text_2 = T5EncoderModel(T5Config(vocab_size=128, d_model=32, d_ff=37, d_kv=8, num_layers=1, num_heads=4)).eval()
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
    ).eval()
    shared = {"vae": vae, "text_encoder": text, "tokenizer": clip, "text_encoder_2": text_2, "tokenizer_2": t5}
    with quiet_libraries():
        FluxPipeline(scheduler=scheduler(), transformer=transformer(), **shared).save_pretrained(root / "base")
        FluxPipeline(
            scheduler=scheduler(dynamic=False), transformer=transformer(guidance=False), **shared
        ).save_pretrained(root / "schnell")
        FluxFillPipeline(scheduler=scheduler(), transformer=transformer(384), **shared).save_pretrained(root / "fill")
        awake(FluxControlNetModel(in_channels=64, guidance_embeds=True, num_mode=None, **SHAPE)).save_pretrained(
            root / "controlnet"
        )
        awake(inpainting_net()).save_pretrained(root / "inpainting_controlnet")
        numbered = {**SHAPE, "num_single_layers": 0, "num_mode": 7}
        awake(FluxControlNetModel(in_channels=64, guidance_embeds=True, **numbered)).save_pretrained(root / "numbered")
        FluxControlPipeline(scheduler=scheduler(), transformer=transformer(128), **shared).save_pretrained(
            root / "control"
        )
        FluxKontextPipeline(scheduler=scheduler(), transformer=transformer(), **shared).save_pretrained(
            root / "kontext"
        )
        redux(root)
    ip_adapter(root)
    single = "Flux.1-dev-Controlnet-"
    return {
        "flux-mini": root / "base",
        "flux-mini-fill": root / "fill",
        "flux-mini-canny": root / "controlnet",
        "FLUX.1-dev": root / "base",
        "FLUX.1-schnell": root / "schnell",
        "FLUX.1-Fill-dev": root / "fill",
        "FLUX.1-dev-ControlNet-Union-Pro-2.0": root / "controlnet",
        "FLUX.1-dev-Controlnet-Inpainting-Beta": root / "inpainting_controlnet",
        "FLUX.1-dev-Controlnet-Union": root / "numbered",
        **{f"{single}{kind}": root / "controlnet" for kind in ("Depth", "Surface-Normals", "Upscaler")},
        "FLUX.1-dev-LineArt": root / "controlnet",
        "FLUX.1-Canny-dev": root / "control",
        "FLUX.1-Depth-dev": root / "control",
        "FLUX.1-Kontext-dev": root / "kontext",
        "FLUX.1-Redux-dev": root / "redux",
        "flux-ip-adapter": root / "ip_adapter",
    }
