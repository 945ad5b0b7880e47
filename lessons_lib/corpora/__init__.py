"""Real text: from files and addresses to numbered batches.

Begin with ``files`` for text of your own, or with ``loaders``: ``load_parallel`` and
``load_labelled`` find, verify and read the corpora of the course. ``toy_language`` makes the corpus
that is always there; ``sources`` downloads and caches; ``vocabulary`` cuts and numbers words, and
``batches`` numbers a corpus.
"""
