"""Adapters against the dense product, published counts, and PEFT's own files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import lora
from weft.sparsity import Sparsifier

LoRA = lora.LoRA


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.mix = nn.Conv1d(8, 6, 3, padding=1, stride=2)
        self.up, self.head = nn.Linear(6, 10), nn.Linear(10, 5, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.mix(self.table(tokens).mT).mT
        return self.head(torch.relu(self.up(x)))


X = (torch.tensor([[0, 3, 7, 10, 1, 2]]),)
ALL = LoRA(("table", "mix", "up", "head"), rank=3, alpha=6)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return Tokens()


def _trained(model: nn.Module) -> nn.Module:
    """With factors that are not 0."""
    torch.manual_seed(1)
    for parameter in lora.adapter_parameters(model).values():
        nn.init.normal_(parameter, std=0.3)
    return model


def _sparse(share: float = 0.75) -> nn.Module:
    model = _model()
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    globs = ["table.weight", "mix.weight", "up.weight", "head.weight"]
    Sparsifier(model, sgd, {"sparsity": share, "param_filter": globs})
    return model


@pytest.mark.parametrize("masked", [False, True])
def test_an_adapted_model_starts_as_it_was_to_the_bit(masked: bool) -> None:
    model = _sparse()
    expected = model(*X)
    model = lora.adapt(model, LoRA(ALL.targets, rank=3, masked=masked))
    assert torch.equal(model(*X), expected)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if "lora_" not in name}


@pytest.mark.parametrize("masked", [False, True])
def test_at_the_first_step_only_one_factor_has_a_gradient(masked: bool) -> None:
    model = lora.adapt(_sparse(0.5), LoRA(ALL.targets, rank=3, masked=masked))
    model(*X).square().sum().backward()
    for name, parameter in lora.adapter_parameters(model).items():
        begins_at_zero = name.endswith(("lora_B.weight", "lora_embedding_A"))
        assert parameter.grad is not None
        assert bool(parameter.grad.any()) == begins_at_zero, name
    assert all(p.grad is None for n, p in model.named_parameters() if "lora_" not in n)


def test_gradients_are_those_of_the_formula() -> None:
    """dB = s dy (A x)^T, dA = s (B^T dy) x^T, dx = W0^T dy + s A^T B^T dy."""
    layer = lora.adapt(nn.Linear(6, 4).double(), LoRA(("",), rank=2, alpha=5))
    _trained(layer)
    x = torch.randn(3, 6, dtype=torch.double, requires_grad=True)
    dy = torch.randn(3, 4, dtype=torch.double)
    layer(x).backward(dy)
    a, b = (parameter for parameter in layer.factors.values())  # type: ignore[operator,union-attr]
    scale = 5 / 2
    torch.testing.assert_close(b.grad, scale * dy.T @ (x @ a.T))
    torch.testing.assert_close(a.grad, scale * (dy @ b).T @ x)
    torch.testing.assert_close(x.grad, dy @ (layer.base_layer.weight + scale * b @ a))  # type: ignore[union-attr]


@pytest.mark.parametrize("stabilised", [False, True])
def test_merged_and_separate_agree(stabilised: bool) -> None:
    config = LoRA(ALL.targets, rank=3, alpha=6, rank_stabilised=stabilised)
    assert config.scale == (6 / 3**0.5 if stabilised else 2)
    model = _trained(lora.adapt(_model(), config)).double()
    merged = lora.merge(model, inputs=X)
    assert not any(isinstance(module, lora.Adapted) for module in merged.model.modules())
    torch.testing.assert_close(merged.model(*X), model(*X), rtol=1e-12, atol=1e-12)
    assert merged.cut == 0
    assert merged.change == pytest.approx(0, abs=1e-12)


def test_a_merge_that_would_fill_zeros_is_refused() -> None:
    model = _trained(lora.adapt(_sparse(), ALL))
    with pytest.raises(UserError, match=r"module 'table'[\s\S]*66 of 88 weights are 0"):
        lora.merge(model)
    with pytest.raises(UserError, match="give inputs"):
        lora.merge(model, "masked")
    with pytest.raises(UserError, match="masks in force on"):
        lora.merge(model, "dense")


def test_a_masked_merge_keeps_zeros_and_says_what_that_changed() -> None:
    model = _trained(lora.adapt(_sparse(), ALL))
    merged = lora.merge(model, "masked", inputs=X)
    before, after = _model_output(model), _model_output(merged.model)
    assert merged.change == pytest.approx(float((after - before).norm() / before.norm()))
    assert 0.5 < merged.cut < 0.95
    for name in ("table", "mix", "up", "head"):
        weight = merged.model.get_parameter(f"{name}.weight")
        zeros = model.get_parameter(f"{name}.base_layer.weight") == 0
        assert not weight[zeros].any()
        assert (weight[~zeros] != 0).all()


def _model_output(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(*X)


def test_adapters_trained_masked_merge_exactly() -> None:
    model = _trained(lora.adapt(_sparse(), LoRA(ALL.targets, rank=3, masked=True)))
    merged = lora.merge(model, inputs=X)
    assert torch.equal(merged.model(*X), model(*X))
    assert (merged.cut, merged.change) == (0, 0)
    assert int(merged.model.get_parameter("up.weight").count_nonzero()) == 15


def test_a_dense_merge_of_a_sparse_base_that_is_asked_for() -> None:
    model = _model()
    with torch.no_grad():
        model.get_parameter("up.weight")[:, ::2] = 0
    model = _trained(lora.adapt(model, LoRA(("up",), rank=2)))
    with pytest.raises(UserError, match="30 of 60"):
        lora.merge(model)
    merged = lora.merge(model, "dense").model
    torch.testing.assert_close(merged(*X), model(*X))
    assert int(merged.get_parameter("up.weight").count_nonzero()) == 60


class Llama(nn.Module):
    """The matrices of Llama-2-7B."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens, self.lm_head = nn.Embedding(32000, 4096), _dense(4096, 32000)
        self.norm = nn.RMSNorm(4096)
        self.layers = nn.ModuleList(_block() for _ in range(32))


def _dense(into: int, out: int) -> nn.Linear:
    return nn.Linear(into, out, bias=False)


def _block() -> nn.ModuleDict:
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    layers: dict[str, nn.Module] = {name: _dense(4096, 4096) for name in names}
    layers |= {"gate_proj": _dense(4096, 11008), "up_proj": _dense(4096, 11008)}
    layers |= {"down_proj": _dense(11008, 4096)}
    return nn.ModuleDict({**layers, "a": nn.RMSNorm(4096), "b": nn.RMSNorm(4096)})


COUNTS = {
    "all seven": ("layers.*_proj", 2_498_560, 16),
    "attention": ("layers.*.[qkvo]_proj", 1_048_576, 64),
    "gates, ups and downs": ("layers.*.[gud]*_proj", 1_449_984, 16),
    "query and value": ("layers.*.[qv]_proj", 524_288, 8),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_llama_2_7b(name: str) -> None:
    """Hu et al. 2021 and Biderman et al. 2024: r times the number; r = 16: 39,976,960."""
    with torch.device("meta"):
        model: nn.Module = Llama()
    assert sum(p.numel() for p in model.parameters()) == 6_738_415_616
    glob, each, rank = COUNTS[name]
    model = lora.adapt(model, LoRA((glob,), rank=rank))
    found = lora.adapter_parameters(model)
    assert sum(p.numel() for p in found.values()) == each * rank
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == each * rank
    assert all(p.is_meta for p in found.values())


def test_without_the_gate() -> None:
    """2,015,232 r, the setting of Biderman et al. 2024."""
    with torch.device("meta"):
        model: nn.Module = Llama()
    globs = ("layers.*.[qkvo]_proj", "layers.*.up_proj", "layers.*.down_proj")
    model = lora.adapt(model, LoRA(globs, rank=256))
    assert sum(p.numel() for p in lora.adapter_parameters(model).values()) == 2_015_232 * 256


REFUSED: dict[str, tuple[Any, str]] = {
    "rank": (LoRA(("up",), rank=7), r"module 'up'[\s\S]*from 1 to 6[\s\S]*10 x 6[\s\S]*7"),
    "none": (LoRA(("up",), rank=0), "from 1 to 6"),
    "nothing": (LoRA(("down*",)), r"'down\*'[\s\S]*no match[\s\S]*table, mix, up, head"),
    "masks": (LoRA(("up",), rank=2, masked=True), r"module 'up'[\s\S]*mask of shape \(10, 6\)"),
    "dropout": (LoRA(("up",), rank=2, masked=True, dropout=0.1), "0 with masked"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name: str) -> None:
    config, said = REFUSED[name]
    with pytest.raises(UserError, match=said):
        lora.adapt(_model(), config)


def test_tied_adapted_and_grouped_layers_are_refused() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(UserError, match=r"module '0'[\s\S]*tied with 1.weight"):
        lora.adapt(tied, LoRA(("0",), rank=2))
    again = lora.adapt(_model(), LoRA(("up",), rank=2))
    with pytest.raises(UserError, match=r"'up.base_layer'[\s\S]*adapter of rank 2[\s\S]*merge"):
        lora.adapt(again, LoRA(("up*",), rank=2))
    with pytest.raises(UserError, match=r"0: Conv2d"):
        lora.adapt(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4)), LoRA(("0",), rank=2))


def test_norms_with_statistics_are_a_choice() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(UserError, match=r"norms with statistics, the first at '1'"):
        lora.adapt(copy.deepcopy(model), LoRA(("0",), rank=2))
    still = lora.adapt(copy.deepcopy(model), LoRA(("0",), rank=2, statistics="stand still"))
    on = lora.adapt(copy.deepcopy(model), LoRA(("0",), rank=2, statistics="go on"))
    for moved, expected in ((still, 0), (on, 1)):
        moved(torch.randn(3, 4))
        assert int(moved[1].num_batches_tracked) == expected  # type: ignore[arg-type]


def test_files_bring_adapters_back_under_pefts_names(tmp_path: Path) -> None:
    model = _trained(lora.adapt(_model(), ALL))
    lora.save(model, tmp_path, ALL)
    names = load_file(tmp_path / "adapter_model.safetensors").keys()
    assert names == {
        "base_model.model.table.lora_embedding_A",
        "base_model.model.table.lora_embedding_B",
        *(f"base_model.model.{n}.lora_{f}.weight" for n in ("mix", "up", "head") for f in "AB"),
    }
    other = lora.load(_model(), tmp_path)
    assert torch.equal(other(*X), model(*X))
    with pytest.raises(UserError, match="'head', which none is"):
        lora.load(nn.Sequential(nn.Linear(4, 4)), tmp_path)
    lora.save(lora.adapt(_model(), LoRA(("up",), rank=3, alpha=6)), tmp_path / "up", ALL)
    with pytest.raises(UserError, match="missing head"):
        lora.load(lora.adapt(_model(), ALL), tmp_path / "up")
    with pytest.raises(UserError, match="safetensors file"):
        lora.load(_model(), tmp_path / "nowhere")


def test_adapters_of_another_scale_rank_or_form_are_not_taken(tmp_path: Path) -> None:
    """The same factors would be another function, on the way out and on the way in."""
    model = lora.adapt(_model(), ALL)
    for other in (LoRA(("up",), rank=3, alpha=3), LoRA(("up",), rank=2, alpha=4)):
        with pytest.raises(
            UserError, match=r"module 'table'[\s\S]*rank 3, B A times 2, not masked"
        ):
            lora.save(model, tmp_path, other)
    lora.save(model, tmp_path, ALL)
    for rank, alpha, said in ((3, 3, "rank 3, B A times 1"), (2, 4, "rank 2, B A times 2")):
        other_model = lora.adapt(_model(), LoRA(ALL.targets, rank=rank, alpha=alpha))
        with pytest.raises(UserError, match=said):
            lora.load(other_model, tmp_path)
    with pytest.raises(UserError, match=r"module 'up'[\s\S]*not masked[\s\S]*masked"):
        lora.load(lora.adapt(_sparse(), LoRA(("up",), rank=3, alpha=6, masked=True)), tmp_path)


def test_what_a_folder_of_adapters_has_no_place_for_is_not_left_out(tmp_path: Path) -> None:
    config = LoRA(("up",), rank=3, trained=("head.weight",))
    with pytest.raises(UserError, match=r"the first head\.weight"):
        lora.save(lora.adapt(_model(), config), tmp_path, config)


@pytest.mark.parametrize(
    "keys",
    [
        {"alpha_pattern": {"up": 12}},
        {"rank_pattern": {"up": 2}},
        {"use_dora": True},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"peft_type": "LOHA"},
        {"target_modules": "all-linear"},
    ],
)
def test_what_would_be_another_function_in_peft_is_refused(tmp_path: Path, keys: Any) -> None:
    lora.save(lora.adapt(_model(), LoRA(("up",), rank=3)), tmp_path, LoRA(("up",), rank=3))
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    with pytest.raises(UserError, match=next(iter(keys))):
        lora.load(_model(), tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_peft_reads_what_weft_writes_and_computes_the_same(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = LoRA(("table", "mix", "up"), rank=3, alpha=6, rank_stabilised=True)
    model = _trained(lora.adapt(_model(), config))
    lora.save(model, tmp_path, config)
    theirs = peft.PeftModel.from_pretrained(_model(), str(tmp_path))
    torch.testing.assert_close(theirs(*X), model(*X))
    theirs.save_pretrained(str(tmp_path / "peft"))
    ours = lora.load(_model(), tmp_path / "peft")
    torch.testing.assert_close(ours(*X), theirs(*X))


@pytest.mark.parametrize("masked", [False, True])
def test_the_linear_layer_of_gpt2_is_taken(masked: bool) -> None:
    layers = pytest.importorskip("transformers.pytorch_utils")
    torch.manual_seed(0)
    model = nn.Sequential(layers.Conv1D(6, 4)).double()
    masks = {"0.weight": torch.rand(4, 6) < 0.5}
    expected = model(x := torch.randn(3, 4, dtype=torch.double))
    model = lora.adapt(model, LoRA(("0",), rank=2, masked=masked), masks=masks)
    assert torch.equal(model(x), expected)
    merged = lora.merge(_trained(model), inputs=(x,))
    torch.testing.assert_close(merged.model(x), model(x), rtol=1e-12, atol=1e-12)
