"""A company's own candidates: they compete, win where they are better, and are stored safely."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ml
from carelake.settings import PROJECT, Home
from ml.competition import Rank, Rows, learn
from ml.own import attempt, read_own
from ml.registry import Registry, code_version
from ml.results import SATISFACTION
from tests.ml.conftest import SETTINGS, conversations, customers, write_features

pytestmark = pytest.mark.slow
EXAMPLE = PROJECT / "examples" / "custom" / "candidates"
# Sees what no candidate of ours does: whether the third number of the ticket is even.
ORACLE = """
import numpy as np
from sklearn.base import BaseEstimator
from .helpers import third_number


class Oracle(BaseEstimator):
    def fit(self, inputs, labels):
        seen = third_number(inputs)
        self.chances_ = np.array([labels[seen == each].mean() for each in (0, 1)])
        return self

    def predict_proba(self, inputs):
        one = self.chances_[third_number(inputs)]
        return np.column_stack([1 - one, one])
"""
HELPERS = """
def third_number(inputs):
    return (inputs["prior_order_value"].fillna(0) * 100 % 2).astype(int).to_numpy()
"""
FAULTY = {
    "halting.py": "raise RuntimeError('not today')\n",
    "lambdas.py": "class Holds:\n"
    "    def fit(self, inputs, labels):\n"
    "        import subprocess\n"
    "        self.run = subprocess.Popen\n"
    "        return self\n"
    "    def predict_proba(self, inputs):\n"
    "        return None\n",
    "unsure.py": "import numpy as np\n"
    "class Unsure:\n"
    "    def fit(self, inputs, labels):\n"
    "        return self\n"
    "    def predict_proba(self, inputs):\n"
    "        return np.ones((len(inputs), 2))\n",
}


# Each method by its name; what a class lacks here it has from `Fair`.
BROKEN = """
import numpy as np


class Fair:
    def fit(self, inputs, labels):
        return self

    def predict_proba(self, inputs):
        return np.full((len(inputs), 2), 0.5)


class Exits(Fair):
    def fit(self, inputs, labels):
        raise SystemExit(3)


class Forgets(Fair):
    def fit(self, inputs, labels):
        pass


class Below(Fair):
    def predict_proba(self, inputs):
        return np.tile([-0.5, 1.5], (len(inputs), 1))


class Unknown(Fair):
    def predict_proba(self, inputs):
        return np.full((len(inputs), 2), np.nan)


class Wordy(Fair):
    def fit(self, inputs, labels):
        raise ValueError("two\\nlines")


class Half:
    def fit(self, inputs, labels):
        return self


class Helper:
    def fit(self, inputs, labels):
        return self

    def transform(self, inputs):
        return inputs
"""
# Knows the answers, but not how to learn from as many rows as there are in all.
GREEDY = """
from .oracle import Oracle


class Greedy(Oracle):
    def fit(self, inputs, labels):
        if len(inputs) >= 400:
            raise MemoryError("too many rows")
        return super().fit(inputs, labels)
"""


def parity(count: int) -> Rows:
    """Rows whose answer is whether their cents are odd, in order of time."""
    cents = np.arange(count)
    inputs = pd.DataFrame(
        {"prior_order_value": cents / 100, "channel": np.resize(["chat", "email", "chat"], count)}
    )
    empty = ("text", "category", "language", "customer_gender", "team")
    hours = pd.Series(pd.to_timedelta(cents, "h"))
    return Rows(
        inputs.assign(**dict.fromkeys(empty)),
        cents % 2,
        pd.Timestamp("2024-01-01", tz="UTC") + hours,
        pd.Series([f"c{place:04d}" for place in cents]),
    )


def hidden(count: int) -> pd.DataFrame:
    """Conversations whose answer only the oracle can tell."""
    talks = conversations(count, seed=4, signal=0)
    rng = np.random.default_rng(4)
    cents = rng.integers(1_000, 90_000, count)
    talks["prior_order_value"] = cents / 100
    happy = rng.random(count) < np.where(cents % 2, 0.92, 0.15)
    talks["label_satisfied"] = pd.Series(happy, dtype="boolean").where(
        talks["label_satisfied"].notna(), pd.NA
    )
    return talks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "custom" / "candidates"
    own.mkdir(parents=True)
    (own / "oracle.py").write_text(ORACLE)
    (own / "helpers.py").write_text(HELPERS)
    return own


def test_the_example_competes_and_loses_to_those_who_know_more(home: Home) -> None:
    from ml import features as data

    folder = write_features(home.root / "f", conversations(500, seed=1), customers(40, seed=1))
    frame = data.read_labelled(folder)
    labels = frame["label"].to_numpy().astype(int)
    rows = Rows(
        data.conversation_inputs(frame), labels, data.known_times(frame), frame["conversation_key"]
    ).sorted_by_time()
    own = read_own(home, EXAMPLE)
    assert [each.name for each in own.classes] == ["WaitingTime"] and own.faults == ()
    learned = learn(rows, 1, 0.05, own)
    (tried,) = [each for each in learned.candidates if each.name == "own: WaitingTime"]
    assert tried.metrics["roc_auc"] > 0.6 and learned.chosen is not tried
    assert read_own(home, None).digest == "" == read_own(home, home.root / "nothing").digest


def test_files_that_fail_are_told_and_the_others_compete(home: Home, folder: Path) -> None:
    for name, text in FAULTY.items():
        (folder / name).write_text(text)
    own = read_own(home, folder)
    assert {each.name for each in own.classes} == {"Oracle", "Holds", "Unsure"}
    assert own.faults == (
        f"{folder / 'halting.py'}: cannot be imported (RuntimeError: not today); mend it",
    )
    inputs = pd.DataFrame(
        {"prior_order_value": np.arange(400) / 100, "channel": ["chat", "email"] * 200}
    )
    labels = np.arange(400) % 2
    keys = pd.Series([f"c{place:04d}" for place in range(400)])
    times = pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(400), "h"))
    shaped = inputs.assign(text=None, category=None, language=None, customer_gender=None, team=None)
    learned = learn(Rows(shaped, labels, times, keys), 1, 0.05, own)
    assert any(each.name == "own: Oracle" for each in learned.candidates)
    told = "\n".join(learned.faults)
    assert "Holds left out: TypeError: holds subprocess.Popen; use scikit-learn's parts" in told
    assert "Unsure left out: ValueError: predict_proba gave chances that do not sum to 1" in told


def test_each_broken_class_gives_one_line_and_ends_nothing(home: Home, folder: Path) -> None:
    (folder / "broken.py").write_text(BROKEN)
    (folder / "leaving.py").write_text("import sys\nsys.exit('now')\n")
    own = read_own(home, folder)
    assert own.faults == (
        f"{folder / 'broken.py'}: class Half has no predict_proba, so it does not compete",
        f"{folder / 'leaving.py'}: cannot be imported (SystemExit: now); mend it",
    )
    rows = parity(60)
    parts = [(np.arange(40), np.arange(40, 60))]
    told = {
        each.name: attempt(each, rows.inputs, rows.labels, parts)[1].partition(" left out: ")[2]
        for each in own.classes
    }
    assert told == {
        "Oracle": "",
        "Fair": "",
        "Exits": "SystemExit: 3",
        "Forgets": "TypeError: fit returned NoneType; it has to return the model (self)",
        "Below": "ValueError: predict_proba gave chances that do not sum to 1, or some below 0",
        "Unknown": "ValueError: predict_proba gave chances that are no numbers (NaN or infinite)",
        "Wordy": "ValueError: two lines",
    }


def test_classes_of_one_name_are_told_apart(home: Home, folder: Path) -> None:
    (folder / "another.py").write_text(ORACLE)
    assert [each.name for each in read_own(home, folder).classes] == [
        "another.Oracle",
        "oracle.Oracle",
    ]


def test_a_winner_that_cannot_learn_from_all_rows_leaves_the_place_to_ours(
    home: Home, folder: Path
) -> None:
    (folder / "greedy.py").write_text(GREEDY)
    own = read_own(home, folder)
    greedy = replace(own, classes=tuple(each for each in own.classes if each.name == "Greedy"))
    assert learn(parity(390), 1, 0.05, greedy).chosen.name == "own: Greedy"
    learned = learn(parity(400), 1, 0.05, greedy)
    assert learned.chosen.rank < Rank.OWN
    assert learned.faults == ("own candidate Greedy left out: MemoryError: too many rows",)


def test_what_a_folder_holds_is_part_of_the_question(home: Home, folder: Path) -> None:
    before = read_own(home, folder).digest
    (folder / "helpers.py").write_text(HELPERS + "\n# mended\n")
    after = read_own(home, folder).digest
    assert len({code_version(), code_version(before), code_version(after)}) == 3


def test_a_winner_is_stored_with_its_code_and_scores_when_the_folder_is_gone(
    home: Home, folder: Path, tmp_path: Path
) -> None:
    features = write_features(tmp_path / "f", hidden(1400), customers(40, seed=1))
    result = ml.train(home, SETTINGS, features, candidates=folder)
    verdict = next(each for each in result.decisions if each.model_name == SATISFACTION)
    assert verdict.decision == "promoted" and verdict.challenger_value > 0.8
    run = Registry(home).client.get_run(str(verdict.run_id))
    assert run.data.params["chosen"] == "own: Oracle"
    shutil.rmtree(folder)
    shutil.rmtree(home.root / "ml" / "own")
    # a process that never saw the folder: what it needs came with the model
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import pandas as pd\n"
        "import ml\n"
        "from carelake.settings import Home\n"
        "from tests.ml.conftest import SETTINGS\n"
        "scores = ml.score(Home(Path(sys.argv[1])), SETTINGS, Path(sys.argv[2]))\n"
        "print(pd.read_parquet(scores.satisfaction_scores)['p_satisfied'].astype(float).std())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home.root), str(features)],
        capture_output=True, text=True, check=False, cwd=PROJECT,
    )  # fmt: skip
    assert float(done.stdout) > 0.2, done.stderr
    again = ml.train(home, SETTINGS, features)  # without the folder it is another question
    assert again.trained
