"""How every experiment of the book is run, recorded and read back.

Begin with ``catalogue``: what was run, with which settings and seeds, by which function. A
chapter's numbers are ``records.load(NAME, SCALE)``, and ``outcomes`` says what became of its runs;
``run``, ``parallel``, ``long_runs`` and ``cluster`` make records. Of which chapters:

- 3, 4, 8, real text: ``translation``, ``classification``, ``translator`` (the authors' size),
  ``words_first``, ``translated`` (two heads), ``own_text`` (yours); ``blocks`` compares runs, with
  ``saliency`` and ``decoding``
- 5: ``interventions``;  6: ``copying``;  7: ``heads``, ``mirror``
- 9: ``starts``, ``dark``, ``ladder``;  10: ``transformer``, ``carried``

``python -m lessons_lib.lab list`` shows all, ``run NAME`` measures what is missing.
"""
