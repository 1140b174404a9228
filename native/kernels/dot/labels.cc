#include "kernels/dot/labels.h"

#include <algorithm>
#include <cstdlib>

namespace hessia::cpu {
namespace {

// Larger steps outside, so that the innermost label is the one that runs through memory.
void sort_by(Labels& labels, Stride stride) {
  std::stable_sort(labels.begin(), labels.end(),
                   [&](const Label& l, const Label& r) { return std::abs(l.*stride) > std::abs(r.*stride); });
}

bool nests(const Labels& labels, Stride stride) {
  for (size_t i = 0; i + 1 < labels.size(); ++i)
    if (labels[i].*stride != labels[i + 1].*stride * labels[i + 1].size) return false;
  return true;
}

// Joins neighbours that step as one in every operand.
void merge(Labels& labels) {
  Labels merged;
  for (const Label& l : labels) {
    if (!merged.empty()) {
      Label& outer = merged.back();
      if (outer.a == l.a * l.size && outer.b == l.b * l.size && outer.c == l.c * l.size) {
        outer = {outer.size * l.size, l.a, l.b, l.c};
        continue;
      }
    }
    merged.push_back(l);
  }
  labels = merged;
}

// K runs along the operand in which it makes the better axis: nested in both if possible, else in either.
void order_k(Labels& k) {
  const auto score = [](const Labels& order) {
    return nests(order, &Label::a) + nests(order, &Label::b) + (std::abs(order.back().a) == 1) +
           (std::abs(order.back().b) == 1);
  };
  if (k.empty()) return;
  Labels by_b = k;
  sort_by(k, &Label::a);
  sort_by(by_b, &Label::b);
  if (score(by_b) > score(k)) k = by_b;
}

}  // namespace

Groups group(const DotInstruction& instruction) {
  struct Entry { int id; Label label; bool written; };
  std::vector<Entry> entries;
  const auto read = [&](const View& view, const std::vector<int>& ids, Stride stride, bool written) {
    for (size_t d = 0; d < ids.size(); ++d) {
      auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.id == ids[d]; });
      if (entry == entries.end()) entry = entries.insert(entry, {ids[d], {view.shape[d], 0, 0, 0}, false});
      entry->label.*stride = view.strides[d];
      entry->written |= written;
    }
  };
  read(instruction.c, instruction.labels_c, &Label::c, true);
  read(instruction.a, instruction.labels_a, &Label::a, false);
  read(instruction.b, instruction.labels_b, &Label::b, false);

  Groups groups{{}, {}, {}, {}, 1, false, false};
  for (const Entry& entry : entries) {
    const Label& l = entry.label;
    if (l.size == 0) (entry.written ? groups.empty_c : groups.empty_sum) = true;
    if (l.size == 1) continue;
    if (!entry.written) {
      if (l.a == 0 && l.b == 0) groups.repeats *= static_cast<double>(l.size);
      else groups.k.push_back(l);
    } else if (l.a != 0 && l.b != 0) {
      groups.batch.push_back(l);
    } else {
      (l.b != 0 ? groups.n : groups.m).push_back(l);
    }
  }
  for (Labels* labels : {&groups.batch, &groups.m, &groups.n}) sort_by(*labels, &Label::c);
  order_k(groups.k);
  for (Labels* labels : {&groups.batch, &groups.m, &groups.n, &groups.k}) merge(*labels);
  return groups;
}

int64_t size_of(const Labels& labels) {
  int64_t size = 1;
  for (const Label& l : labels) size *= l.size;
  return size;
}

int64_t offset_at(const Labels& labels, Stride stride, int64_t i) {
  int64_t offset = 0;
  for (size_t d = labels.size(); d-- > 0;) {
    offset += i % labels[d].size * (labels[d].*stride);
    i /= labels[d].size;
  }
  return offset;
}

Axis flatten(const Labels& labels, Stride stride, std::vector<int64_t>& storage) {
  const int64_t size = size_of(labels);
  if (labels.empty()) return strided(1, 1);
  if (nests(labels, stride)) return strided(size, labels.back().*stride);
  storage.reserve(static_cast<size_t>(size));
  storage.assign(1, 0);
  for (size_t d = labels.size(); d-- > 0;) {  // each label repeats what the ones inside it list
    const size_t inside = storage.size();
    for (int64_t i = 1; i < labels[d].size; ++i)
      for (size_t j = 0; j < inside; ++j) storage.push_back(storage[j] + i * (labels[d].*stride));
  }
  return listed(size, storage.data(), labels.back().*stride == 1 ? labels.back().size : 0);
}

}  // namespace hessia::cpu
