"""What analysts ask, and the same by hand."""

from __future__ import annotations

from benchmarks import questions
from carelake.settings import Home
from carelake.warehouse.published import read_only
from tests.conftest import SampleRun


def test_every_query_by_hand_answers_the_page_s_question_alike(sample_run: SampleRun) -> None:
    asked, by_hand = questions.questions(), questions.answers()
    assert len(asked) >= 30
    assert asked.keys() == by_hand.keys()
    with read_only(Home(sample_run.home)) as con:
        for number, (title, query) in asked.items():
            answer = questions.rows(con, query)
            assert answer, title
            assert questions.rows(con, by_hand[number][1]) == answer, title
