"""Real text: from files and addresses to numbered batches.

Begin with ``loaders``: ``load_parallel`` and ``load_labelled`` find, verify and read the corpora of
the course. ``toy_language`` makes the corpus that is always there; ``vocabulary`` numbers words;
``sources`` downloads and caches.
"""
