#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <mien/parallel.hpp>

namespace {

TEST_CASE("a thread pool runs every task once") {
  for (const int threads : {1, 2, 3, 8}) {
    mien::ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int count : {0, 1, 2, 7, 1000}) {
      CAPTURE(threads);
      CAPTURE(count);
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      pool(count, [&](int i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const std::atomic<int>& run : runs) REQUIRE(run == 1);
    }
  }
}

TEST_CASE("a thread pool runs tasks at the same time") {
  mien::ThreadPool pool(3);
  std::atomic<int> started{0};
  // Each task waits for the others: fewer than three threads would never end.
  pool(3, [&](int) {
    ++started;
    while (started < 3) std::this_thread::yield();
  });
  CHECK(started == 3);
}

TEST_CASE("threads take turns on one pool") {
  mien::ThreadPool pool(2);
  std::atomic<int> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int call = 0; call < 100; ++call) pool(5, [&](int i) { sum += i; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 4 * 100 * (0 + 1 + 2 + 3 + 4));
}

TEST_CASE("the caller gets what a task threw when all have ended, and the pool goes on") {
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    mien::ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      std::atomic<int> ended{0};
      std::string message;
      try {
        pool(50, [&](int i) {
          if (i % 10 == 3) {
            ++ended;
            throw std::runtime_error("task");
          }
          std::this_thread::yield();
          ++ended;
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      CHECK(message == "task");
      CHECK(ended == 50);
      std::atomic<int> runs{0};
      pool(50, [&](int) { ++runs; });
      CHECK(runs == 50);
    }
    CHECK_THROWS_AS(pool(8, [](int) { throw std::bad_alloc(); }), std::bad_alloc);
  }
}

TEST_CASE("a pool needs a thread") {
  CHECK_THROWS_WITH_AS(mien::ThreadPool(0), "threads: expected 1 or more, found 0", mien::Error);
}

}  // namespace
