"""Sums that nothing in their phase reads: one collective for several, behind what follows.

Gradients of parameters are read by the update, the statistics of Online Normalization by the next
sample. Such a sum may wait for the next of its phase over the same PEs; both go as one message,
with one start and one way and the words of both. Where products follow it goes on beside them and
takes instructions from their PEs and time from their links. What is left of it at the end of the
phase is waited for; or, where the backward comes before the forward of a tick, at the end of both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from torch import fx

from ..machine.arrays import Floats
from ..machine.collectives import AllReduce
from ..machine.cost import Cost
from ..targets.target import Noc, Target
from .roles import Roles, calls, operator_of

PricedNode = tuple[fx.Node, Cost]


def unread(roles: Roles, graph: fx.Graph) -> frozenset[fx.Node]:
    """The operators of a graph whose sums nothing in it reads."""
    norms = (n for n in calls(graph) if operator_of(n) in _RESULTS and _advances_state(n))
    return frozenset((*roles.gradient, *norms))


_RESULTS = {"weft.online_norm.default": 2, "weft.online_norm_backward.default": 1}
"""Results that come of the statistics from before the sample; those after them are the new ones."""


def _advances_state(node: fx.Node) -> bool:
    """Whether the new statistics are results of the graph and nothing else."""
    first = _RESULTS[operator_of(node)]
    later = (one for one in node.users if one.args[1] >= first)  # type: ignore[operator]
    return all(user.op == "output" for one in later for user in one.users)


def behind(
    found: Sequence[PricedNode],
    unread: Collection[fx.Node],
    target: Target,
    is_followed: bool = False,
) -> list[PricedNode]:
    """The costs of a phase's operators in order: sums that nothing reads are joined and run behind
    the products that follow, where the target overlaps them. If the phase `is_followed` by another
    one before anybody reads its sums, products follow all of them."""
    if not target.software.triggered:
        return list(found)
    found = joined(found, unread, target.noc)
    last = max((at for at, (_, cost) in enumerate(found) if cost.products), default=0)
    last = len(found) if is_followed else last
    return [
        (node, _behind(cost, target.noc) if node in unread and at < last else cost)
        for at, (node, cost) in enumerate(found)
    ]


def _behind(cost: Cost, noc: Noc) -> Cost:
    own = _sum_of(cost)
    if own is None:
        return cost
    behind = replace(own, is_behind=True)
    network = cost.network - own.cycles(noc) + behind.beside_cycles(noc)
    return replace(cost, network=network, sums=(behind,), behind=behind.cycles(noc))


def waited_for(found: Sequence[PricedNode], summed: Floats | float = 0.0) -> list[PricedNode]:
    """The last operator that leaves sums behind waits for what remains of them at the end: they run
    one after the other, each from where its operator has made what it sums; sums from before take
    until `summed`. An exchange of borders waits for those before it: it uses the same colours."""
    now, end, last, waited = 0.0, summed, found[-1][0] if found else None, []
    for node, cost in found:
        now = now + cost.compute + cost.network
        if np.any(cost.border):
            wait = np.where(cost.border, np.maximum(0.0, end - (now - cost.border)), 0.0)
            now, cost = now + wait, replace(cost, network=cost.network + wait)
        waited.append((node, cost))
        if np.any(cost.behind):
            begins = np.maximum(end, now - cost.lead)
            end, last = np.where(cost.behind, begins + cost.behind, end), node
    left = np.maximum(0.0, end - now)
    return [
        (node, replace(cost, network=cost.network + left) if node is last else cost)
        for node, cost in waited
    ]


def waited_for_in_both(
    backward: Sequence[PricedNode], forward: Sequence[PricedNode]
) -> tuple[list[PricedNode], list[PricedNode]]:
    """The same of a backward and the forward that comes next in its tick. Sums that the forward
    leaves behind are those that the next one reads: they go on from the beginning of the backward
    between them, when that has its borders, which are those of the forward."""
    left = sum((cost.behind for _, cost in forward), 0.0)
    borders = sum((cost.border for _, cost in forward), 0.0)
    summed = np.where(left, left + borders, 0.0)
    after = [(node, replace(cost, behind=0.0)) for node, cost in forward]
    both = waited_for([*backward, *after], summed)
    return both[: len(backward)], both[len(backward) :]


def joined(found: Sequence[PricedNode], waiting: Collection[fx.Node], noc: Noc) -> list[PricedNode]:
    """The costs of a phase's operators in order; those of `waiting` have no network where a later
    one of them carries their sums."""
    costs = dict(found)
    for number, (node, _) in enumerate(found):
        if node in waiting and _sum_of(costs[node]) is not None:
            later = (other for other, _ in found[number + 1 :] if other in waiting)
            _hand_on(costs, node, next((o for o in later if _goes_with(costs, node, o)), None), noc)
    return [(node, costs[node]) for node, _ in found]


def _sum_of(cost: Cost) -> AllReduce | None:
    """The only sum of an operator without products."""
    is_one = len(cost.sums) == 1 and not cost.products and cost.sums[0].rounds == 1
    return cost.sums[0] if is_one else None


def _goes_with(costs: dict[fx.Node, Cost], node: fx.Node, other: fx.Node) -> bool:
    one, later = _sum_of(costs[node]), _sum_of(costs[other])
    if one is None or later is None:
        return False
    return all(
        np.array_equal(getattr(one, name), getattr(later, name))
        for name in ("along", "across", "spacing", "groups")
    )


def _hand_on(costs: dict[fx.Node, Cost], node: fx.Node, other: fx.Node | None, noc: Noc) -> None:
    if other is None:
        return
    own, later = costs[node], costs[other]
    sums = replace(later.sums[0], words=later.sums[0].words + own.sums[0].words)
    more = sums.cycles(noc) - later.sums[0].cycles(noc)
    costs[other] = replace(later, network=later.network + more, sums=(sums,))
    alone = own.sums[0].cycles(noc)
    costs[node] = replace(own, network=own.network - alone, sums=())
