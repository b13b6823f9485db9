"""The documentation says what is so: schemas, command lines, links and SQL."""

from __future__ import annotations

import math
import re
import shlex
import statistics
import tomllib
from collections import defaultdict
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
import typer
import yaml

from carelake.followup.rules import SHIPPED
from carelake.needs.taxonomy import Taxonomy
from carelake.sample import write_sample
from carelake.settings import Home, Settings
from carelake.warehouse.published import read_only
from docs import make_answers, make_reference
from tests.conftest import PROJECT, SampleRun

PAGES = [
    PROJECT / "README.md",
    PROJECT / "custom" / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
OPERATORS = {"&&", "||", ";", "|", ">", ">>", "<"}


def commands(page: Path) -> list[list[str]]:
    """Every command of a page's bash blocks as words, without `VAR=value` before it."""
    found = []
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lexer = shlex.shlex(block.replace("\\\n", " "), posix=True, punctuation_chars=";|&>\n")
        lexer.whitespace, lexer.whitespace_split = " \t", True
        words: list[str] = []
        for token in [*lexer, "\n"]:
            if token.strip("\n") and token not in OPERATORS:
                words.append(token)
                continue
            while words and re.match(r"(\w+=|export$)", words[0]):
                words = words[1:]
            if words:
                found.append(words)
            # what follows > is a file
            words = ["(file)"] if token in (">", ">>", "<") else []
    return [words for words in found if words[0] != "(file)"]


@pytest.mark.parametrize("name", make_reference.FILES)
def test_the_json_schemas_are_those_of_the_code(name: str) -> None:
    written = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    assert written == make_reference.schema(name), "make docs"


def test_the_schemas_take_what_is_right_and_refuse_what_is_wrong(tmp_path: Path) -> None:
    write_sample(tmp_path, 20, 40, 7)
    checks = {
        name: jsonschema.Draft202012Validator(yaml.safe_load(make_reference.schema(name)))
        for name in make_reference.FILES
    }
    sources = yaml.safe_load((tmp_path / "sources.yml").read_text(encoding="utf-8"))
    checks["sources.schema.json"].validate(sources)
    settings = yaml.safe_load((tmp_path / "carelake.yml").read_text(encoding="utf-8"))
    checks["settings.schema.json"].validate(settings)
    checks["followup.schema.json"].validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))
    sources["sources"][0]["columns"]["opened_at"] = "an agent has no such column"
    assert not checks["sources.schema.json"].is_valid(sources)
    assert not checks["settings.schema.json"].is_valid({"reporting_zone": "UTC"})
    assert not checks["followup.schema.json"].is_valid({"rules": [{"code": "no_condition"}]})


def test_every_command_line_in_the_docs_is_one_the_program_takes() -> None:
    from carelake.cli import app

    program = typer.main.get_command(app)
    known = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    seen = 0
    for page in PAGES:
        for words in commands(page):
            if words[0] == "make":
                targets = {word for word in words[1:] if "=" not in word}
                assert targets <= known, f"{page.name}: {words}"
            if words[0] != "carelake":
                continue
            seen += 1
            command, rest = program, words[1:]
            while subcommands := getattr(command, "commands", None):
                if rest[:1] == ["--help"]:
                    break
                assert rest and rest[0] in subcommands, f"{page.name}: {words}"
                command, rest = subcommands[rest[0]], rest[1:]
            if "--help" not in rest:
                # parses names, options and values, and runs nothing
                command.make_context(words[0], list(rest))
    assert seen > 20


def test_the_analysts_yaml_blocks_are_files_that_are_taken(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "analyst.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    taken = set()
    for block in blocks:
        content = yaml.safe_load(block)
        taken |= set(content)
        if "needs" in content:
            assert len(Taxonomy.model_validate(content).needs) == len(content["needs"])
        else:
            assert Settings.model_validate(content).service_levels
    assert taken == {"needs", "service_levels", "phone_answer_within_seconds"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for anchor in re.findall(r"\]\(#([^)]*)\)", text):
        assert anchor in anchors, anchor


def test_every_dependency_says_why_it_is_there() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[^\w-]", line)[0] for line in wanted}
    page = (PROJECT / "docs" / "DECISIONS.md").read_text(encoding="utf-8")
    text = page.partition("## What it stands on")[2].partition("\n## ")[0]
    # rows of extras name theirs first: `server`: mlflow[auth]
    cells = re.findall(r"^\| (?:`\w+`: )?([\w\-, \[\]]+) \|", text, re.MULTILINE)
    described = {name.strip().partition("[")[0] for cell in cells for name in cell.split(",")}
    assert names == described - {"dependency"}


@pytest.mark.parametrize("page", make_answers.PAGES)
def test_every_sql_block_runs_on_the_sample_and_answers(page: str, sample_run: SampleRun) -> None:
    found = make_answers.queries(page)
    assert found
    with read_only(Home(sample_run.home)) as con:
        for query in found:
            assert con.execute(query).fetchall(), query


def test_two_answers_are_those_a_reader_of_the_parquet_files_works_out(
    sample_run: SampleRun,
) -> None:
    path = sample_run.home / "published" / "current" / "fct_conversations.parquet"
    conversations = pq.read_table(path).to_pylist()
    by_state, by_channel = defaultdict(list), defaultdict(list)
    for row in conversations:
        value = None if row["satisfaction"] is None else float(row["satisfaction"])
        by_state[row["outcome_state"]].append(value)
        by_channel[row["channel"]].append(value)
    with read_only(Home(sample_run.home)) as con:
        states = con.execute(_query("outcome_state,\n")).fetchall()
        channels = con.execute(_query("wilson as (")).fetchall()
    assert {state: counts for state, *counts in states}.keys() == by_state.keys()
    for state, n, surveyed, satisfaction in states:
        values = [value for value in by_state[state] if value is not None]
        assert (n, surveyed) == (len(by_state[state]), len(values))
        assert float(satisfaction) == pytest.approx(statistics.fmean(values), abs=0.006)
    assert channels
    for channel, surveyed, _, satisfied, at_least, at_most in channels:
        yes = [value >= 0.75 for value in by_channel[channel] if value is not None]
        assert surveyed == len(yes) >= 30
        share = statistics.fmean(yes)
        assert satisfied == pytest.approx(100 * share, abs=0.51)
        # the ends of Wilson's interval are the shares p for which what was seen lies 1.96 of p's
        # own standard errors away
        for end, sign in ((at_least, 1), (at_most, -1)):
            p = end / 100
            away = (share - p) / math.sqrt(p * (1 - p) / surveyed)
            slack = 0.0051 / math.sqrt(p * (1 - p) / surveyed)
            assert away == pytest.approx(sign * 1.96, abs=1.3 * slack)


def _query(part: str) -> str:
    return next(query for query in make_answers.queries("analyst.md") if part in query)
