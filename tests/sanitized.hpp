// Tests of many rounds do fewer of them where sanitizers make each tens of times as slow.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

constexpr int rounds(int without_sanitizers) {
  return sanitized ? without_sanitizers / 4 : without_sanitizers;
}
