"""Defaults that several commands and functions share, each in one place. Without imports, so that --help is quick."""

EXPERT_BITS = 13        # bits chosen for a class, as in the paper's tables ...
SUN_EXPERT_BITS = 12    # ... and on SUN
RANDOM_DRAWS = 20       # draws of random bits, for a mean and a deviation
NEIGHBOURS = 10         # nearest items that vote for the class of a query
MIS_SAMPLES = 100       # items drawn for each class, for the mutual information score ...
SUN_MIS_SAMPLES = 20    # ... and on SUN
CURVE_QUERIES = 2000    # queries in the report's curve over the number of bits
SEED = 0                # of every random choice

# Raw float32 files of the official MIS program hold no sizes.
RAW_CODE_LENGTH = 256
RAW_CODES = 5000
RAW_CLASSES = 100
