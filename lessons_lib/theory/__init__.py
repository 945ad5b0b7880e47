"""What can be derived: small systems whose learning has a closed form or an exact simulation.

Begin with ``two_words``, the keyword classifier of chapter 2. ``phase_portrait`` has the plane in
which a head on the hard distribution moves, and the two ways out of its saddle; ``portrait`` puts
trained models into it; ``reduced_model`` trains the smallest model that takes both ways; ``odds``
says from a start which one.
"""
