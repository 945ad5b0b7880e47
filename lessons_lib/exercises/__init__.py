"""Checkers of the book's exercises.

Begin with ``check``: ``check("3.2", answer)`` says what is right or likely wrong with an answer.
What readers are told is in a file for each chapter (``ch03.toml``), what is computed beside it
(``ch03``); ``judge`` and ``contents`` have what they share, and ``sandbox`` runs a reader's code.
"""
