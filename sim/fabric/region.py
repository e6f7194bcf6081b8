"""A rectangle of PEs: the route of every colour through every router, and every core's program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter

import numpy as np

from ...backend.errors import UserError
from .loop import HOPS, LANE

MAX_COLOURS = 24
MAX_ROUTES = 4 * MAX_COLOURS
"""A router keeps up to four positions of every colour, which control messages switch; here each is
a colour of its own."""


class Port(IntEnum):
    """The five ports of a router. Rows run down (south), columns across (east)."""

    EAST = 0
    WEST = 1
    NORTH = 2
    SOUTH = 3
    RAMP = 4


_STEP = {Port.EAST: (0, 1), Port.WEST: (0, -1), Port.NORTH: (-1, 0), Port.SOUTH: (1, 0)}
OPPOSITE = {
    Port.EAST: Port.WEST,
    Port.WEST: Port.EAST,
    Port.NORTH: Port.SOUTH,
    Port.SOUTH: Port.NORTH,
}


class Operation(IntEnum):
    """What a core can do with a vector of words in its memory."""

    COMPUTE = 0
    SEND = 1
    RECEIVE = 2
    ADD = 3
    ADD_AND_SEND = 4
    EXCHANGE = 5


@dataclass(frozen=True)
class Instruction:
    """One vector instruction over `words` words, or `words` cycles of computing.

    `incoming` and `outgoing` are colours; `setup` cycles pass before it starts. Every word takes
    `pace` cycles of the core: 1, or more if the core computes with it.
    """

    operation: Operation
    words: int
    incoming: int = 0
    outgoing: int = 0
    setup: int = 0
    pace: int = 1

    @staticmethod
    def compute(cycles: int) -> Instruction:
        return Instruction(Operation.COMPUTE, cycles)

    @staticmethod
    def send(words: int, colour: int, setup: int = 0) -> Instruction:
        """Send the memory."""
        return Instruction(Operation.SEND, words, outgoing=colour, setup=setup)

    @staticmethod
    def receive(words: int, colour: int, setup: int = 0) -> Instruction:
        """Overwrite the memory with what arrives."""
        return Instruction(Operation.RECEIVE, words, incoming=colour, setup=setup)

    @staticmethod
    def add(words: int, colour: int, setup: int = 0) -> Instruction:
        """Add what arrives to the memory."""
        return Instruction(Operation.ADD, words, incoming=colour, setup=setup)

    @staticmethod
    def add_and_send(words: int, incoming: int, outgoing: int, setup: int = 0) -> Instruction:
        """Send what arrives plus the memory, word by word."""
        return Instruction(Operation.ADD_AND_SEND, words, incoming, outgoing, setup)

    @staticmethod
    def exchange(words: int, incoming: int, outgoing: int, setup: int = 0) -> Instruction:
        """Send the memory and receive as many words beside it, both at once, until both are done.

        What is received replaces the memory when the instruction ends.
        """
        return Instruction(Operation.EXCHANGE, words, incoming, outgoing, setup)


@dataclass
class Region:
    """Routes and programs of height x width PEs. Built up with `route` and `program`."""

    height: int
    width: int
    colours: int
    _outputs: np.ndarray = field(init=False, repr=False)
    _inputs: np.ndarray = field(init=False, repr=False)
    _programs: list[list[Instruction]] = field(init=False, repr=False)
    _which: np.ndarray = field(init=False, repr=False)
    _repeats: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.colours <= MAX_ROUTES:
            raise UserError(
                "fabric region",
                expected=f"1 to {MAX_ROUTES} colours, those of switched routes counted one by one",
                got=str(self.colours),
                change="share colours between messages that do not cross",
            )
        pes = self.height * self.width
        self._outputs = np.zeros((pes, self.colours), np.uint8)
        self._inputs = np.full((pes, self.colours), -1, np.int8)
        self._programs = []
        self._which = np.full(pes, -1, np.int64)
        self._repeats = np.ones(pes, np.int32)

    @property
    def pes(self) -> int:
        return self.height * self.width

    def index(self, row: int, column: int) -> int:
        """Number of a PE. Raises UserError outside the region."""
        if not (0 <= row < self.height and 0 <= column < self.width):
            raise UserError(
                f"fabric region of {self.height} x {self.width}",
                expected="a PE inside it",
                got=f"row {row}, column {column}",
                change="correct the route or the program",
            )
        return row * self.width + column

    def route(self, row: int, column: int, colour: int, rx: Port, tx: Sequence[Port]) -> None:
        """At this router, wavelets of `colour` come in at `rx` and are copied to all of `tx`."""
        pe = self.index(row, column)
        self._inputs[pe, colour] = rx
        self._outputs[pe, colour] = sum(1 << port for port in set(tx))

    def program(self, row: int, column: int, *instructions: Instruction) -> None:
        """Append to a core's program."""
        pe = self.index(row, column)
        known = self._programs[self._which[pe]] if self._which[pe] >= 0 else []
        self._which[pe] = len(self._programs)
        self._programs.append([*known, *instructions])

    def repeat(self, row: int, column: int, times: int) -> None:
        """Run a core's whole program so many times."""
        self._repeats[self.index(row, column)] = times

    def beside(self, copies: int) -> Region:
        """This region so many times side by side; the copies do not touch each other."""
        wide = Region(self.height, copies * self.width, self.colours)
        pes = np.arange(self.pes).reshape(self.height, self.width)
        origin = np.tile(pes, (1, copies)).ravel()
        wide._outputs, wide._inputs = self._outputs[origin], self._inputs[origin]
        wide._repeats = self._repeats[origin]
        wide._programs, wide._which = list(self._programs), self._which[origin]
        return wide

    def repeats(self) -> np.ndarray:
        """How often each PE runs its program."""
        return self._repeats

    def outputs(self) -> np.ndarray:
        """Bit mask of output ports, (PE, colour)."""
        return self._outputs

    def hops(self) -> np.ndarray:
        """Where words of (PE, colour) go: count of other PEs, then lane, PE and link of each.

        Raises UserError for a route that leaves the region or meets a router that does not listen.
        """
        table = np.zeros((self.pes * self.colours, HOPS), np.int32)
        for port, (down, across) in _STEP.items():
            pe, colour = np.nonzero(self._outputs >> port & 1)
            row, column = pe // self.width + down, pe % self.width + across
            inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
            for outside in np.nonzero(~inside)[0]:
                self.index(int(row[outside]), int(column[outside]))
            other = row * self.width + column
            for deaf in np.nonzero(self._inputs[other, colour] != OPPOSITE[port])[0]:
                self._refuse(int(other[deaf]), int(colour[deaf]), OPPOSITE[port])
            line = pe * self.colours + colour
            place = 1 + 3 * table[line, 0]
            table[line, place] = (other * self.colours + colour) * LANE
            table[line, place + 1] = other
            table[line, place + 2] = 4 * pe + port
            table[line, 0] += 1
        return table

    def _refuse(self, pe: int, colour: int, port: Port) -> None:
        heard = int(self._inputs[pe, colour])
        row, column = divmod(pe, self.width)
        raise UserError(
            f"route of colour {colour} at row {row}, column {column}",
            expected=f"input {port.name}, where its neighbour sends",
            got="no route" if heard < 0 else f"input {Port(heard).name}",
            change="make both routers agree",
        )

    def code(self) -> tuple[np.ndarray, np.ndarray]:
        """All programs as one table (instruction, 6) and the first line of each PE, (PE + 1)."""
        used, which = np.unique(self._which, return_inverse=True)
        table = [self._programs[number] if number >= 0 else [] for number in used]
        fields = attrgetter("operation", "words", "incoming", "outgoing", "setup", "pace")
        distinct = {id(step): step for program in table for step in program}
        place = {key: number for number, key in enumerate(distinct)}
        rows = np.array([fields(step) for step in distinct.values()], np.int32).reshape(-1, 6)
        own = np.array([place[id(step)] for program in table for step in program], np.int64)
        lengths = np.array([len(program) for program in table])[which]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        begins = np.cumsum([0, *map(len, table)])[:-1][which]
        lines = np.arange(starts[-1]) + np.repeat(begins - starts[:-1], lengths)
        return rows[own[lines]], starts

    def signature(self, pes: np.ndarray) -> bytes:
        """How these PEs (by number) lie to each other, their routes, how often they run."""
        rows, columns = np.divmod(pes, self.width)
        places = np.stack([rows - rows.min(), columns - columns.min()])
        tables = places, self._outputs[pes], self._inputs[pes], self._repeats[pes]
        return b"".join(table.tobytes() for table in tables)
