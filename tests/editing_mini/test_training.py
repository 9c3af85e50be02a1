"""The training's parts: what they hand over is exactly what the pipelines read."""

import numpy as np
import pytest
import torch
from diffusers import FluxFillPipeline, FluxPipeline
from torch import nn

from editing.catalogue import find
from editing.guides import ControlKind
from editing.mini.drawing import PHOTO, draw
from editing.mini.styles import neon
from editing.mini.training.captions import SLOTS, caption_of, meaning, reword
from editing.mini.training.examples import Batch, Examples, Sample, pack, pack_mask, unpack
from editing.mini.training.lora import LORA_FILE, save_lora, with_lora
from editing.mini.training.maps import KINDS, control_map
from editing.mini.training.pace import Pace, Weighted, new_progress
from editing.mini.training.tasks import base_sampler, canny_sampler, fill_sampler, style_sampler, union_sampler
from editing.mini.training.team import Team
from editing.mini.training.text import TOKENS, WIDTH, new_encoders, vocabulary
from editing.mini.training.transformer import (
    Flow,
    flow_loss,
    image_ids,
    new_controlnet,
    new_transformer,
    optimisers,
    widen,
)
from editing.mini.training.vae import SPREAD, new_vae, to_pictures, to_tensor, whiten

# diffusers' own ControlNet uses an import path that diffusers calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def encoders():
    torch.manual_seed(0)
    return new_encoders()


def a_batch(given=None):
    torch.manual_seed(1)
    words = {"pooled": torch.randn(2, WIDTH), "tokens": torch.randn(2, TOKENS, WIDTH)}
    return Batch(target=torch.randn(2, 12, 64), given=given, size=(3, 4), **words)


def a_lively_transformer():
    torch.manual_seed(2)
    transformer = new_transformer()
    for parameter in transformer.parameters():
        nn.init.normal_(parameter, std=0.05)
    return transformer


def test_latents_are_packed_as_the_pipeline_packs_them():
    latents = torch.randn(2, 16, 6, 8)
    assert torch.equal(pack(latents), FluxPipeline._pack_latents(latents, 2, 16, 6, 8))
    assert torch.equal(unpack(pack(latents), (3, 4)), latents)
    assert torch.equal(image_ids(3, 4), FluxPipeline._prepare_latent_image_ids(1, 3, 4, "cpu", torch.float32))


def test_masks_are_packed_as_the_fill_pipeline_packs_them():
    masks = torch.rand(2, 48, 64) > 0.5
    latents = torch.zeros(2, 16, 6, 8)
    pipeline = FluxFillPipeline.__new__(FluxFillPipeline)
    pipeline.vae_scale_factor = 8
    pipeline.__dict__["vae"] = new_vae()
    theirs, _ = pipeline.prepare_mask_latents(
        masks[:, None].float(), latents, 2, 16, 1, 48, 64, torch.float32, torch.device("cpu"), None
    )
    assert torch.equal(pack_mask(masks).float(), theirs)


def test_pictures_survive_the_way_to_tensors_and_back():
    pictures = [draw(np.random.default_rng(seed), 64, 48, photographs=()).pixels for seed in range(2)]
    assert all(np.array_equal(*pair) for pair in zip(pictures, to_pictures(to_tensor(pictures)), strict=True))


def test_whitening_changes_latents_and_not_reconstructions():
    torch.manual_seed(0)
    vae = new_vae()
    picture = to_tensor([draw(np.random.default_rng(0), 64, 64).pixels])
    with torch.no_grad():
        before = vae.decode(vae.encode(picture).latent_dist.mean).sample
        whiten(vae, np.random.default_rng(1), (), count=4)
        latents = vae.encode(picture).latent_dist
        after = vae.decode(latents.mean).sample
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(latents.std, torch.full_like(latents.std, SPREAD))


def test_fill_starts_as_the_base_and_the_controlnet_starts_silent():
    base = a_lively_transformer()
    batch, noisy, time = a_batch(), torch.randn(2, 12, 64), torch.tensor([0.2, 0.9])
    wanted = Flow(base, 3.5)(noisy, time, batch)
    filled = Flow(widen(base), 3.5)(noisy, time, a_batch(torch.randn(2, 12, 320)))
    guided = Flow(base, 3.5, new_controlnet(base))(noisy, time, a_batch(torch.randn(2, 12, 64)))
    assert torch.allclose(filled, wanted, atol=1e-5)
    assert torch.allclose(guided, wanted, atol=1e-5)


def test_the_controlnet_learns_and_its_transformer_does_not():
    base = a_lively_transformer()
    flow = Flow(base, 3.5, new_controlnet(base))
    flow_loss(flow, a_batch(torch.randn(2, 12, 64))).backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in flow.controlnet.parameters())


@pytest.mark.parametrize(
    "text", ["", "a red circle", "Ein rötliches Kätzchen 🐈", "把天空换成日落", "\x00\ud7ff￿ \t\n", "x" * 5000]
)
def test_any_text_can_be_tokenised(encoders, text):
    short, long = encoders.ids([text])
    assert short.shape[1] <= 77
    assert long.shape == (1, TOKENS)
    assert int(short.max()) < encoders.clip.config.vocab_size
    assert int(long.max()) < encoders.t5.config.vocab_size


@pytest.mark.parametrize("text", ["a red circle", "ein rötliches kätzchen 🐈", "把天空换成日落", "l'été, 100 % !"])
def test_clip_spells_unknown_words_byte_by_byte(encoders, text):
    tokenizer = encoders.clip_tokenizer
    spelt = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
    assert spelt.replace(" ", "") == text.replace(" ", "")


def test_every_word_of_the_grammar_is_one_token(encoders):
    for word in vocabulary():
        assert len(encoders.clip_tokenizer(word).input_ids) == 3, word
        assert len(encoders.t5_tokenizer(word).input_ids) == 2, word


def test_the_longest_caption_fits(encoders):
    text = "an orange triangle left of an orange square on a night background"
    assert encoders.t5_tokenizer(text).input_ids[-1] == encoders.t5_tokenizer.eos_token_id
    assert len(encoders.t5_tokenizer(text).input_ids) <= TOKENS


def test_a_caption_means_what_it_names():
    drawing = draw(np.random.default_rng(4), 64, 64, shapes=1, background="pink")
    said = caption_of(drawing).meaning
    names = [values[index] for values, index in zip(SLOTS.values(), said, strict=True)]
    assert names == [drawing.shapes[0].colour, drawing.shapes[0].kind, "nothing", "nothing", "pink"]
    assert meaning((), None) == (0,) * 5


def test_rewording_keeps_every_word_that_matters():
    rng = np.random.default_rng(0)
    for seed in range(60):
        drawing = draw(np.random.default_rng(seed), 64, 64)
        text = reword(rng, drawing.shapes, drawing.background, plain=0.0).text.lower().replace("gray", "grey")
        places = [text.index(word) for shape in drawing.shapes for word in (f"{shape.colour} ", shape.kind)]
        assert places[0] < places[-1]
        assert drawing.background in text


@pytest.mark.parametrize("seed", range(6))
def test_fill_never_sees_what_it_shall_paint(seed):
    sample = fill_sampler(np.random.default_rng(seed), 128, 96, ())
    for _ in range(6):
        one = sample()
        assert one.mask.any()
        assert (one.given[one.mask] == 128).all()
        assert np.array_equal(one.given[~one.mask], one.target[~one.mask])


def test_the_controlnet_sees_edges_and_the_base_sees_nothing():
    assert base_sampler(np.random.default_rng(0), 64, 64, ())().given is None
    given = canny_sampler(np.random.default_rng(0), 128, 128, ())().given
    assert set(np.unique(given)) == {0, 255}


def test_examples_keep_pictures_with_their_captions(encoders):
    torch.manual_seed(0)
    shades = iter(range(0, 256, 8))

    def sample():
        shade = next(shades)
        return Sample(texts=(f"a {shade}", f"b {shade}"), target=np.full((16, 16, 3), shade, np.uint8))

    vae = new_vae().eval()
    examples = Examples(vae, encoders, sample)
    examples.grow(20)
    assert examples.count == 32
    batch = examples.batch_in_order(32)
    pooled, tokens = encoders.encode(["a 40"])
    assert torch.allclose(batch.pooled[5], pooled[0], atol=2e-3)
    assert torch.allclose(batch.tokens[5], tokens[0], atol=4e-3)
    with torch.no_grad():
        latents = pack(vae.encode(to_tensor([np.full((16, 16, 3), 40, np.uint8)])).latent_dist.mean)
    assert torch.allclose(batch.target[5], latents[0], atol=0.03)


def _train_together(team, weights):
    model = nn.Linear(3, 1, bias=False)
    nn.init.ones_(model.weight)
    trained = Weighted(model, torch.optim.SGD(model.parameters(), lr=1.0), 0.9, team)
    data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0]])[team.rank]
    trained.step((model(data) * 0.1).sum(), rate=1.0 + team.rank)
    weights[team.rank] = model.weight.detach()


def test_a_team_steps_along_the_mean_gradient_at_the_leaders_rate():
    weights = torch.zeros(2, 1, 3).share_memory_()
    Team(2).run(lambda team: _train_together(team, weights))
    assert torch.allclose(weights[0], torch.tensor([[0.95, 0.85, 1.0]]))
    assert torch.equal(weights[0], weights[1])


def _fail_at_the_other(team):
    if not team.leads:
        raise SystemExit(3)
    team.wait()


def test_a_failing_member_stops_the_team():
    with pytest.raises((RuntimeError, OSError)):
        Team(2).run(_fail_at_the_other)


def test_a_stopped_stage_goes_on_where_it_was(tmp_path):
    def a_model():
        module = nn.Linear(2, 2)
        return Weighted(module, torch.optim.AdamW(module.parameters(), lr=0.1), 0.9)

    with new_progress(shown=False) as progress:
        first, model = Pace("stage", 100.0, tmp_path, progress), a_model()
        first.resume(model)
        model.step(model.module(torch.ones(2)).sum(), rate=0.1)
        first.report(loss=1.0)
        first.save(model)
        second, other = Pace("stage", 100.0, tmp_path, progress), a_model()
        second.resume(other)
    assert second.steps == 1
    assert second.spent >= first.spent - 1
    assert torch.equal(other.module.weight, model.module.weight)
    assert torch.equal(other.average.weight, model.average.weight)


def test_captions_name_photographs_too():
    drawing = draw(np.random.default_rng(0), 64, 64, background=PHOTO)
    assert drawing.caption.endswith("on a photo background")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_control_image_fits_its_drawing(kind):
    drawing = draw(np.random.default_rng(2), 144, 112, shapes=1, background="sand")
    rng = np.random.default_rng(0)
    made = [control_map(rng, kind, drawing) for _ in range(4)]
    assert all(one.shape == (112, 144, 3) and one.dtype == np.uint8 for one in made)
    if kind is not ControlKind.LINE_ART:  # which sees only what is darker
        assert all(one.std() > 4 for one in made)


def test_the_union_sees_every_kind_but_poses():
    assert set(KINDS) == set(ControlKind) - {ControlKind.POSE}
    assert set(find("flux-mini-union").controls) == set(KINDS)
    sample = union_sampler(np.random.default_rng(0), 64, 64, ())
    assert all(sample().given.shape == (64, 64, 3) for _ in range(20))


def test_a_style_is_learnt_under_the_captions_of_plain_drawings():
    plain = base_sampler(np.random.default_rng(4), 128, 128, ())()
    styled = style_sampler(neon)(np.random.default_rng(4), 128, 128, ())()
    assert styled.texts == plain.texts
    assert styled.target.mean() < 0.6 * plain.target.mean()


def test_a_lora_starts_silent_and_alone_learns():
    base = a_lively_transformer()
    noisy, time = torch.randn(2, 12, 64), torch.tensor([0.2, 0.9])
    with torch.no_grad():
        wanted = Flow(base, 3.5)(noisy, time, a_batch())
    flow = Flow(with_lora(base), 3.5)
    with torch.no_grad():
        assert torch.equal(flow(noisy, time, a_batch()), wanted)
    flow_loss(flow, a_batch()).backward()
    learning = {name for name, parameter in flow.named_parameters() if parameter.grad is not None}
    assert learning
    assert all(".lora_" in name for name in learning)
    assert sum(len(group["params"]) for each in optimisers(flow) for group in each.param_groups) == len(learning)


def test_a_saved_lora_does_in_a_pipeline_what_was_trained(tmp_path):
    trained = with_lora(a_lively_transformer())
    torch.manual_seed(5)
    for name, parameter in trained.named_parameters():
        if ".lora_" in name:
            nn.init.normal_(parameter, std=0.1)
    save_lora(trained, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LORA_FILE]
    pipeline = FluxPipeline(
        transformer=a_lively_transformer(),
        vae=None,
        scheduler=None,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
    )
    pipeline.load_lora_weights(tmp_path, weight_name=LORA_FILE)
    noisy, time = torch.randn(2, 12, 64), torch.tensor([0.2, 0.9])
    with torch.no_grad():
        theirs, ours = (Flow(part, 3.5)(noisy, time, a_batch()) for part in (pipeline.transformer, trained))
        plain = Flow(a_lively_transformer(), 3.5)(noisy, time, a_batch())
        again = Flow(with_lora(a_lively_transformer(), tmp_path), 3.5)(noisy, time, a_batch())
    assert torch.allclose(theirs, ours, atol=1e-3)
    assert not torch.allclose(plain, ours, atol=1e-1)
    assert torch.allclose(again, ours, atol=1e-3)
