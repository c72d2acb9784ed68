"""The one way a command ends badly: a line that says what to do, and status 1."""

import click


class FailureError(click.ClickException):
    """Something the person at the terminal can mend. The message is one line without a full stop or traceback."""

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the line on standard error."""
        click.echo(f"parley: {self.format_message()}", err=True)
