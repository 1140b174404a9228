#include "kernels/map/axes.h"

#include <cstdlib>

namespace hessia::cpu {

int64_t Axes::count() const {
  int64_t n = 1;
  for (int64_t s : size) n *= s;
  return n;
}

void Axes::swap_axes(int a, int b) {
  std::swap(size[a], size[b]);
  const bool held = reduced[a];
  reduced[a] = reduced[b];
  reduced[b] = held;
  for (auto& s : strides) std::swap(s[a], s[b]);
}

void Axes::drop_axis(int axis) {
  size.erase(size.begin() + axis);
  reduced.erase(reduced.begin() + axis);
  for (auto& s : strides) s.erase(s.begin() + axis);
}

Axes Axes::select(const std::vector<int>& order) const {
  Axes out;
  out.strides.resize(strides.size());
  for (int axis : order) {
    out.size.push_back(size[axis]);
    out.reduced.push_back(reduced[axis]);
    for (size_t v = 0; v < strides.size(); v++) out.strides[v].push_back(strides[v][axis]);
  }
  return out;
}

Axes map_axes(const MapInstruction& m) {
  Axes axes;
  axes.size = m.shape;
  axes.reduced.assign(m.shape.size(), false);
  for (const MapOutput& o : m.outputs) {
    auto strides = o.view.strides;
    if (o.reduce != ReduceKind::None) {
      for (int axis : m.reduced_axes) {
        strides[axis] = 0;
        axes.reduced[axis] = true;
      }
    }
    axes.strides.push_back(strides);
  }
  for (const View& v : m.inputs) axes.strides.push_back(v.strides);
  return axes;
}

void drop_unit_axes(Axes& axes) {
  for (int d = axes.rank() - 1; d >= 0; d--) {
    if (axes.size[d] == 1) axes.drop_axis(d);
  }
}

namespace {

// Positive if axis a should be outside axis b.
int votes(const Axes& axes, int a, int b, int important) {
  int sum = 0;
  for (int v = 0; v < static_cast<int>(axes.strides.size()); v++) {
    const int64_t sa = std::llabs(axes.strides[v][a]), sb = std::llabs(axes.strides[v][b]);
    if (sa == 0 || sb == 0 || sa == sb) continue;
    sum += (sa > sb ? 1 : -1) * (v < important ? 2 : 1);
  }
  return sum;
}

}  // namespace

void sort_axes(Axes& axes, int important) {
  for (int i = 1; i < axes.rank(); i++) {
    for (int j = i; j > 0 && votes(axes, j - 1, j, important) < 0; j--) axes.swap_axes(j - 1, j);
  }
}

void merge_axes(Axes& axes) {
  for (int d = axes.rank() - 2; d >= 0; d--) {
    bool same = axes.reduced[d] == axes.reduced[d + 1];
    for (const auto& s : axes.strides) same = same && s[d] == s[d + 1] * axes.size[d + 1];
    if (!same) continue;
    axes.size[d + 1] *= axes.size[d];
    axes.drop_axis(d);
  }
}

TileView tile_view(const View& view, const std::vector<int64_t>& size, const std::vector<int64_t>& strides) {
  TileView out{};
  out.binding = view.binding;
  out.dtype = view.dtype;
  out.offset = view.offset;
  out.rank = 0;
  for (size_t d = 0; d < size.size(); d++) {
    if (size[d] == 1) continue;
    const int last = out.rank - 1;
    if (last >= 0 && out.stride[last] == strides[d] * size[d]) {
      out.size[last] *= size[d];
      out.stride[last] = strides[d];
    } else {
      out.size[out.rank] = size[d];
      out.stride[out.rank] = strides[d];
      out.rank++;
    }
  }
  return out;
}

}  // namespace hessia::cpu
