"""Images and labels: list files, decoding, augmentation, batches, preparation."""
