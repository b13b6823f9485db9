from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelake.warehouse.csv_repair import Dialect, repair, shifts
from carelake.warehouse.incoming import UnreadableFile

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\x1c\x1d\x1e\x85\u2028\u2029"), max_size=12
)
BROKEN = {
    "few": b"1,x",
    "many": b"1,x,y,z",
    "nul": b"1,a\0b,c",
    "charset": b"1,\xff\xfe,c",
    "unclosed": b'1,a,"never closed',
    "after quote": b'1,"a"b,c',
}


def cleaned(
    content: bytes, columns: int = 3, limit: int = 1 << 20
) -> tuple[list[list[str]], list[tuple[int | None, int | None, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
        source.write_bytes(content)
        rejects = repair(source, target, columns, Dialect(), header=True, max_line_bytes=limit)
        rows = list(csv.reader(io.StringIO(target.read_text(encoding="utf-8"), newline="")))
    return rows[1:], [(r.row_number, r.line_number, r.reason) for r in rejects]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 99).map(str), TEXT, TEXT), st.sampled_from(sorted(BROKEN))
        ),
        max_size=12,
    )
)
def test_every_good_record_is_kept_and_every_broken_one_rejected_at_its_place(
    records: list[tuple[str, str, str] | str],
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["a", "b", "c"])
    content = out.getvalue().encode()
    for record in records:
        if isinstance(record, str):
            content += BROKEN[record] + b"\n"
        else:
            out = io.StringIO()
            csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(record)
            content += out.getvalue().encode()
    rows, rejects = cleaned(content)
    assert rows == [list(record) for record in records if not isinstance(record, str)]
    expected = [i for i, record in enumerate(records, start=1) if isinstance(record, str)]
    assert [row for row, _, _ in rejects] == expected


def test_line_numbers_are_those_of_the_file_even_after_records_of_several_lines() -> None:
    content = b'a,b,c\n1,"two\nlines",x\n2,few\n3,y,z\n'
    rows, rejects = cleaned(content)
    assert [row[0] for row in rows] == ["1", "3"]
    assert rejects == [(2, 4, "has 2 fields where 3 are expected")]


def test_an_overlong_line_costs_itself_only() -> None:
    content = b"a,b,c\n1,x,y\n2," + b"z" * 50_000 + b",y\n3,x,y\n"
    rows, rejects = cleaned(content, limit=10_000)
    assert [row[0] for row in rows] == ["1", "3"]
    assert rejects == [(2, 3, "is longer than 10,000 bytes")]


def test_shifts_give_every_sound_record_its_place_in_the_file() -> None:
    content = b"a,b,c\n" + b"".join(
        b"x\n" if i in (1, 4, 5, 9) else b"%d,x,y\n" % i for i in range(1, 11)
    )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
        source.write_bytes(content)
        steps = shifts(repair(source, target, 3, Dialect(), header=True, max_line_bytes=99))
    sound = [i for i in range(1, 11) if i not in (1, 4, 5, 9)]
    placed = [
        n + max([shift for start, shift in steps if start <= n], default=0)
        for n in range(1, len(sound) + 1)
    ]
    assert placed == sound


def test_a_cut_gzip_file_is_unreadable_and_not_half_loaded(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 5_000)[:-20])
    with pytest.raises(UnreadableFile, match="end"):
        repair(path, tmp_path / "out.csv", 3, Dialect(), header=True, max_line_bytes=99)
