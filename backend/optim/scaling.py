"""Hyper-parameters of one batch size carried over to another, by the rule of each optimizer."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import UserError


class AdamSetting(NamedTuple):
    """What AdamW trains with at one batch size."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float


def scale_to_batch_size(
    lr: float, momentum: float, from_batch: int, to_batch: int
) -> tuple[float, float]:
    """(lr, momentum) for SGDM at `to_batch`, from those tuned at `from_batch`.

    m = m_r^(N/N_r), lr = lr_r * (1-m)*N / ((1-m_r)*N_r): the time constant of the momentum in
    samples and the total contribution of a sample stay what they were (Kosson et al. 2021).
    Raises `UserError` for a batch size below 1 and a momentum outside [0, 1).
    """
    ratio = _ratio(from_batch, to_batch, {"momentum": momentum})
    scaled = momentum**ratio
    return lr * (1 - scaled) * ratio / (1 - momentum), scaled


def scale_adamw_to_batch_size(setting: AdamSetting, from_batch: int, to_batch: int) -> AdamSetting:
    """AdamW's setting at `to_batch`, from one tuned at `from_batch`; k = to_batch / from_batch.

    lr * sqrt(k), eps / sqrt(k): the square-root rule of Malladi et al. 2022 (arXiv:2205.10287),
    whose 1 - k(1 - beta) is here beta^k, of equal first order and with the time constant of both
    moments in samples. The decay takes lr * weight_decay of a weight per update; weight_decay *
    sqrt(k) keeps what it takes per sample.
    Raises `UserError` for a batch size below 1 and a beta outside [0, 1).
    """
    first, second = setting.betas
    ratio = _ratio(from_batch, to_batch, {"beta 1": first, "beta 2": second})
    root = ratio**0.5
    return AdamSetting(
        lr=setting.lr * root,
        betas=(first**ratio, second**ratio),
        eps=setting.eps / root,
        weight_decay=setting.weight_decay * root,
    )


def _ratio(from_batch: int, to_batch: int, decays: dict[str, float]) -> float:
    if min(from_batch, to_batch) < 1 or not all(0 <= decay < 1 for decay in decays.values()):
        given = ", ".join(f"{name}={value}" for name, value in decays.items())
        raise UserError(
            "scale_to_batch_size",
            expected=f"batch sizes >= 1 and {' and '.join(decays)} in [0, 1)",
            got=f"from_batch={from_batch}, to_batch={to_batch}, {given}",
            change="correct the value out of range",
        )
    return to_batch / from_batch
