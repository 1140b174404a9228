// Convolution and its adjoints as implicit matrix products: the correlations and weight gradients of lower.h, k
// folded as on the CPU, with patches read where they lie instead of being copied. Tables of offsets are made
// once per instruction. Sums as product.h; same bits every time.
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "device/cuda/offsets.h"
#include "device/cuda/product.h"
#include "kernels/conv/lower.h"

namespace hessia::cuda {
namespace {

using cpu::kSpace;

// Patches of images: element (image, position t, channel, tap), zero outside.
struct Patches {
  int64_t taps, positions;
  int64_t in[kSpace], out[kSpace], step[kSpace];
  const int64_t* offsets;  // three of each tap

  template <class T> __device__ T read(const T* image, int64_t t, int64_t channel, int64_t tap) const {
    const int64_t t2 = t % out[2], t1 = t / out[2] % out[1], t0 = t / (out[2] * out[1]);
    const int64_t s0 = t0 * step[0] + offsets[3 * tap], s1 = t1 * step[1] + offsets[3 * tap + 1], s2 = t2 * step[2] + offsets[3 * tap + 2];
    if (s0 < 0 || s0 >= in[0] || s1 < 0 || s1 >= in[1] || s2 < 0 || s2 >= in[2]) return T(0);
    return image[((channel * in[0] + s0) * in[1] + s1) * in[2] + s2];
  }
};
// b of a correlation: k = (channel, tap), j = (image, position).
template <class T> struct PatchColumns {
  const T* data;
  Offsets units, images;
  Patches patches;
  bool j_fastest;
  __device__ T at(int64_t unit, int64_t k, int64_t j) const {
    const int64_t image = j / patches.positions, channel = k / patches.taps;
    return patches.read(data + units.at(unit) + images.at(image), j - image * patches.positions, channel, k - channel * patches.taps);
  }
};
template <class T> struct CorrelationResult {
  T* data;
  Offsets units, rows, images, places;
  int64_t positions;
  bool accumulate;
  __device__ void put(int64_t unit, int64_t i, int64_t j, T x) const {
    const int64_t image = j / positions;
    T& to = data[units.at(unit) + rows.at(i) + images.at(image) + places.at(j - image * positions)];
    to = accumulate ? to + x : x;
  }
};
// a and b of a weight gradient: k = (image, position), i an output channel, j = (channel, tap).
template <class T> struct OutputColumns {
  const T* data;
  Offsets units, rows, images;
  int64_t positions;
  bool k_fastest;
  __device__ T at(int64_t unit, int64_t i, int64_t k) const {
    const int64_t image = k / positions;
    return data[units.at(unit) + rows.at(i) + images.at(image) + k - image * positions];
  }
};
template <class T> struct PatchRows {
  const T* data;
  Offsets units, images;
  Patches patches;
  bool j_fastest;
  __device__ T at(int64_t unit, int64_t k, int64_t j) const {
    const int64_t image = k / patches.positions, channel = j / patches.taps;
    return patches.read(data + units.at(unit) + images.at(image), k - image * patches.positions, channel, j - channel * patches.taps);
  }
};

// ---- plans --------------------------------------------------------------------------------------------
struct Part {
  int64_t m, n, k, units;
  Patches patches;
  DeviceArray<int64_t> tap_offsets;
  // of the correlation: in, w, out; of the weight gradient: x, y, out
  OffsetTable unit_in, unit_w, unit_out, w_rows, w_cols, out_rows, image_in, image_out, places;
};
struct ConvPlan {
  std::vector<Part> parts;
  bool gaps = false;
};

template <class Unit, class Field> std::vector<int64_t> column(const std::vector<Unit>& units, Field field) {
  std::vector<int64_t> all;
  for (const Unit& u : units) all.push_back(u.*field);
  return all;
}

void set_patches(Part& part, const cpu::Correlation& c, const std::shared_ptr<Context>& context) {
  std::vector<int64_t> offsets;
  for (int64_t a : c.axis[0].offset)
    for (int64_t b : c.axis[1].offset)
      for (int64_t d : c.axis[2].offset) offsets.insert(offsets.end(), {a, b, d});
  part.tap_offsets = DeviceArray<int64_t>(context, offsets);
  part.patches.taps = c.taps();
  part.patches.positions = c.positions();
  for (int d = 0; d < kSpace; d++) {
    part.patches.in[d] = c.axis[d].in;
    part.patches.out[d] = c.axis[d].out;
    part.patches.step[d] = c.axis[d].step;
  }
  part.patches.offsets = part.tap_offsets.data();
}

template <class T> Part correlation_part(const cpu::Correlate<T>& p, const std::shared_ptr<Context>& context) {
  using cpu::CorrelateUnit;
  Part part{};
  set_patches(part, p.correlation, context);
  part.m = static_cast<int64_t>(p.w_rows.size());
  part.n = static_cast<int64_t>(p.image_in.size()) * part.patches.positions;
  part.k = static_cast<int64_t>(p.w_cols.size());
  part.units = static_cast<int64_t>(p.units.size());
  part.unit_in = OffsetTable(context, column(p.units, &CorrelateUnit::in));
  part.unit_w = OffsetTable(context, column(p.units, &CorrelateUnit::w));
  part.unit_out = OffsetTable(context, column(p.units, &CorrelateUnit::out));
  part.w_rows = OffsetTable(context, p.w_rows);
  part.w_cols = OffsetTable(context, p.w_cols);
  part.out_rows = OffsetTable(context, p.out_rows);
  part.image_in = OffsetTable(context, p.image_in);
  part.image_out = OffsetTable(context, p.image_out);
  part.places = OffsetTable(context, cpu::position_offsets(p.correlation, p.extent));
  return part;
}
template <class T> Part weight_part(const cpu::WeightGradient<T>& p, const std::shared_ptr<Context>& context) {
  using cpu::WeightUnit;
  Part part{};
  set_patches(part, p.correlation, context);
  part.m = static_cast<int64_t>(p.y_rows.size());
  part.n = p.channels * part.patches.taps;
  part.k = static_cast<int64_t>(p.image_x.size()) * part.patches.positions;
  part.units = static_cast<int64_t>(p.units.size());
  part.unit_in = OffsetTable(context, column(p.units, &WeightUnit::x));
  part.unit_w = OffsetTable(context, column(p.units, &WeightUnit::y));
  part.unit_out = OffsetTable(context, column(p.units, &WeightUnit::out));
  part.w_rows = OffsetTable(context, p.y_rows);
  part.out_rows = OffsetTable(context, p.out_rows);
  part.image_in = OffsetTable(context, p.image_x);
  part.image_out = OffsetTable(context, p.image_y);
  return part;
}

template <class T> std::shared_ptr<const ConvPlan> build(const ConvInstruction& i, Bindings bindings, const std::shared_ptr<Context>& context) {
  auto plan = std::make_shared<ConvPlan>();
  if (i.mode == ConvMode::Weight) {
    plan->parts.push_back(weight_part(cpu::weight_problem<T>(i, bindings), context));
  } else if (i.mode == ConvMode::Forward) {
    plan->parts.push_back(correlation_part(cpu::forward_problem<T>(i, bindings), context));
  } else {
    for (const auto& p : cpu::input_problems<T>(i, bindings, plan->gaps)) plan->parts.push_back(correlation_part(p, context));
  }
  return plan;
}

template <class T> T* start(const View& v, Bindings bindings) { return base_of<T>(v, bindings) + v.offset; }

template <class T> void run(const ConvInstruction& i, Bindings bindings, Workspace& ws) {
  if (!i.plan) i.plan = build<T>(i, bindings, gpu(ws).context);
  const ConvPlan& plan = *static_cast<const ConvPlan*>(i.plan.get());
  T *x = start<T>(i.x, bindings), *w = start<T>(i.w, bindings), *y = start<T>(i.y, bindings);
  if (plan.gaps && !i.accumulate) fill(FillInstruction{i.x, 0.0}, bindings, ws);
  for (const Part& p : plan.parts) {
    if (i.mode == ConvMode::Weight) {
      const OutputColumns<T> a{y, p.unit_w.get(), p.w_rows.get(), p.image_out.get(), p.patches.positions, true};
      const PatchRows<T> b{x, p.unit_in.get(), p.image_in.get(), p.patches, false};
      const Result<T> c{w, p.unit_out.get(), p.out_rows.get(), Offsets{nullptr, 1}, T(1), i.accumulate};
      product<T>(p.m, p.n, p.k, p.units, a, b, c, ws);
    } else {
      const bool forward = i.mode == ConvMode::Forward;
      const Left<T> a{w, p.unit_w.get(), p.w_rows.get(), p.w_cols.get(), true};
      const PatchColumns<T> b{forward ? x : y, p.unit_in.get(), p.image_in.get(), p.patches, true};
      const CorrelationResult<T> c{forward ? y : x, p.unit_out.get(), p.out_rows.get(), p.image_out.get(), p.places.get(),
                                   p.patches.positions, i.accumulate};
      product<T>(p.m, p.n, p.k, p.units, a, b, c, ws);
    }
  }
}

}  // namespace

void conv(const ConvInstruction& i, Bindings bindings, Workspace& ws) {
  if (i.x.dtype == DType::Float64) run<double>(i, bindings, ws);
  else run<float>(i, bindings, ws);
}

}  // namespace hessia::cuda
