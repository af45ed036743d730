// The name of the compiler, for reports.
#pragma once

namespace mien::bench {

#if defined(__clang__)
inline constexpr const char* compiler = __VERSION__;  // "Clang" and its version
#elif defined(__GNUC__)
inline constexpr const char* compiler = "GCC " __VERSION__;
#else
inline constexpr const char* compiler = "unknown";
#endif

}  // namespace mien::bench
