"""Checkers of the book's exercises.

Begin with ``check``: ``check("3.2", answer)`` says what is right or likely wrong with an answer.
Each chapter has a file of its own (``ch03``); ``judge`` has what they share, and ``sandbox`` runs
a reader's code within limits.
"""
