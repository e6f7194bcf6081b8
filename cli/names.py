"""Names and files that are checked at once, before torch is imported."""

from __future__ import annotations

from pathlib import Path

from ..backend.errors import UserError


def check_model(model: str) -> None:
    """Raises UserError for a recipe or a Python file that is absent, UnknownNameError for a name
    that is none of weft's. What is in a file is seen later."""
    if model.endswith((".yaml", ".yml")):
        _check_file(
            model,
            "recipe",
            "a readable YAML file",
            "check the path, or start from `weft demo`, which stores its recipe",
        )
    elif ".py:" in model or model.endswith(".py"):
        file, _, name = model.rpartition(":")
        _check_file(file or model, "model", "a Python file", "check the path")
        if not file or not name:
            raise _file_alone(file or model)
    elif ":" not in model:
        from ..backend.named_models import model_entry
        from ..compiler.recipes.shipped import shipped_names

        if model not in shipped_names():
            model_entry(model)
    if ":" in model:
        from ..compiler.recipes.user_names import check_named

        check_named(model, "model")


def _file_alone(file: str) -> UserError:
    from ..compiler.recipes.user_names import names_in

    names = [f"{file}:{name}" for name in names_in(Path(file))]
    return UserError(
        f"model {file}",
        expected="FILE.py:NAME, with the function or class that makes the model",
        got="a file alone",
        change=f"say which one of it: {', '.join(names) or f'{file}:NAME'}",
    )


def check_target(target: str | None) -> None:
    """Raises UnknownNameError or UserError for a machine that is neither known nor a file."""
    if target is not None:
        from ..compiler.targets.load import load_machine

        load_machine(target)


def check_plan(directory: Path) -> None:
    """Raises PlanFileError where there is no plan; what is in it is seen when it is read."""
    from ..compiler.plan.files import check_present

    check_present(directory)


def check_output(directory: Path | None) -> None:
    """Raises UserError where a plan directory cannot be written."""
    if directory is not None:
        from ..compiler.plan.atomic_output import check_output as check_replaceable
        from ..compiler.plan.files import PLAN_NAMES

        check_replaceable(directory, PLAN_NAMES)


def check_file_output(path: Path) -> None:
    """Raises UserError where a file cannot be written."""
    from ..compiler.plan.atomic_output import check_folder_of

    check_folder_of(path)


def check_weights(path: Path | None) -> None:
    """Raises UserError for weights that are not there, or a file that does not hold any."""
    if path is None:
        return
    if not path.exists():
        raise UserError(
            f"--weights {path}",
            expected="a safetensors file, an index of several, or a folder of them",
            got="no such file",
            change="check the path",
        )
    if path.is_file() and path.suffix != ".json":
        from ..runtime.weights.safetensors_header import check_header

        check_header(path)


def check_folder(option: str, path: Path | None, *, is_there: bool = False) -> None:
    """Raises UserError for a folder to write that cannot be one, or to read that is not there."""
    if path is None or path.is_dir() or (not is_there and not path.exists()):
        return
    raise UserError(
        f"{option} {path}",
        expected="a folder with checkpoints, or one of them" if is_there else "a folder",
        got="a file" if path.exists() else "no such folder",
        change="give the one that --checkpoint named" if is_there else "choose another name",
    )


def check_data(name_or_path: str | None, *, is_training: bool = True) -> None:
    """Raises UnknownNameError for data that are neither known by name nor there, UserError for a
    .npz file without the arrays that training, or a test, needs."""
    if name_or_path is not None:
        from ..runtime.data_names import ARRAYS, check_present

        check_present(name_or_path, ARRAYS if is_training else ("x_test",))


def check_settings(plan: Path, settings: list[str]) -> None:
    """Raises UserError for settings that the recipe a plan carries does not take."""
    if settings:
        from ..compiler.plan.files import sealed_document
        from ..compiler.recipes.carried import recipe_of_document
        from ..compiler.recipes.read import make_recipe

        carried = recipe_of_document(sealed_document(plan, allow_edited=True))
        make_recipe(carried, settings, where="the plan's recipe")


def check_where(executor: str | None, device: str | None) -> None:
    """Raises UnknownNameError for an executor or a device of no known name."""
    from ..runtime.probe import check_device, check_executor

    if executor is not None:
        check_executor(executor)
    if device is not None:
        check_device(device)


def _check_file(path: str, kind: str, expected: str, change: str) -> None:
    if not Path(path).is_file():
        got = "a folder" if Path(path).is_dir() else "no such file"
        raise UserError(f"{kind} {path}", expected=expected, got=got, change=change)
