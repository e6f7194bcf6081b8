"""Answers that a model rewrites: greedy continuations, and the check that keeps or drops them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.depth import continued, find_blocks, prune_depth, rewritten, slerp

STOP = 0


class Counting(nn.Module):
    """Its likeliest next token is one less than the last."""

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        assert not self.training
        return {"logits": nn.functional.one_hot((tokens - 1).clamp(min=0), 9).float()}


def test_continuations_end_with_the_stop_or_at_the_longest() -> None:
    model = Counting().train()
    prompts = [torch.tensor([8, 3]), torch.tensor([2]), torch.tensor([5, 1])]
    found = continued(model, prompts, stop=STOP, longest=3)
    assert [row.tolist() for row in found] == [[2, 1, 0], [1, 0], [0]]
    assert [len(row) for row in continued(model, [torch.tensor([8])], stop=STOP, longest=3)] == [3]
    assert model.training


def test_a_greedy_continuation_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=31, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    model = transformers.GPT2LMHeadModel(config).eval()
    prompt = torch.tensor([3, 1, 4])
    expected = model.generate(
        prompt[None], max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    (found,) = continued(model, [prompt], stop=-1, longest=6)
    assert found.tolist() == expected[0, 3:].tolist()


def test_what_fails_the_check_stays_as_it_was() -> None:
    requests = [torch.tensor([3]), torch.tensor([5])]
    answers = [torch.tensor([7, 0]), torch.tensor([8, 0])]
    made = rewritten(
        Counting(), requests, answers, lambda n, new: len(new) == 3, stop=STOP, longest=4
    )
    assert [answer.tolist() for answer in made.answers] == [[2, 1, 0], [8, 0]]
    assert (made.own, made.share) == ((True, False), 0.5)
    with pytest.raises(UserError, match="2 requests, 1 answers"):
        rewritten(Counting(), requests, answers[:1], lambda n, new: True, stop=STOP, longest=4)


def test_a_causal_model_at_a_path_is_pruned_rewrites_and_is_merged(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=31,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    blocks = find_blocks(model, lambda whole: whole(torch.zeros(1, 4, dtype=torch.long)))
    pruned = prune_depth(model, blocks, 1, 1)
    requests = [torch.tensor([3, 1, 4]), torch.tensor([1, 5])]
    made = rewritten(model, requests, requests, lambda n, new: n == 0, stop=-1, longest=5)
    assert (len(made.answers[0]), made.own) == (5, (True, False))
    merged = slerp(pruned.state_dict(), pruned.state_dict(), 0.5)
    pruned.load_state_dict(merged)
    pruned.save_pretrained(tmp_path / "pruned")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    assert again.config.num_hidden_layers == 2
    tokens = torch.arange(6)[None]
    torch.testing.assert_close(again(tokens).logits, pruned(tokens).logits)
