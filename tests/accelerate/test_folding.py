"""Batch normalisation folded into convolutions: the same maps, and networks in which it cannot be done."""

import torch
from torch import nn

from ibc.accelerate.folding import folded


def with_statistics(*layers):
    network = nn.Sequential(*layers)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return network.eval()


def test_folded_networks_give_the_same_maps():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4))
    network = with_statistics(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), inner)
    fast, images = folded(network, 16), torch.randn(5, 3, 16, 16)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    assert torch.allclose(fast(images), network(images), atol=1e-5)
    assert isinstance(network[1], nn.BatchNorm2d)  # the network itself stays


class TwoReaders(nn.Module):
    """The convolution's maps are read beside the normalisation, too."""

    def __init__(self):
        super().__init__()
        self.layers = with_statistics(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, images):
        maps = self.layers[0](images)
        return maps + self.layers[1](maps)


def test_what_cannot_be_folded_stays():
    torch.manual_seed(0)
    other = TwoReaders().eval()
    assert folded(other, 16) is other
    plain = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert folded(plain.eval(), 16) is plain
    training = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert folded(training, 16) is training
