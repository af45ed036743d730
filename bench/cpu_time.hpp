// The clock of the benchmark programs that another program asks for times. Linux only.
#pragma once

#include <time.h>

namespace mien::bench {

/// What this process has used so far: other programs on the core do not count.
inline long long cpu_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return 1'000'000'000LL * time.tv_sec + time.tv_nsec;
}

}  // namespace mien::bench
