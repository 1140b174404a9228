#include "kernels/conv/correlate.h"

#include <algorithm>

#include "base/workspace.h"
#include "kernels/conv/patches.h"
#include "kernels/gemm/gemm.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kPatchBytes = 384 << 10;  // per thread, in a 2 MiB second-level cache

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t aligned(int64_t elements) { return ceil_div(elements, 16) * 16; }

// The positions of a correlation without taps: zero, or what was there.
template <class T>
void clear(const Correlate<T>& p, const std::vector<int64_t>& positions) {
  for (const CorrelateUnit& unit : p.units)
    for (int64_t image : p.image_out)
      for (int64_t row : p.out_rows)
        for (int64_t position : positions) p.out[unit.out + image + row + position] = T(0);
}

// One product: rows [m0, m1) of w with the patches of one chunk.
struct Task { int64_t unit, chunk, m0, m1; };

template <class T>
void run_task(const Correlate<T>& p, const Patches& patches, const Task& task, const std::vector<int64_t>& positions,
              const T* packed, T* scratch, std::vector<int64_t>& columns) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const CorrelateUnit& unit = p.units[static_cast<size_t>(task.unit)];
  const Chunk chunk = patches.chunk(task.chunk);
  const int64_t n = patches.positions(chunk), first = patches.first_position(chunk);
  const int64_t* image_in = p.image_in.data() + chunk.image;
  const int64_t* image_out = p.image_out.data() + chunk.image;
  const int64_t each = n / chunk.images;

  Gemm<T> g{};
  g.m = task.m1 - task.m0;
  g.n = n;
  g.k = static_cast<int64_t>(p.w_cols.size());
  g.packed_a = packed;
  g.alpha = T(1);
  g.accumulate = p.accumulate;
  g.b_rows = listed(g.k, patches.rows().data());
  g.b_cols = strided(n, 1);
  T* rest = scratch + aligned(patches.buffer_elements());
  const bool one = chunk.images == 1;
  columns.clear();
  if (!one) {
    if (patches.in_place()) {
      for (int64_t i = 0; i < chunk.images; ++i)
        for (int64_t t = 0; t < each; ++t) columns.push_back(image_in[i] - image_in[0] + t);
    }
    for (int64_t i = 0; i < chunk.images; ++i)
      for (int64_t t = 0; t < each; ++t)
        columns.push_back(image_out[i] - image_out[0] + positions[static_cast<size_t>(first + t)]);
  }
  if (patches.in_place()) {
    g.b = p.in + unit.in + image_in[0] + first;
    g.b_rows = strided(g.k, g.k > 1 ? patches.rows()[1] : 1);
    if (!one) g.b_cols = listed(n, columns.data());
  } else {
    for (int64_t i = 0; i < chunk.images; ++i)
      patches.fill(chunk, i, p.in + unit.in + image_in[i], p.channels, scratch);
    g.b = scratch;
    g.b_in_place = true;
  }
  g.c = p.out + unit.out + image_out[0];
  g.c_rows = listed(g.m, p.out_rows.data() + task.m0);
  const bool dense = positions.back() == static_cast<int64_t>(positions.size()) - 1;  // they only increase
  if (!one) {
    g.c_cols = listed(n, columns.data() + (patches.in_place() ? n : 0));
  } else if (dense) {
    g.c += first;
    g.c_cols = strided(n, 1);
  } else {
    g.c_cols = listed(n, positions.data() + first);
  }
  kernels.run(g, {0, g.m, 0, n, 0, g.k}, rest);
}

}  // namespace

template <class T>
void correlate(const Correlate<T>& p, Workspace& workspace) {
  const int64_t m = static_cast<int64_t>(p.w_rows.size()), depth = static_cast<int64_t>(p.w_cols.size());
  const int64_t images = static_cast<int64_t>(p.image_in.size()), units = static_cast<int64_t>(p.units.size());
  const std::vector<int64_t> positions = position_offsets(p.correlation, p.extent);
  if (positions.empty() || m == 0 || images == 0) return;
  if (depth == 0) {
    if (!p.accumulate) clear(p, positions);
    return;
  }
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const double work = static_cast<double>(units * m * depth) * static_cast<double>(images) * static_cast<double>(positions.size());
  const int64_t threads = work < 200000 ? 1 : workspace.threads;
  const Patches patches(p.correlation, p.channels, images, sizeof(T), kernels.lanes, kPatchBytes, ceil_div(threads, units));

  // Rows of w are cut only if images and lines are too few for the team.
  const int64_t chunks = patches.chunks();
  const int64_t row_parts = std::clamp<int64_t>(ceil_div(threads, units * chunks), 1, ceil_div(m, kernels.row_tile));
  const int64_t tasks = units * row_parts * chunks;
  const auto cut = [&](int64_t part) { return std::min(m, ceil_div(m, kernels.row_tile) * part / row_parts * kernels.row_tile); };

  Gemm<T> shape{};
  shape.m = m;
  shape.n = patches.most_positions();
  shape.k = depth;
  shape.packed_a = p.w;
  shape.b_cols = patches.in_place() && patches.chunk(0).images > 1 ? listed(shape.n, positions.data()) : strided(shape.n, 1);
  shape.b_in_place = !patches.in_place();
  const int64_t run_scratch = kernels.scratch_elements(shape, {0, m, 0, shape.n, 0, depth});
  const int64_t each = aligned(patches.buffer_elements()) + aligned(run_scratch), packed_size = aligned(units * m * depth);
  T* packed = static_cast<T*>(workspace.scratch(static_cast<size_t>(packed_size + threads * each) * sizeof(T)));

#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(static) if (threads > 1)
  for (int64_t i = 0; i < units * row_parts; ++i) {
    const int64_t unit = i / row_parts, m0 = cut(i % row_parts), m1 = cut(i % row_parts + 1);
    Gemm<T> g{};
    g.m = m1 - m0;
    g.k = depth;
    g.a = p.w + p.units[static_cast<size_t>(unit)].w;
    g.a_rows = listed(g.m, p.w_rows.data() + m0);
    g.a_cols = listed(depth, p.w_cols.data());
    kernels.pack_a(g, packed + (unit * m + m0) * depth);
  }
#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(static, 1) if (threads > 1)
  for (int64_t thread = 0; thread < threads; ++thread) {
    std::vector<int64_t> columns;
    for (int64_t i = tasks * thread / threads; i < tasks * (thread + 1) / threads; ++i) {
      const int64_t part = i / chunks % row_parts;
      const Task task{i / (chunks * row_parts), i % chunks, cut(part), cut(part + 1)};
      run_task(p, patches, task, positions, packed + (task.unit * m + task.m0) * depth, packed + packed_size + thread * each,
               columns);
    }
  }
}

template void correlate<float>(const Correlate<float>&, Workspace&);
template void correlate<double>(const Correlate<double>&, Workspace&);

}  // namespace hessia::cpu
