"""The engines of ranking and search: every query against the whole database, on all CPU cores or on a GPU.

Ranking, for the evaluation:

packing        signs as 64-bit words, as the kernels take them
kernels        compiled loops over one query and the whole database: distances, ranks, votes, ties
ranking        the checked inputs of one evaluation
blocks         runs a ranking block by block, on the CPU or through torch
torch_ranking  what the kernels do, in torch, for a GPU
in_threads     map in threads, in order
knn_kernel     the k-nearest-neighbour estimate of mutual information
device         whether a GPU pays

Search, for the nearest items:

queries        the checked queries: wanted signs, weights
planes         codes as bit planes, in tiles of 512 items
programs       which planes each query adds up
plane_kernels  compiled loops: distances of a tile, the nearest items kept
plane_search   runs a search on all CPU cores
torch_search   the same in torch, for a GPU
code_files     codes in files: read in blocks, or mapped into memory
"""
