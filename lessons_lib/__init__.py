"""Helpers of a course on how single-head attention learns.

Where to begin, in the order of reading::

    tasks        inputs: copying, its hard distribution, keywords
    models       the paper's encoder-decoder: ``Seq2Seq`` computes attention
    classifier   the paper's classifier of texts
    ibm_model1   which word translates which, from co-occurrence alone
    training     one loop for all of them
    probes       what a model would say if it looked at one word alone: KTIW
    agreement    A(u, v) and xi: do two ways of weighing words agree?
    stats        intervals and tests;  plots: colours;  config: configurations

Behind this shelf are rooms; the door of each (``help(lessons_lib.lab)``) says what is inside:
``theory`` (what can be derived), ``corpora`` (real text), ``lab`` (experiments and their records,
such as those of chapter 6), ``scoreboard`` (the paper's claims, judged by the records),
``exercises`` (checkers) and ``figures`` (with sliders).
"""

__version__ = "0.1.0"
