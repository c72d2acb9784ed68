"""`parley link` and the address of the operator's link. What a log-in may do, `api/web` knows."""

import asyncio

import click

from parley.settings import load_settings
from parley.stores import open_stores


def login_url(address: str, code: str) -> str:
    """Give the link that logs the operator in once; what stands behind # is never sent with a request for a page."""
    return f"{address}/login#{code}"


@click.command()
def link() -> None:
    """Print a link that logs you in to the pages, once, within a day."""
    settings = load_settings()

    async def create() -> str:
        async with open_stores(settings) as stores:
            return await stores.login_links.create()

    click.echo(login_url(settings.public_url or settings.listening_url(), asyncio.run(create())))
