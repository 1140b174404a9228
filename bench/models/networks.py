"""The architectures of docs/models.md, with random weights: full-size and small (torch, torchvision, timm, transformers)."""

import torch
import torch.nn.functional as F
from torch import nn

# torchvision from a CUDA wheel beside a CPU torch: its operators do not load, and registering shapes for these fails
library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402
import torchvision  # noqa: E402
import transformers  # noqa: E402
from timm.layers import set_fused_attn  # noqa: E402

set_fused_attn(False)  # fused attention has no second derivative in PyTorch


def hardswish(x, inplace=False):
    """PyTorch's own has no second derivative; this one is the same function."""
    return x * (x + 3).clamp(0, 6) / 6


def hardsigmoid(x, inplace=False):
    return (x + 3).clamp(0, 6) / 6


class Block(nn.Sequential):
    def __init__(self, inner, outer):
        conv = lambda a: [nn.Conv2d(a, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.SiLU()]
        super().__init__(*conv(inner), *conv(outer))


class UNet(nn.Module):
    """Encoder and decoder of doubled convolutions joined by skips; up by transposed convolution and by interpolation."""

    def __init__(self, width, depth, classes=2):
        super().__init__()
        widths = [width * 2**i for i in range(depth + 1)]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip([3, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths, widths[1:]))
        self.join = nn.ModuleList(Block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x if not skips else F.avg_pool2d(x, 2))
            skips.append(x)
        for up, join, skip in reversed(list(zip(self.up, self.join, skips))):
            x = join(torch.cat([up(x), skip], 1))
        return F.interpolate(self.head(x), scale_factor=2, mode="bilinear")


class Language(nn.Module):
    def __init__(self, vocabulary, width, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, num_layers=layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0])


class Output(nn.Module):
    """One tensor of a Hugging Face model, by name."""

    def __init__(self, model, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x):
        # without a mask GPT-2 looks for packed sequences with an operator that the classic exporter does not have
        extra = {"attention_mask": torch.ones_like(x)} if not x.is_floating_point() else {}
        return getattr(self.model(x, return_dict=True, **extra), self.name)


def hugging(kind, config, name="logits", part=None, attention="eager", **options):
    if config != "Whisper":
        options["use_cache"] = False
    config = getattr(transformers, f"{config}Config")(**options, attn_implementation=attention)
    model = getattr(transformers, kind)(config, **({"add_pooling_layer": False} if kind == "BertModel" else {}))
    return Output(model if part is None else getattr(model, part), name)


def image(size, batch=1):
    return lambda: torch.randn(batch, 3, size, size)


def tokens(vocabulary, length, batch=1):
    return lambda: torch.randint(1, vocabulary, (batch, length))


vision = torchvision.models
no_dropout = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
FULL = {
    "ResNet-18": (vision.resnet18, image(224)),
    "ResNet-50": (vision.resnet50, image(224)),
    "MobileNetV3-Large": (vision.mobilenet_v3_large, image(224)),
    "EfficientNet-B0": (vision.efficientnet_b0, image(224)),
    "ConvNeXt-Tiny": (vision.convnext_tiny, image(224)),
    "ViT-S/16": (lambda: timm.create_model("vit_small_patch16_224"), image(224)),
    "Swin-Tiny": (lambda: timm.create_model("swin_tiny_patch4_window7_224"), image(224)),
    "U-Net": (lambda: UNet(32, 4), image(128)),
    "GPT-2 (124M)": (lambda: hugging("GPT2LMHeadModel", "GPT2", attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0), tokens(50257, 64)),
    "BERT-base": (lambda: hugging("BertModel", "Bert", name="last_hidden_state", **no_dropout), tokens(30522, 64)),
    "LLaMA-style (39M)": (
        lambda: hugging("LlamaForCausalLM", "Llama", vocab_size=16000, hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=2, intermediate_size=1408, max_position_embeddings=256),
        tokens(16000, 64),
    ),
    "Whisper-tiny encoder": (lambda: hugging("WhisperModel", "Whisper", name="last_hidden_state", part="encoder", max_source_positions=500), lambda: torch.randn(1, 80, 1000)),
    "LSTM language model": (lambda: Language(10000, 512, 2), tokens(10000, 32)),
}

# few blocks of few channels: what the exporters write is the same, and a file takes some kilobytes
mobile = vision.mobilenetv3.InvertedResidualConfig
mbconv = vision.efficientnet.MBConvConfig
SMALL = {
    "resnet": (lambda: timm.models.ResNet(timm.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=3, stem_type="deep", stem_width=2, channels=(2, 3, 3, 4)), image(32, 2)),
    "mobilenetv3": (
        lambda: vision.MobileNetV3([mobile(4, 3, 8, 4, False, "RE", 1, 1, 1), mobile(4, 5, 8, 8, True, "HS", 2, 1, 1), mobile(8, 3, 12, 8, True, "HS", 1, 1, 1)], last_channel=8, num_classes=3, dropout=0.0),
        image(16, 2),
    ),
    "efficientnet": (lambda: vision.EfficientNet([mbconv(1, 3, 1, 4, 4, 1), mbconv(2, 3, 2, 4, 6, 1), mbconv(2, 5, 1, 6, 6, 1)], dropout=0.0, stochastic_depth_prob=0.0, last_channel=8, num_classes=3), image(16, 2)),
    "convnext": (lambda: timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(2, 3, 3, 4), num_classes=3), image(32, 2)),
    "vit": (lambda: timm.models.VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3), image(8, 2)),
    "swin": (lambda: timm.models.SwinTransformer(img_size=16, patch_size=2, embed_dim=4, depths=(2, 1), num_heads=(1, 2), window_size=4, num_classes=3), image(16, 2)),
    "unet": (lambda: UNet(3, 2), image(8, 2)),
    # PyTorch's fused attention, whose gradient PyTorch itself cannot differentiate
    "fused-bert": (lambda: hugging("BertModel", "Bert", name="last_hidden_state", attention="sdpa", vocab_size=19, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, max_position_embeddings=8, **no_dropout), tokens(19, 6, 2)),
    "fused-vit": (lambda: fused_vit(), image(8, 2)),
}


def fused_vit():
    set_fused_attn(True)
    try:
        return timm.models.VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, num_classes=3)
    finally:
        set_fused_attn(False)
