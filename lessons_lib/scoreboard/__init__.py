"""The paper's claims, judged by the records: one row each.

Begin with ``rows.toml``, the claims and their rules. Each has a function in ``on_text``,
``on_copying`` or ``on_heads``, which reads records and says which criteria hold, with help of
``claim`` (rule and verdict), ``contrasts`` (arms) and ``mirrored`` (our own hypotheses). ``claims``
prints them and measures one again, ``python -m lessons_lib.scoreboard``; ``show`` is for pages.
"""
