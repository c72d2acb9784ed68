"""The composition root: settings, command line, wiring, process lifetime. Everything meets here and only here."""

from importlib.metadata import version

__version__ = version("parley")
