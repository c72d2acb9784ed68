"""One module per step, oldest first. A published step is never edited."""
