"""Studies: methods, code lengths and seeds compared, one trained and scored run at a time.

``plan`` reads the file that lists them, ``run`` trains and scores one, ``scores`` computes its numbers, ``table`` and
``plots`` show them all.
"""
