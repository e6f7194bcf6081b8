"""Whether the masks of a run still fit the map of its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ...backend.errors import UserError
from ...compiler.plan.plan import Plan
from ...compiler.remap.mask_room import MapRooms, Room


@dataclass(frozen=True)
class NewMap:
    """A stage whose masks did not fit the map any more, as first seen after `samples` samples."""

    samples: int
    room: Room

    def __str__(self) -> str:
        room = self.room
        return (
            f"{room.stage} after {self.samples:,} samples: {room.nonzeros:,} non-zeros on the"
            f" fullest PE need {room.needed_bytes:,} of {room.capacity_bytes:,} bytes"
            f" (room for {room.capacity:,})"
        )

    def data(self) -> dict[str, int | str]:
        """As a flat record."""
        return {"samples": self.samples, **asdict(self.room)}


class MapWatch:
    """Looks at the masks of a run. With `stops`, a run ends where they do not fit any more."""

    def __init__(self, plan: Plan, stops: bool = False) -> None:
        self.found: tuple[NewMap, ...] = ()
        self.rooms, self._stops = MapRooms(plan), stops
        self._latest: Mapping[str, Tensor] | None = None

    def look(self, samples: int, masks: Mapping[str, Tensor]) -> tuple[NewMap, ...]:
        """The stages that outgrew the map since the last look; `found` has those of all looks."""
        if self._latest is not None and _same(masks, self._latest):
            return ()
        self._latest = masks
        known = {new.room.stage for new in self.found}
        outgrown = (room for room in self.rooms.under(masks) if room.needs_new_map)
        new = tuple(NewMap(samples, room) for room in outgrown if room.stage not in known)
        self.found += new
        return new

    @property
    def must_stop(self) -> bool:
        """Whether the run ends here."""
        return self._stops and bool(self.found)

    def error(self, saved: str) -> UserError:
        """What such a run ends with; `saved` says where its masks are and how to get them."""
        return UserError(
            f"masks after {self.found[-1].samples:,} samples",
            expected="non-zeros that fit where the plan put the weights",
            got="; ".join(map(str, self.found)),
            change=f"give these masks ({saved}) a new map: weft sparsity remap; or go on with"
            " training.new_map=warn",
        )


def _same(masks: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(mask, others[name]) for name, mask in masks.items())
