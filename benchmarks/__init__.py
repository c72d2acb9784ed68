"""One script per claim in the README; each prints a table and ends in one line of JSON."""
