from __future__ import annotations

import pytest
from weft.backend.errors import UserError
from weft.backend.packages import model_package


def test_a_missing_package_is_named_with_its_remedy() -> None:
    assert model_package("json").__name__ == "json"
    with pytest.raises(UserError, match=r"no_such_package.*\n*.*") as caught:
        model_package("no_such_package")
    assert "weft[models]" in str(caught.value)
