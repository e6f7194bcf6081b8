"""AdamW in the eigenbasis of the gradient's covariance (Jung, Shin, Lee 2026; Vyas et al. 2025).

Under delay Adam oscillates where the curvature's axes are not the coordinates'.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from .adamw import AdamW
from .compensation import Compensation, Delay, DelayConstants
from .matrices import as_matrix, is_matrix, matrix_shape, transposed
from .rule import Array, Settings, State, chosen, masked
from .sums import Factors

_SHIFT, _FLOOR = 1e-2, 1e-3
Bases = tuple[Array | None, Array | None]


@dataclass(frozen=True)
class RotatedAdamW:
    """AdamW whose second moment and step are those of G' = U^T G V, for matrices.

    L = b*L + (1-b)*G G^T and R = b*R + (1-b)*G^T G with b = beta_2; every `every` updates, the
    first included, U = qr(L U) and V = qr(R V), from the identity. Then v = b*v + (1-b)*G'^2, and
    the step is U (U^T m_hat V / (sqrt(v_hat) + eps)) V^T. The gradient of one sample has few
    directions: to L and R is added a hundredth of their mean eigenvalue, and to eps a thousandth of
    the root mean square of G', so that the others neither turn nor step by rounding alone. A side
    of more than `largest` entries is not rotated; what is no matrix is updated by `plain`, and so
    is what `init` is told to. A mask is applied after the step is rotated back.
    """

    plain: AdamW
    every: int
    largest: int

    @property
    def compensation(self) -> Compensation:
        """That of the plain rule."""
        return self.plain.compensation

    @property
    def settings(self) -> Settings:
        """All that decides a step beside rate and delay."""
        own = {"optimizer": "rotated_adamw"}
        return {
            **self.plain.settings,
            **own,
            "rotate_every": self.every,
            "rotate_largest": self.largest,
        }

    @property
    def stash(self) -> bool:
        """Whether the backward must see the very weights its forward saw."""
        return self.plain.stash

    def constants(self, delay: Delay) -> DelayConstants:
        """All that a step depends on of a delay."""
        return self.plain.constants(delay)

    def init(self, parameter: Array, xp: Any, by_element: bool = False) -> State:
        """AdamW's, and for each side that is rotated the covariance, zero, and the basis."""
        state = self.plain.init(parameter, xp, by_element)
        if by_element or not is_matrix(parameter):
            return state
        state["rotated_second"] = state.pop("second")
        matrix = as_matrix(parameter, xp) * 0
        for side, size in zip(("left", "right"), matrix_shape(parameter), strict=True):
            if size <= self.largest:
                line = matrix[:, 0] if side == "left" else matrix[0]
                state[side] = xp.diag(line)
                state[f"{side}_basis"] = xp.diag(line + 1)
        return state

    def predict(
        self, parameter: Array, state: State, delay: Delay, lr: float | Array, xp: Any
    ) -> Array:
        """The weights as they are."""
        return parameter

    def lookahead(self, state: State, delay: Delay, lr: float | Array) -> None:
        """None: nothing is predicted."""

    def update(
        self,
        parameter: Array,
        gradient: Array,
        state: State,
        delay: Delay,
        lr: float | Array,
        xp: Any,
        applies: Array | bool = True,
        mask: Array | None = None,
        factors: Factors | None = None,
    ) -> tuple[Array, State]:
        """One step with a gradient of weights `delay` updates old."""
        if "second" in state:
            return self.plain.update(parameter, gradient, state, delay, lr, xp, applies, mask)
        first, second = self.plain.betas
        g = as_matrix(gradient, xp)
        moved = self._turned(g, state, xp)
        bases = moved.get("left_basis"), moved.get("right_basis")
        squares = _into(bases, g, xp) ** 2
        moved |= {
            "first": first * state["first"] + (1 - first) * gradient,
            "rotated_second": second * state["rotated_second"]
            + (1 - second) * squares.reshape(parameter.shape),
            "updates": state["updates"] + 1,
        }
        after = {name: chosen(applies, moved[name], state[name], xp) for name in state}
        mean, spread = (
            as_matrix(after[name], xp) / (1 - beta ** moved["updates"])
            for name, beta in (("first", first), ("rotated_second", second))
        )
        floor = self.plain.eps + _FLOOR * xp.sqrt(xp.sum(spread) / prod(parameter.shape))
        step = _into(bases, mean, xp) / (xp.sqrt(spread) + floor)
        direction = _out_of(bases, step, xp).reshape(parameter.shape)
        new = parameter - lr * (
            xp.asarray(direction, dtype=parameter.dtype) + self.plain.weight_decay * parameter
        )
        return chosen(applies, masked(new, mask, xp), parameter, xp), after

    def _turned(self, g: Array, state: State, xp: Any) -> State:
        """Covariances with this gradient, and the bases, anew if that is due."""
        beta, found = self.plain.betas[1], {}
        is_due = state["updates"] % self.every == 0
        for side, own in (("left", g), ("right", transposed(g, xp))):
            if side not in state:
                continue
            covariance = beta * state[side] + (1 - beta) * own @ transposed(own, xp)
            basis = state[f"{side}_basis"]
            found[side] = covariance
            shift = _SHIFT * xp.sum(xp.diag(covariance)) / covariance.shape[0]
            turned = xp.linalg.qr(covariance @ basis + shift * basis)[0]
            found[f"{side}_basis"] = xp.where(is_due, turned, basis)
        return found


def _into(bases: Bases, matrix: Array, xp: Any) -> Array:
    """U^T X V."""
    left, right = bases
    matrix = matrix if left is None else transposed(left, xp) @ matrix
    return matrix if right is None else matrix @ right


def _out_of(bases: Bases, matrix: Array, xp: Any) -> Array:
    """U X V^T."""
    left, right = bases
    matrix = matrix if left is None else left @ matrix
    return matrix if right is None else matrix @ transposed(right, xp)
