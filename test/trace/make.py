"""Values of network functions by PyTorch in float64: writes test/trace/functions.npz. Needs torch and numpy."""

import numpy as np
import torch
from torch.nn import functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
out = {}


def case(name, y, **inputs):
    for key, value in inputs.items():
        out[f"{name}/{key}"] = value.detach().numpy()
    out[f"{name}/y"] = y.detach().numpy()


r = torch.randn
x, w, b = r(2, 4, 7, 6), r(6, 2, 3, 2), r(6)
case("conv2d", F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), x=x, w=w, b=b)
x, w = r(2, 3, 9), r(4, 3, 3)
case("conv1d", F.conv1d(x, w, stride=2, padding=1), x=x, w=w)
x, w, b = r(2, 3, 4), r(5, 4), r(5)
case("linear", F.linear(x, w, b), x=x, w=w, b=b)
x = r(2, 2, 7, 6)
case("maxPool2d", F.max_pool2d(x, 3, stride=2, padding=1), x=x)
case("avgPool2d", F.avg_pool2d(x, (3, 2), stride=(2, 1), padding=1), x=x)
case("avgPoolInside", F.avg_pool2d(x, (3, 2), stride=(2, 1), padding=1, count_include_pad=False), x=x)
x, w, b = r(2, 3, 5), r(3, 5), r(3, 5)
case("layerNorm", F.layer_norm(x, (3, 5), w, b), x=x, w=w, b=b)
x, m, v, w, b = r(2, 3, 4, 2), r(3), torch.rand(3) + 0.5, r(3), r(3)
case("batchNorm", F.batch_norm(x, m, v, w, b), x=x, m=m, v=v, w=w, b=b)
q, k, v = r(2, 3, 4, 5), r(2, 3, 6, 5), r(2, 3, 6, 7)
mask = torch.rand(4, 6) > 0.4
mask[:, 0] = True
case("attention", F.scaled_dot_product_attention(q, k, v, attn_mask=mask), q=q, k=k, v=v, mask=mask.to(torch.int32))
q, k, v = r(2, 3, 4, 5), r(2, 3, 4, 5), r(2, 3, 4, 5)
case("causal", F.scaled_dot_product_attention(q, k, v, is_causal=True), q=q, k=k, v=v)
t = torch.randint(0, 5, (2, 3), dtype=torch.int32)
w = r(5, 4)
case("embedding", F.embedding(t, w), t=t, w=w)
x = r(3, 4)
case("softmax", F.softmax(x, -1), x=x)
case("logSoftmax", F.log_softmax(x, 0), x=x)
case("gelu", F.gelu(x), x=x)
lstm = torch.nn.LSTM(3, 4, batch_first=True)
x = r(2, 5, 3)
case("lstm", lstm(x)[0], x=x, w=lstm.weight_ih_l0, h=lstm.weight_hh_l0, b=lstm.bias_ih_l0 + lstm.bias_hh_l0)
mha = torch.nn.MultiheadAttention(6, 2, batch_first=True)
x = r(2, 4, 6)
with torch.no_grad():
    mha.in_proj_bias.normal_()
    mha.out_proj.bias.normal_()
causal = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
y = mha(x, x, x, attn_mask=causal, need_weights=False)[0]
case("multiHeadAttention", y, x=x, **{n: p for n, p in mha.named_parameters()})
np.savez_compressed("test/trace/functions.npz", **out)
