"""`funnel user hash`."""

import sys

import click

from funnel.auth.passwords import hashed


@click.command("hash")
def hash_password() -> None:
    """
    Print the hash of a password, for `Password` of a user in `Server.BasicAuth`.

    At a terminal it is asked for, twice and without being shown; else it is the first line of
    standard input. It is never a word of the command, since everybody on the machine could
    read that.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    click.echo(hashed(password))
