#include "device/queue.h"

namespace hessia {

Queue::Queue(Job first) : thread_([this, first = std::move(first)] { loop(first); }) {}

Queue::~Queue() {
  close();
  join();
}

bool Queue::add(Job job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    jobs_.push_back(std::move(job));
    pending_++;
  }
  wake_.notify_one();
  return true;
}

void Queue::when_at_most(int64_t limit, Job callback) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (pending_ > limit) {
      waiters_.push_back({limit, std::move(callback)});
      return;
    }
  }
  callback();
}

void Queue::close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  wake_.notify_one();
}

void Queue::join() {
  if (thread_.joinable()) thread_.join();
}

std::vector<Queue::Job> Queue::satisfied() {
  std::vector<Job> due;
  for (size_t i = 0; i < waiters_.size();) {
    if (pending_ <= waiters_[i].limit) {
      due.push_back(std::move(waiters_[i].callback));
      waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      i++;
    }
  }
  return due;
}

void Queue::loop(const Job& first) {
  first();
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
    if (jobs_.empty()) break;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what the job held is released before it counts as done
    lock.lock();
    pending_--;
    const std::vector<Job> due = waiters_.empty() ? std::vector<Job>() : satisfied();
    if (!due.empty()) {
      lock.unlock();
      for (const Job& callback : due) callback();
      lock.lock();
    }
  }
  ended_ = true;
}

}  // namespace hessia
