"""A company's own candidates: classes in `custom/candidates/` that compete by the same rule as ours.

They are copied into a package whose name holds the digest of their content. A registered model brings
that copy along (MLflow's `code_paths`), so what was registered is what runs, whatever the folder says
by then; and only what is defined in it is trusted when the model is opened.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from carelake.settings import Home

Array = np.ndarray[Any, np.dtype[Any]]
PREFIX = "company_candidates_"
METHODS = ("fit", "predict_proba")
# A stranger's code may also call sys.exit, which would end the training of all others without a word.
WHATEVER = (Exception, SystemExit)


@dataclass(frozen=True)
class Own:
    """One class of a company's, by the name runs show."""

    name: str
    make: Callable[[], Any]


@dataclass(frozen=True)
class OwnCandidates:
    """All of them; `digest` is empty without any, `faults` are lines about what cannot compete."""

    classes: tuple[Own, ...] = ()
    digest: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """How an own candidate did: raw chances of the rows to check, in the order of the parts."""

    name: str
    params: dict[str, Any]
    chances: Array
    seconds: float


NONE = OwnCandidates()


def read_own(home: Home, folder: Path | None) -> OwnCandidates:
    """Import every class with `fit` and `predict_proba` of a folder's files.

    A file that cannot be imported takes none of the others with it.

    Args:
        home: where the copy is kept that is imported.
        folder: `custom/candidates` of a company; it need not be there.
    """
    files = sorted(folder.glob("*.py")) if folder is not None and folder.is_dir() else []
    if not files:
        return NONE
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + path.read_bytes())
    package = _copied(home, files, PREFIX + digest.hexdigest()[:12])
    found: list[tuple[str, Own]] = []
    faults: list[str] = []
    for path in files:
        if path.stem.startswith("_"):
            continue
        try:
            module = importlib.import_module(f"{package}.{path.stem}")
        except WHATEVER as error:
            faults.append(f"{path}: cannot be imported ({said(error)}); mend it")
            continue
        for name, made in _defined(module):
            lacks = [each for each in METHODS if not callable(getattr(made, each, None))]
            if not lacks:
                found.append((path.stem, Own(name, made)))
            elif len(lacks) == 1 and not hasattr(made, "transform"):
                # one that transforms is a helper
                faults.append(f"{path}: class {name} has no {lacks[0]}, so it does not compete")
    return OwnCandidates(_distinct(found), digest.hexdigest()[:16], tuple(faults))


def _distinct(found: list[tuple[str, Own]]) -> tuple[Own, ...]:
    """Candidates under names of their own: a name that two files use gets the file's before it."""
    names = Counter(own.name for _, own in found)
    return tuple(
        replace(own, name=f"{file}.{own.name}") if names[own.name] > 1 else own
        for file, own in found
    )


def said(error: BaseException) -> str:
    """An error on one line, as a person reads it."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def fitted(own: Own, inputs: pd.DataFrame, labels: Array) -> Any:
    """A model of the class that learned from copies of these rows.

    Raises:
        TypeError: `fit` gave back nothing that could tell chances.
    """
    model = own.make().fit(inputs.copy(), labels.copy())
    if not callable(getattr(model, "predict_proba", None)):
        raise TypeError(f"fit returned {type(model).__name__}; it has to return the model (self)")
    return model


def attempt(
    own: Own, inputs: pd.DataFrame, labels: Array, parts: list[tuple[Array, Array]]
) -> tuple[Attempt | None, str]:
    """Let one compete; gives how it did, or None and why it cannot.

    Args:
        own: the class.
        inputs: columns of the model, texts and numbers, missing ones included.
        labels: 0, 1, .. per row.
        parts: pairs of row positions to learn from and to check on.
    """
    began = time.perf_counter()
    found: list[Array] = []
    try:
        for learn, check in parts:
            model = fitted(own, inputs.iloc[learn], labels[learn])
            if not found:
                _check_storable(model)
            chances = np.asarray(model.predict_proba(inputs.iloc[check].copy()), dtype="float64")
            _check_chances(chances, len(check), len(np.unique(labels)))
            found.append(chances)
    except WHATEVER as error:
        return None, left_out(own.name, error)
    spent = time.perf_counter() - began
    return Attempt(own.name, {"class": own.name}, np.vstack(found), spent), ""


def left_out(name: str, error: BaseException) -> str:
    """The line about a candidate that cannot compete."""
    return f"own candidate {name} left out: {said(error)}"


def trusted(model: Any) -> list[str]:
    """Names that a model may hold since they are defined beside its own candidate; none without one."""
    package = _package(model)
    if package is None:
        return []
    names = [
        f"{module.__name__}.{name}"
        for module in _modules(package)
        for name, _ in _defined(module, functions=True)
    ]
    return sorted(names)


def code_of(model: Any) -> str | None:
    """Folder of the package that a model's own candidate is defined in; None without one."""
    package = _package(model)
    if package is None:
        return None
    return str(Path(str(sys.modules[package].__file__)).parent)


def _package(model: Any) -> str | None:
    inner = getattr(model, "model", model)
    for part in (inner, getattr(inner, "trees", None)):
        name = type(part).__module__.split(".")[0]
        if name.startswith(PREFIX):
            return name
    return None


def _modules(package: str) -> list[ModuleType]:
    return [each for name, each in sys.modules.items() if name.startswith(package + ".")]


def _copied(home: Home, files: list[Path], package: str) -> str:
    """A copy of the files as a package that can be imported; the same files, the same copy."""
    root = home.root / "ml" / "own"
    target = root / package
    if not target.exists():
        draft = root / (package + ".part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        (draft / "__init__.py").write_text('"""A company\'s own candidates."""\n', encoding="utf-8")
        for path in files:
            shutil.copyfile(path, draft / path.name)
        draft.rename(target)
    if str(root) not in sys.path:
        sys.path.append(str(root))
    importlib.invalidate_caches()
    return package


def _defined(module: ModuleType, *, functions: bool = False) -> list[tuple[str, Any]]:
    """Classes (and functions) that a module defines itself, by name."""
    return [
        (name, each)
        for name, each in sorted(vars(module).items())
        if (inspect.isclass(each) or (functions and inspect.isfunction(each)))
        and each.__module__ == module.__name__
    ]


def _check_storable(model: Any) -> None:
    """A model that cannot be opened safely later is none to compete."""
    from skops.io import dumps, get_untrusted_types

    from ml.registry import TRUSTED_TYPES

    foreign = set(get_untrusted_types(data=dumps(model))) - set(TRUSTED_TYPES) - set(trusted(model))
    if foreign:
        raise TypeError(
            f"holds {', '.join(sorted(foreign))}; use scikit-learn's parts and classes of your own files"
        )


def _check_chances(chances: Array, rows: int, classes: int) -> None:
    if chances.shape != (rows, classes):
        raise ValueError(f"predict_proba gave {chances.shape}, {(rows, classes)} is expected")
    if not np.isfinite(chances).all():
        raise ValueError("predict_proba gave chances that are no numbers (NaN or infinite)")
    if (chances < 0).any() or (np.abs(chances.sum(axis=1) - 1) > 1e-6).any():
        raise ValueError("predict_proba gave chances that do not sum to 1, or some below 0")
