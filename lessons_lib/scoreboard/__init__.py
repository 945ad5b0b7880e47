"""The paper's claims, judged by the records: one row each.

Begin with ``rows.toml``, the claims and their rules. Each has a function in ``on_text``,
``on_copying`` or ``on_heads``, which reads records and says which criteria hold. ``python -m
lessons_lib.scoreboard`` prints them, ``... again ROW`` measures one again; ``show`` is for pages.
"""
