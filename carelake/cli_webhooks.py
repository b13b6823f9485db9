"""Commands about what services push."""

from __future__ import annotations

from typing import Annotated

import typer

from carelake.cli_common import open_context, say

webhooks_app = typer.Typer(no_args_is_help=True, help="What services push to us, as it happens.")


@webhooks_app.command("serve")
def webhooks_serve(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Names from sources.yml; all that are pushed without."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8095,
) -> None:
    """Take what WhatsApp and Chatwoot push, and land it.

    The address of a source is `/webhooks/NAME`. A request is answered with 200 once it is safe on the disk.
    Put TLS before it (docs/sources-chat-pushed.md); one process serves a source.

    Examples:

        carelake webhooks serve

        carelake webhooks serve whatsapp --port 8095
    """
    import uvicorn

    from carelake.errors import ConfigError
    from carelake.sources.push_server import make_app, taken_over

    ctx = open_context()
    chosen = [source for source in ctx.sources.select(sources) if source.webhook is not None]
    if not chosen:
        raise ConfigError(f"{ctx.sources.path}: no source is pushed; add one of kind whatsapp")
    ctx.home.landing.mkdir(parents=True, exist_ok=True)
    app = make_app(ctx.home.landing, chosen)
    with taken_over(ctx.home.landing, chosen):
        for source in chosen:
            say(f"{source.name}: http://{host}:{port}/webhooks/{source.name}")
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,
        )
