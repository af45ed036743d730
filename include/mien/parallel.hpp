// Work on several threads: the interface that the library asks for, and a pool that provides it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <mien/error.hpp>

namespace mien {

/// Calls task(0), ..., task(count - 1), each once, in any order and on any threads, and returns
/// when all have ended. A task may throw, as where memory runs out; then the call throws one of the
/// tasks' exceptions, once all have ended. A ThreadPool is one; a program that has its own threads
/// passes a function that uses them.
using Executor = std::function<void(int count, const std::function<void(int)>& task)>;

/// Threads that wait for work: an Executor by `std::ref(pool)`. The thread that calls takes part.
/// Calls from several threads take turns; a task must not use the pool that runs it. Tasks that throw
/// do not keep the others from running; the first exception is the caller's, and the pool goes on.
class ThreadPool {
 public:
  /// With `threads` of 1 everything runs in the caller's. Throws Error for less than 1, and where
  /// the system has no more threads. (There std::terminate ends a program without exceptions.)
  explicit ThreadPool(int threads) {
    if (threads < 1) {
      detail::fail({"threads: expected 1 or more, found ", detail::Digits(threads)});
    }
    workers_.reserve(static_cast<std::size_t>(threads) - 1);
    const std::exception_ptr error = detail::caught([this, threads] {
      while (this->threads() < threads) workers_.emplace_back([this] { work(); });
    });
    if (error) {
      stop();
      detail::fail(
          {"threads: cannot start ", detail::Digits(threads), ": ", detail::text_of(error)});
    }
  }

  ~ThreadPool() { stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// The caller's thread included.
  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  void operator()(int count, const std::function<void(int)>& task) {
    const std::lock_guard<std::mutex> turn(turn_);
    std::unique_lock<std::mutex> lock(mutex_);
    task_ = &task;
    next_ = 0;
    count_ = count;
    if (count > 1) wake_.notify_all();
    take_tasks(lock);
    done_.wait(lock, [this] { return running_ == 0; });
    task_ = nullptr;
    if (const std::exception_ptr error = std::exchange(error_, nullptr)) {
      lock.unlock();
      std::rethrow_exception(error);
    }
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || next_ < count_; });
      if (stopping_) return;
      take_tasks(lock);
    }
  }

  /// Runs tasks until none is left to start. Holds the lock, but not during a task.
  void take_tasks(std::unique_lock<std::mutex>& lock) {
    while (next_ < count_) {
      const int index = next_++;
      ++running_;
      lock.unlock();
      std::exception_ptr error = detail::caught([this, index] { (*task_)(index); });
      lock.lock();
      if (error && !error_) error_ = std::move(error);
      if (--running_ == 0 && next_ == count_) done_.notify_one();
    }
  }

  void stop() noexcept {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
  }

  std::mutex turn_;  // held by the caller whose tasks are running
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int)>* task_ = nullptr;
  int next_ = 0;
  int count_ = 0;
  int running_ = 0;
  std::exception_ptr error_;  // the first of the tasks that are running
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace mien
