"""Settings of a dissection, under the official names: edit, then run main.py without a flag.

Every flag of main.py overrides one of these. Relative paths start at this folder.
"""

GPU = True                  # use a GPU where there is one
TEST_MODE = False           # a quick look: index_sm.csv and small batches
CUSTOM = True               # True: an IBC checkpoint, MODEL_FILE. False: the torchvision network MODEL
MODEL = "imagenet100"       # names the results; or the torchvision network
MODEL_FILE = "../outputs/imagenet100/checkpoints"  # file, or a folder whose newest is taken; for a
                            # torchvision network a state dict, "imagenet" (as published) or None (random weights)
FEATURE_NAMES = ["conv_last"]      # layers; conv_last holds the concept filters of an IBC network
DATA_DIRECTORY = "../datasets/broden1_227"
INDEX_FILE = "index_sm.csv" if TEST_MODE else "index.csv"
OUTPUT_FOLDER = "result/" + MODEL
IMG_SIZE = None             # pixels a side; None: as the model was trained, by its config; else as stored
CATAGORIES = ["object", "part", "texture", "color", "material", "scene"]  # (sic)
QUANTILE = 0.005            # a unit fires where its response is among this upper fraction
SCORE_THRESHOLD = 0.01      # IoU from which a unit counts as interpretable (0.04 in NetDissect)
TOPN = 10                   # images shown for each unit
WORKERS = 1 if TEST_MODE else 8    # processes that decode
BATCH_SIZE = 4 if TEST_MODE else 128
