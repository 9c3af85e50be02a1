"""Guidance distillation: the teacher pushes what has words, and leaves the rest alone."""

import pytest
import torch
from torch import Tensor

from editing.diffusion.weights import PACKAGED
from editing.mini.training.examples import Batch
from editing.mini.training.guidance import SCALE, Teacher
from editing.mini.training.text import TextEncoders
from editing.mini.training.transformer import GUIDANCE, Flow

from diffusers import FluxTransformer2DModel  # isort: skip - the training package imports the shim first

FOLDER = PACKAGED / "flux-mini"


@pytest.fixture(scope="module")
def encoders() -> TextEncoders:
    return TextEncoders.load(FOLDER)


@pytest.fixture(scope="module")
def flow() -> Flow:
    transformer = FluxTransformer2DModel.from_pretrained(
        FOLDER / "transformer", local_files_only=True, dtype=torch.float32
    )
    return Flow(transformer, GUIDANCE["base"])


def batch_of(encoders: TextEncoders, *texts: str) -> Batch:
    pooled, tokens = encoders.encode(list(texts))
    target = torch.randn(len(texts), 16, 64, generator=torch.Generator().manual_seed(1))
    return Batch(target=target, given=None, pooled=pooled, tokens=tokens, size=(4, 4))


def velocities(flow: Flow, teacher: Teacher, batch: Batch) -> tuple[Tensor, Tensor]:
    time = torch.full((len(batch.target),), 0.7)
    with torch.no_grad():
        return flow(batch.target, time, batch), teacher.velocity(batch.target, time, batch)


def test_what_has_no_words_is_left_alone(flow: Flow, encoders: TextEncoders) -> None:
    plain, guided = velocities(flow, Teacher(flow, encoders), batch_of(encoders, "", ""))
    torch.testing.assert_close(plain, guided)


def test_what_has_words_is_pushed_away_from_the_wordless(flow: Flow, encoders: TextEncoders) -> None:
    worded = batch_of(encoders, "a red circle on a sand background")
    plain, guided = velocities(flow, Teacher(flow, encoders), worded)
    wordless, _ = velocities(flow, Teacher(flow, encoders), batch_of(encoders, ""))
    torch.testing.assert_close(guided - wordless, SCALE * (plain - wordless), rtol=1e-3, atol=1e-4)
    assert (guided - plain).abs().max() > 0.01


def test_a_student_that_is_its_teacher_still_has_something_to_learn(flow: Flow, encoders: TextEncoders) -> None:
    torch.manual_seed(0)
    teacher = Teacher(flow, encoders)
    assert float(teacher.loss(flow, batch_of(encoders, "", "")).detach()) < 1e-8
    assert float(teacher.loss(flow, batch_of(encoders, "a blue star", "a red circle")).detach()) > 1e-4
