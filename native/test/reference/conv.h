// y[k,n,o,p] = Σ_{i,q} w[k,o,i,q] · x[k,n,g·I+i, p·stride + q·dilation − padLow] and its two adjoints, by the
// definition: one loop over all (k, n, o, p, i, q), the written operand summed in a double buffer.
#pragma once
#include "test/reference/access.h"

namespace hessia::reference {

inline void conv(const ConvInstruction& i, Bindings bindings) {
  const View& target = i.mode == ConvMode::Forward ? i.y : i.mode == ConvMode::Input ? i.x : i.w;
  const size_t spatial = i.strides.size();
  const int64_t out_channels = i.w.shape[1], in_channels = i.w.shape[2];
  const int64_t out_per_group = out_channels / i.groups;
  const std::vector<int64_t> space(i.x.shape.begin() + 3, i.x.shape.end());
  const std::vector<int64_t> positions(i.y.shape.begin() + 3, i.y.shape.end());
  const std::vector<int64_t> window(i.w.shape.begin() + 3, i.w.shape.end());
  const int64_t spaces = count(space), points = count(positions), taps = count(window);
  const int64_t elements = count(target.shape);
  if (elements == 0) return;
  std::vector<double> sum(static_cast<size_t>(elements), 0.0);
  const int64_t per_k = elements / target.shape[0];

  const int64_t batch = i.x.shape[1];
  for (int64_t k = 0; k < target.shape[0]; ++k)
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t o = 0; o < out_channels; ++o)
        for (int64_t c = 0; c < in_channels; ++c)
          for (int64_t p = 0; p < points; ++p)
            for (int64_t q = 0; q < taps; ++q) {
              int64_t at = 0, rest_p = p, rest_q = q, step = 1;
              bool inside = true;
              for (size_t d = spatial; d-- > 0;) {
                const int64_t s = (rest_p % positions[d]) * i.strides[d] + (rest_q % window[d]) * i.dilations[d] - i.pad_low[d];
                rest_p /= positions[d];
                rest_q /= window[d];
                inside = inside && s >= 0 && s < space[d];
                at += s * step;
                step *= space[d];
              }
              if (!inside) continue;
              const int64_t channel = (o / out_per_group) * in_channels + c;
              const int64_t in_x = (n * i.x.shape[2] + channel) * spaces + at;
              const int64_t in_w = (o * in_channels + c) * taps + q;
              const int64_t in_y = (n * out_channels + o) * points + p;
              const auto x = [&] { return load(i.x, bindings, k * i.x.strides[0] + in_x); };
              const auto w = [&] { return load(i.w, bindings, k * i.w.strides[0] + in_w); };
              const auto y = [&] { return load(i.y, bindings, k * i.y.strides[0] + in_y); };
              const auto into = [&](int64_t element) -> double& { return sum[static_cast<size_t>(k * per_k + element)]; };
              if (i.mode == ConvMode::Forward) into(in_y) += w() * x();
              else if (i.mode == ConvMode::Input) into(in_x) += w() * y();
              else into(in_w) += x() * y();
            }

  for (int64_t k = 0; k < target.shape[0]; ++k)
    for (int64_t e = 0; e < per_k; ++e) {
      const int64_t at = k * target.strides[0] + e;
      store(target, bindings, at, sum[static_cast<size_t>(k * per_k + e)] + (i.accumulate ? load(target, bindings, at) : 0.0));
    }
}

}  // namespace hessia::reference
