"""Figures with a slider that live in a notebook, on a page and in print.

Begin with ``explore``: ``explore(draw, step=range(10))`` gives one figure with three lives: a
widget where Python runs, a self-contained slider on a page, a still image elsewhere.
"""
