"""What only a GPU can show: its loader, the captured update, and repeatability there."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.backends import cudnn

from ibc.accelerate.encoder import _Encoder
from ibc.accelerate.trunk import _PooledFirst, for_inference
from ibc.config import load_config
from ibc.data.batch import Batch
from ibc.data.loader import encoding_batches as batches_of
from ibc.data.loader import images_for_testing as images_of
from ibc.data.loader import training_batches
from ibc.extraction import encode_batches
from ibc.network import IBC
from ibc.trainer import Trainer
from tests.small_run import make_run, run_alone

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture
def config(tmp_path):
    return load_config(make_run(tmp_path / "data", max_iter=20))


def collect(config, device, **changes):
    for key, value in changes.items():
        setattr(config, key, value)
    batches = training_batches(config, images_of(config), 0, device)
    return [batch._replace(images=batch.images.cpu()) for batch in batches]


@pytest.mark.parametrize("cache", ["off", "device", "host"])
@pytest.mark.parametrize("new_size", [80, 160])  # 160 with a crop of 150: every picture is enlarged
def test_gpu_batches_are_the_cpu_ones(config, cache, new_size):
    if new_size == 160:
        config.new_size, config.crop_image_height, config.crop_image_width = 160, 150, 150
    cpu = collect(config, CPU)
    gpu = collect(config, GPU, cache=cache)
    assert len(cpu) == len(gpu) == 20
    for one, other in zip(cpu, gpu, strict=True):
        assert torch.equal(one.indices, other.indices) and torch.equal(one.labels, other.labels)
        difference = (one.images.int() - other.images.int()).abs().float()
        assert difference.mean() < 4  # decoders round differently; another crop would differ by 20 and more


def test_gpu_loader_names_or_skips_bad_images(config, tmp_path):
    (tmp_path / "data/images/007.jpg").write_bytes((tmp_path / "data/images/007.jpg").read_bytes()[:-300])
    (tmp_path / "data/images/011.jpg").unlink()
    images = images_of(config)
    with pytest.raises(ValueError, match=r"007\.jpg"):
        list(batches_of(config, images, GPU))
    kept = list(batches_of(config, images, GPU, skip_bad=True))
    assert sorted(error.path[-7:] for batch in kept for error in batch.skipped) == ["007.jpg", "011.jpg"]
    assert torch.cat([batch.indices for batch in kept]).tolist() == [i for i in range(40) if i not in (7, 11)]
    trained = list(training_batches(config, images, 0, GPU, skip_bad=True))
    assert all(len(batch.images) == 8 for batch in trained)


def test_gpu_loader_takes_every_kind_of_picture(config, tmp_path):
    """Progressive and CMYK JPEGs and PNGs come the slower ways, at their place in the batch."""
    folder = tmp_path / "data/images"
    for number, (mode, options) in {3: ("RGB", {"format": "JPEG", "progressive": True}), 6: ("L", {"format": "JPEG"}),
                                    9: ("CMYK", {"format": "JPEG"}), 12: ("RGB", {"format": "PNG"})}.items():
        with Image.open(folder / f"{number:03}.jpg") as picture:
            picture.convert(mode).save(folder / f"{number:03}.jpg", **options)
    images = images_of(config)
    for one, other in zip(batches_of(config, images, CPU), batches_of(config, images, GPU), strict=True):
        difference = (one.images.int() - other.images.cpu().int()).abs().float().mean(dim=(1, 2, 3))
        assert len(difference) and difference.max() < 4


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_captured_update_equals_the_ordinary_one(config, amp):
    """Same losses, and the weights move the same way (Adam's first steps amplify rounding: small lr)."""
    config.lr, config.step_size, config.model.dropout = 1e-6, 5, 0
    random = torch.Generator().manual_seed(0)
    trainers = [Trainer(config, GPU, amp=amp, compile_update=fast) for fast in (False, True)]
    start = trainers[0].model.enc_style.hash_layer.weight.detach().clone()
    tolerance = 2e-3 if amp == "off" else 0.05
    for number in range(10):
        images = torch.randint(0, 256, (8, 3, 72, 72), dtype=torch.uint8, generator=random)
        labels = torch.randint(0, 4, (8, 1), generator=random).float()
        if number == 7:
            labels[:] = 99999  # no category at all: an update that is not replayed
        slow, fast = (trainer.step(images, labels) for trainer in trainers)
        for name, value in slow.items():
            assert float(fast[name]) == pytest.approx(float(value), rel=tolerance, abs=tolerance * 0.05), (number, name)
    assert trainers[1].update.recording is not None
    moves = [(trainer.model.enc_style.hash_layer.weight.detach() - start).flatten() for trainer in trainers]
    assert torch.nn.functional.cosine_similarity(*moves, dim=0) > 0.9
    assert float(moves[0].norm()) == pytest.approx(float(moves[1].norm()), rel=0.1)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("in_blocks", [False, True])
def test_faster_trunks_are_the_plain_one(config, in_blocks, order):
    """Without gradient cuDNN adds biases and applies ReLUs by itself, and channels last our kernels pool."""
    model = IBC(config.model).to(GPU)
    training, inference = _PooledFirst(model), for_inference(model)
    training.blocked_stem = in_blocks
    images = torch.randn(8, 3, 72, 72, generator=torch.Generator().manual_seed(0)).to(GPU, memory_format=order)
    with cudnn.flags(allow_tf32=False):
        plain, trained = model.features(images), training.features(images)
        with torch.inference_mode():
            inferred = inference.features(images)
    assert inferred.grad_fn is None and trained.grad_fn is not None
    for fast in (trained, inferred):
        assert torch.allclose(fast, plain, rtol=1e-4, atol=1e-5 * float(plain.detach().abs().max()))


def test_replayed_extraction_is_that_of_every_batch_by_itself(config):
    """Sizes of a list whose first batch lacks a bad image; the same bits, whatever is replayed."""
    model = IBC(config.model).to(GPU).eval()
    random = torch.Generator().manual_seed(0)
    batches, first = [], 0
    for size in (7, 8, 8, 8, 7, 8, 3):
        images = torch.randint(0, 256, (size, 3, 72, 72), dtype=torch.uint8, generator=random).to(GPU)
        indices = torch.arange(first, first + size)
        images = images.contiguous(memory_format=torch.channels_last)
        batches.append(Batch(images, indices[:, None], indices, [], None))
        first += size
    encoded = encode_batches(model, batches, first, GPU)
    slow = torch.cat([_Encoder(model, GPU)(batch.images) for batch in batches]).cpu()
    assert np.array_equal(encoded.codes, slow.numpy()) and encoded.indices.tolist() == list(range(first))
    assert len({row.tobytes() for row in encoded.codes}) == first


def test_accelerated_update_follows_the_plain_one_on_a_gpu(config):
    """Dropout included: both draw the same random numbers."""
    plain, fast = Trainer(config, GPU, plain=True), Trainer(config, GPU)
    random = torch.Generator().manual_seed(0)
    with cudnn.flags(allow_tf32=False):
        for number in range(3):
            images = torch.randint(0, 256, (8, 3, 72, 72), dtype=torch.uint8, generator=random)
            labels = torch.randint(0, 4, (8, 1), generator=random).float()
            found = []
            for trainer in (plain, fast):
                torch.manual_seed(number)
                found.append(trainer.step(images, labels))
            for name, value in found[0].items():
                assert float(found[1][name]) == pytest.approx(float(value), rel=1e-3, abs=1e-6), (number, name)


def test_gpu_update_follows_the_cpu_one(config):
    config.model.dropout = 0
    slow, fast = Trainer(config, CPU), Trainer(config, GPU)
    fast.model.load_state_dict(slow.model.state_dict())
    random = torch.Generator().manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False
    try:
        for _ in range(3):
            images = torch.randint(0, 256, (8, 3, 72, 72), dtype=torch.uint8, generator=random)
            labels = torch.randint(0, 4, (8, 1), generator=random).float()
            one, other = slow.step(images, labels), fast.step(images, labels)
            for name, value in one.items():
                assert float(other[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-6), name
    finally:
        torch.backends.cudnn.allow_tf32 = True


def test_deterministic_run_repeats_and_resumes(tmp_path):
    config = make_run(tmp_path / "data")
    for name, limit, resume in (("a", 14, []), ("b", 14, []), ("c", 6, []), ("c", 14, ["--resume"])):
        result = run_alone("train.py", "--config", config, "--deterministic", "--output_path", tmp_path / name,
                           "--set", f"max_iter={limit}", *resume)
        assert result.returncode == 0, result.stderr
        assert "decoding this batch on the CPU" not in result.stderr  # other pixels, by a grey level
    states = [torch.load(tmp_path / name / "outputs/small/checkpoints/checkpoint_00000014.pt", weights_only=True)
              for name in "abc"]
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name]), name
        assert torch.equal(value, states[2]["state_dict"][name]), name


def test_codes_on_both_devices(tmp_path):
    config = make_run(tmp_path / "data")
    assert run_alone("train.py", "--config", config, "--output_path", tmp_path).returncode == 0
    for device in ("cpu", "cuda"):
        result = run_alone("fea_extraction.py", "--config", config, "--checkpoint", tmp_path / "outputs/small",
                           "--save_name", device, "--device", device, "--output_path", tmp_path)
        assert result.returncode == 0, result.stderr
    cpu, gpu = (np.load(tmp_path / f"results/small/{device}.npz")["binary_codes"] for device in ("cpu", "cuda"))
    assert np.abs(cpu - gpu).mean() < 0.02
