"""A rectangle of PEs: the route of every colour through every router, and every core's program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from itertools import chain
from numbers import Integral
from operator import attrgetter

import numpy as np

from ...backend.errors import UserError
from .loop import HOPS, LANE

MAX_COLOURS = 24
MAX_ROUTES = 4 * MAX_COLOURS
"""A router keeps up to four positions of every colour, which control messages switch; here each is
a colour of its own."""
MOST = 2**29
"""Most words, cycles or repeats of one instruction or program: the loop counts in 32 bits."""


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
    `pace` cycles of the core: 1, or more if the core computes with it. Words that are `streamed`
    pass the core without staying, so there may be more of them than its memory holds.
    """

    operation: Operation
    words: int
    incoming: int = 0
    outgoing: int = 0
    setup: int = 0
    pace: int = 1
    streamed: bool = False

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


_PORTS, _OPERATIONS = range(len(Port)), range(len(Operation))
_FIELDS = tuple(one.name for one in fields(Instruction))
_COUNTS = {"words": 0, "setup": 0, "pace": 1}


_values = attrgetter(*_FIELDS)
"""Of an instruction, as a row of numbers."""


def _table(rows: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Different instructions as numbers. Raises UserError for counts that cannot be."""
    for number in (one for row in rows for one in row if not isinstance(one, Integral)):
        raise _impossible("count", 0, repr(number))
    try:
        table = np.array(rows, np.int64).reshape(-1, len(_FIELDS))
    except OverflowError:
        raise _impossible("count", 0, "more than 64 bits hold") from None
    for name, least in _COUNTS.items():
        column = table[:, _FIELDS.index(name)]
        for count in column[(column < least) | (column >= MOST)][:1]:
            raise _impossible(name, least, f"{count:,}")
    return table.astype(np.int32)


def _impossible(name: str, least: int, got: str) -> UserError:
    return UserError(
        f"fabric program, {name} of an instruction",
        expected=f"a whole number from {least} to {MOST - 1:,}",
        got=got,
        change="correct the program",
    )


_MOST_PES = 2**22
"""More than any wafer has."""


def _can_be(sides: tuple[int, int]) -> bool:
    return min(sides) > 0 and sides[0] * sides[1] <= _MOST_PES


@dataclass
class FabricRegion:
    """Routes and programs of height x width PEs. Built up with `route` and `program`."""

    height: int
    width: int
    colours: int
    _outputs: np.ndarray = field(init=False, repr=False)
    _inputs: np.ndarray = field(init=False, repr=False)
    _own_words: np.ndarray = field(init=False, repr=False)
    _then: np.ndarray = field(init=False, repr=False)
    _programs: list[list[Instruction]] = field(init=False, repr=False)
    _which: np.ndarray = field(init=False, repr=False)
    _repeats: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sizes = self.height, self.width, self.colours
        if not all(isinstance(size, Integral) for size in sizes) or not _can_be(sizes[:2]):
            raise UserError(
                "fabric region",
                expected=f"whole numbers of rows, columns and colours, 1 to {_MOST_PES:,} PEs",
                got=f"{self.height} x {self.width} PEs, {self.colours} colours",
                change="correct the sizes",
            )
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
        self._own_words = np.zeros((pes, self.colours), np.int32)
        self._then = np.full((pes, self.colours), -1, np.int8)
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
        """At this router, wavelets of `colour` come in at `rx` and are copied to all of `tx`.

        Raises UserError for a colour that the region does not have, a port that a router does not
        have, or without an output.
        """
        pe = self.index(row, column)
        if not 0 <= colour < self.colours:
            raise self.no_such_colour(colour, row, column)
        for port in (rx, *tx):
            if port not in _PORTS:
                raise UserError(
                    f"route of colour {colour} at row {row}, column {column}",
                    expected=f"ports of a router: {', '.join(p.name for p in Port)}",
                    got=repr(port),
                    change="correct the route",
                )
        if not tx:
            raise UserError(
                f"route of colour {colour} at row {row}, column {column}",
                expected="one output or more",
                got="none: words through no link would be lost",
                change="name the ports that they leave by, Port.RAMP for the core",
            )
        self._inputs[pe, colour], self._then[pe, colour], self._own_words[pe, colour] = rx, -1, 0
        self._outputs[pe, colour] = sum(1 << port for port in set(tx))

    def switched(
        self, row: int, column: int, colour: int, words: int, then: Port, tx: Sequence[Port]
    ) -> None:
        """At this router, `words` wavelets of `colour` come in from its core; then it switches, and
        they come in at `then`. All are copied to `tx`.

        Raises UserError as `route` does, for less than a word, and for a switch to the core.
        """
        if not 1 <= words < MOST or then == Port.RAMP:
            raise UserError(
                f"route of colour {colour} at row {row}, column {column}",
                expected=f"1 to {MOST - 1:,} words from the core, then those of a neighbour",
                got=f"{words} words, then input {then!r}",
                change="make it an ordinary route, or correct it",
            )
        self.route(row, column, colour, then, tx)
        self.route(row, column, colour, Port.RAMP, tx)
        pe = self.index(row, column)
        self._own_words[pe, colour], self._then[pe, colour] = words, then

    def program(self, row: int, column: int, *instructions: Instruction) -> None:
        """Append to a core's program. Raises UserError for a colour or an operation that there is
        not."""
        pe = self.index(row, column)
        for step in instructions:
            if not isinstance(step, Instruction) or step.operation not in _OPERATIONS:
                raise UserError(
                    f"fabric program at row {row}, column {column}",
                    expected=f"instructions: {', '.join(o.name for o in Operation)}",
                    got=repr(step),
                    change="make them by Instruction.compute, .send, .receive and its others",
                )
            for colour in (step.incoming, step.outgoing):
                if not 0 <= colour < self.colours:
                    raise self.no_such_colour(colour, row, column)
        known = self._programs[self._which[pe]] if self._which[pe] >= 0 else []
        self._which[pe] = len(self._programs)
        self._programs.append([*known, *instructions])

    def repeat(self, row: int, column: int, times: int) -> None:
        """Run a core's whole program so many times. Raises UserError for less than once."""
        pe = self.index(row, column)
        if not 1 <= times <= MOST:
            raise UserError(
                f"fabric program at row {row}, column {column}",
                expected=f"1 to {MOST:,} repeats",
                got=str(times),
                change="leave the program out where it does not run",
            )
        self._repeats[pe] = times

    def no_such_colour(self, colour: int, row: int, column: int) -> UserError:
        """The message about a colour that is not one of the region's."""
        return UserError(
            f"colour {colour} at row {row}, column {column}",
            expected=f"one of the region's {self.colours} colours, counted from 0",
            got=str(colour),
            change="make the region with more colours, or correct the route or the program",
        )

    def beside(self, copies: int) -> FabricRegion:
        """This region so many times side by side; the copies do not touch each other."""
        wide = FabricRegion(self.height, copies * self.width, self.colours)
        pes = np.arange(self.pes).reshape(self.height, self.width)
        origin = np.tile(pes, (1, copies)).ravel()
        wide._outputs, wide._inputs = self._outputs[origin], self._inputs[origin]
        wide._own_words, wide._then = self._own_words[origin], self._then[origin]
        wide._repeats = self._repeats[origin]
        wide._programs, wide._which = list(self._programs), self._which[origin]
        return wide

    def repeats(self) -> np.ndarray:
        """How often each PE runs its program."""
        return self._repeats

    def inputs(self) -> np.ndarray:
        """The input port of every route, (PE, colour); -1 without a route."""
        return self._inputs

    def own_words(self) -> np.ndarray:
        """Words of the core that come before those of a neighbour, (PE, colour); 0 where the route
        does not switch."""
        return self._own_words

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
            heard = self._inputs[other, colour], self._then[other, colour]
            for deaf in np.nonzero(~np.isin(heard, OPPOSITE[port]).any(0))[0]:
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
        """All programs as one table (instruction, 7) and the first line of each PE, (PE + 1)."""
        used, which = np.unique(self._which, return_inverse=True)
        table = [self._programs[number] if number >= 0 else [] for number in used]
        steps = list(chain.from_iterable(table))
        known: dict[tuple[int, ...], int] = {}
        distinct = dict(zip(map(id, steps), steps, strict=True))
        place = {key: known.setdefault(_values(s), len(known)) for key, s in distinct.items()}
        own = np.array([*map(place.__getitem__, map(id, steps))], np.int64)
        lengths = np.array([len(program) for program in table])[which]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        begins = np.cumsum([0, *map(len, table)])[:-1][which]
        lines = np.arange(starts[-1]) + np.repeat(begins - starts[:-1], lengths)
        return _table(list(known))[own[lines]], starts

    def signatures(self) -> np.ndarray:
        """Bytes of each PE's routes and of how often it runs its program, (PE, byte)."""
        parts = self._outputs, self._inputs, self._then, self._own_words, self._repeats[:, None]
        return np.concatenate([part.view(np.uint8) for part in parts], axis=1)
