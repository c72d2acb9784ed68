"""Where the files lie with which Parley is put into service, and the programs that read them."""

import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str) -> str:
    """Give the path of a program that a package of the tests brought along."""
    return str(Path(sysconfig.get_path("scripts")) / name)
