"""Streams of batches for training and for encoding, read ahead of their use.

The order of a training run is a function of the seed and the update number: a run that was interrupted goes on with
the very batch that would have come.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from ibc.config import Config
from ibc.cores import cores_here
from ibc.data.batch import Batch, Key
from ibc.data.dataset import ImageDataset
from ibc.data.gpu.decode_streams import nvjpeg_available
from ibc.data.gpu.loader import GpuLoader
from ibc.data.list_file import ImageList, extend_with_attributes, read_list
from ibc.data.loader_workers import by_workers
from ibc.data.transform import ImageTransform
from ibc.errors import input_error
from ibc.processes import share_of_halves

ENCODING_BATCH = 100  # images, where the config gives no batch_size
MOST_READERS = 8      # processes that read files for a decoder on the GPU


def images_for_training(config: Config) -> ImageList:
    """The training list, with the attribute list appended where the config names one. Raises InputError."""
    images = _read(config, "train_list_file")
    if config.train_attr_list_file is not None:
        images = extend_with_attributes(images, _read(config, "train_attr_list_file"))
    return images


def images_for_testing(config: Config) -> ImageList:
    """The test list. Raises InputError."""
    return _read(config, "test_list_file")


def _read(config: Config, key: str) -> ImageList:
    config.require_data(key)
    return read_list(getattr(config, key), config.data_folder, class_num=config.model.class_num,
                     multi_label=config.model.multi_label, filter_labels=config.filter_labels or ())


class TrainingOrder(Sampler[list[Key]]):
    """Keys of the batches ``start``, ``start + 1``, ... ``stop - 1`` of a run, for process ``rank`` of ``size``.

    Every epoch is a new permutation, drawn from (seed, epoch); its incomplete last batch is dropped.
    """

    def __init__(self, count: int, batch_size: int, seed: int, start: int, stop: int, rank: int = 0, size: int = 1):
        """count: images in the list. batch_size: images in a batch of all processes together."""
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.start, self.stop = start, stop
        self.share = share_of_halves(batch_size, rank, size)

    def __len__(self) -> int:
        """Number of batches."""
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Key]]:
        """(epoch, index) of each image of a batch, batch after batch."""
        in_epoch = self.count // self.batch_size
        permuted, order = -1, torch.empty(0)
        for number in range(self.start, self.stop):
            epoch, place = divmod(number, in_epoch)
            if epoch != permuted:
                permuted, order = epoch, epoch_order(self.count, self.seed, epoch)
            batch = order[place * self.batch_size : (place + 1) * self.batch_size]
            yield [(epoch, index) for index in batch[self.share].tolist()]


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """(count,) int64: the order of the images in one epoch."""
    generator = torch.Generator().manual_seed((seed * 0x9E3779B1 + epoch) % 2**63)
    return torch.randperm(count, generator=generator)


def training_batches(config: Config, images: ImageList, start: int, device: torch.device, *, skip_bad: bool = False,
                     rank: int = 0, size: int = 1) -> Iterator[Batch]:
    """Batches of the updates ``start`` + 1 to ``max_iter``: the share of process ``rank`` of ``size`` of each.

    The images are on ``device``, or in main memory when they are made on the CPU. Raises InputError for an image that
    cannot be read; with ``skip_bad`` another image replaces it.
    """
    order = training_order(config, images, start, rank, size)
    transform = ImageTransform(config.crop_size, config.train_size, config.resize == "always", train=True,
                               strong=config.crop == "strong")
    return _stream(config, images, transform, order, device, skip_bad, config.cache)


def training_order(config: Config, images: ImageList, start: int, rank: int = 0, size: int = 1) -> TrainingOrder:
    """The order of ``training_batches``. Raises InputError where the list is shorter than a batch."""
    if len(images) < config.batch_size:
        raise input_error(config.source, f"{len(images)} training images and batch_size {config.batch_size}",
                          "at least one batch of images", "lower batch_size")
    return TrainingOrder(len(images), config.batch_size, config.seed, start, config.max_iter, rank, size)


def view_batches(config: Config, images: ImageList, view: int, places: range, step: int, device: torch.device, *,
                 skip_bad: bool = False) -> Iterator[Batch]:
    """Batches of ``step`` training images, those at ``places``, in one version: 0 the centre, others augmented.

    Raises InputError for an image that cannot be read. With ``skip_bad`` it is left out of version 0, and another image
    replaces it in the others.
    """
    transform = ImageTransform(config.crop_size, config.train_size, config.resize == "always", train=view > 0,
                               strong=view > 0 and config.crop == "strong")
    order = [[(view, index) for index in places[first : first + step]] for first in range(0, len(places), step)]
    return _stream(config, images, transform, order, device, skip_bad, "off")


def encoding_batches(config: Config, images: ImageList, device: torch.device, *, resize_always: bool | None = None,
                     skip_bad: bool = False) -> Iterator[Batch]:
    """The images of a list in its order, cropped at their centre, the last batch as large as it comes.

    ``resize_always``: resize every image; None: as the config says. Raises InputError for an image that cannot be
    read; with ``skip_bad`` it is left out.
    """
    always = config.resize == "always" if resize_always is None else resize_always
    transform = ImageTransform(config.crop_size, config.test_size, always, train=False)
    step = config.batch_size or ENCODING_BATCH
    order = [[(0, index) for index in range(first, min(first + step, len(images)))]
             for first in range(0, len(images), step)]
    return _stream(config, images, transform, order, device, skip_bad, "off")


def _stream(config: Config, images: ImageList, transform: ImageTransform, order: TrainingOrder | list[list[Key]],
            device: torch.device, skip_bad: bool, cache: str) -> Iterator[Batch]:
    """Batches by the decoder that the config and the device ask for. Raises InputError for the error of a batch."""
    if config.decoder == "nvjpeg" and device.type != "cuda":
        raise input_error(config.source, "decoder: nvjpeg on the CPU", "a GPU", "set decoder to auto")
    if device.type == "cuda" and config.decoder in ("auto", "nvjpeg") and _gpu_loader_wanted(config, device, cache):
        readers = min(config.num_workers, cores_here(), MOST_READERS)
        return GpuLoader(images, transform, device, seed=config.seed, skip_bad=skip_bad, cache=cache,
                         readers=readers).batches(order)
    cores = cores_here()
    # Beside a network that computes on the same cores, workers hold up its threads more than they help.
    workers = min(config.num_workers, cores // 4 if device.type == "cpu" else cores)
    dataset = ImageDataset(images, transform, seed=config.seed, decoder=cpu_decoder(config.decoder), skip_bad=skip_bad,
                           threads=1 if workers else cores)
    return (batch.checked() for batch in by_workers(dataset, order, workers))


def _gpu_loader_wanted(config: Config, device: torch.device, cache: str) -> bool:
    """Whether the GPU makes the batches: nvJPEG can decode there, or decoded images are to be kept."""
    available = nvjpeg_available(device)
    if config.decoder == "nvjpeg" and not available:
        raise input_error(config.source, "decoder: nvjpeg, which this torchvision was built without", "nvJPEG",
                          "set decoder to auto")
    return available or cache != "off"


def cpu_decoder(name: str) -> str:
    """The CPU decoder that a word of the config stands for. libjpeg-turbo gives Pillow's very pixels, faster."""
    return "pillow" if name == "pillow" else "turbo"
