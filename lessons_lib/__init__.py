"""Helpers of a course on how single-head attention learns.

The shelf, in the order of reading::

    tasks        inputs: Copying() is the hard distribution; keywords
    models       the paper's encoder-decoder: Seq2Seq.scores and .attend compute attention
    classifier   the paper's classifier of texts;  ibm_model1: words from co-occurrence alone
    training     one loop for all of them
    probes       lexical_probe: what a model would say if it looked at one word alone (KTIW)
    agreement    A(u, v) and xi: do two ways of weighing words agree?
    stats        intervals and tests;  plots: colours;  config: configurations

Behind it are rooms; the door of each, ``help(lessons_lib.lab)``, says where to begin::

    theory       what can be derived: two words, and the plane of the hard distribution
    corpora      real text: the course's, or yours
    lab          every experiment of the book
    records      the numbers of the book, as data: lab.records.load("NAME") reads one
    scoreboard   the paper's claims, judged by the records
    exercises    check("1.2", answer);  figures: figures with a slider
"""

__version__ = "0.1.0"
