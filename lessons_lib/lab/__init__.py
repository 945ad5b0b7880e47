"""How every experiment of the book is run, recorded and read back.

Begin with ``catalogue``: what was run, with which settings and seeds. Then open the module of an
experiment, such as ``copying``: it trains one run from one seed. ``python -m lessons_lib.lab list``
shows the experiments, ``run NAME`` measures what is missing, ``report NAME`` prints the outcomes.
"""
