#include "base/error.h"
#include "base/memory.h"
#include "base/workspace.h"
#include "test/harness.h"

using namespace hessia;

CPU_TEST(memory_is_aligned_and_refused_early) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{5} << 20}) {
    void* data = allocate_aligned(bytes, "a test");
    CHECK(reinterpret_cast<uintptr_t>(data) % kAlignment == 0);
    free_aligned(data);
  }
  CHECK_THROWS(allocate_aligned(size_t{1} << 50, "a test"), ErrorCode::OUT_OF_MEMORY);
  CHECK_THROWS(allocate_aligned(SIZE_MAX - 3, "a test"), ErrorCode::OUT_OF_MEMORY);
}

CPU_TEST(workspace_grows_only) {
  Workspace ws;
  void* first = ws.scratch(1000);
  CHECK(ws.scratch(10) == first);
  CHECK(ws.scratch(100000) != nullptr);
}
