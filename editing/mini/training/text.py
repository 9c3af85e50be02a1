"""Stage 2, the text encoders: CLIP for the pooled embedding, T5 for the tokens.

Both are trained on one question, "what does this caption say?", and then frozen: every embedding answers linearly
for the colour, kind and background it heard about, which is all that the transformer has to learn to draw.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer
from typing_extensions import override

from editing.mini.drawing import BACKGROUNDS, COLOURS, KINDS, PHOTO, draw
from editing.mini.training.captions import FILLERS, LEADS, SLOTS, Caption, reword
from editing.mini.training.pace import Pace, Weighted

WIDTH = 96
TOKENS = 16  # of the long encoder; each costs the transformer as much as 16x16 pixels
BATCH = 64
PEAK_RATE = 2e-3
_END = "<|endoftext|>"
_GRAMMAR = ("a", "an", "on", "left", "of", "background", "beside", "next", "to", "the", "and", "gray", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoders:
    """Tokenizers and encoders as FluxPipeline takes them."""

    clip_tokenizer: CLIPTokenizer
    clip: CLIPTextModel
    t5_tokenizer: T5Tokenizer
    t5: T5EncoderModel

    def ids(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Tokenise for CLIP (n, up to 77) and for T5 (n, `TOKENS`), as FluxPipeline does."""
        short = self.clip_tokenizer(texts, padding="longest", max_length=77, truncation=True, return_tensors="pt")
        long = self.t5_tokenizer(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
        return short.input_ids, long.input_ids

    @torch.no_grad()
    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return the pooled embeddings (n, `WIDTH`) and the tokens' (n, `TOKENS`, `WIDTH`)."""
        short, long = self.ids(texts)
        return self.clip(short).pooler_output, self.t5(long)[0]

    def save(self, folder: Path) -> None:
        """Write the four parts as folders."""
        for name, part in self.parts().items():
            part.save_pretrained(folder / name)

    def parts(self) -> dict[str, "CLIPTokenizer | CLIPTextModel | T5Tokenizer | T5EncoderModel"]:
        """Return the parts under FluxPipeline's names."""
        return {
            "tokenizer": self.clip_tokenizer,
            "text_encoder": self.clip,
            "tokenizer_2": self.t5_tokenizer,
            "text_encoder_2": self.t5,
        }

    @classmethod
    def load(cls, folder: Path) -> "TextEncoders":
        """Read what `save` wrote."""
        options = {"local_files_only": True, "dtype": torch.float32}
        return cls(
            clip_tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
            clip=CLIPTextModel.from_pretrained(folder / "text_encoder", **options).eval(),
            t5_tokenizer=T5Tokenizer.from_pretrained(folder / "tokenizer_2", local_files_only=True),
            t5=T5EncoderModel.from_pretrained(folder / "text_encoder_2", **options).eval(),
        )


class _Reader(nn.Module):
    """Both encoders, each with a linear answer to every slot."""

    def __init__(self, clip: CLIPTextModel, t5: T5EncoderModel) -> None:
        super().__init__()
        self.clip, self.t5 = clip, t5
        self.sizes = [len(values) for values in SLOTS.values()]
        self.pooled_answer = nn.Linear(WIDTH, sum(self.sizes))
        self.token_answer = nn.Linear(WIDTH, sum(self.sizes))

    @override
    def forward(self, short: Tensor, long: Tensor, meanings: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the share of captions that the pooled embedding reads without a mistake."""
        pooled = self.pooled_answer(self.clip(short).pooler_output).split(self.sizes, -1)
        tokens = self.token_answer(self.t5(long)[0]).split(self.sizes, -1)
        loss = torch.zeros(())
        right = torch.ones(len(meanings), dtype=torch.bool)
        for slot, (from_pooled, from_tokens) in enumerate(zip(pooled, tokens, strict=True)):
            truth = meanings[:, slot]
            loss = loss + F.cross_entropy(from_pooled, truth)
            each = truth[:, None].expand(-1, TOKENS)
            loss = loss + F.cross_entropy(from_tokens.flatten(0, 1), each.flatten())
            right &= from_pooled.argmax(-1) == truth
            right &= (from_tokens.argmax(-1) == each).all(1)
        return loss, right.float().mean()


def train_text(pace: Pace, *, seed: int) -> TextEncoders:
    """Train both encoders until the pace's time is spent."""
    encoders = new_encoders()
    reader = _Reader(encoders.clip, encoders.t5)
    rng = np.random.default_rng(seed)
    model = Weighted(reader, torch.optim.AdamW(reader.parameters(), lr=PEAK_RATE, weight_decay=0.01), 0.995)
    pace.resume(model)
    pool = [random_caption(rng) for _ in range(30_000)]
    short, long = encoders.ids([caption.text for caption in pool])
    meanings = torch.tensor([caption.meaning for caption in pool])
    while pace.goes_on():
        chosen = torch.randint(len(pool), (BATCH,))
        loss, right = reader(short[chosen], long[chosen], meanings[chosen])
        model.step(loss, rate=PEAK_RATE * pace.rate())
        pace.report(loss=loss.item(), right=right.item())
    pace.save(model)
    averaged: _Reader = model.averaged()
    return TextEncoders(
        clip_tokenizer=encoders.clip_tokenizer,
        clip=averaged.clip,
        t5_tokenizer=encoders.t5_tokenizer,
        t5=averaged.t5,
    )


def random_caption(rng: np.random.Generator) -> Caption:
    """Return a caption of any kind, words without meaning and the empty one among them."""
    kind = rng.random()
    if kind < 0.08:  # noqa: PLR2004 - shares of the kinds of captions
        words = rng.choice(FILLERS, size=int(rng.integers(0, 6)))
        return Caption(text=" ".join(words), meaning=(0,) * len(SLOTS))
    drawing = draw(rng, 64, 64)
    if kind < 0.15:  # noqa: PLR2004
        return reword(rng, (), drawing.background, plain=0.5)
    background = drawing.background if kind < 0.75 else None  # noqa: PLR2004
    return reword(rng, drawing.shapes, background, plain=0.5)


def new_encoders() -> TextEncoders:
    """Build untrained encoders and the tokenizers, which know the grammar's words and spell out all others."""
    clip_tokenizer, t5_tokenizer = new_clip_tokenizer(), new_t5_tokenizer()
    clip = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(clip_tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=clip_tokenizer.bos_token_id,
            eos_token_id=clip_tokenizer.eos_token_id,
            pad_token_id=clip_tokenizer.pad_token_id,
        )
    )
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=len(t5_tokenizer),
            d_model=WIDTH,
            d_ff=2 * WIDTH,
            d_kv=24,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            relative_attention_num_buckets=32,
            relative_attention_max_distance=32,
        )
    )
    return TextEncoders(clip_tokenizer=clip_tokenizer, clip=clip, t5_tokenizer=t5_tokenizer, t5=t5)


def vocabulary() -> list[str]:
    """Return every word that gets a token of its own, sorted."""
    leads = {word for lead in LEADS for word in lead.split()}
    return sorted({*_GRAMMAR, *COLOURS, *KINDS, *BACKGROUNDS, PHOTO, *FILLERS, *leads})


def new_clip_tokenizer() -> CLIPTokenizer:
    """Build CLIP's tokenizer: byte-level pairs merged until each known word is one token."""
    trained = Tokenizer(models.BPE(unk_token=_END, continuing_subword_prefix="", end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    trained.train_from_iterator([*vocabulary(), *[f"{letter} x{letter}" for letter in sorted(alphabet)]], trainer)
    import json

    model = json.loads(trained.to_str())["model"]
    vocab = dict(model["vocab"])
    for letter in sorted(alphabet):
        vocab.setdefault(f"{letter}</w>", len(vocab))
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def new_t5_tokenizer() -> T5Tokenizer:
    """Build T5's tokenizer: the known words with and without a capital, and every printable ASCII character."""
    pieces: list[tuple[str, float]] = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    for word in vocabulary():
        pieces += [(f"▁{word}", -1.0), (f"▁{word.capitalize()}", -1.0)] if word != word.capitalize() else []
    pieces += [(chr(code), -8.0) for code in range(0x21, 0x7F)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
