"""One IBC update: schedule, forward of both halves in one pass, seven losses, Adam, GRM projection.

A batch (B, 3, H, W) with labels (B, L) goes in, the eight official loss values come out. The first
half of the batch trains without masks, the second with the rule matrix row of each image's class.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ibc import losses
from ibc.config import Config
from ibc.data.augment import normalise
from ibc.distributed import global_mean, total, world_size
from ibc.errors import input_error
from ibc.network import IBC
from ibc.pretrained import load_pretrained
from ibc.schedule import lr_factor
from ibc.targets import Half, masked_half, plain_half

LOSS_NAMES = ("loss_real_cls_std", "loss_code_cls_std", "loss_real_cls_mask", "loss_code_cls_mask",
              "loss_rule_sparse", "loss_kl_div", "loss_code_sparse", "loss_total")
# (module, multiple of lr) in the official order of the optimiser's groups; the GRM comes last.
GROUPS = (("conv_basic", 1), ("pre_hash_layer", 1), ("hash_layer", 10), ("hash_prediction", 10),
          ("conv_last", 10), ("classifier", 1), ("real_prediction", 10))
GRM_LR = 10


class Trainer:
    """Network, optimiser and schedule of a run; ``step`` makes one update.

    Reads no list file. ``pretrained=False`` keeps the random start (a checkpoint will follow).
    """

    def __init__(self, config: Config, device: str | torch.device = "cpu", *, pretrained: bool = True,
                 amp: str = "off", compile_update: bool = False):
        self.config = config
        self.device = torch.device(device)
        self.amp = amp
        self.iteration = 0  # updates done
        torch.manual_seed(config.seed)  # start values, dropout and multi-label draws
        self.model = IBC(config.model, config.init)
        if pretrained:
            load_pretrained(self.model, config.model)
        self.model.enc_style.alexnet.classifier[6].requires_grad_(False)  # in no group: never trained
        self.model.to(self.device).train()
        weights = config.model.class_weights
        self.class_weights = None if weights is None else torch.tensor(weights)
        self.optimizer = make_optimizer(self.model, config)
        self._losses = torch.compile(self._compute_losses) if compile_update else self._compute_losses

    def step(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One update; returns the eight official losses (0-dim tensors on the device).

        images: (B, 3, H, W), uint8 or already normalised floats, B even. labels: (B, L) float.
        """
        if len(images) % 2:
            raise input_error(None, f"a batch of {len(images)} images", "an even number of images")
        self.iteration += 1
        factor = lr_factor(self.config, self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        plain, masked = self._halves(labels)
        values = self._losses(self._to_device(images), plain, masked)
        self.optimizer.zero_grad(set_to_none=True)
        values["loss_total"].backward()
        if plain.count == masked.count == 0:  # as in the original, these layers then take no step
            for module in ("classifier", "real_prediction", "hash_prediction"):
                for parameter in getattr(self.model.enc_style, module).parameters():
                    parameter.grad = None
        self.optimizer.step()
        project_grm(self.model.GRM)
        return {name: values[name].detach() for name in LOSS_NAMES}

    def _halves(self, labels: Tensor) -> tuple[Half, Half]:
        """Targets of both halves, with denominators over all processes."""
        model, half = self.config.model, len(labels) // 2
        labels = labels.cpu()
        halves = (plain_half(labels[:half], model.multi_label, model.class_num, self.class_weights),
                  masked_half(labels[half:], model.multi_label, model.class_num, self.class_weights))
        dtype = self.model.GRM.dtype
        for part in halves:
            if world_size() > 1:
                sums = total(torch.stack([part.denominator, torch.tensor(float(part.count))]).to(self.device)).cpu()
                part.denominator, part.count = sums[0] / world_size(), int(sums[1])
            if part.count == 0:
                part.denominator = torch.tensor(1.0)  # the loss is 0: nothing is summed
        return halves[0].to(self.device, dtype), halves[1].to(self.device, dtype)

    def _to_device(self, images: Tensor) -> Tensor:
        images = images.to(self.device, non_blocking=True)
        return normalise(images) if images.dtype == torch.uint8 else images.to(self.model.GRM.dtype)

    def _compute_losses(self, images: Tensor, plain: Half, masked: Half) -> dict[str, Tensor]:
        config, grm, half = self.config, self.model.GRM, len(images) // 2
        # G[y] for the rows with a class; others keep their bits and maps as they are.
        rows = grm[masked.targets.clamp(min=0)]
        gates = torch.where(masked.rows[:, None] > 0, rows, torch.ones_like(rows))
        with torch.autocast(self.device.type, torch.bfloat16) if self.amp == "bf16" else nullcontext():
            out = self.model(images, torch.cat([torch.ones_like(gates), gates]))
        codes, real_logits = out.codes, out.real_logits.to(grm.dtype)
        code_logits = self.model.classify_codes(torch.cat([codes[:half], codes[half:] * gates]))
        density = global_mean(losses.code_density(codes[half:]))
        values = {
            "loss_real_cls_std": self._class_loss(real_logits[:half], plain),
            "loss_code_cls_std": self._class_loss(code_logits[:half], plain),
            "loss_real_cls_mask": self._class_loss(real_logits[half:], masked),
            "loss_code_cls_mask": self._class_loss(code_logits[half:], masked),
            "loss_rule_sparse": losses.grm_loss(grm, config.model.thr_g),
            "loss_kl_div": losses.alignment_loss(out.maps[half:], codes[half:]),
            "loss_code_sparse": losses.code_sparsity_loss(density, config.model.code_len),
        }
        values["loss_total"] = (config.hash_std_w * values["loss_code_cls_std"]
                                + config.hash_mask_w * values["loss_code_cls_mask"]
                                + config.GRM_w * values["loss_rule_sparse"]
                                + config.align_w * values["loss_kl_div"]
                                + config.real_std_w * values["loss_real_cls_std"]
                                + config.real_mask_w * values["loss_real_cls_mask"]
                                + config.sparse_w * values["loss_code_sparse"])
        return values

    def _class_loss(self, logits: Tensor, half: Half) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device, logits.dtype)
        if half.vectors is not None:
            return losses.multi_label_loss(logits, half.vectors, half.rows, weights, half.denominator)
        return losses.class_loss(logits, half.targets, weights, half.denominator)

    def state(self) -> dict[str, Any]:
        """What ``optimizer.pt`` holds: optimiser, iteration, random state; tensors and plain types."""
        random = {"torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {"optimizer": self.optimizer.state_dict(), "iteration": self.iteration, "random": random}

    def load_state(self, state: dict[str, Any], source: str) -> None:
        """Take back ``state()``, or the official ``{'optimizer'}`` (which leaves iteration and random state)."""
        fresh = [{key: value for key, value in group.items() if key != "params"}
                 for group in self.optimizer.param_groups]
        try:
            self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, ValueError, TypeError) as error:
            raise input_error(source, f"an optimiser state that does not fit ({error})",
                              "the state of a run with the same network",
                              "delete it to go on with fresh optimiser state") from None
        for group, values in zip(self.optimizer.param_groups, fresh, strict=True):
            group.update(values)  # rates and flags come from the config, moments from the file
        for parameter, entry in self.optimizer.state.items():
            if any(entry[name].shape != parameter.shape for name in ("exp_avg", "exp_avg_sq")):
                raise input_error(source, "moments of another shape", "the state of a run with the same network",
                                  "delete it to go on with fresh optimiser state")
            entry["step"] = torch.as_tensor(entry["step"], dtype=torch.float32).to(parameter.device)
        self.iteration = int(state.get("iteration", self.iteration))
        random = state.get("random", {})
        if "torch" in random:
            torch.set_rng_state(random["torch"])
        if "cuda" in random and self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)


def make_optimizer(model: IBC, config: Config) -> torch.optim.Adam:
    """Adam with the eight official groups; ``initial_lr`` keeps each group's start rate."""
    groups: list[dict[str, Any]] = []
    for name, multiple in GROUPS:
        groups.append({"params": list(getattr(model.enc_style, name).parameters()), "lr": config.lr * multiple})
    groups.append({"params": [model.GRM], "lr": config.lr * GRM_LR})
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.Adam(groups, betas=(config.beta1, config.beta2), eps=1e-8,
                            weight_decay=config.weight_decay, fused=True)


@torch.no_grad()
def project_grm(grm: Tensor) -> None:
    """In place: every column over its largest magnitude, cut to [0, 1].

    A column of zeros stays (in the original it becomes NaN for ever).
    """
    largest = grm.abs().amax(dim=0, keepdim=True)
    grm.div_(torch.where(largest > 0, largest, 1)).clamp_(0, 1)
