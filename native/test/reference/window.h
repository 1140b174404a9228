// Sliding windows by the definition: one loop over (n, p, q).
#pragma once
#include <cmath>

#include "test/reference/access.h"

namespace hessia::reference {

inline void window(const WindowInstruction& i, Bindings bindings) {
  const size_t spatial = i.window.size();
  const std::vector<int64_t> space(i.x.shape.begin() + 1, i.x.shape.end());
  const std::vector<int64_t> positions(i.y.shape.begin() + 1, i.y.shape.end());
  const int64_t spaces = count(space), points = count(positions), taps = count(i.window);
  if (i.mode == WindowMode::SumTranspose)
    for (int64_t e = 0; e < i.x.shape[0] * spaces; ++e) store(i.x, bindings, e, 0.0);

  for (int64_t n = 0; n < i.x.shape[0]; ++n)
    for (int64_t p = 0; p < points; ++p) {
      double sum = 0, best = 0;
      int64_t best_at = -1;
      for (int64_t q = 0; q < taps; ++q) {
        int64_t at = 0, rest_p = p, rest_q = q, step = 1;
        bool inside = true;
        for (size_t d = spatial; d-- > 0;) {
          const int64_t s = (rest_p % positions[d]) * i.strides[d] + (rest_q % i.window[d]) * i.dilations[d] - i.pad_low[d];
          rest_p /= positions[d];
          rest_q /= i.window[d];
          inside = inside && s >= 0 && s < space[d];
          at += s * step;
          step *= space[d];
        }
        if (!inside) continue;
        const int64_t in_x = n * spaces + at;
        if (i.mode == WindowMode::SumTranspose) {
          store(i.x, bindings, in_x, load(i.x, bindings, in_x) + load(i.y, bindings, n * points + p));
          continue;
        }
        const double value = load(i.x, bindings, in_x);
        sum += value;
        if (best_at < 0 || value > best || (std::isnan(value) && !std::isnan(best))) {
          best = value;
          best_at = at;
        }
      }
      if (i.mode == WindowMode::Sum) store(i.y, bindings, n * points + p, sum);
      if (i.mode == WindowMode::Argmax) store(i.y, bindings, n * points + p, static_cast<double>(best_at < 0 ? 0 : best_at));
    }
}

}  // namespace hessia::reference
