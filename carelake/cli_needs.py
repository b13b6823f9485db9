"""Commands about needs: what customers come for."""

from __future__ import annotations

from typing import Annotated

import typer

from carelake.cli_common import open_context, say

needs_app = typer.Typer(no_args_is_help=True, help="What customers come for (needs.yml).")


@needs_app.command("init")
def needs_init(
    force: Annotated[
        bool, typer.Option("--force", help="Write over the file that is there.")
    ] = False,
) -> None:
    """Write needs.yml beside sources.yml: known needs, and each category that sources name besides.

    It begins with the categories of the published marts, the most frequent first. From then on the
    file is yours.

    Example:

        carelake needs init
    """
    from carelake.errors import ConfigError
    from carelake.needs.taxonomy import FILE, SHIPPED, Taxonomy, from_categories
    from carelake.settings import read_yaml
    from carelake.warehouse.published import read_only

    ctx = open_context()
    path = ctx.config_dir / FILE
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; edit it, or write it anew with --force")
    with read_only(ctx.home) as con:
        found = con.execute(
            "select category from fct_conversations where category is not null "
            "group by category order by count(*) desc, category limit 200"
        ).fetchall()
    known = Taxonomy.model_validate(read_yaml(SHIPPED))
    text = from_categories([category for (category,) in found], known)
    path.write_text(text, encoding="utf-8")
    say(f"{path}: {text.count('- code: ')} needs, from {len(found)} categories")


@needs_app.command("list")
def needs_list() -> None:
    """List the needs that count, and by how many categories and keywords each is known.

    Example:

        carelake needs list
    """
    from carelake.needs.taxonomy import load_taxonomy
    from carelake.reports.tables import print_rows

    needs = load_taxonomy(open_context().config_dir).needs
    rows = [
        [n.code, n.name, n.name_zh or "", len(n.categories), len(n.keywords.en), len(n.keywords.zh)]
        for n in needs
    ]
    print_rows(["need", "name", "Chinese", "categories", "en", "zh"], rows)
