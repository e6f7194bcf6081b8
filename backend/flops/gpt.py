"""The ledger of a GPT from its shape, as counted in SPDF (Thangarasa et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from .ledger import Layer, Ledger


@dataclass(frozen=True)
class GPTShape:
    """A decoder: layers, width, tokens per sequence, vocabulary; the MLP is `expansion` wide."""

    layers: int
    width: int
    sequence: int
    vocabulary: int
    expansion: int = 4


GPT2_SMALL = GPTShape(layers=12, width=768, sequence=2048, vocabulary=50257)
GPT3_XL = GPTShape(layers=24, width=2048, sequence=2048, vocabulary=50257)


def gpt_ledger(shape: GPTShape, sparsity: float = 0.0) -> Ledger:
    """Layers of one sequence; the six matrices of every block hold 1 - sparsity of their weights.

    Attention is counted over the full square of the sequence, the causal half not skipped, and
    the vocabulary projection once; the embedding look-up costs nothing.
    """
    blocks = [layer for index in range(shape.layers) for layer in _block(shape, index, sparsity)]
    vocabulary = shape.sequence * shape.width * shape.vocabulary
    return Ledger((*blocks, Layer("lm_head", "vocabulary", vocabulary, "lm_head.weight")))


def _block(shape: GPTShape, index: int, sparsity: float) -> list[Layer]:
    square = shape.sequence * shape.width**2
    macs = dict.fromkeys(("query", "key", "value", "output"), square)
    macs |= dict.fromkeys(("mlp_up", "mlp_down"), shape.expansion * square)
    names = {name: f"blocks.{index}.{name}" for name in macs}
    products = 2 * shape.sequence**2 * shape.width
    return [
        *(Layer(names[k], "linear", macs[k], f"{names[k]}.weight", 1 - sparsity) for k in macs),
        Layer(f"blocks.{index}.attention", "attention", products),
    ]
