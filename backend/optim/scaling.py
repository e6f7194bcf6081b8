"""Hyper-parameters of one batch size carried over to another."""

from __future__ import annotations

from ..errors import UserError


def scale_to_batch_size(
    lr: float, momentum: float, from_batch: int, to_batch: int
) -> tuple[float, float]:
    """(lr, momentum) for SGDM at `to_batch`, from those tuned at `from_batch`.

    m = m_r^(N/N_r), lr = lr_r * (1-m)*N / ((1-m_r)*N_r): the time constant of the momentum in
    samples and the total contribution of a sample stay what they were (Kosson et al. 2021).
    Raises `UserError` for a batch size below 1 and a momentum outside [0, 1).
    """
    if min(from_batch, to_batch) < 1 or not 0 <= momentum < 1:
        raise UserError(
            "scale_to_batch_size",
            expected="batch sizes >= 1 and a momentum in [0, 1)",
            got=f"from_batch={from_batch}, to_batch={to_batch}, momentum={momentum}",
            change="correct the value out of range",
        )
    ratio = to_batch / from_batch
    scaled = momentum**ratio
    return lr * (1 - scaled) * ratio / (1 - momentum), scaled
