"""The composition root: settings, command line, wiring, process lifetime. Everything meets here and only here."""
