"""Sparse Wide: all features between the model's input and output become wider."""

from __future__ import annotations

from helpers.transformed_networks import transformed


def test_wide_models_widen_norms_and_leave_the_ends() -> None:
    model = transformed("convolution", "wide", 0.75).model
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["0.weight"] == (64, 3, 3, 3)
    assert shapes["1.weight"] == (64,)
    assert shapes["5.weight"] == (128, 128, 3, 3)
    assert shapes["8.weight"] == (10, 128)
    rounded = transformed("linear", "wide", 0.5, multiple_of=16).model
    assert rounded.get_parameter("3.weight").shape == (208, 144)
