"""The obvious way to do what the package does fast: the twin that tests and benchmarks compare with.

Two forward passes an update, boolean indexing, no fused optimiser; Pillow and float32 tensors in
the loader, as in the official design.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ibc.config import Config
from ibc.data.list_file import ImageList
from ibc.network import IBC
from ibc.optimiser import GRM_LR, GROUPS


class PlainTrainer:
    """The update of the paper, written down step by step."""

    def __init__(self, config: Config, device: str = "cpu", model: IBC | None = None):
        self.config, self.iteration = config, 0
        torch.manual_seed(config.seed)
        self.model = (model or IBC(config.model, config.init)).to(device).train()
        encoder = self.model.enc_style
        groups = [{"params": list(getattr(encoder, name).parameters()), "lr": config.lr * factor}
                  for name, factor in GROUPS]
        groups.append({"params": [self.model.GRM], "lr": config.lr * GRM_LR})
        self.optimizer = torch.optim.Adam(groups, betas=(config.beta1, config.beta2), weight_decay=config.weight_decay)
        self.scheduler = (torch.optim.lr_scheduler.StepLR(self.optimizer, config.step_size, config.gamma)
                          if config.lr_policy == "step" else None)
        weights = config.model.class_weights
        self.weights = None if weights is None else torch.tensor(weights, device=device, dtype=self.model.GRM.dtype)

    def forward(self, images: Tensor, gates: Tensor | None, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        encoder = self.model.enc_style
        features = encoder.conv_basic(images)
        if features.shape[-1] != 6:
            features = nn.AdaptiveAvgPool2d(6)(features)
        codes = torch.sigmoid(encoder.hash_layer(encoder.pre_hash_layer(features.flatten(1))))
        maps = F.relu(encoder.conv_last(features))
        hidden = maps
        if gates is not None and len(valid):
            hidden = maps.clone()
            hidden[valid] = maps[valid] * gates[:, :, None, None]
        return codes, maps, encoder.real_prediction(encoder.classifier(hidden.flatten(1)))

    def step(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        config, model = self.config, self.model
        grm, classify = model.GRM, model.enc_style.hash_prediction
        self.iteration += 1
        if self.scheduler is not None:
            self.optimizer._opt_called = True  # the official order: the scheduler before the first update
            self.scheduler.step()
        half = len(images) // 2
        multi = config.model.multi_label

        codes, _, logits = self.forward(images[:half], None, None)
        plain = labels[:half].to(images.device)
        rows = torch.nonzero(plain[:, 0] != 99999)[:, 0]
        if multi:
            real_std, code_std = (self.vectors_loss(x[rows], plain[rows]) for x in (logits, classify(codes)))
        else:
            real_std, code_std = (self.ids_loss(x[rows], plain[rows, 0].long()) for x in (logits, classify(codes)))

        masked = labels[half:].clone()
        if multi:
            for row in masked:
                positives = torch.nonzero(row == 1)[:, 0]
                row[0] = positives[torch.randperm(len(positives))[0]] if len(positives) else 99999
        masked = masked.to(images.device)
        rows = torch.nonzero(masked[:, 0] != 99999)[:, 0]
        ids = masked[rows, 0].long()
        codes, maps, logits = self.forward(images[half:], grm[ids], rows)
        code_logits = classify(codes[rows] * grm[ids])
        if multi:
            one_hot = F.one_hot(ids, config.model.class_num).to(grm.dtype)
            real_mask, code_mask = self.vectors_loss(logits[rows], one_hot), self.vectors_loss(code_logits, one_hot)
        else:
            real_mask, code_mask = self.ids_loss(logits[rows], ids), self.ids_loss(code_logits, ids)
        rule = F.relu(grm.abs().sum() - config.model.thr_g)
        p = F.avg_pool2d(maps, maps.shape[-1]).flatten(1)
        q = F.softmax(codes, dim=1)
        kl = (q * (F.log_softmax(codes, dim=1) - F.log_softmax(p, dim=1))).mean()
        sparse = F.relu(codes.abs().sum(1).mean() - 0.2 * config.model.code_len)
        total = (config.hash_std_w * code_std + config.hash_mask_w * code_mask + config.GRM_w * rule
                 + config.align_w * kl + config.real_std_w * real_std + config.real_mask_w * real_mask
                 + config.sparse_w * sparse)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        with torch.no_grad():
            for bit in range(grm.shape[1]):
                largest = grm[:, bit].abs().max()
                if largest > 0:
                    grm[:, bit] = (grm[:, bit] / largest).clamp(0, 1)
        return {"loss_real_cls_std": real_std, "loss_code_cls_std": code_std, "loss_real_cls_mask": real_mask,
                "loss_code_cls_mask": code_mask, "loss_rule_sparse": rule, "loss_kl_div": kl,
                "loss_code_sparse": sparse, "loss_total": total}

    def ids_loss(self, logits: Tensor, ids: Tensor) -> Tensor:
        return F.cross_entropy(logits, ids, self.weights) if len(ids) else torch.zeros((), device=logits.device)

    def vectors_loss(self, logits: Tensor, vectors: Tensor) -> Tensor:
        if not len(vectors):
            return torch.zeros((), device=logits.device)
        return F.binary_cross_entropy_with_logits(logits, vectors, pos_weight=self.weights)


class PlainDataset(Dataset):
    """Pillow, torchvision transforms, one float tensor an image."""

    def __init__(self, images: ImageList, crop: tuple[int, int], train: bool):
        from torchvision import transforms as T

        self.images = images
        steps = [T.RandomHorizontalFlip(), T.RandomCrop(crop)] if train else [T.CenterCrop(crop)]
        self.transform = T.Compose([*steps, T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.images.files[index]) as image:
            return self.transform(image.convert("RGB")), torch.from_numpy(self.images.labels[index])


def plain_loader(images: ImageList, crop: tuple[int, int], batch_size: int, workers: int, train: bool) -> DataLoader:
    return DataLoader(PlainDataset(images, crop, train), batch_size, shuffle=train, num_workers=workers,
                      drop_last=train, pin_memory=torch.cuda.is_available())


def plain_codes(model: IBC, images: Tensor) -> np.ndarray:
    """Extraction as in the official program: both branches, the real-valued one thrown away."""
    with torch.no_grad():
        return model(images).codes.cpu().numpy()
