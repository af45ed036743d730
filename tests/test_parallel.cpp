#include <atomic>
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

TEST_CASE("a pool needs a thread") {
  CHECK_THROWS_WITH_AS(mien::ThreadPool(0), "threads: expected 1 or more, found 0", mien::Error);
}

}  // namespace
