"""Batches made on a GPU: files read ahead by processes, decoded by nvJPEG, cropped there."""
