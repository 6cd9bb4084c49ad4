"""From images to tallies: streamed equals plain, interrupted equals uninterrupted, memory only changes speed."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from ibc.config import ModelConfig
from ibc.dissection import Settings, dissect, dissect_layers, load_broden, threshold_pass
from ibc.dissection.encoders import HookedEncoder, PlainEncoder, as_encoder
from ibc.dissection.pipeline import STATE_FILE, run_key
from ibc.dissection.quantiles import exact_quantile
from ibc.dissection.responses import official_normalise
from ibc.dissection.resume import Interruptible, unfinished_key
from ibc.dissection.tally_pass import TallyPass
from ibc.dissection.visit_plan import plan_visits
from ibc.errors import InputError
from ibc.network import IBC
from tests.dissection.data import Filters, write_broden
from tests.dissection.slow_tally import slow_counts, slow_iou
from tests.official_weights import set_official_weights

FAST = Settings(workers=0, device="cpu", batch_size=3, null=4, quantile=0.1, top_n=3)
NUMBERS = ("thresholds", "both", "activation", "truth", "pixels", "null", "top_peaks", "top_maps")


def assert_equal(one, other):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    names = [[tally.image_names[place] for place in tally.top_images.reshape(-1)] for tally in (one, other)]
    assert names[0] == names[1]
    if one.alignment is not None:
        for name in ("correlation", "bit_on", "filter_on", "both_on"):
            np.testing.assert_array_equal(getattr(one.alignment, name), getattr(other.alignment, name))


@pytest.fixture
def broden(tmp_path):
    return load_broden(write_broden(tmp_path / "broden", count=24))


class Coded(nn.Module):
    """Filters and bits that follow them, by two hooks' worth of layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Filters(5), nn.Conv2d(5, 4, 3, padding=1)

    def forward(self, images):
        return self.second(self.first(images)).mean((2, 3))


def test_equals_the_plain_definition(broden):
    model = Filters()
    tally = dissect(model, broden, FAST)
    count = len(broden)
    images = torch.stack([broden.read_image(index) for index in range(count)])
    with torch.inference_mode():
        maps = model(official_normalise(images)).numpy()
    values = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    np.testing.assert_allclose(tally.thresholds, exact_quantile(values, int(1000 * 0.9 - 1) / 999), rtol=1e-5)
    planes = [broden.read_planes(index) for index in range(count)]
    both, activation, truth, pixels = slow_counts(maps, tally.thresholds, planes,
                                                  [record.scalars for record in broden.records], broden.primary,
                                                  len(broden.categories))
    np.testing.assert_array_equal(tally.truth, truth)
    for ours, plain in ((tally.both, both), (tally.activation, activation), (tally.pixels, pixels)):
        assert (ours != plain).mean() < 0.02  # a last bit of the convolution may move a pixel
        np.testing.assert_allclose(ours, plain, atol=3)
    np.testing.assert_allclose(tally.iou, slow_iou(both, activation, truth, broden.primary), atol=1e-2)
    peaks = maps.max((2, 3))
    for unit in range(maps.shape[1]):
        expected = np.lexsort((np.arange(count), -peaks[:, unit]))[:3]
        assert [tally.image_names[place] for place in tally.top_images[unit]] == [
            broden.records[index].image for index in expected]


def test_chance_pairs_every_image_with_another_one(broden):
    """The chance tables are those of the plain loops with the labels of the partner."""
    settings = dataclasses.replace(FAST, batch_size=100)
    tally = dissect(Filters(), broden, settings)
    order = plan_visits(broden, 100, 1 + settings.null, settings.seed).order
    images = torch.stack([broden.read_image(int(index)) for index in order])
    with torch.inference_mode():
        maps = Filters()(official_normalise(images).contiguous(memory_format=torch.channels_last)).numpy()
    planes = [broden.read_planes(int(index)) for index in order]
    scalars = [broden.records[index].scalars for index in order]
    for pairing in range(settings.null):
        partner = (np.arange(len(order)) + pairing + 1) % len(order)
        both, activation, truth, _ = slow_counts(maps, tally.thresholds, planes, scalars, broden.primary,
                                                 len(broden.categories), partner)
        np.testing.assert_allclose(tally.null[:, pairing], slow_iou(both, activation, truth, broden.primary).max(1),
                                   atol=1e-2)


@pytest.mark.parametrize("memory", [0, 2000, 20_000])
def test_what_memory_cannot_hold_is_encoded_again(broden, memory):
    whole = dissect_layers(as_encoder(Filters()), broden, FAST)
    tight = dissect_layers(as_encoder(Filters()), broden, dataclasses.replace(FAST, memory=memory))
    assert whole.encoded_again == 0
    assert tight.encoded_again > 0
    assert_equal(whole.tallies[0], tight.tallies[0])


def test_thresholds_too_many_for_their_memory_are_within_their_bound(broden, monkeypatch):
    exact = dissect(Filters(), broden, FAST)
    monkeypatch.setattr(threshold_pass, "QUANTILE_MEMORY", 10_000)
    rough = dissect(Filters(), broden, FAST)
    assert exact.rank_error == 0 < rough.rank_error < 0.1
    images = torch.stack([broden.read_image(index) for index in range(len(broden))])
    with torch.inference_mode():
        values = Filters()(official_normalise(images)).numpy().transpose(1, 0, 2, 3).reshape(7, -1)
    position = 899 / 999
    low, high = (exact_quantile(values, position + sign * (rough.rank_error + 1 / values.shape[1])) for sign in (-1, 1))
    assert (rough.thresholds >= low - 1e-4).all() and (rough.thresholds <= high + 1e-4).all()


class Stop(Exception):
    pass


@pytest.mark.parametrize("seed", range(4))
def test_interrupted_at_random_points(broden, tmp_path, monkeypatch, seed):
    """Killed again and again, with the state saved at some steps only: the tally is that of one run."""
    rng = np.random.default_rng(seed)
    model = IBC(ModelConfig(8, 3, 0.0, pretrained="none", fc_dim=16))
    set_official_weights(model)
    settings = dataclasses.replace(FAST, image_size=(64, 64), output=str(tmp_path / "out"))
    whole = dissect(model, broden, dataclasses.replace(settings, output=None))
    real = Interruptible.after_step

    def dying(self, state):
        self.last_save = -1e9 if rng.random() < 0.5 else 1e18  # due, or not
        real(self, state)
        if rng.random() < 0.3:
            raise Stop

    monkeypatch.setattr(Interruptible, "after_step", dying)
    for _attempt in range(200):
        try:
            run = dissect_layers(as_encoder(model), broden, settings)
            break
        except Stop:
            assert _attempt < 199
    assert_equal(whole, run.tallies[0])
    assert not (tmp_path / "out" / STATE_FILE).exists()


def test_ctrl_c_keeps_what_was_done(broden, tmp_path, monkeypatch):
    settings = dataclasses.replace(FAST, output=str(tmp_path / "out"))
    whole = dissect(Filters(), broden, FAST)
    real = TallyPass.state
    calls = []

    def count(self):
        calls.append(self.done)
        return real(self)

    monkeypatch.setattr(TallyPass, "state", count)
    stop_now = Interruptible.after_step

    def stop(self, state):
        if getattr(state, "__self__", None) is not None:  # in pass two
            self.signals.noted = signal.SIGINT
        stop_now(self, state)

    monkeypatch.setattr(Interruptible, "after_step", stop)
    with pytest.raises(KeyboardInterrupt):
        dissect(Filters(), broden, settings)
    assert calls and (tmp_path / "out" / STATE_FILE).exists()
    monkeypatch.setattr(Interruptible, "after_step", stop_now)
    run = dissect_layers(as_encoder(Filters()), broden, settings)
    assert run.continued
    assert_equal(whole, run.tallies[0])


def test_state_of_other_weights_is_not_used(broden, tmp_path, monkeypatch):
    settings = dataclasses.replace(FAST, output=str(tmp_path / "out"))

    def die(self, state):
        self.last_save = -1e9
        real(self, state)
        raise Stop

    real = Interruptible.after_step
    monkeypatch.setattr(Interruptible, "after_step", die)
    with pytest.raises(Stop):
        dissect(Filters(seed=1), broden, settings)
    monkeypatch.setattr(Interruptible, "after_step", real)
    run = dissect_layers(as_encoder(Filters(seed=2)), broden, settings)
    assert not run.continued
    assert_equal(dissect(Filters(seed=2), broden, FAST), run.tallies[0])


def test_torn_state_is_not_used(broden, tmp_path):
    settings = dataclasses.replace(FAST, output=str(tmp_path))
    (tmp_path / STATE_FILE).write_bytes(b"PK\x03\x04 half a file")
    assert not dissect_layers(as_encoder(Filters()), broden, settings).continued


def test_layers_are_told_apart(broden):
    model = Coded()
    run = dissect_layers(HookedEncoder(model, ["first", "second"]), broden, FAST)
    assert [tally.layer for tally in run.tallies] == ["first", "second"]
    assert_equal(run.tallies[0], dissect(model.first, broden, FAST))
    assert_equal(run.tallies[1], dissect(nn.Sequential(model.first, model.second), broden, FAST))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("memory", [None, 20_000])
def test_gpu_agrees_with_cpu(broden, memory):
    tallies = [dissect(Filters(), broden, dataclasses.replace(FAST, device=device, memory=memory))
               for device in ("cpu", "cuda")]
    np.testing.assert_allclose(tallies[0].thresholds, tallies[1].thresholds, rtol=1e-4)
    np.testing.assert_array_equal(tallies[0].truth, tallies[1].truth)
    for name in ("both", "activation", "pixels"):
        np.testing.assert_allclose(*(getattr(tally, name) for tally in tallies), atol=4)
    np.testing.assert_allclose(tallies[0].null, tallies[1].null, atol=1e-2)


def test_some_units_only(broden):
    whole = dissect(Filters(), broden, FAST)
    some = dissect(Filters(), broden, dataclasses.replace(FAST, units=(2, 5)))
    assert some.units.tolist() == [2, 5]
    np.testing.assert_array_equal(some.both, whole.both[[1, 4]])
    np.testing.assert_array_equal(some.null, whole.null[[1, 4]])
    with pytest.raises(InputError, match="units from 1 to 7"):
        dissect(Filters(), broden, dataclasses.replace(FAST, units=(8,)))


def test_label_maps_of_two_sizes(tmp_path):
    broden = load_broden(write_broden(tmp_path / "broden", count=17, map_sizes=((19, 23), (8, 70))))
    tally = dissect(Filters(), broden, FAST)
    truth = sum(np.bincount(broden.read_planes(index).reshape(-1), minlength=301) for index in range(len(broden)))
    for record in broden.records:
        for label in record.scalars:
            truth[label] += record.map_size[0] * record.map_size[1]
    truth[0] = 0
    np.testing.assert_array_equal(tally.truth, truth)


def test_worker_processes_change_nothing(broden):
    assert_equal(dissect(Filters(), broden, FAST), dissect(Filters(), broden, dataclasses.replace(FAST, workers=2)))


def test_bits_and_filters(broden):
    """Alignment against its definition."""
    model = IBC(ModelConfig(6, 3, 0.0, pretrained="none", fc_dim=16))
    set_official_weights(model)
    settings = dataclasses.replace(FAST, image_size=(64, 64))
    tally = dissect(model, broden, settings)
    images = torch.stack([broden.read_image(index) for index in range(len(broden))])
    images = torch.nn.functional.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    with torch.inference_mode():
        pixels = official_normalise(images)
        maps, codes = model.concept_maps(pixels).numpy(), model.encode(pixels).numpy()
    for unit in range(6):
        with np.errstate(invalid="ignore"):  # a filter that is silent on all images
            expected = np.corrcoef(maps[:, unit].mean((1, 2)), codes[:, unit])[0, 1]
        np.testing.assert_allclose(tally.alignment.correlation[unit], expected, atol=1e-4)
        on, fires = codes[:, unit] > 0.5, maps[:, unit].max((1, 2)) > tally.thresholds[unit]
        assert tally.alignment.bit_on[unit] == on.sum()
        assert tally.alignment.filter_on[unit] == fires.sum()
        assert tally.alignment.iou[unit] == (on & fires).sum() / max((on | fires).sum(), 1)


def test_official_features_and_tally(golden, golden_photographs):
    """The whole way from the photographs, with the thresholds of the original."""
    model = IBC(ModelConfig(32, 10, 20.0, pretrained="none"))
    set_official_weights(model)
    broden = load_broden(golden_photographs / "dissect_data")
    thresholds = np.load(golden / "dissect_quantile.npy")
    record = np.load(golden / "dissect_features.npz")
    settings = Settings(device="cpu", workers=0, null=0)
    run = dissect_layers(as_encoder(model), broden, settings, thresholds=[thresholds])
    tally = run.tallies[0]
    order = np.sort(record["maxfeatures"], axis=0)[::-1][:10].T
    np.testing.assert_allclose(tally.top_peaks, order, rtol=2e-5, atol=1e-6)
    top = [[tally.image_names[place] for place in row] for row in tally.top_images]
    for unit in range(32):
        alive = order[unit] > 0
        assert np.array(top[unit])[alive].tolist() == [
            broden.records[index].image for index in record["top10"][unit][alive]]
        first = record["top10"][unit][0]
        np.testing.assert_allclose(tally.top_maps[unit, 0] * alive[0], record["features"][first, unit], atol=2e-5)


def test_not_a_number(broden):
    model = Filters()
    with torch.no_grad():
        model.convolution.bias[2] = float("nan")
    with pytest.raises(InputError, match="responses of features that are not finite"):
        dissect(model, broden, FAST)


class Fields(nn.Module):
    """Smooth random fields that know nothing of the images."""

    def __init__(self, units):
        super().__init__()
        self.units, self.generator = units, torch.Generator().manual_seed(0)

    def forward(self, images):
        return torch.randn(len(images), self.units, 4, 5, generator=self.generator)


def test_responses_without_meaning_do_not_beat_chance(tmp_path):
    broden = load_broden(write_broden(tmp_path / "broden", count=90))
    tally = dissect(PlainEncoder(Fields(400)), broden, dataclasses.replace(FAST, null=20, batch_size=100,
                                                                           quantile=0.05))
    share = tally.beats_chance.mean()  # one in 21 by luck
    assert share < 1 / 21 + 4 * np.sqrt(1 / 21 / 400)


def changed_image(folder):
    """Another image of the same number of bytes and the same name."""
    file = folder / "images" / "i2.png"
    content = bytearray(file.read_bytes())
    file.write_bytes(content)
    os.utime(file, (1, 1))


def test_an_unfinished_run_is_not_continued_with_changed_images(tmp_path, monkeypatch):
    broden = load_broden(write_broden(tmp_path / "broden"))
    settings = dataclasses.replace(FAST, output=str(tmp_path / "out"))
    real = Interruptible.after_step

    def die(self, state):
        self.last_save = -1e9
        real(self, state)
        raise Stop

    monkeypatch.setattr(Interruptible, "after_step", die)
    with pytest.raises(Stop):
        dissect(Filters(), broden, settings)
    before = unfinished_key(tmp_path / "out")
    assert before == run_key(as_encoder(Filters()), broden, settings)
    changed_image(tmp_path / "broden")
    monkeypatch.setattr(Interruptible, "after_step", real)
    assert before != run_key(as_encoder(Filters()), broden, settings)
    assert not dissect_layers(as_encoder(Filters()), broden, settings).continued


def test_images_that_change_during_a_run_are_noticed(tmp_path, monkeypatch):
    broden = load_broden(write_broden(tmp_path / "broden"))
    settings = dataclasses.replace(FAST, output=str(tmp_path / "out"))
    real, written = TallyPass.run, []

    def change(self):
        real(self)
        changed_image(tmp_path / "broden")

    monkeypatch.setattr(TallyPass, "run", change)
    with pytest.raises(InputError, match="files that changed during the dissection"):
        dissect_layers(as_encoder(Filters()), broden, settings, write=written.append)
    assert not written
    monkeypatch.setattr(TallyPass, "run", real)
    dissect_layers(as_encoder(Filters()), broden, settings, write=written.append)
    assert len(written) == 1
