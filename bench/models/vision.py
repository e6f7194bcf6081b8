"""Image models of timm that the coverage run compiles: one or two of each architecture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...backend.nn.norm_swap import replace_norms
from ...backend.packages import model_package
from .case import Case

NAMES = (
    "beit_base_patch16_224",
    "botnet26t_256",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "coatnet_0_224",
    "convformer_s18",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_tiny",
    "convnextv2_nano",
    "crossvit_9_240",
    "cspresnet50",
    "darknet53",
    "davit_tiny",
    "deit3_small_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "densenet121",
    "dla34",
    "dpn68",
    "eca_nfnet_l0",
    "edgenext_small",
    "efficientformer_l1",
    "efficientnet_b0",
    "efficientnetv2_s",
    "efficientvit_b0",
    "efficientvit_m0",
    "ese_vovnet19b_dw",
    "eva02_tiny_patch14_224",
    "fasternet_t0",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "gernet_s",
    "ghostnet_100",
    "ghostnetv2_100",
    "gmlp_s16_224",
    "halonet26t",
    "hardcorenas_a",
    "hgnet_tiny",
    "hiera_tiny_224",
    "hrnet_w18",
    "inception_next_tiny",
    "inception_resnet_v2",
    "inception_v3",
    "inception_v4",
    "lambda_resnet26t",
    "lcnet_050",
    "legacy_senet154",
    "levit_128",
    "mambaout_tiny",
    "maxvit_tiny_tf_224",
    "mixer_b16_224",
    "mixnet_s",
    "mnasnet_100",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "nasnetalarge",
    "nest_tiny",
    "nextvit_small",
    "nfnet_f0",
    "pit_ti_224",
    "pnasnet5large",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnetx_002",
    "regnety_004",
    "repghostnet_050",
    "repvgg_a0",
    "repvit_m0_9",
    "res2net50d",
    "resmlp_12_224",
    "resnest14d",
    "resnet18",
    "resnet50",
    "resnetv2_50",
    "resnext50_32x4d",
    "rexnet_100",
    "selecsls42",
    "selecsls42b",
    "sequencer2d_s",
    "seresnet50",
    "skresnet18",
    "starnet_s1",
    "swiftformer_xs",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "tiny_vit_5m_224",
    "tinynet_a",
    "tnt_s_patch16_224",
    "tresnet_m",
    "twins_pcpvt_small",
    "twins_svt_small",
    "vgg11",
    "vgg16_bn",
    "visformer_tiny",
    "vit_base_patch16_224",
    "vit_relpos_small_patch16_224",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "vovnet39a",
    "wide_resnet50_2",
    "xception41",
    "xcit_nano_12_p16_224",
)
"""Names of `timm.create_model`."""


def case(name: str) -> Case:
    """A timm model on its default image, with Online Normalization for batch normalization."""
    timm = model_package("timm")

    model = timm.create_model(name, exportable=True)
    size: tuple[int, ...] = getattr(model, "default_cfg")["input_size"]  # noqa: B009
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        replace_norms(model, "online", overrides=_kept(model))
    image = torch.empty(1, *size, device="meta")
    label = torch.empty(1, dtype=torch.long, device="meta")
    return Case(model.to("meta"), (image, label), F.cross_entropy)


def _kept(model: nn.Module) -> dict[str, str]:
    """Normalizations of one sample stay as they are."""
    return {
        name: "keep"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm | nn.GroupNorm)
    }
