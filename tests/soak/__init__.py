"""Mixed traffic against the real process, which is killed again and again; then the books are compared.

`python -m tests.soak --seconds 600` (`make soak`) runs it; `test_soak.py` runs a minute of it.
"""
