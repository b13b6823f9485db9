"""Customers that may be one person, though nothing they share says so: Splink's guesses, for a person to judge.

A pair is weighed by Fellegi and Sunter's model: each field adds log2(m / u), where m is how often the field
agrees in one person's records and u how often in two people's. u is counted in the company's own customers; m
is stated below, as most companies hold too few doubles to learn it from.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from carelake.settings import Context
from carelake.warehouse.connection import connect, literal, write_lock
from carelake.warehouse.published import read_only

if TYPE_CHECKING:
    from splink import SettingsCreator
    from splink.internals.comparison_creator import ComparisonCreator
    from splink.internals.comparison_level_creator import ComparisonLevelCreator

DOUBLES = 0.02
"""Share of customers that are expected to be somebody's double: what a pair is believed before it is looked at."""
SAMPLED_PAIRS = 1_000_000
SEED = 1
FIELDS = ("name", "mail_names", "numbers", "city", "age")
WORDS = {"name": "name", "mail_names": "e-mail", "numbers": "number", "city": "city", "age": "age"}

PEOPLE = """
    with points as (
        select
            customer_key,
            list(distinct lower(split_part(value, '@', 1))) filter (where kind = 'email') as mail_names,
            -- the country's code is often guessed
            list(distinct right(value, 9)) filter (where kind = 'phone' and length(value) > 9) as numbers,
            max((kind = 'crm')::int) as has_crm_id,
        from intermediate.int_contact_vault
        where customer_key is not null
        group by customer_key
    ),
    parted as (
        select distinct vault.customer_key
        from intermediate.int_contact_vault as vault
        inner join (
            select unnest(points) as contact_point_key from care.identity_decisions
            where action = 'split' and undone_at is null
        ) as decided using (contact_point_key)
        where vault.customer_key is not null
    )
    select
        customer_key as unique_id,
        nullif(regexp_replace(lower(trim(customer_name)), '\\s+', ' ', 'g'), '') as name,
        left(name, 1) as initial,
        nullif(lower(trim(city)), '') as city,
        age,
        mail_names,
        numbers,
        list_transform(numbers, lambda number: left(number, 8)) as number_heads,
    from intermediate.int_customers
    left join points using (customer_key)
    -- who was parted by a person is not proposed again
    anti join parted using (customer_key)
    order by unique_id
"""


@dataclass(frozen=True)
class Proposal:
    """Two customers that may be one.

    Attributes:
        left, right: their keys.
        probability: that they are one, between 0 and 1.
        evidence: (field, how it compares, what it adds in powers of two), strongest first.
        shown: what the marts show of each, by key.
    """

    left: str
    right: str
    probability: float
    evidence: tuple[tuple[str, str, float], ...]
    shown: dict[str, str]

    @property
    def proposal_id(self) -> str:
        """The same for the same two."""
        return hashlib.sha256("\n".join(sorted((self.left, self.right))).encode()).hexdigest()[:12]


def propose(ctx: Context, least: float = 0.9, most: int = 20) -> list[Proposal]:
    """Pairs of customers that may be one person, likeliest first; nothing is joined.

    Args:
        least: smallest probability.
        most: pairs at most.

    Raises:
        RunFailed: nothing is built yet, or the warehouse is busy.
    """
    with write_lock(ctx.home, "identity"), connect(ctx.home) as con:
        people = con.execute(PEOPLE).to_arrow_table()
    if people.num_rows < 2:
        return []
    found = weighed(people, least, most)
    keys = {key for pair in found for key in (pair["unique_id_l"], pair["unique_id_r"])}
    shown = _shown(ctx, keys)
    return [_proposal(pair, shown) for pair in found]


def weighed(people: pa.Table, least: float, most: int) -> list[dict[str, Any]]:
    """Splink's pairs, likeliest first.

    Args:
        people: one row a customer, as `PEOPLE` gives them.
    """
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    with duckdb.connect() as con:
        api = DuckDBAPI(con)
        linker = Linker(api.register(people), _settings(people.num_rows), log_level=None)
        linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=SEED)
        pairs = linker.inference.predict(threshold_match_probability=least, warning_mode="never")
        rows = con.execute(
            f"from {pairs.physical_name} order by match_probability desc, unique_id_l, unique_id_r limit {most}"
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def _settings(n_people: int) -> SettingsCreator:
    """What is compared, and which pairs are looked at."""
    import splink.comparison_library as cl
    from splink import SettingsCreator, block_on

    ages: list[ComparisonLevelCreator | dict[str, Any]] = [
        {"sql_condition": "age_l is null or age_r is null", "is_null_level": True},
        {"sql_condition": "abs(age_l - age_r) <= 1", "label_for_charts": "a year apart at most"},
        {"sql_condition": "else", "label_for_charts": "another"},
    ]
    comparisons: list[ComparisonCreator | dict[str, Any]] = [
        cl.JaroWinklerAtThresholds("name", [0.92]).configure(
            term_frequency_adjustments=True, m_probabilities=[0.75, 0.15, 0.1]
        ),
        cl.PairwiseStringDistanceFunctionAtThresholds(
            "mail_names", "jaro_winkler", [0.93]
        ).configure(m_probabilities=[0.45, 0.2, 0.35]),
        cl.PairwiseStringDistanceFunctionAtThresholds(
            "numbers", "damerau_levenshtein", [1]
        ).configure(m_probabilities=[0.1, 0.2, 0.7]),
        cl.ExactMatch("city").configure(
            term_frequency_adjustments=True, m_probabilities=[0.85, 0.15]
        ),
        cl.CustomComparison(ages, "age").configure(m_probabilities=[0.9, 0.1]),
    ]
    return SettingsCreator(
        link_type="dedupe_only",
        probability_two_random_records_match=min(0.5, 2 * DOUBLES / (n_people - 1)),
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[
            block_on("name"),
            block_on("city", "initial"),
            block_on("mail_names", arrays_to_explode=["mail_names"]),
            block_on("number_heads", arrays_to_explode=["number_heads"]),
        ],
        retain_intermediate_calculation_columns=True,
    )


def _proposal(pair: dict[str, Any], shown: dict[str, str]) -> Proposal:
    left, right = str(pair["unique_id_l"]), str(pair["unique_id_r"])
    evidence = [
        (WORDS[field], *_weight(pair, field)) for field in FIELDS if pair[f"gamma_{field}"] >= 0
    ]
    evidence.sort(key=lambda each: -each[2])
    kept = {key: shown.get(key, "") for key in (left, right)}
    return Proposal(left, right, float(pair["match_probability"]), tuple(evidence), kept)


def _weight(pair: dict[str, Any], field: str) -> tuple[str, float]:
    """How a field compares, and what that adds: what is rare in the company adds more."""
    level = int(pair[f"gamma_{field}"])
    best = 1 if field in ("city", "age") else 2
    word = "the same" if level == best else "alike" if level else "differs"
    added = float(pair[f"mw_{field}"] or 0) + float(pair.get(f"mw_tf_adj_{field}") or 0)
    return word, round(added, 1)


def _shown(ctx: Context, keys: set[str]) -> dict[str, str]:
    """What the published marts show of customers: masked names and contact points."""
    if not keys:
        return {}
    named = ", ".join(literal(key) for key in sorted(keys))
    with read_only(ctx.home) as con:
        rows = con.execute(f"""
            select customer_key, concat_ws(', ', any_value(name_masked), any_value(city),
                string_agg(points.value_masked, ', ' order by kind, points.value_masked))
            from dim_customers left join dim_contact_points as points using (customer_key)
            where customer_key in ({named}) group by customer_key
        """).fetchall()
    return dict(rows)
