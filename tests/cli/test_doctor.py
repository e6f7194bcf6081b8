"""`weft doctor`: which executors and devices work here, and why the others do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Weft = Callable[..., Any]


def test_doctor_says_what_works_and_why_not(weft: Weft) -> None:
    data = json.loads(weft("doctor", "--json").out)
    rows = {(row["executor"], row["device"]): row for row in data["executors"]}
    assert rows["reference", "cpu"]["works"] == "yes"
    assert rows.keys() == {
        (executor, device)
        for executor in ("reference", "jax", "torch-xla")
        for device in ("cpu", "cuda", "tpu")
    }
    assert all(row["detail"] for row in rows.values())
