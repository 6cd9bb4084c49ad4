"""Offline evaluation of binary codes: mAP, bit selection, attributes, mutual information."""
