// c ← alpha · Σ a·b (+ c), by the definition: every label its own loop, the sum in double.
#pragma once
#include <map>

#include "test/reference/access.h"

namespace hessia::reference {

inline void dot(const DotInstruction& i, Bindings bindings) {
  struct Label { int64_t size = 1, a = 0, b = 0, c = 0; };
  std::map<int, Label> all;
  const auto read = [&](const View& v, const std::vector<int>& labels, int64_t Label::*stride) {
    for (size_t d = 0; d < labels.size(); ++d) {
      Label& l = all[labels[d]];
      l.size = v.shape[d];
      l.*stride = v.strides[d];
    }
  };
  read(i.a, i.labels_a, &Label::a);
  read(i.b, i.labels_b, &Label::b);
  read(i.c, i.labels_c, &Label::c);

  std::vector<Label> kept, summed;
  for (int label : i.labels_c) kept.push_back(all[label]);
  for (const auto& [label, l] : all) {
    bool written = false;
    for (int c : i.labels_c) written |= c == label;
    if (!written) summed.push_back(l);
  }
  const auto shape_of = [](const std::vector<Label>& labels) {
    std::vector<int64_t> shape;
    for (const Label& l : labels) shape.push_back(l.size);
    return shape;
  };
  const std::vector<int64_t> outer = shape_of(kept), inner = shape_of(summed);
  if (count(outer) == 0) return;

  std::vector<int64_t> p(outer.size(), 0);
  do {
    int64_t a0 = 0, b0 = 0, c0 = 0;
    for (size_t d = 0; d < kept.size(); ++d) {
      a0 += p[d] * kept[d].a;
      b0 += p[d] * kept[d].b;
      c0 += p[d] * kept[d].c;
    }
    double sum = 0;
    if (count(inner) > 0) {
      std::vector<int64_t> q(inner.size(), 0);
      do {
        int64_t at_a = a0, at_b = b0;
        for (size_t d = 0; d < summed.size(); ++d) {
          at_a += q[d] * summed[d].a;
          at_b += q[d] * summed[d].b;
        }
        sum += load(i.a, bindings, at_a) * load(i.b, bindings, at_b);
      } while (next(q, inner));
    }
    store(i.c, bindings, c0, i.alpha * sum + (i.accumulate ? load(i.c, bindings, c0) : 0.0));
  } while (next(p, outer));
}

}  // namespace hessia::reference
