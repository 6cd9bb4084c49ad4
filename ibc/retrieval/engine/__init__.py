"""The ranking engine: compiled kernels on the CPU, torch on a GPU."""
