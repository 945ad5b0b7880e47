"""The paper's claims, judged by the records: one row each.

Begin with ``on_copying`` or ``on_text``: a function for each row, which reads records and gives a
``claim.Claim``. ``python -m lessons_lib.scoreboard`` prints them, ``... again ROW`` measures one
again from scratch; ``show`` draws the table of chapter 11.
"""
