#include "kernels/dot/dot.h"

#include <algorithm>

#include "base/workspace.h"
#include "kernels/dot/labels.h"
#include "kernels/dot/rows.h"

namespace hessia::cpu {
namespace {

// Contractions that sum nothing, and batches of products with at most this many multiply-adds, are done by
// rows, if the rows are at least this long.
constexpr int64_t kTinyProduct = 16;
constexpr int64_t kLongRow = 32;

struct Shifts { const Labels& batch; };
GemmShift shift_at(int64_t i, const void* context) {
  const Labels& batch = static_cast<const Shifts*>(context)->batch;
  return {offset_at(batch, &Label::a, i), offset_at(batch, &Label::b, i), offset_at(batch, &Label::c, i)};
}

// Everything in one list of labels; the innermost of c that a row can run along goes last.
template <class T>
void by_rows(const Groups& groups, const T* a, const T* b, T* c, T alpha, bool accumulate, Workspace& workspace) {
  Labels outer = groups.batch;
  outer.insert(outer.end(), groups.m.begin(), groups.m.end());
  outer.insert(outer.end(), groups.n.begin(), groups.n.end());
  const auto longest = std::max_element(outer.begin(), outer.end(), [](const Label& l, const Label& r) {
    return (l.c == 1) != (r.c == 1) ? r.c == 1 : l.size < r.size;
  });
  const Label along = *longest;
  outer.erase(longest);
  const int64_t rows = size_of(outer), terms = size_of(groups.k);
  const bool serial = rows * terms * along.size < kSerialBelow;
#pragma omp parallel for num_threads(workspace.threads) schedule(static) if (!serial)
  for (int64_t i = 0; i < rows; ++i) {
    ProductRow<T> row{along.size, nullptr, nullptr, c + offset_at(outer, &Label::c, i), along.a, along.b, along.c, alpha,
                      accumulate};
    for (int64_t k = 0; k < terms; ++k) {
      row.a = a + offset_at(outer, &Label::a, i) + offset_at(groups.k, &Label::a, k);
      row.b = b + offset_at(outer, &Label::b, i) + offset_at(groups.k, &Label::b, k);
      multiply(row);
      row.accumulate = true;
    }
  }
}

template <class T>
void run(const DotInstruction& instruction, Bindings bindings, Workspace& workspace) {
  const Groups groups = group(instruction);
  if (groups.empty_c) return;
  const T* a = static_cast<const T*>(bindings[instruction.a.binding]) + instruction.a.offset;
  const T* b = static_cast<const T*>(bindings[instruction.b.binding]) + instruction.b.offset;
  T* c = static_cast<T*>(bindings[instruction.c.binding]) + instruction.c.offset;
  const T alpha = static_cast<T>(instruction.alpha * groups.repeats);

  const int64_t m = size_of(groups.m), n = size_of(groups.n), k = groups.empty_sum ? 0 : size_of(groups.k);
  const int64_t batch = size_of(groups.batch);
  if (k == 1 || (k > 0 && batch > 1 && m * n * k <= kTinyProduct)) {
    int64_t longest = 0;
    for (const Labels* labels : {&groups.batch, &groups.m, &groups.n})
      for (const Label& l : *labels) longest = std::max(longest, l.size);
    if (longest >= kLongRow) return by_rows(groups, a, b, c, alpha, instruction.accumulate, workspace);
  }

  std::vector<int64_t> a_rows, a_cols, b_rows, b_cols, c_rows, c_cols;
  Gemm<T> g{m, n, k,
            a, flatten(groups.m, &Label::a, a_rows), flatten(groups.k, &Label::a, a_cols),
            b, flatten(groups.k, &Label::b, b_rows), flatten(groups.n, &Label::b, b_cols),
            c, flatten(groups.m, &Label::c, c_rows), flatten(groups.n, &Label::c, c_cols),
            alpha, instruction.accumulate};
  const Shifts shifts{groups.batch};
  gemm_batch(g, batch, shift_at, &shifts, workspace);
}

}  // namespace

void dot(const DotInstruction& instruction, Bindings bindings, Workspace& workspace) {
  if (instruction.c.dtype == DType::Float64) run<double>(instruction, bindings, workspace);
  else run<float>(instruction, bindings, workspace);
}

}  // namespace hessia::cpu
