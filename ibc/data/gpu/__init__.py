"""Batches made on a GPU, behind one class: ``ibc.data.gpu.loader.GpuLoader``."""
