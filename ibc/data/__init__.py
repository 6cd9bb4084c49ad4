"""From files to batches: a list file, images decoded, resized, cropped and mirrored, labels beside them.

An image's way: list_file -> loader -> dataset (CPU) or gpu.loader (GPU) -> decode -> transform -> augment -> batch.
"""
