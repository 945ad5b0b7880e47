"""How every experiment of the book is run, recorded and read back.

Begin with ``catalogue``: what was run, with which settings and seeds; each entry names the function
that trains one run from one seed. A chapter's numbers are ``records.load(NAME, SCALE)``, read from
``lessons_lib/records/NAME/SCALE/ARM.json``, whose first line has settings and seeds. Made in

- ``translation``: chapters 3, 4 and 8;  ``classification``: 8;  ``interventions``: 5
- ``copying``: 6 and 9, for example ``records.load("hard_distribution", "paper")``
- ``heads``, ``mirror``: 7;  ``starts``, ``ladder``, ``dark``: 9;  ``transformer``, ``carried``: 10

``python -m lessons_lib.lab list`` shows all, ``run NAME`` measures what is missing.
"""
