"""One script per claim about speed; each prints a table and ends in one line of JSON. The rest is what they share."""
