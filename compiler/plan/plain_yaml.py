"""Plain data as YAML text and back, ten times faster than `yaml.load` and `yaml.dump`.

Same text and same data as theirs. PyYAML builds a node for every scalar and matches its text
against the patterns of every type; a plan repeats few scalars very often, so what libyaml reads and
writes is turned into data here, and each distinct scalar is judged by PyYAML once. Text with more
than plain data in it (anchors, tags, several documents) is left to PyYAML.
"""

from __future__ import annotations

import io
from typing import Any

import yaml
from yaml import events
from yaml.nodes import ScalarNode

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_UNUSUAL_TAGS = {"tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}
_PLAIN, _QUOTED = (True, False), (False, True)


def read_yaml(text: str) -> Any:
    """What `yaml.safe_load` reads in `text`. Raises yaml.YAMLError as it does."""
    try:
        return _Reader(text).document()
    except _UnusualError:
        return yaml.load(text, Loader=_LOADER)


def write_yaml(data: Any, width: int = 100) -> str:
    """What `yaml.safe_dump` writes for dicts, lists and scalars, keys in their order.

    No part of `data` may occur in it twice as the same object: it is written as often as it occurs.
    """
    text = io.StringIO()
    _Writer(text, width).document(data)
    return text.getvalue()


class _UnusualError(Exception):
    """Text that is not plain data, or no YAML at all."""


class _Reader:
    def __init__(self, text: str) -> None:
        self._loader = _LOADER(text)
        self._next = self._loader.get_event
        self._known: dict[str, Any] = {}

    def document(self) -> Any:
        self._expect(events.StreamStartEvent)
        self._expect(events.DocumentStartEvent)
        data = self._data(self._next())
        self._expect(events.DocumentEndEvent)
        self._expect(events.StreamEndEvent)
        return data

    def _expect(self, kind: type) -> None:
        if not isinstance(self._next(), kind):
            raise _UnusualError

    def _data(self, event: Any) -> Any:
        if isinstance(event, events.AliasEvent) or event.anchor or event.tag:
            raise _UnusualError
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, events.MappingStartEvent):
            return self._mapping()
        return self._sequence()

    def _mapping(self) -> dict[Any, Any]:
        data = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            if not isinstance(event, events.ScalarEvent):
                raise _UnusualError
            key = self._data(event)
            data[key] = self._data(self._next())
        return data

    def _sequence(self) -> list[Any]:
        data = []
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            data.append(self._data(event))
        return data

    def _scalar(self, text: str) -> Any:
        """The value of a scalar without quotes."""
        if text not in self._known:
            tag = self._loader.resolve(ScalarNode, text, _PLAIN)
            if tag in _UNUSUAL_TAGS:
                raise _UnusualError
            self._known[text] = self._loader.construct_object(ScalarNode(tag, text))
        return self._known[text]


class _Writer:
    def __init__(self, stream: io.StringIO, width: int) -> None:
        self._dumper = _DUMPER(stream, width=width)
        self._emit = self._dumper.emit
        self._known: dict[tuple[type, Any], events.ScalarEvent] = {}

    def document(self, data: Any) -> None:
        self._dumper.open()
        self._emit(events.DocumentStartEvent(explicit=False))
        self._data(data)
        self._emit(events.DocumentEndEvent(explicit=False))
        self._dumper.close()

    def _data(self, data: Any) -> None:
        if isinstance(data, dict):
            self._mapping(data)
        elif isinstance(data, list):
            self._sequence(data)
        else:
            self._emit(self._scalar(data))

    def _mapping(self, data: dict[Any, Any]) -> None:
        self._emit(events.MappingStartEvent(None, _MAPPING, True, flow_style=False))
        for key, value in data.items():
            self._data(key)
            self._data(value)
        self._emit(events.MappingEndEvent())

    def _sequence(self, data: list[Any]) -> None:
        self._emit(events.SequenceStartEvent(None, _SEQUENCE, True, flow_style=False))
        for item in data:
            self._data(item)
        self._emit(events.SequenceEndEvent())

    def _scalar(self, value: Any) -> events.ScalarEvent:
        known = (type(value), repr(value) if isinstance(value, float) else value)  # 0.0 == -0.0
        if known not in self._known:
            node: Any = self._dumper.represent_data(value)
            implicit = tuple(
                self._dumper.resolve(ScalarNode, node.value, form) == node.tag
                for form in (_PLAIN, _QUOTED)
            )
            self._known[known] = events.ScalarEvent(
                None, node.tag, implicit, node.value, style=node.style
            )
        return self._known[known]
