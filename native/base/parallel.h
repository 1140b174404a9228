// The team of the device's thread. body(thread, team) runs once per thread; it must not throw.
#pragma once
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace hessia {

template <class F> void parallel(int threads, F&& body) {
#if defined(_OPENMP)
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    body(omp_get_thread_num(), omp_get_num_threads());
    return;
  }
#endif
  (void)threads;
  body(0, 1);
}

}  // namespace hessia
