"""The command that makes up a company: as files, and served as the services it is kept in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carelake.cli_common import progress, say

if TYPE_CHECKING:
    import socket

    from carelake.sample import SampleSummary

HOST = "127.0.0.1"


def sample(
    directory: Annotated[Path, typer.Argument(help="Folder to write into.")],
    customers: Annotated[int, typer.Option(min=5, help="People the company serves.")] = 400,
    days: Annotated[int, typer.Option(min=30, help="Days of history.")] = 120,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 7,
    bulk: Annotated[
        int | None, typer.Option(min=1, help="Write this many plain rows instead.")
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Then serve it as Salesforce, Zendesk, Chatwoot and X, until Ctrl-C."
        ),
    ] = False,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="With --serve: port of this machine; 0 is any free one."
        ),
    ] = 8096,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="With --serve: as it was then, in China's time; at the end of its history without.",
        ),
    ] = None,
) -> None:
    """Write a made-up company as its systems would hand it over, with a source list.

    With `--serve` the same people, conversations and ratings also come in live: the company answers as Salesforce
    (contacts, cases, calls, deals), Zendesk (mails), Chatwoot (chats) and X (posts) on this machine alone.
    `live/` in the folder has the source list for that, and the connections.

    Examples:

        carelake sample demo

        carelake sample demo --customers 2000 --days 365 --seed 1

        carelake sample big --bulk 10000000

        carelake sample demo --serve --port 8096

        carelake sample demo --serve --until 2024-03-01
    """
    from carelake.errors import ConfigError
    from carelake.sample import write_bulk, write_sample

    if bulk is not None and serve:
        raise ConfigError("--bulk and --serve: plain rows cannot be served; leave one of them out")
    if until is not None and not serve:
        raise ConfigError("--until goes with --serve: it says which moment is served")
    listening = _listen(port) if serve else None
    shown = progress()

    def report(label: str, share: float) -> None:
        shown.bar(label, round(share * 100), 100)

    made: SampleSummary | None = None
    try:
        if bulk is not None:
            plain = write_bulk(directory, rows=bulk, seed=seed, progress=report)
            records, size, company = plain.rows, plain.n_bytes, "plain rows"
        else:
            made = write_sample(directory, customers, days, seed, progress=report)
            records, size = made.records, made.n_bytes
            company = f"{made.customers:,} people, {made.conversations:,} conversations"
    except ValueError as error:
        raise ConfigError(str(error)) from error
    shown.update("")
    total = f"{sum(records.values()):,} records from {len(records)} sources, {size / 1e6:.1f} MB"
    say(f"{directory}: {company}; {total}")
    if made is not None and listening is not None:
        _serve(made, listening, until)
    else:
        say(f"next: export CARELAKE_SOURCES={directory / 'sources.yml'} && carelake run")


def _listen(port: int) -> socket.socket:
    """Take the port before anything is written.

    Raises:
        ConfigError: another program has it.
    """
    import socket

    from carelake.errors import ConfigError

    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(
            f"port {port} is not free ({error.strerror}); choose another: --port"
        ) from error


def _serve(made: SampleSummary, listening: socket.socket, until: datetime | None) -> None:
    """Answer as the company's services until Ctrl-C."""
    import uvicorn

    from carelake.sample.live import make_app, write_live

    address = f"http://{HOST}:{listening.getsockname()[1]}"
    folder = write_live(made, address)
    moment = min(until or made.company.end, made.company.end)
    config = uvicorn.Config(
        make_app(made, until), log_level="warning", access_log=False, server_header=False
    )
    say(f"serving Salesforce, Zendesk, Chatwoot and X at {address} as of {moment}; Ctrl-C ends it")
    say(
        f"next, in another terminal: . {folder / 'connections.sh'} && "
        f"export CARELAKE_SOURCES={folder / 'sources.yml'} && carelake run"
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        say("stopped")
