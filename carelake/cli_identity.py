"""Commands about who is who: a customer's contact points, and a person's word on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from carelake.cli_common import Format, ready, say, user_name

identity_app = typer.Typer(no_args_is_help=True, help="Who is who: join and part customers.")

Customer = Annotated[
    str, typer.Argument(help="A key from the marts, or an address, number, account or CRM id.")
]
Reason = Annotated[str, typer.Option(prompt="Why", help="Why, for whoever reads this later.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your user name without.")]
NEXT = "`carelake run` brings it to the marts"


@identity_app.command("show")
def identity_show(customer: Customer) -> None:
    """Show a customer's contact points, the telling part of each hidden.

    The first one gives the customer its key.

    Examples:

        carelake identity show +8613800138000

        carelake identity show 3f9a01bc
    """
    from carelake.reports.tables import print_rows
    from carelake.warehouse.identity import customer_points

    points = customer_points(ready(), customer)
    say(f"customer {points[0].customer_key}")
    rows = [[p.key[:16], p.kind, p.value_masked, p.first_seen_at] for p in points]
    print_rows(["contact point", "kind", "value", "first seen"], rows)


@identity_app.command("merge")
def identity_merge(
    customers: Annotated[list[str], typer.Argument(help="Two customers or more.")],
    reason: Reason,
    by: By = None,
) -> None:
    """Say that customers are one person, as when a CRM holds somebody twice.

    Example:

        carelake identity merge C1001 C2077 --reason "married, wrote from the new address"
    """
    from carelake.warehouse.identity import merge

    decision, is_new = merge(ready(), customers, by or user_name(), reason)
    say(_told(decision, is_new, "one customer from now on"))


@identity_app.command("split")
def identity_split(
    customer: Customer,
    point: Annotated[list[str], typer.Option("--point", help="A contact point that goes.")],
    reason: Reason,
    by: By = None,
) -> None:
    """Say that some contact points of a customer belong to another person.

    They stay together; what they are seen with from then on does not join them to the customer again.

    Example:

        carelake identity split C1001 --point 3f9a01bc --reason "the number is her father's"
    """
    from carelake.warehouse.identity import split

    decision, is_new = split(ready(), customer, point, by or user_name(), reason)
    say(_told(decision, is_new, "two customers from now on"))


@identity_app.command("undo")
def identity_undo(
    decision: Annotated[str, typer.Argument(help="Its id, as `carelake identity list` shows it.")],
    by: By = None,
) -> None:
    """Take a decision back; it stays on record.

    Example:

        carelake identity undo 5c0f3e9a1b22
    """
    from carelake.warehouse.identity import undo

    undo(ready(), decision, by or user_name())
    say(f"decision {decision} undone; {NEXT}")


@identity_app.command("list")
def identity_list() -> None:
    """List every decision: who took it, when and why, and whether it was undone.

    Example:

        carelake identity list
    """
    from carelake.reports.tables import print_rows
    from carelake.warehouse.identity import decisions

    found = decisions(ready())
    if not found:
        say("nobody was joined or parted by hand")
        return
    rows = [
        [d.decision_id, d.action, d.n_points, d.decided_by, d.decided_at, d.reason, d.undone_by]
        for d in found
    ]
    print_rows(["decision", "action", "points", "by", "when", "why", "undone by"], rows)


@identity_app.command("propose")
def identity_propose(
    least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Smallest probability that is shown.")
    ] = 0.9,
    limit: Annotated[int, typer.Option(min=1, help="Pairs to show.")] = 20,
    output: Annotated[Format, typer.Option("--format", help="table or json")] = Format.table,
) -> None:
    """Show customers that may be one person: the same name, a like address, a digit apart.

    Nothing is joined by it. Who was parted by hand is not proposed.

    Examples:

        carelake identity propose

        carelake identity propose --least 0.99 --format json
    """
    from carelake.shown import safe_json
    from carelake.warehouse.proposals import propose

    found = propose(ready(), least, limit)
    if output is Format.json:
        typer.echo(safe_json([asdict(each) for each in found]))
        return
    for each in found:
        say(f"{each.probability:.1%}  {each.left[:16]}  {each.shown[each.left]}")
        say(f"{'':7} {each.right[:16]}  {each.shown[each.right]}")
        told = ", ".join(f"{field} {word} ({added:+.1f})" for field, word, added in each.evidence)
        say(f"{'':7} {told}")
    mend = "; join two with `carelake identity merge KEY KEY`" if found else ""
    typer.echo(f"{len(found)} pairs may be one person; nothing was joined{mend}")


def _told(decision: str, is_new: bool, done: str) -> str:
    return (
        f"decision {decision}: {done}; {NEXT}" if is_new else f"decision {decision} says so already"
    )
