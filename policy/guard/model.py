"""Qwen3Guard-Gen in transformers: the only module of `policy` that imports torch, and only the guard's process does.

Deterministic and bounded: nothing is sampled. The answer is made to begin with `Safety:`, the log-probabilities of the
three labels, all their tokens, are read off and normalised over the three, and only if the text is not plainly safe
are the categories decoded, greedily, at most `ANSWER_TOKENS` of them.
"""

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from policy.guard.errors import (
    GuardNonsenseError,
    GuardTemplateError,
    GuardTextError,
    GuardWeightsError,
)
from policy.guard.judging import GuardReading
from policy.guard.prompting import (
    ANSWER_TOKENS,
    CATEGORIES_PREFIX,
    LABELS,
    PREFIX,
    check_template,
    parse_categories,
    probe,
    shown,
)

TOKEN_LIMIT = 8_192
"""Tokens a question may have, the template's 270 included; a text with more blocks, it is not cut off."""

LEAST_MASS = 0.5
"""Share of all probability the three labels must hold together; less, and what answers is no guard."""


class GuardReader:
    """A loaded model and its tokenizer."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load and try both; nothing is downloaded, only safetensors are read, no code of the folder runs.

        Args:
            folder: In the layout of the hub.
            device: `auto`, `cpu`, `cuda`, `cuda:1` ...; bfloat16 on a GPU, float32 on a CPU.

        Raises:
            GuardWeightsError: Weights are missing, misshapen or not finite.
            GuardTemplateError: The chat template is not the guard's.
        """
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._device = _device(device)
        self._model = _load(folder, self._device)
        self._ends = _end_tokens(self._model, self._tokenizer)
        self._limit = min(TOKEN_LIMIT, self._model.config.max_position_embeddings) - ANSWER_TOKENS
        self._controls = frozenset(self._tokenizer.added_tokens_decoder)
        question = self._render(probe())
        check_template(question)
        self._control_count = self._count_controls(self._encode(question + PREFIX))
        self._labels = self._label_tokens()
        # What every question begins with, more than half of one, is run once and copied.
        self._opening = _common_beginning(self._question(probe()), self._question("X"))
        if not self._opening:
            raise GuardTemplateError("the chat template begins with the text instead of the task")
        with torch.inference_mode():
            self._opening_cache, _ = self._run(self._opening, None)

    @torch.inference_mode()
    def read(self, text: str, matters: Callable[[GuardReading], bool]) -> GuardReading:
        """Read one text.

        Args:
            text: Any, the whole of it.
            matters: Asked with the labels' probabilities; whether the categories are wanted.

        Returns:
            The reading, with categories if they were wanted.

        Raises:
            GuardTextError: It has too many tokens, or would forge the model's control tokens.
            GuardNonsenseError: The model's answer is none.
        """
        # 1. The question, which shows the whole text and nothing the text could pass off as the template's.
        tokens = self._question(text)
        # 2. The three labels, from one run over the question and one short run for each label of several tokens.
        opened = len(self._opening) if tokens[: len(self._opening)] == self._opening else 0
        cache, first = self._run(tokens[opened:], deepcopy(self._opening_cache) if opened else None)
        safe, controversial, unsafe = self._probabilities(first, cache)
        reading = GuardReading(safe=safe, controversial=controversial, unsafe=unsafe)
        if not matters(reading):
            return reading
        # 3. The categories, as if the likelier of the two graver labels had been given.
        label = LABELS[2] if unsafe >= controversial else LABELS[1]
        answer = self._continue(self._encode(f" {label}{CATEGORIES_PREFIX}"), cache)
        return GuardReading(safe=safe, controversial=controversial, unsafe=unsafe, categories=parse_categories(answer))

    def _question(self, text: str) -> list[int]:
        tokens = self._encode(self._render(shown(text)) + PREFIX)
        if len(tokens) > self._limit:
            raise GuardTextError(f"the text makes a question of {len(tokens)} tokens, limit {self._limit}")
        if self._count_controls(tokens) != self._control_count:
            raise GuardTextError("the text holds control tokens of the model")
        return tokens

    def _render(self, text: str) -> str:
        # As the model's card does it: one user's message, text out.
        message = [{"role": "user", "content": text}]
        try:
            rendered = self._tokenizer.apply_chat_template(message, tokenize=False)
        except Exception as error:  # a template is a program; jinja's errors have no common base with the tokenizer's
            raise GuardTemplateError(f"the chat template cannot be run: {type(error).__name__}") from error
        return str(rendered)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _count_controls(self, tokens: Sequence[int]) -> int:
        return sum(token in self._controls for token in tokens)

    def _label_tokens(self) -> tuple[list[int], ...]:
        """Return each label's tokens; they must be the ones it has after the prefix, and tell the labels apart."""
        labels = tuple(self._encode(f" {label}") for label in LABELS)
        before = self._encode(PREFIX)
        joined = [self._encode(f"{PREFIX} {label}") == before + own for label, own in zip(LABELS, labels, strict=True)]
        if not all(joined) or len({label[0] for label in labels}) != len(LABELS):
            raise GuardTemplateError("the tokenizer does not tell the three labels apart by their first token")
        return labels

    def _run(self, tokens: Sequence[int], cache: Any) -> tuple[Any, torch.Tensor]:
        """Run the model over further tokens; returns its cache and the log-probabilities of the next, float32 (v,)."""
        ids = torch.tensor([list(tokens)], device=self._device)
        out = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = out.logits[0, -1].float()
        if not bool(torch.isfinite(logits).all()):
            raise GuardNonsenseError("the model answered with numbers that are not finite")
        return out.past_key_values, torch.log_softmax(logits, dim=-1)

    def _probabilities(self, first: torch.Tensor, cache: Any) -> tuple[float, float, float]:
        sums = []
        for label in self._labels:
            following, total = first, float(first[label[0]])
            for before, token in pairwise(label):
                cache, following = self._run([before], cache)
                total += float(following[token])
            if len(label) > 1:
                cache.crop(1 - len(label))  # back to the end of the question
            sums.append(total)
        logs = torch.tensor(sums, dtype=torch.float64)
        if float(logs.exp().sum()) < LEAST_MASS:
            raise GuardNonsenseError("the model does not answer with one of its labels")
        safe, controversial, unsafe = torch.softmax(logs, dim=0).tolist()
        return safe, controversial, unsafe

    def _continue(self, tokens: Sequence[int], cache: Any) -> str:
        """Decode greedily, to the end of the line or the answer."""
        answer: list[int] = []
        cache, following = self._run(tokens, cache)
        while len(answer) < ANSWER_TOKENS - len(tokens):
            token = int(following.argmax())
            line, broken, _ = str(self._tokenizer.decode([*answer, token])).partition("\n")
            if token in self._ends:
                return str(self._tokenizer.decode(answer))
            if broken:
                return line
            answer.append(token)
            cache, following = self._run([token], cache)
        raise GuardNonsenseError("the model's list of categories does not end")


def _load(folder: Path, device: torch.device) -> Any:
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    try:
        model, found = Qwen3ForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise GuardWeightsError(f"the weights cannot be read: {type(error).__name__}") from error
    # transformers puts random numbers where weights are missing, and warns; here they refuse.
    wrong = sorted({str(key) for name in ("missing_keys", "mismatched_keys") for key in found.get(name, ())})
    if wrong:
        raise GuardWeightsError(f"the weights lack or misshape {wrong[0]} and {len(wrong) - 1} others")
    if not all(bool(torch.isfinite(each).all()) for each in model.parameters()):
        raise GuardWeightsError("the weights hold numbers that are not finite")
    return model.eval().requires_grad_(requires_grad=False).to(device)


def _common_beginning(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    named = [model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id]
    flat = [each for entry in named for each in (entry if isinstance(entry, list | tuple) else [entry])]
    return frozenset(each for each in flat if each is not None)


def _device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
