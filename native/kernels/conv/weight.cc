// Each thread takes some images (and, where partial sums would get too large, some channels) and adds into a
// result of its own, laid out [(c, j)][o] so that vectors run along o; the parts are added in order.
#include "kernels/conv/weight.h"

#include <algorithm>

#include "base/workspace.h"
#include "kernels/conv/patches.h"
#include "kernels/gemm/gemm.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kPatchBytes = 384 << 10;       // per thread, in a 2 MiB second-level cache
constexpr int64_t kPartialBytes = 256ll << 20;  // of all partial results
constexpr int64_t kFewRows = 4;                 // of y: sums along positions instead (gemm/inner.h)

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t aligned(int64_t elements) { return ceil_div(elements, 16) * 16; }

// Adds channels [c0, c1) of one chunk to `sum`.
template <class T>
Gemm<T> chunk_product(const WeightGradient<T>& p, const Patches& patches, const WeightUnit& unit, const Chunk& chunk,
                      int64_t c0, int64_t c1, T* buffer, T* sum, std::vector<int64_t>& table) {
  const int64_t taps = p.correlation.taps(), n = static_cast<int64_t>(p.y_rows.size());
  const int64_t positions = patches.positions(chunk), first = patches.first_position(chunk);
  const int64_t each = positions / chunk.images, plane = p.correlation.axis[0].in * p.correlation.axis[1].in * p.correlation.axis[2].in;
  const int64_t* image_x = p.image_x.data() + chunk.image;
  const int64_t* image_y = p.image_y.data() + chunk.image;

  Gemm<T> g{};
  g.m = (c1 - c0) * taps;
  g.n = n;
  g.k = positions;
  g.alpha = T(1);
  g.accumulate = true;
  g.a_rows = listed(g.m, patches.rows().data());
  g.a_cols = strided(positions, 1);
  table.clear();
  if (chunk.images > 1) {
    for (int64_t i = 0; i < chunk.images; ++i)
      for (int64_t t = 0; t < each; ++t) table.push_back(image_y[i] - image_y[0] + t);
    if (patches.in_place())
      for (int64_t i = 0; i < chunk.images; ++i)
        for (int64_t t = 0; t < each; ++t) table.push_back(image_x[i] - image_x[0] + t);
  }
  if (patches.in_place()) {
    g.a = p.x + unit.x + image_x[0] + c0 * plane + first;
    if (chunk.images > 1) g.a_cols = listed(positions, table.data() + positions);
  } else {
    if (buffer)
      for (int64_t i = 0; i < chunk.images; ++i)
        patches.fill(chunk, i, p.x + unit.x + image_x[i] + c0 * plane, c1 - c0, buffer);
    g.a = buffer;
  }
  g.b = p.y + unit.y + image_y[0] + first;
  g.b_rows = chunk.images > 1 ? listed(positions, table.data()) : strided(positions, 1);
  g.b_cols = listed(n, p.y_rows.data());
  g.c = sum;
  g.c_rows = strided(g.m, n);
  g.c_cols = strided(n, 1);
  return n <= kFewRows ? transposed(g) : g;
}

}  // namespace

template <class T>
void weight_gradient(const WeightGradient<T>& p, Workspace& workspace) {
  const int64_t taps = p.correlation.taps(), n = static_cast<int64_t>(p.y_rows.size());
  const int64_t images = static_cast<int64_t>(p.image_x.size()), units = static_cast<int64_t>(p.units.size());
  const int64_t rows = p.channels * taps, positions = images > 0 ? p.correlation.positions() : 0;
  if (n == 0 || rows == 0 || units == 0) return;
  if (positions == 0) {
    if (!p.accumulate)
      for (const WeightUnit& unit : p.units)
        for (int64_t row : p.out_rows) std::fill_n(p.out + unit.out + row, rows, T(0));
    return;
  }
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const double work = static_cast<double>(units * rows * n) * static_cast<double>(images) * static_cast<double>(positions);
  const int64_t threads = work < 200000 ? 1 : workspace.threads;

  const int64_t wanted = ceil_div(threads, units);  // parts of one unit
  const int64_t affordable = std::max<int64_t>(1, kPartialBytes / (units * rows * n * static_cast<int64_t>(sizeof(T))));
  const Patches patches(p.correlation, p.channels, images, sizeof(T), kernels.lanes, kPatchBytes, wanted);
  const int64_t chunks = patches.chunks();
  const int64_t chunk_parts = std::min({wanted, affordable, chunks});
  const int64_t channel_parts = std::clamp<int64_t>(ceil_div(wanted, chunk_parts), 1, p.channels);
  const int64_t tasks = units * chunk_parts * channel_parts;

  // Chunks and channel parts differ by a line, an image or a channel, and the largest need not come first.
  const auto first_channel = [&](int64_t part) { return p.channels * part / channel_parts; };
  std::vector<int64_t> table;
  T* nowhere = nullptr;
  int64_t run_scratch = 0;
  for (int64_t c = 0; c < chunks; ++c)
    for (int64_t part = 0; part < channel_parts; ++part) {
      const Gemm<T> g = chunk_product(p, patches, p.units[0], patches.chunk(c), first_channel(part), first_channel(part + 1),
                                      nowhere, nowhere, table);
      run_scratch = std::max(run_scratch, kernels.scratch_elements(g, {0, g.m, 0, g.n, 0, g.k}));
    }
  const int64_t each = aligned(patches.buffer_elements()) + aligned(run_scratch), sum_size = aligned(rows * n);
  T* sums = static_cast<T*>(workspace.scratch(static_cast<size_t>(units * chunk_parts * sum_size + threads * each) * sizeof(T)));
  T* scratch = sums + units * chunk_parts * sum_size;

#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(static, 1) if (threads > 1)
  for (int64_t thread = 0; thread < threads; ++thread) {
    T* buffer = scratch + thread * each;
    std::vector<int64_t> offsets;
    for (int64_t i = tasks * thread / threads; i < tasks * (thread + 1) / threads; ++i) {
      const int64_t channel_part = i % channel_parts, chunk_part = i / channel_parts % chunk_parts;
      const int64_t unit = i / (channel_parts * chunk_parts);
      const int64_t c0 = first_channel(channel_part), c1 = first_channel(channel_part + 1);
      T* sum = sums + (unit * chunk_parts + chunk_part) * sum_size + c0 * taps * n;
      std::fill_n(sum, (c1 - c0) * taps * n, T(0));
      for (int64_t c = chunks * chunk_part / chunk_parts; c < chunks * (chunk_part + 1) / chunk_parts; ++c) {
        const Gemm<T> g = chunk_product(p, patches, p.units[static_cast<size_t>(unit)], patches.chunk(c), c0, c1, buffer,
                                        sum, offsets);
        kernels.run(g, {0, g.m, 0, g.n, 0, g.k}, buffer + aligned(patches.buffer_elements()));
      }
    }
  }

#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(static) if (threads > 1)
  for (int64_t i = 0; i < units * n; ++i) {
    const int64_t unit = i / n, o = i % n;
    T* out = p.out + p.units[static_cast<size_t>(unit)].out + p.out_rows[static_cast<size_t>(o)];
    const T* from = sums + unit * chunk_parts * sum_size + o;
    for (int64_t row = 0; row < rows; ++row) {
      T total = from[row * n];
      for (int64_t part = 1; part < chunk_parts; ++part) total += from[part * sum_size + row * n];
      out[row] = p.accumulate ? out[row] + total : total;
    }
  }
}

template void weight_gradient<float>(const WeightGradient<float>&, Workspace&);
template void weight_gradient<double>(const WeightGradient<double>&, Workspace&);

}  // namespace hessia::cpu
