"""RevBiFPN S0 to S6: sizes, products and kept bytes of the published networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.errors import UnknownNameError, UserError
from weft.backend.nn.revbifpn import SIZES, RevBiFPN, revbifpn

# backbone, neck, head: counted in the public code, whose sums are the published numbers
PARAMETERS = {
    "s0": (1_308_750, 247_578, 1_862_868),
    "s1": (2_040_258, 399_466, 2_672_576),
    "s2": (4_772_252, 948_788, 4_855_488),
    "s3": (10_574_744, 1_592_406, 7_407_034),
    "s4": (30_742_248, 3_712_104, 14_232_984),
    "s5": (52_779_582, 6_438_098, 22_781_296),
    "s6": (98_676_316, 10_030_270, 33_601_386),
}
# products of convolutions and linear layers, elements out of norms, elements out of up-sampling,
# and the published figure in units of 1e9, which counts 1, 2 and 11 for each
WORK = {
    "s0": (269_409_648, 7_185_360, 2_204_608, 0.308),
    "s1": (550_806_528, 12_121_088, 3_792_896, 0.617),
    "s2": (1_269_423_104, 18_769_920, 5_758_976, 1.370),
    "s3": (3_123_379_040, 37_243_152, 12_089_088, 3.331),
    "s4": (10_167_773_440, 82_246_400, 27_264_000, 10.632),
    "s5": (21_103_385_712, 131_615_088, 43_846_528, 21.849),
    "s6": (37_003_772_256, 188_045_616, 64_042_880, 38.084),
}
KEPT_MIB = {"s0": 4.64, "s1": 7.75, "s2": 12.11}


def published(size: str, keeps: bool = False) -> RevBiFPN:
    return revbifpn(size, normalization="batch", eps=1e-3, keeps=keeps)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", PARAMETERS)
def test_parameters_are_equal_to_the_unit(size: str) -> None:
    with torch.device("meta"):
        model = published(size)
    neck = count(model.head.neck)
    assert (count(model.backbone), neck, count(model.head) - neck) == PARAMETERS[size]


@pytest.mark.parametrize("size", WORK)
def test_products_are_equal_to_the_unit_and_give_the_published_figure(size: str) -> None:
    found = {"norm": 0, "up": 0}

    def add(kind: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[kind] += output.numel()

        return hook

    with torch.device("meta"):
        model = published(size, keeps=True).eval()
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_hook(add("norm"))
            if isinstance(module, nn.Upsample):
                module.register_forward_hook(add("up"))
        side = SIZES[size].image
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, side, side))
    macs = counter.get_total_flops() // 2
    *expected, figure = WORK[size]
    assert [macs, found["norm"], found["up"]] == expected
    assert (macs + 2 * found["norm"] + 11 * found["up"]) / 1e9 == pytest.approx(figure, abs=5e-4)


def saved_mib(model: nn.Module, side: int) -> float:
    """MiB per sample that autograd saves in a forward of two, but for parameters and buffers."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    held: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        held.setdefault(value.untyped_storage().data_ptr(), value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        model(torch.randn(2, 3, side, side))
    kept = (v.untyped_storage().nbytes() for place, v in held.items() if place not in own)
    return sum(kept) / 2 / 2**20


@pytest.mark.parametrize("size", KEPT_MIB)
def test_kept_bytes_are_those_measured_on_the_public_code(size: str) -> None:
    side = SIZES[size].image
    assert saved_mib(published(size), side) == pytest.approx(KEPT_MIB[size], rel=0.03)
    if size == "s0":
        assert saved_mib(published(size, keeps=True), side) > 18 * KEPT_MIB[size]


@pytest.mark.parametrize("normalization", ["online", "group"])
def test_gradients_equal_those_of_kept_activations(normalization: str) -> None:
    """With dropout, stochastic depth and, for Online Normalization, all four states."""
    torch.manual_seed(0)
    models = [revbifpn("s0", 3, 5, normalization, keeps) for keeps in (False, True)]
    for mine, its in zip(models[0].parameters(), models[1].parameters(), strict=True):
        mine.data.copy_(its.data)
    results = []
    for model in models:
        model.double()
        for module in model.modules():
            for state in getattr(module, "state_names", ()):
                setattr(module, state, getattr(module, state).double())
        torch.manual_seed(1)
        for _ in range(2):
            model.zero_grad()
            x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
            nn.functional.cross_entropy(model(x), torch.tensor([2])).backward()
        found = [p.grad for p in model.parameters()] + list(model.buffers())
        results.append(found)
    for mine, its in zip(*results, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="s7"):
        revbifpn("s7")
    with torch.device("meta"), pytest.raises(UserError, match="multiples of 4"):
        published("s0")(torch.zeros(1, 3, 30, 30))
