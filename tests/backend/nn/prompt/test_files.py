"""Soft prompts go out and in under PEFT's names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from weft.backend.errors import UserError
from weft.nn import SoftPrompt, load_prompt, save_prompt

IDS = torch.tensor([[4, 1, 9], [0, 3, 2]])


def _base() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    ids = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=16, **ids
    )
    return transformers.GPT2LMHeadModel(config).eval()


def test_they_come_back(tmp_path: Path) -> None:
    model = SoftPrompt(_base(), 3)
    save_prompt(model, tmp_path)
    assert {n: t.shape for n, t in load_file(tmp_path / "adapter_model.safetensors").items()} == {
        "prompt_embeddings": (3, 8)
    }
    other = load_prompt(_base(), tmp_path)
    assert torch.equal(other(IDS), model(IDS))
    again = load_prompt(SoftPrompt(_base(), 3), tmp_path)
    assert torch.equal(again.prompt, model.prompt)


@pytest.mark.filterwarnings("ignore")
def test_peft_reads_what_weft_writes_and_computes_the_same(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = SoftPrompt(_base(), 3, cut=False)
    save_prompt(model, tmp_path)
    theirs = peft.PeftModel.from_pretrained(_base(), str(tmp_path)).eval()
    torch.testing.assert_close(theirs(input_ids=IDS).logits, model(IDS))
    theirs.save_pretrained(str(tmp_path / "theirs"))
    ours = load_prompt(_base(), tmp_path / "theirs", cut=False)
    assert torch.equal(ours(IDS), model(IDS))


def test_what_is_not_of_the_model_is_refused(tmp_path: Path) -> None:
    save_prompt(SoftPrompt(_base(), 3), tmp_path)
    with pytest.raises(UserError, match=r"2 virtual tokens of 8 features[\s\S]*\(3, 8\)"):
        load_prompt(SoftPrompt(_base(), 2), tmp_path)
    path = tmp_path / "adapter_config.json"
    keys = json.loads(path.read_text())
    for other in ({"peft_type": "PREFIX_TUNING"}, {"num_virtual_tokens": None}):
        path.write_text(json.dumps(keys | other))
        with pytest.raises(UserError, match="peft_type PROMPT_TUNING"):
            load_prompt(_base(), tmp_path)
    path.write_text(json.dumps(keys))
    save_file({"other": torch.zeros(3, 8)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UserError, match="one tensor, prompt_embeddings"):
        load_prompt(_base(), tmp_path)


def test_other_weights_that_train_are_not_left_out(tmp_path: Path) -> None:
    model = SoftPrompt(_base(), 3, trained=("transformer.ln_f.*",))
    with pytest.raises(UserError, match=r"2 other weights that train[\s\S]*ln_f\.weight"):
        save_prompt(model, tmp_path)
