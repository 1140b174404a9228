// A minimal test harness. TEST(name) { CHECK(...); } registers itself; main (main.cc) runs everything on every
// target (target.h), or the tests whose name contains the first argument. CPU_TEST(name) is about the CPU alone.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/memory.h"
#include "test/target.h"

namespace hessia::test {

struct Case { const char* name; void (*body)(); bool cpu_only; };
std::vector<Case>& cases();
void fail(const char* file, int line, const std::string& message);

struct Registration {
  Registration(const char* name, void (*body)(), bool cpu_only) { cases().push_back({name, body, cpu_only}); }
};

// true if |got - want| <= tolerance, or both are the same infinity or both NaN. NaN against a number fails.
inline bool near(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return got == want;
  return std::fabs(got - want) <= tolerance;
}

// Memory with guard zones before and behind, checked by check() and on destruction; contents start as NaN
// (or large integers) so that a read of something unwritten shows.
class Guarded {
 public:
  explicit Guarded(size_t bytes, size_t misalign = 0);
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  void* data() { return base_ + kZone + misalign_; }
  template <class T> T* as() { return static_cast<T*>(data()); }
  size_t bytes() const { return bytes_; }
  bool intact() const;

 private:
  static constexpr size_t kZone = 256;
  unsigned char* base_;
  size_t bytes_, misalign_;
};

// Uniform integer in [low, high].
inline int64_t pick(std::mt19937_64& rng, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(rng);
}

}  // namespace hessia::test

#define HESSIA_CONCAT_(a, b) a##b
#define HESSIA_CONCAT(a, b) HESSIA_CONCAT_(a, b)
#define HESSIA_TEST(name, cpu_only)                                                                  \
  static void name();                                                                                \
  static ::hessia::test::Registration HESSIA_CONCAT(registration_, name)(#name, name, cpu_only);     \
  static void name()
#define TEST(name) HESSIA_TEST(name, false)
#define CPU_TEST(name) HESSIA_TEST(name, true)
#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) ::hessia::test::fail(__FILE__, __LINE__, #condition);     \
  } while (0)
#define CHECK_NEAR(got, want, tolerance)                                                              \
  do {                                                                                                \
    const double got_ = (got), want_ = (want), tolerance_ = (tolerance);                              \
    if (!::hessia::test::near(got_, want_, tolerance_)) {                                             \
      std::ostringstream message_;                                                                    \
      message_.precision(17);                                                                         \
      message_ << #got << " = " << got_ << ", expected " << want_ << ", tolerance " << tolerance_;    \
      ::hessia::test::fail(__FILE__, __LINE__, message_.str());                                       \
    }                                                                                                 \
  } while (0)
#define CHECK_THROWS(expression, expected)                                                            \
  do {                                                                                                \
    bool thrown_ = false;                                                                             \
    try {                                                                                             \
      expression;                                                                                     \
    } catch (const ::hessia::Error& error) {                                                          \
      thrown_ = error.code == (expected);                                                             \
      if (!thrown_) ::hessia::test::fail(__FILE__, __LINE__, std::string("other error: ") + error.what()); \
      thrown_ = true;                                                                                 \
    }                                                                                                 \
    if (!thrown_) ::hessia::test::fail(__FILE__, __LINE__, #expression " did not throw");             \
  } while (0)
