"""Many plain rows, fast: DuckDB writes CSV and JSON lines for measurements of speed.

The bulk form has no dirt and no truth; it is the sample's shape without its people. Messages make
conversations of four, conversations belong to customers, and orders, cases and surveys refer to
both. Numbers come from `hash(row, seed, column)`, so rows can be made in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from carelake.sample.delivery import make_room

CHUNK = 1_000_000
"""Rows a file, at most."""
YEAR = 360 * 86_400
"""Seconds over which the first rows are spread."""


@dataclass(frozen=True)
class BulkSummary:
    """What was written: the folder, rows by source, and bytes in all."""

    target: Path
    rows: dict[str, int]
    n_bytes: int


@dataclass(frozen=True)
class _Table:
    source: str
    share: float
    file: str
    query: str

    @property
    def options(self) -> str:
        return "format csv, header" if self.file.endswith(".csv") else "format json"


_CHAT_WORDS = (
    "['Where is my order', '物流一直不更新，能查一下吗', 'I would like a refund', "
    "'退款还没到账', 'It stopped working after a week', '收到的东西有划痕', "
    "'Can I have an invoice', '发票抬头写错了', 'How do I connect it to my phone', "
    "'请问怎么安装', 'thanks, that worked', '等得太久了，很失望', 'this is taking too long', "
    "'很满意，谢谢', 'perfect, thank you', '还是没有解决']"
)

_MESSAGE = f"""
    select
        '{{prefix}}' || i as {{id}},
        '{{prefix}}' || (i // 4) as {{conversation}},
        case when i % 2 = 0 then 'inbound' else 'outbound' end as direction,
        'u' || (hash(i // 4, $seed, 'who') % $customers) as handle,
        case when i % 2 = 1 then 'A' || (hash(i // 4, $seed, 'agent') % 200) end as agent,
        strftime(
            timestamp '2024-01-01'
            + to_seconds(
                ($from + hash(i // 4, $seed, 'when') % $seconds
                + (i % 4) * (30 + hash(i // 4, $seed, 'pace') % 400))::bigint
            ),
            '%Y-%m-%d %H:%M:%S'
        ) as sent_at,
        ({_CHAT_WORDS})[(hash(i, $seed, 'words') % 16)::int + 1] as body,
        ['delivery', 'refund', 'quality', 'billing'][(hash(i // 4, $seed, 'need') % 4)::int + 1]
            as category
    from range($first, $last) as numbers (i)
"""

_TABLES = (
    _Table(
        "bulk_messages", 0.35, "messages-{:04d}.csv",
        _MESSAGE.format(prefix="M", id="message_id", conversation="conversation_id"),
    ),
    _Table(
        "bulk_posts", 0.35, "posts-{:04d}.jsonl",
        _MESSAGE.format(prefix="P", id="post_id", conversation="thread_id"),
    ),
    _Table(
        "bulk_customers", 0.02, "customers-{:04d}.jsonl",
        """
        select
            100000 + i as customer_id,
            'Customer ' || i as name,
            'c' || i || '@mail.example' as email,
            '+86199' || lpad(i::varchar, 8, '0') as phone,
            'u' || i as handle,
            18 + hash(i, $seed, 'age') % 60 as age,
            ['female', 'male', '女', '男'][(hash(i, $seed, 'gender') % 4)::int + 1] as gender,
            ['上海', '北京', 'London', '广州'][(hash(i, $seed, 'city') % 4)::int + 1] as city
        from range($first, $last) as numbers (i)
        """,
    ),
    _Table(
        "bulk_cases", 0.09, "cases-{:04d}.csv",
        """
        select
            'C' || i as case_no,
            100000 + hash(i, $seed, 'who') % $customers as customer_id,
            'A' || (hash(i, $seed, 'agent') % 200) as agent,
            ['delivery', 'refund', 'quality', 'billing'][(hash(i, $seed, 'need') % 4)::int + 1]
                as category,
            strftime(opened_at, '%Y-%m-%d %H:%M:%S') as opened_at,
            strftime(
                opened_at + to_seconds((20 + hash(i, $seed, 'wait') % 900)::bigint),
                '%Y-%m-%d %H:%M:%S'
            ) as first_reply_at,
            strftime(
                opened_at + to_seconds((1000 + hash(i, $seed, 'close') % 200000)::bigint),
                '%Y-%m-%d %H:%M:%S'
            ) as closed_at,
            case when hash(i, $seed, 'asked') % 5 < 2
                then 1 + (hash(i, $seed, 'score') % 5) end as csat
        from (
            select
                i,
                timestamp '2024-01-01'
                + to_seconds(($from + hash(i, $seed, 'when') % ($seconds // 360 * 355))::bigint) as opened_at
            from range($first, $last) as numbers (i)
        ) as opened
        """,
    ),
    _Table(
        "bulk_orders", 0.13, "orders-{:04d}.csv",
        """
        select
            'O' || i as order_no,
            100000 + (hash(i, $seed, 'who') % $customers) as customer_id,
            strftime(
                timestamp '2024-01-01'
                + to_seconds(($from + hash(i, $seed, 'when') % $seconds)::bigint),
                '%Y-%m-%d %H:%M:%S'
            ) as placed_at,
            ((1900 + hash(i, $seed, 'amount') % 400000) / 100)::decimal(12, 2) as amount,
            case when hash(i, $seed, 'status') % 20 = 0 then 'cancelled' else 'delivered' end
                as status
        from range($first, $last) as numbers (i)
        """,
    ),
    _Table(
        "bulk_surveys", 0.06, "surveys-{:04d}.csv",
        """
        select
            'S' || i as answer_no,
            'M' || ($asked + i - $surveyed) as conversation_id,
            1 + (hash(i, $seed, 'score') % 5) as score,
            ['', '', '满意', 'too slow'][(hash(i, $seed, 'remark') % 4)::int + 1] as remark,
            strftime(
                timestamp '2024-01-02'
                + to_seconds(($from + hash(i, $seed, 'when') % $seconds)::bigint),
                '%Y-%m-%d %H:%M:%S'
            ) as answered_at
        from range($first, $last) as numbers (i)
        """,
    ),
)  # fmt: skip

_SOURCES = """\
# Plain rows in bulk, for measurements of speed.
sources:
  - name: bulk_messages
    kind: files
    path: bulk/messages-*.csv
    format: csv
    entity: communications
    channel: chat
    columns: {communication_id: message_id, conversation_id: conversation_id, direction: direction,
              handle: handle, agent: agent, sent_at: sent_at, body: body, category: category}

  - name: bulk_posts
    kind: files
    path: bulk/posts-*.jsonl
    format: jsonl
    entity: communications
    channel: social
    columns: {communication_id: post_id, conversation_id: thread_id, direction: direction,
              handle: handle, agent: agent, sent_at: sent_at, body: body, category: category}

  - name: bulk_customers
    kind: files
    path: bulk/customers-*.jsonl
    format: jsonl
    entity: customers
    region: CN
    columns: {customer_id: customer_id, customer_name: name, email: email, phone: phone,
              handle: handle, age: age, gender: gender, city: city}

  - name: bulk_cases
    kind: files
    path: bulk/cases-*.csv
    format: csv
    entity: conversations
    channel: phone
    columns: {conversation_id: case_no, customer_id: customer_id, agent: agent, category: category,
              opened_at: opened_at, first_reply_at: first_reply_at, closed_at: closed_at,
              survey_score: csat}
    constants: {survey_kind: csat}

  - name: bulk_orders
    kind: files
    path: bulk/orders-*.csv
    format: csv
    entity: orders
    columns: {order_id: order_no, customer_id: customer_id, ordered_at: placed_at, amount: amount,
              status: status}

  - name: bulk_surveys
    kind: files
    path: bulk/surveys-*.csv
    format: csv
    entity: survey_responses
    columns: {survey_id: answer_no, conversation_id: conversation_id, survey_score: score,
              survey_remark: remark, responded_at: answered_at}
    constants: {survey_kind: csat}
"""


def write_bulk(
    target: Path,
    rows: int,
    seed: int = 7,
    after: int = 0,
    late: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> BulkSummary:
    """Write plain CSV and JSON lines to `target/bulk/`, and a `sources.yml` for them.

    70 % of the rows are messages, half as CSV and half as JSON lines; the rest are customers,
    cases, orders and surveys.

    Args:
        target: folder to write to.
        rows: records in all files together, at least 100.
        seed: which rows.
        after: rows that an earlier call wrote; these come after them, in files of their own, speak of
            the same customers, and happened in the days after them, as many a day as before.
        late: rows that come after others happened among them, anywhere in their year.
        progress: called with a label and the share done, 0 to 1.

    Raises:
        ValueError: rows are too few, or the folder holds someone's `sources.yml`.
    """
    if rows < 100:
        raise ValueError("bulk needs at least 100 rows")
    tell = progress or (lambda _label, _share: None)
    folder = target / "bulk"
    if not after:
        make_room(target, "bulk/messages-0001.csv", ("bulk",))
        folder.mkdir()
    starts, counts = _counts(after), _counts(rows)
    # surveys ask about the conversations they are written with, or about those of long ago
    is_next = after > 0 and not late
    numbers = {
        "seed": seed,
        "customers": starts["bulk_customers"] or counts["bulk_customers"],
        "from": YEAR if is_next else 0,
        "seconds": max(YEAR * rows // after, 1) if is_next else YEAR,
        "asked": starts["bulk_messages"] // 4 if is_next else starts["bulk_surveys"],
        "surveyed": starts["bulk_surveys"],
    }
    written = n_bytes = 0
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        for table in _TABLES:
            start = starts[table.source]
            end = start + counts[table.source]
            present = len(list(folder.glob(table.file.replace("{:04d}", "*"))))
            for number, first in enumerate(range(start, end, CHUNK), start=present + 1):
                last = min(end, first + CHUNK)
                path = folder / table.file.format(number)
                tell(path.name, written / rows)
                _copy(connection, table, path, {**numbers, "first": first, "last": last})
                written += last - first
                n_bytes += path.stat().st_size
    (target / "sources.yml").write_text(_SOURCES, encoding="utf-8", newline="\n")
    (target / "carelake.yml").write_text(
        "reporting_timezone: UTC\ndefault_region: CN\n", encoding="utf-8", newline="\n"
    )
    tell("done", 1.0)
    return BulkSummary(target, counts, n_bytes)


def _counts(rows: int) -> dict[str, int]:
    counts = {table.source: int(rows * table.share) for table in _TABLES}
    counts["bulk_messages"] += rows - sum(counts.values())
    return counts


def _copy(
    connection: duckdb.DuckDBPyConnection, table: _Table, path: Path, numbers: dict[str, int]
) -> None:
    # COPY takes no parameters, so the numbers are written into the query
    query = table.query
    for name, value in numbers.items():
        query = query.replace(f"${name}", str(value))
    place = str(path).replace("'", "''")
    connection.execute(f"copy ({query}) to '{place}' ({table.options})")
