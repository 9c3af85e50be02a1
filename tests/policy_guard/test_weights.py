import json

import pytest
import torch

from policy.guard import GUARDS
from policy.guard.catalogue import SMALL, find_guard
from policy.guard.errors import GuardFilesError, GuardMissingError, GuardTamperedError, GuardTemplateError
from policy.guard.weights import check_digests, file_digests, locate_guard

CACHED = f"models--{SMALL.hub_id.replace('/', '--')}"


def configure(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def without(name):
    return lambda folder: (folder / name).unlink()


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def without_template(folder):
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    del settings["chat_template"]
    file.write_text(json.dumps(settings))


def index(weight_map):
    def write(folder):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return write


def not_json(folder):
    (folder / "config.json").write_text("{")


SPOILT = {
    "no config": (without("config.json"), GuardMissingError, r"config\.json"),
    "a config that is not JSON": (not_json, GuardFilesError, "not JSON"),
    "no tokenizer": (without("tokenizer.json"), GuardMissingError, r"tokenizer\.json"),
    "no settings of it": (without("tokenizer_config.json"), GuardMissingError, r"tokenizer_config\.json"),
    "no weights": (without("model.safetensors"), GuardMissingError, r"model\.safetensors"),
    "pickled weights": (pickled, GuardFilesError, "pickled"),
    "a shard that is missing": (index({"a": "model-00001-of-00002.safetensors"}), GuardMissingError, "00001"),
    "a shard elsewhere": (index({"a": "../other/model.safetensors"}), GuardFilesError, "no files of its folder"),
    "no chat template": (without_template, GuardTemplateError, "no guard model"),
    "another class": (lambda f: configure(f, architectures=["LlamaForCausalLM"]), GuardFilesError, "Llama"),
    "the stream variant": (lambda f: configure(f, architectures=["Qwen3ForGuardModel"]), GuardFilesError, "Guard"),
    "code of its own": (lambda f: configure(f, auto_map={"AutoModel": "evil.Model"}), GuardFilesError, "code"),
}


@pytest.mark.parametrize(("spoil", "error", "message"), SPOILT.values(), ids=SPOILT)
def test_a_folder_that_holds_no_guard_is_refused_by_what_it_lacks(spoilt, spoil, error, message):
    locate_guard(str(spoilt))
    spoil(spoilt)
    with pytest.raises(error, match=message):
        locate_guard(str(spoilt))


def test_what_is_not_on_this_machine_says_which_command_fetches_it(tmp_path):
    with pytest.raises(GuardMissingError, match=rf"hf download {SMALL.hub_id} --revision {SMALL.revision}.*1\.5 GB"):
        locate_guard(SMALL.hub_id, hub_cache=tmp_path)


@pytest.mark.parametrize("model", ["", "~nobody-of-that-name/guard", "./" + "x" * 300])
def test_a_place_that_cannot_be_looked_at_is_named(model):
    with pytest.raises(GuardMissingError):
        locate_guard(model)


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there_is_said_to_be_one(model):
    with pytest.raises(GuardMissingError, match="no folder"):
        locate_guard(model)


@pytest.mark.parametrize("model", ["", "guard", "a/b/c", "https://example.org/a", "owner/model@main"])
def test_other_names_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GuardMissingError):
        find_guard(model)


def test_a_model_not_listed_needs_its_commit():
    with pytest.raises(GuardMissingError, match="no commit of owner/model is pinned"):
        find_guard("owner/model")
    assert find_guard(f"owner/model@{'a' * 40}").revision == "a" * 40


def test_another_commit_of_a_listed_model_does_not_carry_its_digests():
    assert find_guard(f"{SMALL.hub_id}@{SMALL.revision}") is SMALL
    assert find_guard(f"{SMALL.hub_id}@{'a' * 40}").digests == {}


def test_every_listed_model_is_free_to_run_and_pinned():
    for model in GUARDS.values():
        assert (model.licence, len(model.revision)) == ("Apache-2.0", 40)
        assert all(len(digest) == 64 for digest in model.digests.values())


def test_the_hubs_cache_is_found_and_must_hold_the_pinned_files(untrained, tmp_path):
    place = tmp_path / CACHED / "snapshots" / SMALL.revision
    place.parent.mkdir(parents=True)
    place.symlink_to(untrained)
    found = locate_guard(SMALL.hub_id, hub_cache=tmp_path)
    assert (found.folder, found.revision) == (place, SMALL.revision)
    with pytest.raises(GuardTamperedError, match=r"config\.json and 3 other"):
        file_digests(found)


def test_every_file_that_is_loaded_is_digested(spoilt):
    files = locate_guard(str(spoilt))
    before = file_digests(files)
    assert set(before) >= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    for name in before:
        file = spoilt / name
        kept = file.read_bytes()
        file.write_bytes(kept + b" ")
        assert file_digests(files)[name] != before[name]
        with pytest.raises(GuardTamperedError, match=name):
            check_digests(file_digests(files), before)
        file.write_bytes(kept)
