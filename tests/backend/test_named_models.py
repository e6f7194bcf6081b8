"""The models known by name: listed without torch, built as they say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from weft.backend.errors import UnknownNameError
from weft.backend.named_models import model_entry, models
from weft.backend.nn.revbifpn import SIZES


def test_listing_does_not_import_torch() -> None:
    script = "import sys; from weft.backend.named_models import models; models()"
    script += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_images_of_revbifpn_are_those_of_its_sizes() -> None:
    for name, size in SIZES.items():
        assert model_entry(f"revbifpn_{name}").input_shape == (3, size.image, size.image)


@pytest.mark.parametrize("name", ["mlp", "resnet20", "revnet38", "rev_unet"])
def test_an_entry_builds_its_model(name: str) -> None:
    entry = model_entry(name)
    model = entry.factory(
        in_channels=entry.input_shape[0], classes=entry.classes, normalization="online"
    )
    assert sum(p.numel() for p in model.parameters()) > 0


def test_the_closest_name_begins_as_what_was_given() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet20'"):
        model_entry("resnet2")
    assert {"mlp", "resnet110", "revbifpn_s6"} <= set(models())
