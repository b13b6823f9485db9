"""`python -m benchmarks.satisfaction` from end to end, on small files of every awkward sort."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.labelled import Mapping, labelled
from benchmarks.reading import Unreadable, decoded, read_table
from benchmarks.satisfaction import main
from ml.competition import Rows
from tests.conftest import PROJECT

MAPPINGS = PROJECT / "benchmarks" / "mappings"
GOOD = ["很好吃，送得快", "非常满意", "味道不错", "great and quick", "so happy 😀"]
BAD = ["太慢了", "送错了，很失望", "难吃", "still not here", "never again!!"]
FAIR = ["收到了", "order 12", "what time", "怎么下单"]


def texts(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    return [f"{rng.choice(pool)} {rng.choice(pool)} {rng.integers(99)}" for _ in range(count)]


def write(path: Path, table: pd.DataFrame, encoding: str = "utf-8") -> Path:
    content = table.to_csv(index=False).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def reviews(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "label": [1] * count + [0] * count,
            "review": texts(GOOD, count, rng) + texts(BAD, count, rng),
        }
    )
    return table.sample(frac=1, random_state=seed)


def run(*words: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.satisfaction", *map(str, words), "--json", "-"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "chosen:" in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_packed_gb18030_file_is_learned_from_and_one_of_other_order_told(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv.gz", reviews(90, 1), "gb18030")
    other = reviews(40, 2)[["review", "label"]]
    other.loc[other.index[:3], "review"] = None
    found = run(train, write(tmp_path / "test.csv", other), "--mapping", MAPPINGS / "waimai.yml")
    assert found["auc"] > 0.9 and found["accuracy"] > 0.85 and found["macro_f1"] > 0.85
    assert 0 <= found["brier"] < 0.2 and found["seconds"] > 0 and found["peak_mb"] > 50
    assert (found["n_train"], found["n_test"]) == (180, 80)


@pytest.mark.slow
def test_three_classes_with_one_missing_from_the_test_and_an_unseen_category(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    parts = [("positive", GOOD), ("negative", BAD), ("neutral", FAIR)]
    rows = [
        {"airline_sentiment": name, "text": text, "airline": rng.choice(["A", "B"])}
        for name, pool in parts
        for text in texts(pool, 70, rng)
    ]
    table = pd.DataFrame(rows)
    train = write(tmp_path / "train.csv", table)
    test = table[table["airline_sentiment"] != "neutral"].sample(40, random_state=1)
    told = write(tmp_path / "test.csv", test.assign(airline="C"))
    found = run(train, told, "--mapping", MAPPINGS / "twitter_airline.yml")
    assert found["accuracy"] > 0.85 and found["auc"] > 0.9
    one = write(tmp_path / "one.csv", test[test["airline_sentiment"] == "negative"])
    assert run(train, one, "--mapping", MAPPINGS / "twitter_airline.yml")["auc"] is None


def test_folds_tell_rows_with_and_without_a_remark_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    satisfied = rng.random(240) < 0.6
    said = np.where(satisfied, texts(GOOD, 240, rng), texts(BAD, 240, rng))
    table = pd.DataFrame(
        {
            "Unique id": [f"u{row}" for row in range(240)],
            "channel_name": rng.choice(["Inbound", "Email"], 240),
            "category": rng.choice(["Returns", "Refund"], 240),
            "CSAT Score": np.where(satisfied, 5, 1),
            "Customer Remarks": np.where(rng.random(240) < 0.5, said, None),
            "Agent_name": np.where(satisfied, "Li", "Ada"),
        }
    )
    again = pd.concat([table, table.head(10)])
    file = write(tmp_path / "rows.csv", again)
    mapping = MAPPINGS / "csat_with_remark.yml"
    assert main([str(file), "--folds", "2", "--mapping", str(mapping), "--json", "-"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["n"] == 240 and "10 repeats left out" in told.err
    assert found["with"]["auc"] > 0.9 > 0.7 > found["without"]["auc"]
    assert found["with"]["n"] + found["without"]["n"] == 240
    low, high = found["intervals"]["auc"]
    assert low < found["auc"] + 0.05 and low < high


def test_another_seed_draws_other_folds_and_the_same_seed_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    class Enough(Exception):
        pass

    def learn(rows: Rows, *_: object) -> None:
        drawn.append(" ".join(rows.keys))
        raise Enough

    monkeypatch.setattr("benchmarks.satisfaction._learn", learn)
    file = write(tmp_path / "rows.csv", reviews(60, 1))
    words = [str(file), "--folds", "2", "--mapping", str(MAPPINGS / "waimai.yml")]
    for seed in ([], ["--seed", "0"], ["--seed", "1"]):
        with pytest.raises(Enough):
            main([*words, *seed])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("label,text\n1,a\n", [], "there is no column 'review'; it has label, text"),
        ("label,review\n1,a\n1,b\n", [], "all 2 rows have the label '1'"),
        ("label,review\n", [], "there is no row below the header"),
        ("", [], "No columns to parse from file"),
        ("label,review\n1,a,b\n0,c\n", [], "row 1 below the header has more cells than the header"),
        ("label,review\n1,a\n0,b, c\n", [], "line 3, saw 3; put texts that hold the delimiter"),
        ('{"label": 1}\n', [], "this is JSON; write it as CSV"),
        ("PK\x03\x04", [], "a zip archive or an Excel file"),
        ("label,review\na,1\nb,0\nc,0\n", [], "3 of 3 labels in 'label' occur once"),
        ("label,review\n" + "1,\n0,\n" * 8, [], "rows.csv: no feature varies among the 8"),
        ("label,review\n,a\n", [], "no row has a label in 'label'"),
        ("label,review\n1,a\n0,b\n1,c\n0,d\n", ["--folds", "9"], "too few rows for so many"),
        ("label,review\n1,a\n0,b\n", ["no.csv", "--seed", "1"], "--seed: goes with --folds"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    content: str, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content, encoding="utf-8")
    mapping = str(MAPPINGS / "text_label.yml")
    assert main([str(file), *(words or ["--folds", "2"]), "--mapping", mapping]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("benchmarks.satisfaction: ") and message in last


def test_a_file_or_mapping_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = str(MAPPINGS / "waimai.yml")
    assert main([str(tmp_path / "no.csv"), "--folds", "2", "--mapping", mapping]) == 2
    assert "no.csv: No such file" in capsys.readouterr().err
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("label: {column: a}\ncolour: red\n", encoding="utf-8")
    with pytest.raises(Unreadable, match=r"wrong\.yml: colour"):
        Mapping.load(wrong)
    wrong.write_text("label: {column: a}\ncolumns: {mood: b}\n", encoding="utf-8")
    with pytest.raises(Unreadable, match="mood is none of"):
        Mapping.load(wrong)


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_mappings_take_no_names_and_nothing_the_label_brought(path: Path) -> None:
    mapping = Mapping.load(path)
    text = path.read_text(encoding="utf-8").split("\n", 3)[-1]
    assert "Agent_name" not in text and "negativereason" not in text
    assert mapping.label.column not in (mapping.text, *mapping.columns.values())
    assert (mapping.text == "Customer Remarks") is (path.stem == "csat_with_remark")


def test_moments_become_waits_and_a_reply_before_the_question_is_unknown(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "CSAT Score": [5, 1, 4, 2],
            "channel_name": ["a", "b", "a", "b"],
            "Issue_reported at": ["14/08/2023 10:30", "14/08/2023 10:30", "13/08/2023 23:30", None],
            "issue_responded": ["14/08/2023 12:00", "14/08/2023 09:00", "14/08/2023 00:30", None],
            "order_date_time": ["13/08/2023 10:30", None, None, None],
        }
    )
    mapping = Mapping.load(MAPPINGS / "csat_before_survey.yml")
    found, _ = labelled(write(tmp_path / "rows.csv", table), mapping)
    inputs = found.rows.inputs
    assert inputs["first_reply_minutes"].fillna(-1).tolist() == [90, -1, 60, -1]
    assert inputs["hour_of_day"].tolist()[:3] == [10, 10, 23]
    assert inputs["day_of_week"].tolist()[:3] == [1, 1, 7]
    assert inputs["reply_hour"].fillna(-1).tolist() == [11.5, -1, 0, -1]
    assert inputs["attribute: days since order"].tolist()[0] == "1.0"
    assert found.rows.labels.tolist() == [1, 0, 1, 0]


def read(path: Path, content: bytes) -> list[list[str | None]]:
    path.write_bytes(content)
    table = read_table(path)[0]
    return table.astype("object").where(table.notna(), None).to_numpy().tolist()


def test_cells_stay_in_their_columns_and_rows_whatever_the_delimiter(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    # each line ends in a delimiter, and a header may be one short for names of rows
    assert read(file, b"review,label\na,1,\nb,0,\n") == [["a", "1"], ["b", "0"]]
    assert read(file, b"review,label\nr1,a,1\nr2,b,0\n") == [["a", "1"], ["b", "0"]]
    # Excel's word for its delimiter is no header
    assert read(file, b"sep=;\r\nreview;label\r\na,b;1\r\n") == [["a,b", "1"]]
    # in a file of tabs a quotation mark that nobody closed is one, and one around a cell is none
    tabs = b'review\tlabel\n"well\t1\n"so ""so"""\t0\nan "odd" one\t0\n'
    assert read(file, tabs) == [['"well', "1"], ['so "so"', "0"], ['an "odd" one', "0"]]
    assert read(file, b'review\tlabel\n"two\nlines"\t1\n') == [["two\nlines", "1"]]


def test_a_parquet_file_reads_like_the_csv_file(tmp_path: Path) -> None:
    table = pd.DataFrame({"review": ["好", None, "b"], "label": pd.array([1, 0, None], "Int64")})
    table.to_parquet(tmp_path / "rows.parquet")
    packed, plain = (
        read_table(path)[0]
        for path in (tmp_path / "rows.parquet", write(tmp_path / "rows.csv", table))
    )
    pd.testing.assert_frame_equal(packed, plain)
    table.set_index("review").to_parquet(tmp_path / "index.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "index.parquet")[0], plain)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes()[:60])
    with pytest.raises(Unreadable, match=r"cut\.parquet: "):
        read_table(tmp_path / "cut.parquet")


def test_a_damaged_byte_does_not_make_another_encoding(tmp_path: Path) -> None:
    text = "label,review\n1,很好吃，送得快\n0,太慢了 café\n"
    for encoding, broken in (("utf-8", b"\xe5\xa5"), ("gb18030", b"\xff")):
        content = text.encode(encoding).replace(b"1,", b"1," + broken, 1)
        found, notes = decoded(tmp_path / "rows.csv", content, None)
        assert found.replace("\ufffd", "") == text
        assert len(notes) == 1 and "the first in line 2" in notes[0]
    marked = (
        b"\xef\xbb\xbflabel,review\n1,\xe5\xa5\xe5\xa5\xbd\xe5\xa5\xbd\xe5\xa5\xbd"
        + "好".encode() * 9
    )
    (tmp_path / "marked.csv").write_bytes(marked)
    assert list(read_table(tmp_path / "marked.csv")[0].columns) == ["label", "review"]
    # the bytes of Windows-1252 are Chinese characters to GB18030, but they stand alone
    western = "label,review\n1,it’s naïve\n0,déçus\n"
    assert decoded(tmp_path / "rows.csv", western.encode("cp1252"), None) == (western, [])


def test_labels_are_the_same_however_they_are_spelt(tmp_path: Path) -> None:
    mapping = Mapping.load(MAPPINGS / "text_label.yml")
    file = tmp_path / "rows.csv"
    file.write_text(
        "Review,LABEL\na,True\nb,False\nc,True\nd,False\ne, \nf,odd\ng,NaN\n", encoding="utf-8"
    )
    ours, notes = labelled(file, mapping)
    assert ours.classes == ("False", "True") and ours.rows.labels.tolist() == [1, 0, 1, 0]
    assert notes[0].endswith("2 rows without a label left out")
    assert notes[1].endswith("a label of one row is left out: odd")
    file.write_text("review,label\na,TRUE\nb,false\nc,odd\n", encoding="utf-8")
    theirs, notes = labelled(file, mapping, ours.classes)
    assert theirs.rows.labels.tolist() == [1, 0, 2]
    assert "1 rows, the first is row 3, have labels that no row trained on has" in notes[0]
    file.write_text("review,label\na,1.0\nb,0\nc,1\n d,0.0\n", encoding="utf-8")
    assert labelled(file, mapping)[0].classes == ("0", "1")
    with pytest.raises(Unreadable, match=r"none of its labels \(0, 1\) occurs"):
        labelled(file, mapping, ours.classes)


def test_cells_of_blanks_are_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "rows", b"review,label\n  ,1\na , \n") == [[None, "1"], ["a ", None]]


def test_the_row_of_a_label_that_is_no_number_is_the_files(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('CSAT Score\n5\n""\n1\nn/a\n', encoding="utf-8")
    with pytest.raises(
        Unreadable, match="row 4 below the header, 'CSAT Score': 'n/a' is no number"
    ):
        labelled(file, Mapping.load(MAPPINGS / "csat_before_survey.yml"))


def test_a_label_that_nobody_learned_counts_as_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write(tmp_path / "train.csv", reviews(30, 1))
    other = reviews(10, 2)
    other["label"] = other["label"].astype("str")
    extra = pd.DataFrame({"label": ["unclear"] * 20, "review": ["?"] * 20})
    found = []
    for name, table in (("known", other), ("more", pd.concat([other, extra]))):
        test = write(tmp_path / f"{name}.csv", table)
        assert main([str(train), str(test), "--mapping", str(MAPPINGS / "text_label.yml")]) == 0
        told = capsys.readouterr()
        assert told.out.count("\n") == 1
        found.append(json.loads(told.out))
    known, more = found
    assert (more["auc"], more["brier"]) == (known["auc"], known["brier"])
    assert more["accuracy"] == pytest.approx(known["accuracy"] / 2)
    assert more["macro_f1"] < known["macro_f1"] * 0.7 and more["n_test"] == 40


def test_moments_written_otherwise_than_the_mapping_says_are_told(tmp_path: Path) -> None:
    table = reviews(5, 3).assign(asked=["2024-05-01 10:00:00"] * 7 + ["1 May 2024", None, "2 May"])
    path = write(tmp_path / "asked.csv", table)
    mapping = Mapping.model_validate(
        {"label": {"column": "label"}, "text": "review", "times": {"opened": "asked"}}
    )
    _, told = labelled(path, mapping)
    assert [line for line in told if "asked" in line] == [
        "asked.csv: 'asked': 2 moments like '1 May 2024' are not written as %Y-%m-%d %H:%M:%S and count as missing; "
        "mend times.format in the mapping"
    ]
