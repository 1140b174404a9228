// One thread that runs jobs in order. Adding never blocks: callers keep the queue short by waiting for
// when_at_most(), which is how the TypeScript side bounds it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hessia {

class Queue {
 public:
  using Job = std::function<void()>;

  explicit Queue(Job first);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Jobs must not throw. After close() they are refused (false).
  bool add(Job job);
  // Jobs waiting or running.
  int64_t pending() const { return pending_.load(); }
  // Calls back, from here or from the queue's thread, as soon as at most `limit` jobs are left.
  void when_at_most(int64_t limit, Job callback);
  // No more jobs; the thread ends after those it has.
  void close();
  // Waits for the thread to end. Not from the thread itself.
  void join();
  bool ended() const { return ended_.load(); }

 private:
  void loop(const Job& first);
  std::vector<Job> satisfied();  // takes the waiters that are due; mutex_ held

  struct Waiter { int64_t limit; Job callback; };
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::vector<Waiter> waiters_;
  std::atomic<int64_t> pending_{0};
  std::atomic<bool> ended_{false};
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace hessia
