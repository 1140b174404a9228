// Which bytes of a buffer hold nothing of worth, and why. Used on the device's thread only.
#pragma once
#include <memory>
#include <vector>

#include "base/error.h"
#include "program/intervals.h"

namespace hessia {

using Cause = std::shared_ptr<const Error>;

class Poison {
 public:
  bool none() const { return entries_.empty(); }
  // The earliest cause that touches the bytes, or nullptr.
  Cause find(int64_t first, int64_t last) const {
    for (const Entry& e : entries_) if (e.where.intersects(first, last)) return e.cause;
    return nullptr;
  }
  // Bytes that are poisoned already keep their cause.
  void add(int64_t first, int64_t last, const Cause& cause) {
    Intervals fresh;
    fresh.add(first, last);
    for (const Entry& e : entries_) for (const Interval& i : e.where.parts()) fresh.remove(i.first, i.last);
    if (fresh.empty()) return;
    if (entries_.empty() || entries_.back().cause != cause) entries_.push_back({{}, cause});
    for (const Interval& i : fresh.parts()) entries_.back().where.add(i.first, i.last);
  }
  void heal(int64_t first, int64_t last) {
    for (size_t i = entries_.size(); i-- > 0;) {
      entries_[i].where.remove(first, last);
      if (entries_[i].where.empty()) entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

 private:
  struct Entry { Intervals where; Cause cause; };
  std::vector<Entry> entries_;
};

}  // namespace hessia
