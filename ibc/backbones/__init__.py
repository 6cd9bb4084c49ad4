"""Backbones: the networks that stand in front of the heads, by the configuration's ``model.backbone``.

``backbone`` says what an entry is, ``table`` lists them, ``network`` puts the heads on any but AlexNet, which is
``ibc.network``.
"""
