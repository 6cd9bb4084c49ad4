"""Objectives: what a training run minimises, chosen by the configuration's ``objective``.

``objective`` is the frame, ``ibc`` the paper's, ``ibc_plus`` ours without the leak, ``table`` lists them.
"""
