"""Every word that people read from the bot itself, as functions with named parameters, one module per subject.

Owns: wording, in English; the other languages are the catalogues in `bot/locales/`. Does not own: when something is
said (`errors.py`, the cogs), or splitting what is too long for one message (`splitting.py`). Whatever comes from people
is expected to be cleaned already (`speakers.py`).

A sentence is one `tr("…{name}…", name=value)` with a literal, so that Babel finds it and a translator sees it whole: no
f-string inside, no sentence glued from parts. Counts with their nouns come from `forms.py`.
"""
