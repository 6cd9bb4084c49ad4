"""The ranking engine: every query against the whole database, on all CPU cores or on a GPU.

packing        signs as 64-bit words, as the kernels take them
kernels        compiled loops over one query and the whole database: distances, ranks, votes, ties
ranking        the checked inputs of one evaluation
blocks         runs a ranking block by block, on the CPU or through torch
torch_ranking  what the kernels do, in torch, for a GPU
in_threads     map in threads, in order
knn_kernel     the k-nearest-neighbour estimate of mutual information
device         whether a GPU pays
"""
